"""Cells by Slurm, through submitit: one job for the cells of a task, model and seed, all jobs in one array.

Cells that share stages are in one job, so that none waits for another's; with more `workers=` than such
groups each is cut in pieces, which meet in the job store. A job writes the same files as a local worker,
and beside them a diary that the driver reads: which cell it is at, what came of it. A job that Slurm stops
(time, preemption) is queued again by submitit and goes on from what is stored; one that dies is submitted
again by the driver.

A driver that is killed leaves its jobs to Slurm, and they go on storing cells. The same command started
meanwhile submits jobs for what is not stored yet; the store's locks let each stage be done once, by whoever
comes first, so two jobs at the same cells cost waiting and no number. Ctrl-C ends the jobs too.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alignment_bench.errors import BenchError
from alignment_bench.launchers.crew import needs
from alignment_bench.launchers.dispatch import Dispatch
from alignment_bench.launchers.endings import termination_interrupts
from alignment_bench.launchers.slurm_job import Share
from alignment_bench.launchers.turns import Turns
from alignment_bench.launchers.worker import Orders
from alignment_bench.results import CellRecord

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest
    from alignment_bench.plan import Cell
    from alignment_bench.progress import Reporter

FOLDER = ".slurm"
"""under the results: what is submitted, logs and diaries, a folder for each run"""
PAUSES = {"slurm": 5.0, "local": 0.2}
"""seconds between two looks at diaries, by cluster"""
LAGS = {"slurm": 60.0, "local": 0.0}
"""seconds after which what a job wrote before it ended is seen by the driver, by cluster"""
ASK = 60.0
"""seconds after which Slurm is asked for the states of jobs, one question for all"""
OTHERWISE = ("CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "DEADLINE")
"""states of Slurm that want of memory does not explain"""
LINES = 12
"""lines of a dead job's log that a message shows"""


@dataclass
class Submitted:
    """A share with its job, and how far its diary has been read."""

    worker: int
    share: Share
    job: Any
    read: int = 0
    at: int | None = None
    """the cell that it was at when the diary was last read"""
    over: set[int] = field(default_factory=set)
    """cells that it has done"""
    since: float | None = None
    """when it was first seen to have ended without a result"""


@dataclass(frozen=True)
class Slurm:
    """Jobs of Slurm, or of this machine with slurm.cluster=local."""

    def crew(self, request: RunRequest, cells: Sequence[Cell]) -> int:
        """Jobs at a time: as many as asked for, by default one for every task, model and seed."""
        return min(request.workers or len(Turns.of(cells).waiting), len(cells)) or 1

    def announcement(self, crew: int, cells: Sequence[Cell]) -> str:
        """How many jobs, and what each asks for."""
        options = cells[0].setting.request.slurm
        pieces = len(shares(cells, crew))
        return (
            f"{len(cells)} cells to do, by {pieces} jobs of {' and '.join(_asked(options, cells))}, "
            f"{min(crew, pieces)} at a time; logs: {cells[0].setting.request.results / FOLDER}"
        )

    def spread(
        self, request: RunRequest, cells: Sequence[Cell], crew: int, reporter: Reporter
    ) -> list[CellRecord]:
        """The record of every cell, done by jobs of which `crew` run at a time."""
        books = Dispatch.of(request, cells, reporter)
        cluster = request.slurm.cluster
        folder = request.results.absolute() / FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        folder.mkdir(parents=True)
        executor = executor_for(request, cells, crew, folder)
        orders = pickle.dumps(Orders.of(request, cells))
        diaries = (folder / f"diary-{n}.jsonl" for n in count())
        waiting = [
            (worker, Share(orders, piece, {}, next(diaries)))
            for worker, piece in enumerate(shares(cells, crew))
        ]
        running: list[Submitted] = []
        asked = time.monotonic()
        with termination_interrupts():
            try:
                while waiting or running:
                    room = crew - len(running) if cluster == "local" else len(waiting)
                    going, waiting = waiting[:room], waiting[room:]
                    running += submitted(executor, going)
                    if running and time.monotonic() > asked + ASK:
                        asked = time.monotonic()
                        running[0].job.done(force_check=True)  # tells of all jobs
                    for one in [*running]:
                        left = follow(one, books, LAGS[cluster])
                        if left is not None:
                            running.remove(one)
                        if left:
                            deaths = {n: tuple(books.deaths[n]) for n in left if n in books.deaths}
                            again = replace(one.share, cells=left, deaths=deaths, diary=next(diaries))
                            waiting.append((one.worker, again))
                    if waiting or running:
                        time.sleep(PAUSES[cluster])
            finally:
                cancel([one.job for one in running])
        return books.ordered()


def shares(cells: Sequence[Cell], crew: int) -> list[tuple[int, ...]]:
    """The cells of each job: those that share stages, in pieces where there are workers for more jobs."""
    groups = [tuple(numbers) for numbers in Turns.of(cells).waiting.values()]
    pieces = max(1, crew // max(1, len(groups)))
    cut = [numbers[place::pieces] for numbers in groups for place in range(pieces)]
    return [piece for piece in cut if piece]


def submitted(executor: Any, going: Sequence[tuple[int, Share]]) -> list[Submitted]:
    """The shares as jobs, in one array. Raises BenchError where Slurm does not take them."""
    if not going:
        return []
    try:
        jobs = executor.submit_array([share for _, share in going])
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise BenchError(f"slurm: the jobs were not taken: {error}") from error
    return [Submitted(worker, share, job) for (worker, share), job in zip(going, jobs, strict=True)]


def follow(one: Submitted, books: Dispatch, lag: float) -> tuple[int, ...] | None:
    """Takes in what a job has written. None while it runs, else the cells that are to be done again."""
    ended = one.job.done()  # before its diary is read, so that nothing is written after
    _read(one, books)
    if one.job.paths.result_pickle.exists():
        _take(one, books)
        return ()
    if not ended:
        return None
    one.since = one.since or time.monotonic()
    if time.monotonic() < one.since + lag:
        return None
    state = str(one.job.state)
    how = f"ended without a result ({state})"
    if one.at is None and not one.over:
        books.never_started(one.worker, how, _log(one))
    for number in sorted(one.over):
        books.over(number)
    again = one.at is None or books.died(one.worker, one.at, how, not state.startswith(OTHERWISE))
    return tuple(n for n in one.share.cells if n not in books.records and (n != one.at or again))


def _read(one: Submitted, books: Dispatch) -> None:
    """Tells people what the diary says since it was last read; whole lines only."""
    if not one.share.diary.exists():
        return
    with one.share.diary.open("rb") as file:
        file.seek(one.read)
        new = file.read()
    new = new[: new.rfind(b"\n") + 1]
    one.read += len(new)
    for line in new.decode().splitlines():
        kind, what = json.loads(line)
        if kind == "begin":
            one.at = what
            books.heard(one.worker, what, "ready", "")
            if what not in one.over:  # else a job that was queued again finds its own work stored
                books.reporter.begin(books.cells[what].title, one.worker)
        elif kind == "done":
            one.over.add(what)
            one.at = None
        elif kind == "say" or one.at not in one.over:
            books.heard(one.worker, one.at, kind, what)


def _take(one: Submitted, books: Dispatch) -> None:
    """Takes in the result of a job that came to its end."""
    with one.job.paths.result_pickle.open("rb") as file:
        ended, result = pickle.load(file)
    if ended == "error":
        raise BenchError(f"a worker broke off:\n{result}")
    for number, (kind, what) in result:
        books.heard(one.worker, number, kind, what)


def _log(one: Submitted) -> str:
    """Where a job's log is and how it ends."""
    path = one.job.paths.stderr
    tail = path.read_text("utf-8", "replace").splitlines()[-LINES:] if path.exists() else []
    return "\n".join([f"its log is {path}", *tail])


def executor_for(request: RunRequest, cells: Sequence[Cell], crew: int, folder: Path) -> Any:
    """What submits jobs, with everything that one job asks for."""
    import submitit

    options, (threads, gpus) = request.slurm, needs(cells)
    executor = submitit.AutoExecutor(folder=folder / "%j", cluster=options.cluster)
    executor.update_parameters(
        name="bench",
        timeout_min=options.time,
        cpus_per_task=options.cpus or threads,
        gpus_per_node=(gpus if options.gpus is None else options.gpus) or None,
        mem_gb=options.mem_gb,
        nodes=1,
        tasks_per_node=1,
    )
    if options.cluster == "slurm":
        names = ("partition", "account", "qos", "constraint", "exclude")
        given = {f"slurm_{name}": value for name in names if (value := getattr(options, name))}
        others = {"slurm_additional_parameters": options.others} if options.additional else {}
        executor.update_parameters(slurm_array_parallelism=crew, **given, **others)
    if options.setup:
        executor.update_parameters(**{f"{options.cluster}_setup": list(options.setup)})
    return executor


def cancel(jobs: Sequence[Any]) -> None:
    """Ends the jobs, and where they are processes of this machine waits for them."""
    for job in jobs:
        job.cancel(check=False)
    for job in jobs:
        if (process := getattr(job, "_process", None)) is not None:
            process.wait()


def _asked(options: Any, cells: Sequence[Cell]) -> list[str]:
    threads, gpus = needs(cells)
    asked = [f"{options.cpus or threads} CPU(s)"]
    if gpus if options.gpus is None else options.gpus:
        asked.append(f"{gpus if options.gpus is None else options.gpus} GPU(s)")
    return [*asked, *([f"{options.mem_gb:g} GB"] if options.mem_gb else []), f"{options.time} minutes"]
