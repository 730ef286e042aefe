"""Cells by Ray: one actor a worker, on a cluster that is there (`address=`) or on one of this machine.

An actor asks for the threads and the GPU of its cells, stays for as many cells as there are, and pays for
imports once; those for which the cluster has no room yet wait for it. All machines must see the results
folder under the same path, and have the same versions installed. Actors end with the driver; a cluster that
was there before is left as it was.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignment_bench.errors import BadInput, BenchError, Problem
from alignment_bench.launchers.crew import cores, count, most, needs
from alignment_bench.launchers.dispatch import Dispatch
from alignment_bench.launchers.endings import termination_interrupts
from alignment_bench.launchers.turns import Group
from alignment_bench.launchers.worker import Message, Orders, outcome, unfit
from alignment_bench.results import CellRecord

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest
    from alignment_bench.plan import Cell
    from alignment_bench.progress import Reporter

MOST = 256
"""actors that a cluster is asked for at most, where workers= does not say"""
PAUSE = 0.3
"""seconds between two looks at what actors say, while none of them is done"""
STARTS = 3
"""how often a cluster of this machine is tried to start"""
STORE = 100 << 20
"""bytes of Ray's object store on this machine: only orders and records go through it"""
CARRIED = ("ALIGNMENT_BENCH_", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM")
"""beginnings of the environment variables that actors on a running cluster are given; never a key's"""


@dataclass
class Worker:
    """One actor, and the cell it is at."""

    number: int
    actor: Any
    cell: int | None = None
    group: Group | None = None
    ready: bool = False


@dataclass(frozen=True)
class Messenger:
    """A `progress.Hearer` that puts what it hears into the driver's queue."""

    number: int
    inbox: Any

    def say(self, text: str) -> None:
        """One line for people."""
        self.inbox.put((self.number, "say", text))

    def step(self, text: str) -> None:
        """What the cell is doing now; nobody waits until it has been heard."""
        self.inbox.actor.put.remote((self.number, "step", text))

    def end(self, outcome: str) -> None:
        """The cell has an outcome."""
        self.inbox.put((self.number, "end", outcome))


class CellWorker:
    """The actor: in a process of its own, on whatever machine Ray puts it."""

    def __init__(self, number: int, inbox: Any, path: Sequence[str], environment: Mapping[str, str]) -> None:
        sys.path[:] = [*path, *(place for place in sys.path if place not in path)]
        os.environ.update(environment)  # before torch is imported
        self.messenger = Messenger(number, inbox)
        self.orders: Orders | None = None

    def begin(self, orders: bytes) -> Message:
        """Imports, and whether cells can be done here."""
        self.orders = pickle.loads(orders)
        assert self.orders is not None
        from alignment_bench import run

        assert run
        why = unfit(self.orders)
        return ("unfit", why) if why else ("ready", "")

    def do(self, number: int, deaths: Sequence[str]) -> Message:
        """What came of one cell."""
        assert self.orders is not None
        return outcome(self.orders, number, deaths, self.messenger)


@dataclass(frozen=True)
class Ray:
    """Actors of Ray."""

    def crew(self, request: RunRequest, cells: Sequence[Cell]) -> int:
        """As many as asked for; by default as this machine has room for, or up to 256 on a cluster."""
        if request.workers or request.address is not None:
            return min(request.workers or MOST, most(cells))
        if needs(cells)[1]:
            import torch

            return min(max(1, torch.cuda.device_count()), most(cells))
        return count(0, cells)

    def announcement(self, crew: int, cells: Sequence[Cell]) -> str:
        """How many actors, and what each asks for."""
        cpus, gpus = needs(cells)
        asked = f"{cpus} CPU(s)" + (f" and {gpus} GPU" if gpus else "")
        return f"{len(cells)} cells to do, by up to {crew} Ray actors of {asked} each"

    def spread(
        self, request: RunRequest, cells: Sequence[Cell], crew: int, reporter: Reporter
    ) -> list[CellRecord]:
        """The record of every cell, done by `crew` actors."""
        books = Dispatch.of(request, cells, reporter)
        with _cluster(request, cells, crew), termination_interrupts():
            import ray
            from ray.util.queue import Queue

            inbox = Queue(actor_options={"num_cpus": 0})
            orders = ray.put(pickle.dumps(Orders.of(request, cells)))
            said = _Hiring(needs(cells), inbox, orders)
            at_work: dict[Any, Worker] = {}
            """what each worker is doing now"""
            try:
                for number in range(crew):
                    at_work |= said.hired(number)
                while not books.complete:
                    done, _ = ray.wait(list(at_work), num_returns=1, timeout=PAUSE)
                    _listen(inbox, at_work.values(), books)
                    for one in done:
                        _serve(one, at_work, books, said)
            finally:
                for worker in at_work.values():
                    ray.kill(worker.actor)
        return books.ordered()


@dataclass(frozen=True)
class _Hiring:
    """What a new actor is started with."""

    needs: tuple[int, int]
    inbox: Any
    orders: Any

    def hired(self, number: int) -> dict[Any, Worker]:
        """A new actor, by what it is doing now: to begin."""
        import ray

        cpus, gpus = self.needs
        carried = {name: value for name, value in os.environ.items() if name.startswith(CARRIED)}
        made = ray.remote(CellWorker).options(num_cpus=cpus, num_gpus=gpus, scheduling_strategy="SPREAD")
        actor = made.remote(number, self.inbox, list(sys.path), carried)
        return {actor.begin.remote(self.orders): Worker(number, actor)}


def _serve(one: Any, at_work: dict[Any, Worker], books: Dispatch, hiring: _Hiring) -> None:
    """Takes in what a worker has finished, or that it died."""
    import ray
    from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

    worker = at_work.pop(one)
    try:
        kind, what = ray.get(one)
    except RayTaskError as error:
        raise BenchError(f"a worker broke off:\n{error}") from None
    except (RayActorError, OutOfMemoryError) as error:
        with contextlib.suppress(RayActorError):
            ray.kill(worker.actor)  # one that only cannot be reached must not go on beside its successor
        how, memory = _end_of(error)
        if worker.cell is not None and worker.group is not None:
            if books.died(worker.number, worker.cell, how, memory):
                books.turns.put_back(worker.cell, worker.group)
        else:
            books.never_started(worker.number, how, "Ray's logs say more, or try launcher=local")
        if books.waiting > sum(not other.ready for other in at_work.values()):
            at_work |= hiring.hired(worker.number)
        return
    books.heard(worker.number, worker.cell, kind, what)
    worker.ready = True
    found = books.give(worker.number, worker.group)
    worker.cell, worker.group = found if found else (None, None)
    if worker.cell is None:
        ray.kill(worker.actor)
    else:
        at_work[worker.actor.do.remote(worker.cell, tuple(books.deaths.get(worker.cell, ())))] = worker


def _listen(inbox: Any, workers: Any, books: Dispatch) -> None:
    """Takes in what actors said since the last look."""
    cells = {worker.number: worker.cell for worker in workers}
    for number, kind, what in inbox.get_nowait_batch(inbox.size()):
        books.heard(number, cells.get(number), kind, what)


def _end_of(error: Exception) -> tuple[str, bool]:
    """How an actor died, as a phrase, and whether want of memory may be why; Ray knows no signal."""
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or "memory monitor" in text.lower():
        return "was ended by Ray because its machine ran out of memory", True
    if "SYSTEM_ERROR" in text:
        return "was killed or crashed", True
    return "was lost to Ray (its machine, or the way to it, is gone)", False


@contextmanager
def _cluster(request: RunRequest, cells: Sequence[Cell], crew: int) -> Iterator[None]:
    """Connected to the cluster of the request, or to one of this machine for as long as the block runs."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of a run leaves the machine unasked
    if request.address is None:
        # Whoever reaches a Ray cluster can run code on it. This variable, read at import, is how Ray is told
        # to hear its own machine alone; it is called after the systems where that is the default.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if request.address is None:
            _start(max(cores(), crew * needs(cells)[0]), quiet)
        else:
            _join(request.address, quiet)
        yield
    except ray.exceptions.RayError as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise BenchError(f"ray: the cluster was lost ({why}); resume with the same command") from error
    finally:
        ray.shutdown()


def _join(address: str, quiet: Mapping[str, Any]) -> None:
    """Connects to a running cluster. Raises BadInput where there is none."""
    import ray

    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        what = f"no Ray cluster answers at {address}: {str(error).splitlines()[0]}"
        fix = "start one with ray start --head, or leave address out for one on this machine"
        raise BadInput([Problem("address", what, fix)]) from None


def _start(cpus: int, quiet: Mapping[str, Any]) -> None:
    """A cluster of this machine. Ray gives its parts 15 seconds, which on a busy machine are not enough: it
    is tried again, since what was read from disk once is there sooner."""
    import ray

    for left in reversed(range(STARTS)):
        try:
            ray.init(
                address="local", num_cpus=cpus, include_dashboard=False, object_store_memory=STORE, **quiet
            )
            return
        except Exception as error:  # Ray raises no class of its own here
            ray.shutdown()
            if "timed out" not in str(error).lower():
                raise
            if not left:
                raise BenchError(f"ray: no cluster could be started here: {error}") from error
