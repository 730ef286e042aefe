"""Is what is stored still what was written, and do its scores follow from its samples?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from alignment_bench.amounts import counted
from alignment_bench.provenance import files, manifest
from alignment_bench.provenance.recompute import recompute

SCHEMA = 1


@dataclass(frozen=True)
class Verified:
    """What was checked, and what is wrong."""

    results: str
    cells: int
    jobs: int
    files: int
    faults: tuple[str, ...]
    """one line each, naming the file"""
    unprotected: tuple[str, ...]
    recomputed: int
    """metrics of cells that came out the same from the stored samples"""
    left_out: Mapping[str, int]
    """`metric: reason` of those not recomputed, and in how many cells"""


def verify(root: Path, against: manifest.Manifest | None = None, samples: bool = True) -> Verified:
    """Checks every file under a results folder, compares with a manifest where one is given, and scores the
    samples again unless `samples` is False."""
    found = files.look(root)
    faults = list(found.faults)
    if against is not None:
        faults += manifest.differences(root, against)
    recomputed, left_out = 0, {}
    if samples:
        again = recompute(root, found.records)
        faults += again.faults
        recomputed, left_out = again.agreed, dict(sorted(again.left_out.items()))
    return Verified(
        str(root),
        len(found.records),
        len(found.jobs),
        len(found.checked),
        tuple(dict.fromkeys(faults)),
        tuple(found.unprotected),
        recomputed,
        left_out,
    )


def _text(done: Verified) -> str:
    verdict = counted(len(done.faults), "fault") if done.faults else "every file is what was written"
    lines = [f"{done.results}: {verdict}", *(f"  {one}" for one in done.faults)]
    lines.append(
        f"{counted(done.files, 'file')} checked: {counted(done.cells, 'cell')}, "
        f"{counted(done.jobs, 'job')} behind them, bases, audits"
    )
    lines.append(f"recomputed from stored samples and the same: {done.recomputed} metrics of cells")
    if done.left_out:
        lines.append("not recomputed:")
        lines += [f"  {what} ({counted(count, 'cell')})" for what, count in done.left_out.items()]
    if done.unprotected:
        lines.append(
            f"{counted(len(done.unprotected), 'file')} that nothing vouches for wholly, as "
            f"{done.unprotected[0]}"
        )
    return "\n".join(lines) + "\n"


def _json(done: Verified) -> str:
    body = {
        "schema": SCHEMA,
        "results": done.results,
        "ok": not done.faults,
        "faults": list(done.faults),
        "files": done.files,
        "cells": done.cells,
        "jobs": done.jobs,
        "recomputed": done.recomputed,
        "not_recomputed": dict(done.left_out),
        "unprotected": list(done.unprotected),
    }
    return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: Mapping[str, Callable[[Verified], str]] = {"text": _text, "json": _json}
