"""What a person sees while a run works: a bar on a terminal, one line per finished cell elsewhere.

Everything goes to standard error, so that standard output holds the table alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)


class Hearer(Protocol):
    """What one who does a cell tells about it: this process's Reporter, or the way to another process's."""

    def say(self, text: str) -> None:
        """One line for people."""

    def step(self, text: str) -> None:
        """What the cell is doing now."""

    def end(self, outcome: str) -> None:
        """The cell has an outcome."""


class Reporter:
    """Reports cells and the steps inside them. Where several workers do cells, each has a line of its own."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.quiet = quiet
        self.live = self.console.is_terminal and not quiet
        self._cells: dict[int, str] = {}
        self._steps: dict[int, str] = {}
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self.console,
            transient=True,
            disable=not self.live,
        )
        self._task = self._progress.add_task("", total=total)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Shows the bar while the block runs."""
        with self._progress:
            yield

    def say(self, text: str) -> None:
        """One line, unless quiet."""
        if not self.quiet:
            self.console.print(text, markup=False, soft_wrap=True)

    def begin(self, cell: str, worker: int = 0) -> None:
        """A cell starts."""
        self._cells[worker] = cell
        self.step("", worker)

    def step(self, text: str, worker: int = 0) -> None:
        """What the worker's cell is doing now; shown on a terminal only."""
        self._steps[worker] = text
        lines = [f"{self._cells.get(one, '')} {self._steps[one]}".strip() for one in sorted(self._steps)]
        self._progress.update(self._task, description="\n".join(filter(None, lines)))

    def end(self, outcome: str, worker: int = 0) -> None:
        """The worker's cell has an outcome."""
        self._progress.advance(self._task)
        self.say(f"{self._cells.pop(worker, '')}: {outcome}")
        self.step("", worker)


def say_plainly(text: str) -> None:
    """One line on standard error, for before there is a reporter."""
    print(text, file=sys.stderr)
