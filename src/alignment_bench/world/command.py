"""What the commands of the world share: `python -m alignment_bench.world.pretrain`, `.diagnostics`, `.card`.

Bad input is told in full on standard error and ends in exit code 2, as with `bench`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from alignment_bench.errors import BadInput, Problem


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs a command with the words of the command line."""
    try:
        main(sys.argv[1:])
    except BadInput as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def folder_of(arguments: Sequence[str]) -> Path:
    """The folder of a base, which is the first word. Raises BadInput where that is no folder."""
    if not arguments or not Path(arguments[0]).is_dir():
        what = f"{arguments[0]!r} is no folder" if arguments else "a folder with a base is missing"
        raise BadInput([Problem("FOLDER", what, "name it first, before any key=value")])
    return Path(arguments[0])
