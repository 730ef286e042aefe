"""One worker process: does the cells that the run in the parent process names, one after the other.

The parent (`alignment_bench.workers`) starts it with one end of a connection and of a pipe. The connection
carries the cells once, then numbers of cells one way and what becomes of them the other. The pipe carries
nothing: it closes when the parent is gone, however it went, and the worker goes too.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest
    from alignment_bench.plan import Cell

PATIENCE = 10.0
"""seconds that a worker has to leave what it is doing in order, once it is told to end"""


@dataclass(frozen=True)
class Orders:
    """What a worker needs to know: all cells of the run, and the sources that their keys name."""

    request: RunRequest
    cells: tuple[Cell, ...]
    plugins: Mapping[str, str]


@dataclass(frozen=True)
class Messenger:
    """A `progress.Hearer` that sends on what it hears."""

    connection: Connection

    def say(self, text: str) -> None:
        """One line for people."""
        self.connection.send(("say", text))

    def step(self, text: str) -> None:
        """What the cell is doing now."""
        self.connection.send(("step", text))

    def end(self, outcome: str) -> None:
        """The cell has an outcome."""
        self.connection.send(("end", outcome))


def main(channel: int, lifeline: int) -> None:
    """Works until the connection (file descriptor `channel`) says or shows that there is no more to do."""
    # Ctrl-C reaches every process of the terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow, args=(lifeline,), daemon=True).start()
    with Connection(channel) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        try:
            _work(connection)
        except EOFError:
            return


def _work(connection: Connection) -> None:
    orders: Orders = pickle.loads(connection.recv_bytes())
    from alignment_bench import run, sandbox
    from alignment_bench.registry import GROUPS, digest

    for name, expected in orders.plugins.items():
        group, _, plugin = name.partition("/")
        if digest(GROUPS[GROUPS.index(group)], plugin) != expected:
            connection.send(("changed", name))
            return
    sandbox.accept(orders.request.sandbox)
    connection.send(("ready", ""))
    while (number := connection.recv()) is not None:
        try:
            record = run.stored_or_done(orders.cells[number], Messenger(connection))
        except Exception as error:
            connection.send(("broken", (_sendable(error), traceback.format_exc())))
        else:
            connection.send(("done", record))


def _sendable(error: Exception) -> Exception | None:
    """The error, if the parent will be able to read it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return error


def _follow(lifeline: int) -> None:
    """Ends this process when the parent is gone: in order if that can be, else at once."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)


def _leave(number: int, frame: FrameType | None) -> Any:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)
