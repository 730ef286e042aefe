"""What `bench plan` expects of each cell, kept for `bench run`; and from that the time that remains.

A run measures nothing before it starts: where a plan of the same cells was made on this machine, its seconds
are the weights of the cells, corrected by what the cells done so far took; where none was, cells count alike
and nothing is said before one is done.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alignment_bench.jobs import write_durably
from alignment_bench.models.conversion import cache

if TYPE_CHECKING:
    from pathlib import Path

    from alignment_bench.plan import Cell

SCHEMA = 1
MOST = 20_000
"""cells that are remembered; the oldest go first"""


def place() -> Path:
    """Where they are kept."""
    return cache() / "costs" / "cells.json"


def keep(expected: Mapping[str, float]) -> None:
    """Remembers the seconds of cells by their digests; where the cache cannot be written, nothing is."""
    seconds = {key: value for key, value in known().items() if key not in expected} | dict(expected)
    newest = dict(list(seconds.items())[-MOST:])
    with contextlib.suppress(OSError):
        place().parent.mkdir(parents=True, exist_ok=True)
        write_durably(place(), json.dumps({"schema": SCHEMA, "seconds": newest}))


def known() -> dict[str, float]:
    """Seconds by cell digest; empty where nothing is kept, or what is kept cannot be read."""
    try:
        stored = json.loads(place().read_text("utf-8"))
        return {str(key): float(value) for key, value in stored["seconds"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@dataclass
class Remaining:
    """The time that is left, by the cells that are left."""

    planned: Mapping[str, float]
    """seconds by cell title, of all cells"""
    from_plan: bool
    done: dict[str, float] = field(default_factory=dict)
    """seconds that cells took, by title; stored ones take none and teach nothing"""
    skipped: set[str] = field(default_factory=set)
    workers: int = 1
    """cells that were seen being done side by side"""

    def ended(self, title: str, seconds: float, stored: bool) -> None:
        """A cell has an outcome."""
        if stored:
            self.skipped.add(title)
        else:
            self.done[title] = seconds

    def seconds(self, running: Mapping[str, float]) -> float | None:
        """What is left, with the cells in `running` so many seconds old; None while there is no telling."""
        expected = sum(self.planned.get(title, 0.0) for title in self.done)
        took = sum(self.done.values())
        if self.from_plan:
            # One plan's worth of prior belief that the plan is right, so that one odd cell does not rule.
            prior = 0.2 * sum(self.planned.values())
            pace = (took + prior) / (expected + prior) if expected + prior else 1.0
        elif not self.done or not expected:
            return None
        else:
            pace = took / expected
        left = 0.0
        for title, planned in self.planned.items():
            if title not in self.done and title not in self.skipped:
                left += max(0.0, pace * planned - running.get(title, 0.0))
        self.workers = max(self.workers, len(running))
        return left / self.workers


def remaining(cells: Sequence[Cell]) -> Remaining:
    """What is known of these cells before the first of them is begun."""
    found = known()
    titles = {cell.title: found.get(cell.digest) for cell in cells}
    whole = [seconds for seconds in titles.values() if seconds is not None]
    if not whole or len(whole) < len(titles):
        # A cell that no plan knows would be guessed at; then all count alike.
        return Remaining(dict.fromkeys(titles, 1.0), False)
    return Remaining({title: seconds or 0.0 for title, seconds in titles.items()}, True)
