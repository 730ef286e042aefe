"""What `bench plan` expects of each cell, kept for `bench run`; and from that the time that remains.

A run measures nothing before it starts: where a plan of the same cells was made on this machine, its seconds
are the weights of the cells, corrected by what the cells done so far took; where none was, cells count alike
and nothing is said before one is done.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alignment_bench.jobs import write_durably
from alignment_bench.models.conversion import cache

if TYPE_CHECKING:
    from pathlib import Path

    from alignment_bench.plan import Cell

SCHEMA = 1
MOST = 20_000
"""cells that are remembered; the oldest go first"""
PRIOR = 0.2
"""share of a plan that counts as done at the pace that it expects"""


def place() -> Path:
    """Where they are kept."""
    return cache() / "costs" / "cells.json"


def keep(expected: Mapping[str, float]) -> None:
    """Remembers the seconds of cells by their digests; where the cache cannot be written, nothing is.

    A cell that is stored takes none; what was expected of it before it was is kept."""
    before = known()
    new = {key: value or before.get(key, 0.0) for key, value in expected.items()}
    seconds = {key: value for key, value in before.items() if key not in new} | new
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


@dataclass
class Remaining:
    """The time that is left, by the cells that are left."""

    left: dict[str, list[float]]
    """seconds by cell title; a sweep has several cells of one title"""
    from_plan: bool
    took: float = 0.0
    """seconds of the cells that were done; stored ones take none and teach nothing"""
    planned: float = 0.0
    """what was expected of them"""
    workers: int = 1
    """cells that were seen being done side by side"""

    def ended(self, title: str, seconds: float, stored: bool) -> None:
        """A cell has an outcome."""
        expected = self.left[title].pop(0) if self.left.get(title) else 0.0
        if not stored:
            self.took += seconds
            self.planned += expected

    def seconds(self, running: Mapping[str, float]) -> float | None:
        """What is left, with the cells in `running` so many seconds old; None while there is no telling."""
        open_ones = sum(map(sum, self.left.values()))
        if self.from_plan:
            # A fifth of the plan as prior, so that one odd cell does not rule.
            prior = PRIOR * (self.planned + open_ones)
            pace = (self.took + prior) / (self.planned + prior) if prior else 1.0
        elif not self.planned:
            return None
        else:
            pace = self.took / self.planned
        left = pace * open_ones
        for title, age in running.items():
            if self.left.get(title):
                left -= min(age, pace * self.left[title][0])
        self.workers = max(self.workers, len(running))
        return left / self.workers


def remaining(cells: Sequence[Cell]) -> Remaining:
    """What is known of these cells before the first of them is begun."""
    found = known()
    # A cell that no plan knows would be guessed at: then all count alike.
    planned = bool(cells) and all(cell.digest in found for cell in cells)
    left: dict[str, list[float]] = {}
    for cell in cells:
        left.setdefault(cell.title, []).append(found[cell.digest] if planned else 1.0)
    return Remaining(left, planned)
