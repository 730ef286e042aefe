"""Where the cells of a run are done: in processes of this machine, by Ray, or by jobs of Slurm.

The driver plans and hands out cells; whoever does them writes the same files into the same results folder,
and what cells share they share through its job store, which does every job once. So a launcher changes no
number: it is recorded with the run, and no key knows it. Importing this imports neither ray nor submitit.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from alignment_bench.cells import CellRecord
    from alignment_bench.config import RunRequest
    from alignment_bench.launchers.options import LauncherName
    from alignment_bench.plan import Cell
    from alignment_bench.progress import Reporter

_PLACES: Mapping[LauncherName, str] = {
    "local": "alignment_bench.launchers.local:Local",
    "ray": "alignment_bench.launchers.ray:Ray",
    "slurm": "alignment_bench.launchers.slurm:Slurm",
}


class Launcher(Protocol):
    """Does cells elsewhere than in this process."""

    def crew(self, request: RunRequest, cells: Sequence[Cell]) -> int:
        """How many workers (processes, actors or jobs at a time) do these cells; 1 for no cells.

        Where `launcher=local` answers 1, the run does the cells itself.
        """

    def announcement(self, crew: int, cells: Sequence[Cell]) -> str:
        """What people are told before that many workers do these cells."""

    def spread(
        self, request: RunRequest, cells: Sequence[Cell], crew: int, reporter: Reporter
    ) -> list[CellRecord]:
        """The stored record of every cell, in their order. A cell that fails is such a record; a worker that
        dies is replaced, and its cell done again up to `request.retries` times.

        Raises what a cell raises where nothing more can be stored, BadInput where the request names what is
        not there, and BenchError where no worker can be started.
        """


def named(name: LauncherName) -> Launcher:
    """The launcher of that name."""
    module, _, attribute = _PLACES[name].partition(":")
    made: Launcher = getattr(importlib.import_module(module), attribute)()
    return made
