"""Mirrors finished cells to trackio, the local experiment tracker, where it is installed (`tracker=trackio`).

One run a cell: its configuration, the mean of every metric, and what it cost. The results folder stays the
only source of every number; what is mirrored once is noted in it and not mirrored again. Nothing leaves the
machine: trackio keeps a database of its own (`TRACKIO_DIR`), and `trackio show` serves it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from alignment_bench.cells import CellRecord
from alignment_bench.errors import Problem

Tracker = Literal["none", "trackio"]
PROJECT = "alignment-bench"
NOTED = "trackio.txt"
"""under the results folder: the digests of the cells that are mirrored"""


def missing(tracker: Tracker) -> list[Problem]:
    """A problem where the tracker is not installed."""
    if tracker == "none" or importlib.util.find_spec(tracker) is not None:
        return []
    fix = 'pip install "alignment-bench[trackio]", or leave tracker out'
    return [Problem("tracker", f"{tracker} is not installed", fix)]


def mirror(tracker: Tracker, root: Path, records: Sequence[CellRecord]) -> int:
    """Mirrors every ok cell that is not mirrored yet, and returns how many; nothing for tracker=none."""
    if tracker == "none":
        return 0
    import trackio

    noted = root / NOTED
    known = set(noted.read_text("utf-8").split()) if noted.is_file() else set()
    count = 0
    for record in records:
        if record.status != "ok" or record.digest in known:
            continue
        with contextlib.redirect_stdout(sys.stderr):  # what it prints must not get between a table's lines
            name = f"{record.task} {record.label} seed {record.seed} {record.digest[:8]}"
            quiet = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
            trackio.init(project=PROJECT, name=name, config=configuration(record), **quiet)
            trackio.log(dict(measured(record)))
            trackio.finish()
        with noted.open("a", encoding="utf-8") as file:
            file.write(record.digest + "\n")
        known.add(record.digest)
        count += 1
    return count


def configuration(record: CellRecord) -> dict[str, Any]:
    """What the cell was: everything a table's caption says of it, and the method's fields."""
    names = ("task", "label", "seed", "fold", "model", "data", "world", "budget", "teacher", "judge", "init")
    return {name: getattr(record, name) for name in names} | {
        "method": record.method,
        "digest": record.digest,
    }


def measured(record: CellRecord) -> Iterator[tuple[str, float]]:
    """The mean of every metric over its scored prompts, what the method measured itself, and the spend."""
    for metric in record.scores:
        values = [value for value in metric.values if isfinite(value)]
        if values:
            yield metric.name, sum(values) / len(values)
    yield from ((f"measure/{name}", value) for name, value in record.measures.items())
    for kind, spend in (("spend", record.spend), ("test", record.test_spend)):
        for name, value in spend.items():
            if isinstance(value, int | float):
                yield f"{kind}/{name}", float(value)
