"""Whose turn it is: cells that share jobs stay with one worker as long as there are enough others."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alignment_bench.plan import Cell

Group = tuple[int, int]
"""cells that share jobs: a setting and a seed"""


@dataclass
class Turns:
    """Which cell comes next: cells of a group in their order for the worker that opened it, from the end
    for the others that help it finish."""

    waiting: dict[Group, deque[int]]
    opened: dict[Group, int] = field(default_factory=dict)

    @staticmethod
    def of(cells: Sequence[Cell]) -> Turns:
        """All cells, by setting and seed."""
        settings: dict[int, int] = {}
        waiting: dict[Group, deque[int]] = {}
        for number, cell in enumerate(cells):
            place = settings.setdefault(id(cell.setting), len(settings))
            waiting.setdefault((place, cell.seed), deque()).append(number)
        return Turns(waiting)

    def take(self, worker: int, group: Group | None) -> tuple[int, Group] | None:
        """The worker's next cell: of its own group, else of one nobody is at, else of the longest left."""
        left = {one: cells for one, cells in self.waiting.items() if cells}
        if not left:
            return None
        if group not in left:
            fresh = [one for one in left if one not in self.opened]
            group = fresh[0] if fresh else max(left, key=lambda one: len(left[one]))
        first = self.opened.setdefault(group, worker) == worker
        return (left[group].popleft() if first else left[group].pop()), group

    def put_back(self, cell: int, group: Group) -> None:
        """A cell that was taken and not done comes first in its group again."""
        self.waiting[group].appendleft(cell)
