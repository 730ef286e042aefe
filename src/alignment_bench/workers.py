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
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import TYPE_CHECKING, Any

from alignment_bench import results
from alignment_bench.errors import BenchError, CorruptResult
from alignment_bench.recording import blank_record
from alignment_bench.results import CellRecord
from alignment_bench.worker import PATIENCE, Orders

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest
    from alignment_bench.plan import Cell
    from alignment_bench.progress import Reporter

BOOT = "import sys; sys.path[:] = {path!r}; from alignment_bench.worker import main; main({channel}, {life})"
LIBRARIES = 1.5e9
"""bytes that a process takes before it holds a model"""
COPIES = 8
"""float32 copies of the weights that training holds at most: model, reference, gradients, Adam, reward"""
Group = tuple[int, int]
"""cells that share jobs: a setting and a seed"""


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


def count(asked: int, cells: Sequence[Cell]) -> int:
    """How many workers do these cells: as many as asked for, by default as cores, threads and memory allow.

    Never more than one for every two cells, since each spends seconds on imports. 1: no process is started.
    """
    most = max(1, (len(cells) + 1) // 2)
    return min(asked or min((_fitting(cell) for cell in cells), default=1), most)


def crowded(crew: int, cells: Sequence[Cell]) -> str:
    """A remark where so many workers were asked for that their threads wait for each other; else empty.

    Threads that spin for cores which others hold made two SmolLM2 workers of two threads several times
    slower on two cores than two of one thread.
    """
    on_cpu = [cell.setting.runtime.threads for cell in cells if cell.setting.runtime.device == "cpu"]
    threads = max(on_cpu, default=1)
    if threads == 1 or crew * threads <= _cores():
        return ""
    return f"{crew} workers of {threads} threads on {_cores()} cores get in each other's way: add threads=1"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fitting(cell: Cell) -> int:
    """How many processes can run cells like this side by side on this machine."""
    runtime, source = cell.setting.runtime, cell.setting.source
    if runtime.device != "cpu":
        return 1
    cores = _cores()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(cores // runtime.threads, int(memory / (LIBRARIES + COPIES * 4 * source.parameters))))


def spread(request: RunRequest, cells: Sequence[Cell], crew: int, reporter: Reporter) -> list[CellRecord]:
    """The record of every cell, done by `crew` worker processes; in the order of the cells.

    A worker that dies makes its cell failed, and another takes its place. Raises what a cell raises where
    nothing more can be stored, and BenchError where no worker can be started.
    """
    orders = pickle.dumps(Orders(request, tuple(cells), _plugins(cells)))
    turns = Turns.of(cells)
    records: dict[int, CellRecord] = {}
    workers: dict[Connection, Worker] = {}
    with _termination_interrupts():
        try:
            for number in range(crew):
                _start(number, orders, workers)
            while workers:
                for connection in wait(list(workers)):
                    assert isinstance(connection, Connection)
                    worker = workers[connection]
                    try:
                        kind, what = connection.recv()
                    except (EOFError, OSError):
                        del workers[connection]
                        code = _gone(worker)
                        if worker.cell is not None:
                            records[worker.cell] = _lost(cells[worker.cell], code)
                            reporter.end(f"failed: {records[worker.cell].reason}", worker.number)
                            if any(turns.waiting.values()):
                                _start(worker.number, orders, workers)
                        elif not worker.ready:
                            raise BenchError(
                                f"workers: a process could not be started (exit code {code}); workers=1 "
                                "does all cells in this one"
                            ) from None
                        continue
                    _heard(worker, kind, what, cells, records, reporter)
                    if kind in ("ready", "done"):
                        _give(worker, turns, cells, reporter)
        finally:
            _end(workers.values())
    return [records[number] for number in range(len(cells))]


def _heard(
    worker: Worker,
    kind: str,
    what: Any,
    cells: Sequence[Cell],
    records: dict[int, CellRecord],
    reporter: Reporter,
) -> None:
    """Takes in one message of a worker."""
    if kind == "ready":
        worker.ready = True
    elif kind == "say":
        reporter.say(what)
    elif kind == "step":
        reporter.step(what, worker.number)
    elif kind == "end":
        reporter.end(what, worker.number)
    elif kind == "done":
        assert worker.cell is not None
        records[worker.cell] = what
    elif kind == "changed":
        raise BenchError(f"{what} has changed on disk since this run began: run the same command again")
    else:
        error, trace = what
        if error is None:
            raise BenchError(f"a worker broke off:\n{trace}")
        error.add_note(f"in a worker process:\n{trace}")
        raise error


def _give(worker: Worker, turns: Turns, cells: Sequence[Cell], reporter: Reporter) -> None:
    """The worker's next cell, or word that there is none."""
    found = turns.take(worker.number, worker.group)
    worker.cell, worker.group = found if found else (None, None)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died: that shows when it is heard
        worker.connection.send(worker.cell)
    if worker.cell is not None:
        reporter.begin(cells[worker.cell].title, worker.number)


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


def _lost(cell: Cell, code: int) -> CellRecord:
    """The stored record of a cell whose worker died: failed, unless it was stored before that."""
    root = cell.setting.request.results
    with contextlib.suppress(CorruptResult):
        stored = results.find_cell(root, cell.digest)
        if stored is not None and stored.status == "ok":
            return stored
    how = f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
    hint = ": most likely for want of memory, try fewer workers=" if code == -signal.SIGKILL else ""
    record = blank_record(cell, datetime.now(UTC))
    record = replace(record, status="failed", reason=f"the worker process that did it {how}{hint}")
    results.write_cell(root, record, [])
    return record


def _plugins(cells: Sequence[Cell]) -> Mapping[str, str]:
    return {name: digest for cell in cells for name, digest in cell.plugins.items()}


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Lets SIGTERM end the block like Ctrl-C does, so that workers end before this process."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
