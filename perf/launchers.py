"""Whether every launcher gives the table of one process, and whether runs survive workers that are killed.

    python perf/launchers.py                                   # 20 trials over local, ray and slurm
    python perf/launchers.py trials=4 launchers=local world=small seed=1 folder=kept [out=FILE]

First `launcher=local workers=1` does the command, which is the reference; then every launcher does it, left
alone. Then come the trials, by each launcher in turn: once or twice, SIGKILL ends a worker drawn at random at
a moment drawn at random; in three trials of twelve it ends the driver instead. A driver that exits with an
error, or was killed, is answered with the same command. `slurm` is submitit's executor on this machine.

Every run must end with the reference's table (the JSON of `format=json` but for seconds), its scores and
samples byte for byte, and no job done twice. Prints a line a run. `world=small` is a world of few posts, for
a quick look; `folder=` keeps results and logs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from measuring import Claim, Comparison, Figure, one_thread, script

COMMAND = [
    *("methods=sft,best_of_n", "task=tldr", "seeds=0,1", "budget=smoke", "evaluators=quality,length"),
    *("threads=1", "device=cpu", "format=json"),
]
SMALL = ["methods=sft,best_of_n:n=2", "budget=1845s", "decoding.max_tokens=16", "tuned=none"]
DRIVER = """
import sys
from alignment_bench import cli
from alignment_bench.world import tasks
if sys.argv[1] == "small":
    tasks.TRAIN, tasks.TEST = 24, 12
sys.exit(cli.main(["run", *sys.argv[2:]]))
"""
LAUNCHERS = {
    "local": ("launcher=local", "workers=2"),
    "ray": ("launcher=ray", "workers=2"),
    "slurm": ("launcher=slurm", "slurm.cluster=local", "workers=2"),
}
NEEDED = {"ray": "ray", "slurm": "submitit"}
"""packages that come with extras"""
MARKS = ("launchers.local_worker", "ray::CellWorker", "submitit.core._submit")
"""by which a worker's process is known"""
KILLED = "trials in which somebody was killed"
ATTEMPTS = 6
"""commands after which a trial counts as never ending"""


def compare(options: Mapping[str, str]) -> Comparison:
    """Runs everything, and counts what differs from the reference."""
    names, world, seed = options["launchers"].split(","), options["world"], int(options["seed"])
    title = "The same table by every launcher, whoever is killed"
    if missing := [name for name in names if importlib.util.find_spec(NEEDED.get(name, "json")) is None]:
        how = f"pip install -c constraints.txt '.[{','.join(missing)}]'"
        return Comparison("launchers", title, "", skipped=f"not installed here: {how}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.get("folder", scratch))
        reference = folder / "reference"
        code = drive(world, reference, ("launcher=local", "workers=1")).wait()
        assert code == 0, f"the reference ended with {code}: see {reference}.log"
        wanted = outcome(reference)
        runs = []
        for name in names:
            found = watch(world, folder / name, LAUNCHERS[name], [], False)
            runs.append(told({"launcher": name, "trial": None, **found}, wanted, folder / name))
        for trial in range(int(options["trials"])):
            name = names[trial % len(names)]
            rng = random.Random(seed + trial)
            moments = sorted(rng.uniform(0, len(wanted["jobs"])) for _ in range(rng.choice((1, 2))))
            driver = (trial // len(names)) % 4 == 3
            place = folder / f"trial-{trial}"
            found = watch(world, place, LAUNCHERS[name], moments, driver, rng)
            runs.append(told({"launcher": name, "trial": trial, **found}, wanted, place))
    return summary(title, runs, world)


def summary(title: str, runs: Sequence[Mapping[str, Any]], world: str) -> Comparison:
    """The runs counted: what was killed, and what differs."""
    trials = [run for run in runs if run["trial"] is not None]
    left_alone = [run for run in runs if run["trial"] is None]

    def count(name: str, unit: str, value: int) -> Figure:
        return Figure(name, unit, (float(value),))

    small = " in a world of few posts" if world == "small" else ""
    found = Comparison(
        "launchers",
        title,
        f"`bench run {' '.join(COMMAND)}`{small} by one process, then by each launcher with two workers "
        "left alone, then in trials: SIGKILL ends one worker or two, or the driver, drawn at random at "
        "moments drawn at random (nobody, where that is after the work is done); a driver that was killed is "
        "answered with the same command. Every run must end with the table of one process, its scores and "
        "its samples byte for byte. `slurm` is submitit's executor on this machine, `ray` a cluster of "
        "its own.",
        [
            count("runs left alone", "runs", len(left_alone)),
            count("trials", "runs", len(trials)),
            count(KILLED, "runs", sum(run["workers"] + run["drivers"] > 0 for run in trials)),
            count("workers killed", "processes", sum(run["workers"] for run in trials)),
            count("drivers killed", "processes", sum(run["drivers"] for run in trials)),
            count("trials that one command finished", "runs", sum(run["commands"] == 1 for run in trials)),
        ],
        [
            Claim(count(name, unit, value), "<= 0")
            for name, unit, value in (
                ("runs left alone that differ", "runs", sum(not run["same"] for run in left_alone)),
                ("trials that differ", "runs", sum(not run["same"] for run in trials)),
                ("jobs done twice", "jobs", sum(run["twice"] for run in runs)),
            )
        ],
    )
    columns = ("launcher", "trial", "workers", "drivers", "commands", "seconds")
    rows = [[run[name] for name in columns] for run in runs]
    rows = [["left alone" if value is None else value for value in row] for row in rows]
    head = ["launcher", "trial", "workers killed", "drivers killed", "commands", "seconds"]
    found.tables.append({"title": "Every run", "head": head, "rows": rows})
    return found


def drive(world: str, folder: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """The command, started; what it says goes into a file beside the folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    given = dict(word.split("=", 1) for word in [*COMMAND, *(SMALL if world == "small" else []), *options])
    words = [f"{key}={value}" for key, value in given.items()]
    words += [f"results={folder}", f"out={folder}.json"]
    with Path(f"{folder}.log").open("ab") as log:
        driver = [sys.executable, "-c", DRIVER, world, *words]
        return subprocess.Popen(driver, stderr=log, stdout=log, env={**one_thread(), **os.environ})


def watch(
    world: str,
    folder: Path,
    options: Sequence[str],
    moments: Sequence[float],
    driver: bool,
    rng: random.Random | None = None,
) -> dict[str, Any]:
    """One trial: kills a worker at each moment (counted in jobs done), or the driver at the first of them."""
    started, left = time.perf_counter(), list(moments)
    found: dict[str, Any] = {"workers": 0, "drivers": 0, "commands": 0}
    seen: dict[int, psutil.Process] = {}
    while found["commands"] < ATTEMPTS:
        found["commands"] += 1
        running = drive(world, folder, options)
        while running.poll() is None:
            crew = {one.pid: one for one in workers(running.pid)}
            seen |= crew
            if left and crew and rng is not None and done(folder) >= int(left[0]):
                time.sleep((left[0] % 1) * 2)
                if driver:
                    running.kill()
                    found["drivers"] += 1
                    left = []
                elif killed(rng.choice(list(crew.values()))):
                    found["workers"] += 1
                    left = left[1:]
            time.sleep(0.1)
        if running.returncode == 0:
            break
    psutil.wait_procs(list(seen.values()), timeout=120)  # a killed driver leaves its Slurm jobs behind
    return {**found, "code": running.returncode, "seconds": round(time.perf_counter() - started, 1)}


def workers(driver: int) -> Iterator[psutil.Process]:
    """The worker processes that a driver has started, itself or through Ray or submitit."""
    try:
        for one in psutil.Process(driver).children(recursive=True):
            with_words = " ".join(one.cmdline()) if one.is_running() else ""
            if any(mark in with_words for mark in MARKS) and one.status() != psutil.STATUS_ZOMBIE:
                yield one
    except psutil.Error:
        return


def killed(one: psutil.Process) -> bool:
    """Ends the process at once, unless it has ended."""
    try:
        one.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def done(folder: Path) -> int:
    """Jobs done so far."""
    log = folder / "jobs" / "done.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def outcome(folder: Path) -> dict[str, Any]:
    """What must be the same: the table without seconds, every cell's scores and samples, and the jobs."""
    cells = [path for name in ("scores.json", "samples.jsonl") for path in folder.glob(f"cells/*/*/{name}")]
    return {
        "table": _without_seconds(json.loads(Path(f"{folder}.json").read_text())),
        "cells": {str(path.relative_to(folder)): path.read_bytes() for path in cells},
        "jobs": sorted(path.parent.name for path in folder.glob("jobs/*/*/job.json")),
    }


def told(run: dict[str, Any], wanted: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The run with how it compares, printed."""
    keys = [json.loads(line)["key"] for line in (folder / "jobs" / "done.jsonl").read_text().splitlines()]
    run["same"] = run["code"] == 0 and outcome(folder) == wanted
    run["twice"] = len(keys) - len(set(keys))
    print(json.dumps(run), flush=True)
    return run


def _without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seconds(one) for key, one in value.items() if key != "seconds"}
    return [_without_seconds(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(script(compare, trials="20", launchers=",".join(LAUNCHERS), world="full", seed="0", folder=""))
