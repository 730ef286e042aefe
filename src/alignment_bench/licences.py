"""Terms of data sets that a run needs leave for: said once with accept=nc, remembered beside other caches."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alignment_bench.errors import BadInput, Problem
from alignment_bench.models.conversion import cache

if TYPE_CHECKING:
    from alignment_bench.sources.source import Source

Terms = Literal["nc"]
"""nc: I use this data for non-commercial purposes only, as its licence asks"""


def accepted() -> frozenset[str]:
    """The terms accepted on this machine so far. Raises BadInput where their record cannot be read."""
    path = _record()
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise BadInput([Problem("accept", f"{path} cannot be read: {error}", "delete it")]) from error
    if not isinstance(found, list):
        raise BadInput([Problem("accept", f"{path} is not a list of terms", "delete it")])
    return frozenset(str(one) for one in found)


def remember(terms: Terms) -> None:
    """Records that the terms were accepted. Raises BadInput where the record cannot be written."""
    if terms in (known := accepted()):
        return
    path = _record()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".accepted-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(sorted({*known, terms}), file)
        os.replace(name, path)
    except OSError as error:
        fix = "set ALIGNMENT_BENCH_CACHE to a folder that can be written to"
        raise BadInput([Problem("accept", f"{path} cannot be written: {error.strerror}", fix)]) from error


def unaccepted(source: Source, given: Terms | None = None) -> list[Problem]:
    """A problem where the source needs terms that were accepted neither now nor before."""
    if not source.noncommercial or given == "nc" or "nc" in accepted():
        return []
    what = f"{source.name} is {source.licence}: not for commercial use"
    return [Problem("accept", what, "if that suits, add accept=nc once; it is remembered")]


def _record() -> Path:
    return cache() / "accepted.json"
