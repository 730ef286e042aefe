"""Published data sets that tasks read: one file each, found by file name and imported when asked for."""

from __future__ import annotations

import importlib
from pathlib import Path

from alignment_bench.digests import digest_files
from alignment_bench.errors import BadInput, Problem
from alignment_bench.registry import suggest
from alignment_bench.sources.source import Source

_FOLDER = Path(__file__).parent
_CONTRACT = "source"


def names() -> tuple[str, ...]:
    """All sources, sorted; imports none of them."""
    files = (file.stem for file in _FOLDER.glob("*.py"))
    return tuple(sorted(name for name in files if not name.startswith("_") and name != _CONTRACT))


def load(name: str, field: str = "task.source") -> Source:
    """The source of that name. Raises BadInput with the nearest names, under `field`, where there is none."""
    if name not in names():
        raise BadInput([Problem(field, f"no source is called {name!r}", suggest(name, names()))])
    source = importlib.import_module(f"{__name__}.{name}").SOURCE
    if not isinstance(source, Source):
        raise TypeError(f"{__name__}.{name}.SOURCE is {type(source).__name__}, not Source")
    return source


def digest(name: str) -> str:
    """Digest of the code that turns the source's rows into examples: its file and what all of them share."""
    shared = [file.name for file in _FOLDER.glob("_*.py")]
    return digest_files(_FOLDER, [f"{name}.py", f"{_CONTRACT}.py", *shared])
