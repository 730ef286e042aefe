"""`python -m alignment_bench` is `bench`."""

import sys

from alignment_bench.cli import main

sys.exit(main())
