"""The driver's books on cells that others do: whose turn it is, what came of each, and who died over which.

A worker that dies takes nothing along but the job it was at: finished jobs are stored. So its cell is done
again from there, by whoever is next, up to `retries` times. Every death is told, and stays in the record of
the cell as a note; a cell that nobody survives is a failed row that says how they died.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from alignment_bench import results
from alignment_bench.errors import BenchError, CorruptResult
from alignment_bench.launchers.turns import Group, Turns
from alignment_bench.recording import blank_record
from alignment_bench.results import CellRecord

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest
    from alignment_bench.plan import Cell
    from alignment_bench.progress import Reporter

MEMORY = ": most likely for want of memory, try fewer workers="
SURVIVED = "done again from its finished jobs, because the worker that was at it "
"""how the note begins that a cell keeps of the workers that died over it"""


def killed(code: int) -> str:
    """How a process ended, from its exit code: what it did, as a phrase."""
    return f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"


def survived(deaths: Sequence[str]) -> tuple[str, ...]:
    """The notes of a cell whose earlier workers died in these ways."""
    return (SURVIVED + _counted(deaths),) if deaths else ()


@dataclass
class Dispatch:
    """Cells given out, their records as they come in, and the deaths in between."""

    request: RunRequest
    cells: Sequence[Cell]
    reporter: Reporter
    turns: Turns
    records: dict[int, CellRecord] = field(default_factory=dict)
    deaths: dict[int, list[str]] = field(default_factory=dict)
    """how the workers died that were at a cell"""
    false_starts: dict[int, list[str]] = field(default_factory=dict)
    """how those died that never came to a cell, by worker number"""
    ended: set[int] = field(default_factory=set)
    """cells whose outcome people were told"""

    @staticmethod
    def of(request: RunRequest, cells: Sequence[Cell], reporter: Reporter) -> Dispatch:
        """Nothing given out yet."""
        return Dispatch(request, cells, reporter, Turns.of(cells))

    @property
    def complete(self) -> bool:
        """Whether every cell has its record."""
        return len(self.records) == len(self.cells)

    @property
    def waiting(self) -> int:
        """How many cells there are that nobody is at."""
        return sum(len(cells) for cells in self.turns.waiting.values())

    def ordered(self) -> list[CellRecord]:
        """The records in the order of the cells."""
        return [self.records[number] for number in range(len(self.cells))]

    def give(self, worker: int, group: Group | None) -> tuple[int, Group] | None:
        """The worker's next cell, told to people; None where there is none."""
        found = self.turns.take(worker, group)
        if found is not None:
            self.reporter.begin(self.cells[found[0]].title, worker)
        return found

    def heard(self, worker: int, cell: int | None, kind: str, what: Any) -> None:
        """Takes in one message of a worker that is at that cell."""
        if kind == "ready":
            self.false_starts.pop(worker, None)
        elif kind == "say":
            self.reporter.say(what)
        elif kind == "step":
            self.reporter.step(what, worker)
        elif kind == "end":
            self.reporter.end(what, worker)
            if cell is not None:
                self.ended.add(cell)
        elif kind == "done":
            assert cell is not None
            self.records[cell] = what
        elif kind == "unfit":
            raise BenchError(what)
        else:
            error, trace = what
            if error is None:
                raise BenchError(f"a worker broke off:\n{trace}")
            error.add_note(f"in a worker process:\n{trace}")
            raise error

    def died(self, worker: int, cell: int, how: str, memory: bool) -> bool:
        """A worker died over a cell. Returns whether the cell is to be done again; else it has its record.

        `memory`: whether it may have died for want of memory.
        """
        one = self.cells[cell]
        if (stored := self._stored(one)) is not None and stored.status == "ok":
            self.records[cell] = stored
            if cell not in self.ended:
                self.reporter.end("stored", worker)
            return False
        deaths = self.deaths.setdefault(cell, [])
        deaths.append(how)
        tries = self.request.retries + 1
        if len(deaths) < tries:
            self.reporter.say(
                f"{one.title}: the worker process that did it {how}; it is done again, "
                f"try {len(deaths) + 1} of {tries}"
            )
            return True
        record = blank_record(one, datetime.now(UTC))
        reason = f"the worker process that did it {_counted(deaths)}{MEMORY if memory else ''}"
        record = replace(record, status="failed", reason=reason)
        results.write_cell(one.setting.request.results, record, [])
        self.records[cell] = record
        self.reporter.end(f"failed: {reason}", worker)
        return False

    def over(self, cell: int) -> None:
        """Takes the record of a cell that its worker was done with before it died, whatever came of it.

        A cell whose record cannot be read is to be done again.
        """
        if (stored := self._stored(self.cells[cell])) is not None:
            self.records[cell] = stored

    def never_started(self, worker: int, how: str, instead: str) -> None:
        """A worker died before it came to a cell: raises BenchError where retries are used up."""
        deaths = self.false_starts.setdefault(worker, [])
        deaths.append(how)
        if len(deaths) > self.request.retries:
            raise BenchError(f"workers: a worker could not be started: it {_counted(deaths)}; {instead}")
        self.reporter.say(f"a worker {how} before it came to a cell; another one is started")

    def _stored(self, cell: Cell) -> CellRecord | None:
        """The cell's record, where there is one that can be read."""
        with contextlib.suppress(CorruptResult):
            return results.find_cell(cell.setting.request.results, cell.digest)
        return None


def _counted(ways: Sequence[str]) -> str:
    """Ways to die with how often, as `was killed by SIGKILL (2 times)`."""
    times = {way: list(ways).count(way) for way in dict.fromkeys(ways)}
    return " and ".join(way if n == 1 else f"{way} ({n} times)" for way, n in times.items())
