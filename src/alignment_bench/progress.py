"""What a person sees while a run works: a bar on a terminal, one line per finished cell elsewhere.

Everything goes to standard error, so that standard output holds the table alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)


class Reporter:
    """Reports cells and the steps inside them."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.quiet = quiet
        self.live = self.console.is_terminal and not quiet
        self._cell = ""
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

    def begin(self, cell: str) -> None:
        """A cell starts."""
        self._cell = cell
        self.step("")

    def step(self, text: str) -> None:
        """What the cell is doing now; shown on a terminal only."""
        self._progress.update(self._task, description=f"{self._cell} {text}".rstrip())

    def end(self, outcome: str) -> None:
        """A cell has an outcome."""
        self._progress.advance(self._task)
        self.say(f"{self._cell}: {outcome}")


def say_plainly(text: str) -> None:
    """One line on standard error, for before there is a reporter."""
    print(text, file=sys.stderr)
