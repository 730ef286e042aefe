"""What the verbs on stores share: their arguments, checked, and how long work is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from alignment_bench.errors import Problem
from alignment_bench.registry import suggest


def known_keys(
    verb: str, given: Mapping[str, str], request: type, aside: Sequence[str], problems: list[Problem]
) -> dict[str, str]:
    """The arguments that set fields of the request; those in neither it nor `aside` become problems."""
    own = [one.name for one in fields(request) if one.name not in ("filters", "path")]
    for key in given:
        if key not in (*own, *aside):
            problems.append(Problem(key, f"is no key of bench {verb}", suggest(key, (*own, *aside))))
    return {key: value for key, value in given.items() if key in own}


@dataclass(frozen=True)
class Bar:
    """How far long work has come, on a terminal; nothing elsewhere."""

    progress: Progress
    task: TaskID

    def expect(self, total: int) -> None:
        """So many bytes in all."""
        self.progress.update(self.task, total=total)

    def come(self, count: int) -> None:
        """So many more bytes are done."""
        self.progress.advance(self.task, count)

    def say(self, text: str) -> None:
        """What is being done now."""
        self.progress.update(self.task, description=text)


@contextmanager
def bar(what: str) -> Iterator[Bar]:
    """A bar on standard error while the block runs."""
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, progress.add_task(what, total=None))
