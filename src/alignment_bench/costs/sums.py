"""What an estimate is: cells, jobs, rows of a table and their sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alignment_bench.costs.dry import Planned
from alignment_bench.costs.memory import Memory
from alignment_bench.ledger import Spend

if TYPE_CHECKING:
    from alignment_bench.plan import Cell, Setting


@dataclass
class PlannedCell:
    """One cell: stored, or the jobs that it needs; or why it could not be planned."""

    cell: Cell
    place: int
    stored: bool = False
    failed: str = ""
    jobs: list[Planned] = field(default_factory=list)


@dataclass
class Row:
    """A label in a setting, its cells over all seeds together; what its jobs alone need, and no other's."""

    label: str
    cells: int = 0
    stored: int = 0
    own: int = 0
    shared: int = 0
    """jobs that cells of other labels need as well"""
    done: int = 0
    """jobs that are stored"""
    spend: Spend = field(default_factory=Spend)
    seconds: float = 0.0
    failed: str = ""


@dataclass
class Part:
    """A setting's share of the estimate."""

    setting: Setting
    cells: list[PlannedCell]
    jobs: list[Planned]
    rates: Mapping[str, float]
    unknown: Mapping[str, str]
    rows: list[Row]
    shared: Row
    memory: Memory
    share: float
    kept: bool

    @property
    def seconds(self) -> float:
        """Of all jobs, each once."""
        return sum(row.seconds for row in self.rows) + self.shared.seconds


@dataclass
class Estimate:
    """A plan's cost. `seconds` are of the processor on a CPU, of the wall clock elsewhere."""

    parts: list[Part]
    workers: int
    start: float
    """seconds before a worker's first cell"""
    seconds: float
    """of all workers together, their starts included"""
    wall: float
    """until the last worker is done, on a machine that nobody else uses"""
    expected: Mapping[str, float]
    """by cell digest: seconds of the cell where cells are done in the order of the plan"""
    planning: float
    """seconds that planning took, the probe included"""

    @property
    def failed(self) -> list[PlannedCell]:
        """Cells that could not be planned."""
        return [cell for part in self.parts for cell in part.cells if cell.failed]
