"""Cells side by side, each in a process of its own, with the results of one process that does them all.

Nothing that a worker computes depends on another: cells meet in the job store alone, which does every job
once. The methods of one seed share jobs (comparisons, a reward model, samples), so a worker stays with one
task, model and seed as long as it can. Workers end with the run, however it ends; what is stored stays.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from alignment_bench.launchers.crew import count, crowded
from alignment_bench.launchers.dispatch import Dispatch, killed
from alignment_bench.launchers.endings import termination_interrupts
from alignment_bench.launchers.local_worker import PATIENCE
from alignment_bench.launchers.turns import Group
from alignment_bench.launchers.worker import Orders
from alignment_bench.results import CellRecord

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest
    from alignment_bench.plan import Cell
    from alignment_bench.progress import Reporter

BOOT = (
    "import sys; sys.path[:] = {path!r}; "
    "from alignment_bench.launchers.local_worker import main; main({channel}, {life})"
)


@dataclass
class Worker:
    """One process, and the cell it is at."""

    number: int
    process: subprocess.Popen[bytes]
    connection: Connection
    lifeline: int
    """closing it tells the worker that this process is gone"""
    cell: int | None = None
    group: Group | None = None
    ready: bool = False


@dataclass(frozen=True)
class Local:
    """Processes on this machine; imports are paid once in each."""

    def crew(self, request: RunRequest, cells: Sequence[Cell]) -> int:
        """As many as asked for, by default as cores, threads and memory allow; 1: the run does the cells."""
        return count(request.workers, cells)

    def announcement(self, crew: int, cells: Sequence[Cell]) -> str:
        """How many processes, and whether they will get in each other's way."""
        remark = crowded(crew, cells)
        return f"{len(cells)} cells to do, by {crew} worker processes" + (f"\n{remark}" if remark else "")

    def spread(
        self, request: RunRequest, cells: Sequence[Cell], crew: int, reporter: Reporter
    ) -> list[CellRecord]:
        """The record of every cell, done by `crew` processes."""
        orders = pickle.dumps(Orders.of(request, cells))
        books = Dispatch.of(request, cells, reporter)
        workers: dict[Connection, Worker] = {}
        with termination_interrupts():
            try:
                for number in range(crew):
                    _start(number, orders, workers)
                while workers:
                    for connection in wait(list(workers)):
                        assert isinstance(connection, Connection)
                        _serve(connection, workers, books, orders)
            finally:
                _end(workers.values())
        return books.ordered()


def _serve(connection: Connection, workers: dict[Connection, Worker], books: Dispatch, orders: bytes) -> None:
    """Takes in what one worker has to say, its death included."""
    worker = workers[connection]
    try:
        kind, what = connection.recv()
    except (EOFError, OSError):
        del workers[connection]
        code = _gone(worker)
        if worker.cell is not None and worker.group is not None:
            if books.died(worker.number, worker.cell, killed(code), memory=code == -signal.SIGKILL):
                books.turns.put_back(worker.cell, worker.group)
        elif not worker.ready:
            books.never_started(worker.number, killed(code), "workers=1 does all cells in this process")
        if books.waiting > sum(not one.ready for one in workers.values()):
            _start(worker.number, orders, workers)
        return
    books.heard(worker.number, worker.cell, kind, what)
    if kind in ("ready", "done"):
        worker.ready = True
        found = books.give(worker.number, worker.group)
        worker.cell, worker.group = found if found else (None, None)
        task = None if worker.cell is None else (worker.cell, tuple(books.deaths.get(worker.cell, ())))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died: shown when it is heard
            connection.send(task)


def _start(number: int, orders: bytes, workers: dict[Connection, Worker]) -> None:
    """A new worker, which gets its orders while this process goes on."""
    connection, theirs = Pipe()
    reading, lifeline = os.pipe()
    code = BOOT.format(path=sys.path, channel=theirs.fileno(), life=reading)
    with theirs:
        # What libraries print must not get between the lines of a table.
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=(theirs.fileno(), reading),
            stdin=subprocess.DEVNULL,
            stdout=sys.__stderr__.fileno() if sys.__stderr__ else subprocess.DEVNULL,
        )
    os.close(reading)
    workers[connection] = Worker(number, process, connection, lifeline)
    threading.Thread(target=_send, args=(connection, orders), daemon=True).start()


def _send(connection: Connection, orders: bytes) -> None:
    with contextlib.suppress(OSError):  # a worker that dies before it has read them is seen by who hears it
        connection.send_bytes(orders)


def _gone(worker: Worker) -> int:
    """The exit code of a worker that has hung up, which ends it if nothing else did."""
    worker.connection.close()
    try:
        return worker.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        return worker.process.wait()
    finally:
        os.close(worker.lifeline)


def _end(workers: Collection[Worker]) -> None:
    """Ends all workers that are still there; each may leave its job in order first."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        _gone(worker)
