"""One worker process on this machine: does the cells that the driver names, one after the other.

The driver (`launchers.local`) starts it with one end of a connection and of a pipe. The connection
carries the cells once, then numbers of cells one way and what becomes of them the other. The pipe carries
nothing: it closes when the driver is gone, however it went, and the worker goes too.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from alignment_bench.launchers.worker import Orders, outcome, unfit

PATIENCE = 10.0
"""seconds that a worker has to leave what it is doing in order, once it is told to end"""


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
    # Ctrl-C reaches every process of the terminal; the driver alone decides what it means.
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
    from alignment_bench import run

    assert run  # imported before the first cell, whose time it is not
    if why := unfit(orders):
        connection.send(("unfit", why))
        return
    connection.send(("ready", ""))
    while (task := connection.recv()) is not None:
        number, deaths = task
        connection.send(outcome(orders, number, deaths, Messenger(connection)))


def _follow(lifeline: int) -> None:
    """Ends this process when the driver is gone: in order if that can be, else at once."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)


def _leave(number: int, frame: FrameType | None) -> Any:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)
