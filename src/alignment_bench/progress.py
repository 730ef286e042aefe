"""What a person sees while a run works: a bar on a terminal, one line per finished cell elsewhere.

Both tell the time that remains, from what `bench plan` expects of the cells and from those that are done.
Everything goes to standard error, so that standard output holds the table alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from alignment_bench.amounts import duration
from alignment_bench.costs.expectations import Remaining


class Hearer(Protocol):
    """What one who does a cell tells about it: this process's Reporter, or the way to another process's."""

    def say(self, text: str) -> None:
        """One line for people."""

    def step(self, text: str) -> None:
        """What the cell is doing now."""

    def end(self, outcome: str) -> None:
        """The cell has an outcome."""


class _Left(ProgressColumn):
    """The time that remains, told anew whenever the bar is drawn."""

    def __init__(self, tell: Callable[[], str]) -> None:
        super().__init__()
        self._tell = tell

    def render(self, task: Task) -> Text:
        """The words."""
        return Text(self._tell())


class Reporter:
    """Reports cells and the steps inside them. Where several workers do cells, each has a line of its own."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.quiet = quiet
        self.live = self.console.is_terminal and not quiet
        self._cells: dict[int, str] = {}
        self._steps: dict[int, str] = {}
        self._begun: dict[int, float] = {}
        self._remaining: Remaining | None = None
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _Left(self._left),
            TextColumn("{task.description}"),
            console=self.console,
            transient=True,
            disable=not self.live,
        )
        self._task = self._progress.add_task("", total=total)

    def expect(self, remaining: Remaining) -> None:
        """What is known of the time that the cells will take."""
        self._remaining = remaining

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
        self._begun[worker] = time.monotonic()
        self.step("", worker)

    def step(self, text: str, worker: int = 0) -> None:
        """What the worker's cell is doing now; shown on a terminal only."""
        self._steps[worker] = text
        lines = [f"{self._cells.get(one, '')} {self._steps[one]}".strip() for one in sorted(self._steps)]
        self._progress.update(self._task, description="\n".join(filter(None, lines)))

    def end(self, outcome: str, worker: int = 0) -> None:
        """The worker's cell has an outcome."""
        self._progress.advance(self._task)
        title = self._cells.pop(worker, "")
        took = time.monotonic() - self._begun.pop(worker, time.monotonic())
        if self._remaining is not None:
            self._remaining.ended(title, took, stored=outcome == "stored")
        left = "" if outcome == "stored" or self.live else self._left()
        self.say(f"{title}: {outcome}{'; ' if left else ''}{left}")
        self.step("", worker)

    def _left(self) -> str:
        """The time that remains in words; empty where there is no telling, or nothing left."""
        if self._remaining is None:
            return ""
        now = time.monotonic()
        running = {self._cells[one]: now - self._begun[one] for one in self._cells}
        seconds = self._remaining.seconds(running)
        return f"about {duration(seconds)} left" if seconds else ""


def say_plainly(text: str) -> None:
    """One line on standard error, for before there is a reporter."""
    print(text, file=sys.stderr)
