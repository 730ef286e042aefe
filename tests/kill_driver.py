"""Runs one command to the end, and again in another folder while killing it over and over; a JSON report.

    python kill_driver.py FOLDER SEED kinds|moments|together

Imports everything once and forks a child per attempt, so that a restart costs no imports. `kinds`: one
SIGKILL for every kind of job in the command, at a random moment of that job or at a seam of its storing,
one between two checkpoints of PPO and one while a cell is written. `moments`: SIGKILLs at random moments.
`together`: no kills; instead three processes run the command on one folder at the same time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas  # noqa: F401 - what a run imports late is imported before the forks
import scipy.stats  # noqa: F401
import transformers.models.llama.modeling_llama  # noqa: F401
from small_world import SmallWorld, shrink

import alignment_bench.training.finetune
import alignment_bench.training.ppo as ppo_loop
from alignment_bench import cli, results, run
from alignment_bench.jobs import JobStore

METHODS = {
    "kinds": "base_copy,sft,ilf:rounds=1,ilf:rounds=1:selection=reward_model,"
    "ppo:iterations=4:rollouts=8:epochs=2,best_of_n:n=2",
    "moments": "base_copy,sft,ilf,ppo:iterations=8:rollouts=8:epochs=2,best_of_n:n=2",
    "together": "base_copy,ilf:rounds=1,best_of_n:n=2",
}
EVALUATORS = "evaluators=kl,length"
SEAMS = ("begin", "during", "end", "stored")
"""of a job: nothing done yet, in the middle, its files written but no record, in place but not logged"""
MOMENTS = 6


def die() -> None:
    """SIGKILL, by this process's own hand: nothing below is run, no handler, no `finally`."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(kind: str, seam: str, after: float) -> None:
    """Arranges for this process to be killed at the first job of that kind that it begins."""
    if kind == "cell":
        results._run_text = lambda record, staging: die()  # type: ignore[assignment,return-value]
        return
    if seam == "checkpoint":
        write, written = ppo_loop.checkpoint, []

        def checkpoint(*args: Any) -> None:
            write(*args)
            written.append(args)
            if len(written) == 2:
                die()

        setattr(ppo_loop, "checkpoint", checkpoint)  # noqa: B010 - types differ on purpose
        return
    do, log = JobStore._do, JobStore._log

    def watched(self: JobStore, found: str, key: str, inputs: Any, folder: Path, work: Any) -> Any:
        def doomed(place: Any) -> Any:
            if seam == "begin":
                die()
            if seam == "during":
                threading.Timer(after, die).start()
            spend = work(place)
            if seam != "stored":  # also where the job was done sooner than the timer
                die()
            return spend

        return do(self, found, key, inputs, folder, doomed if found == kind else work)

    def unlogged(self: JobStore, found: str, key: str, seconds: float) -> None:
        if found == kind and seam == "stored":
            die()
        log(self, found, key, seconds)

    JobStore._do = watched  # type: ignore[assignment,method-assign]
    JobStore._log = unlogged  # type: ignore[assignment,method-assign]


def attempt(folder: Path, how: str, prepare: Callable[[], None] = lambda: None) -> int:
    """A forked child that runs the command on `folder`; its process id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        with (folder.parent / f"{folder.name}.log").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        prepare()
        code = cli.main(["run", *SmallWorld(folder).argv(METHODS[how], EVALUATORS, f"out={folder}.json")])
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def ended(child: int) -> int:
    """How the child ended: its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def finished(folder: Path) -> dict[str, list[int]]:
    """Every finished job and stored cell, with what would change if it were done again."""
    files = [*folder.glob("jobs/*/*/job.json"), *folder.glob("cells/*/*/run.json")]
    stats = {str(f.relative_to(folder)): f.stat() for f in files}
    return {name: [stat.st_ino, stat.st_mtime_ns] for name, stat in stats.items()}


def killed_at_kinds(folder: Path, rng: random.Random, log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One kill for every kind in `log` (what the whole run did), in the order of first appearance."""
    kinds = list(dict.fromkeys(row["kind"] for row in log))
    seams = [*SEAMS] * (len(kinds) // len(SEAMS) + 1)
    rng.shuffle(seams)
    plan = [*zip(kinds, seams, strict=False)]
    plan.insert(kinds.index("ppo"), ("ppo", "checkpoint"))
    plan.append(("cell", "during"))
    kills = []
    for kind, seam in plan:
        usual = min((row["seconds"] for row in log if row["kind"] == kind), default=0.0)
        after = rng.uniform(0.0, usual)
        before = finished(folder)
        code = ended(attempt(folder, "kinds", partial(die_at, kind, seam, after)))
        kills.append({"kind": kind, "seam": seam, "code": code, "lost": lost(before, finished(folder))})
    return kills


def killed_at_moments(folder: Path, rng: random.Random, seconds: float) -> list[dict[str, Any]]:
    """Kills from outside after random times, each in the run that the one before left."""
    kills = []
    for _ in range(MOMENTS):
        before = finished(folder)
        child = attempt(folder, "moments")
        time.sleep(rng.uniform(0.05, seconds / 3))
        os.kill(child, signal.SIGKILL)
        code = ended(child)
        kills.append({"kind": "any", "seam": "moment", "code": code, "lost": lost(before, finished(folder))})
    return kills


def lost(before: dict[str, list[int]], after: dict[str, list[int]]) -> list[str]:
    """What was finished before and is gone, or was done again."""
    return sorted(name for name, stat in before.items() if after.get(name) != stat)


def main(folder: Path, seed: int, how: str) -> None:
    """Prints the report."""
    shrink()
    rng = random.Random(seed)
    whole, broken = folder / "whole", folder / "broken"
    started = time.perf_counter()
    code_whole = ended(attempt(whole, how))
    seconds = time.perf_counter() - started
    log = [json.loads(line) for line in (whole / "jobs" / "done.jsonl").read_text().splitlines()]
    kills: list[dict[str, Any]] = []
    codes = [code_whole]
    if how == "kinds":
        kills = killed_at_kinds(broken, rng, log)
    elif how == "moments":
        kills = killed_at_moments(broken, rng, seconds)
    else:
        codes += [ended(child) for child in [attempt(broken, how) for _ in range(3)]]
    before = finished(broken)
    codes.append(ended(attempt(broken, how)))
    report = {
        "kills": kills,
        "codes": codes,
        "lost": lost(before, finished(broken)),
        "kinds": sorted({row["kind"] for row in log}),
        "seconds": seconds,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    assert alignment_bench.training.finetune and run  # imported for the children
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
