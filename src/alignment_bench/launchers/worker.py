"""A worker's side, whoever started it: its orders, whether it can carry them out, and one cell at a time."""

from __future__ import annotations

import os
import pickle
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest
    from alignment_bench.plan import Cell
    from alignment_bench.progress import Hearer

LAG = 30.0
"""seconds after which a file that one machine wrote is seen by all that share its folder"""
Message = tuple[str, Any]
"""what a worker tells its driver: see `Dispatch.heard`"""


@dataclass(frozen=True)
class Orders:
    """What a worker needs to know: all cells of the run, and what their keys take for granted."""

    request: RunRequest
    cells: tuple[Cell, ...]
    plugins: Mapping[str, str]
    """source digest of every plugin, which cells' keys name"""
    versions: Mapping[str, str]
    """of Python, of the packages that numbers depend on and of the core, the driver's"""
    folder: str
    """where the driver was started: relative paths are read from there"""
    witness: str = ""
    """name of the driver's record of this run: a results folder without it is not the driver's"""

    @staticmethod
    def of(request: RunRequest, cells: Sequence[Cell]) -> Orders:
        """Orders for these cells."""
        plugins = {name: digest for cell in cells for name, digest in cell.plugins.items()}
        witness = max((path.name for path in request.results.glob("runs/*.json")), default="")
        return Orders(request, tuple(cells), plugins, _versions(), os.getcwd(), witness)


def unfit(orders: Orders) -> str:
    """Why this process cannot do these cells as the driver planned them; empty where it can.

    From here on the process is where the driver is: relative paths are the same.
    """
    from alignment_bench import runtime, sandbox
    from alignment_bench.registry import GROUPS, digest

    if not _same_folder(orders):
        return (
            f"results: what a worker on {socket.gethostname()} sees as {orders.request.results} (from "
            f"{orders.folder}) is not the folder of this run: choose one that all machines share"
        )
    here = _versions()
    for name, wanted in orders.versions.items():
        if (found := here.get(name, "nothing")) != wanted:
            what = f"a worker has {name} {found} where the run began with {wanted}"
            return f"{what}: install the same on every machine"
    for name, expected in orders.plugins.items():
        group, _, plugin = name.partition("/")
        if digest(GROUPS[GROUPS.index(group)], plugin) != expected:
            return f"{name} has changed on disk since this run began: run the same command again"
    for asked in dict.fromkeys(cell.setting.runtime for cell in orders.cells):
        if problems := runtime.absent(asked):
            return f"a worker cannot begin: {problems[0]}"
    sandbox.accept(orders.request.sandbox)
    return ""


def outcome(orders: Orders, number: int, deaths: Sequence[str], hearer: Hearer) -> Message:
    """Does one cell, unless it is stored, and returns the message on what came of it.

    `deaths`: how the workers died that were at it before.
    """
    from alignment_bench import run
    from alignment_bench.launchers.dispatch import survived

    try:
        return "done", run.stored_or_done(orders.cells[number], hearer, survived(deaths))
    except Exception as error:
        return "broken", (_sendable(error), traceback.format_exc())


def _versions() -> dict[str, str]:
    """What must be the same wherever cells are done."""
    from alignment_bench import provenance
    from alignment_bench.jobs import CORE_VERSION

    return {**provenance.versions(), "the core's version": CORE_VERSION}


def _same_folder(orders: Orders) -> bool:
    """Goes where the driver is, and says whether its results folder is there too."""
    if not os.path.isdir(orders.folder):
        return False
    os.chdir(orders.folder)
    until = time.monotonic() + LAG
    while orders.witness and not (orders.request.results / "runs" / orders.witness).exists():
        if time.monotonic() > until:
            return False
        time.sleep(1)
    return True


def _sendable(error: Exception) -> Exception | None:
    """The error, if the driver will be able to read it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return error
