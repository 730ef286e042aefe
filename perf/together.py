"""What six methods cost together: every job once, whoever asks for it, and little besides the jobs.

One `bench run` of all methods with two workers, then each method in a run and a results folder of its own.
Job keys are the same in all of them, so the logs tell which jobs are a method's own work and which would
have been done several times; CPU seconds of each job are noted by `timed/sitecustomize.py`.

    python perf/together.py [methods=...] [budget=small] [repeats=5] [apart=1] [out=FILE]

`repeats=` is of the run together, `apart=` of the separate runs, which take about three times as long.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import Claim, Comparison, Figure, Took, bench, in_process, one_thread, read_lines, script

METHODS = "ilf,alt,coh,srt,ppo,best_of_n"
TIMED = Path(__file__).parent / "timed"
WORKERS = 2
WALL, MEMORY, OVERHEAD = "<= 240", "<= 2", "<= 10"
"""seconds, GB of a process, % of the jobs' CPU time"""


@dataclass(frozen=True)
class Done:
    """One finished command: what it took, and the CPU seconds of every job that it did, by key."""

    took: Took
    jobs: dict[str, float]
    kinds: dict[str, str]
    repeated: int
    """jobs done more than once"""


def run(results: Path, *words: str) -> Done:
    """`bench run` in a results folder of its own, jobs timed."""
    took = in_process(bench("run", f"results={results}", "quiet=true", "out=/dev/null", *words), timing())
    lines = read_lines(results / "jobs" / "cpu.jsonl")
    times = Counter(line["key"] for line in lines)
    return Done(
        took,
        {line["key"]: line["cpu"] for line in lines},
        {line["key"]: line["kind"] for line in lines},
        sum(count - 1 for count in times.values()),
    )


def timing() -> dict[str, str]:
    """The environment in which every job's CPU seconds are noted."""
    path = os.pathsep.join([str(TIMED), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    return {**one_thread(), "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}


def side_by_side(folder: Path, methods: Sequence[str], words: Sequence[str]) -> dict[str, Done]:
    """Every method in a run and a folder of its own, two runs at a time: as many as the run together has
    workers, so that both meet equally busy cores."""
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting = {one: pool.submit(run, folder / one, f"methods={one}", *words) for one in methods}
        return {one: done.result() for one, done in waiting.items()}


def shares(together: Done, apart: Mapping[str, Done]) -> tuple[dict[str, float], float, float]:
    """CPU seconds of the run together: of each method's own jobs, of the jobs that two methods or more
    need (each once), and of everything that is no job."""
    wanted = Counter(key for one in apart.values() for key in one.jobs)
    own = {
        method: sum(together.jobs[key] for key in one.jobs if wanted[key] == 1 and key in together.jobs)
        for method, one in apart.items()
    }
    shared = sum(cpu for key, cpu in together.jobs.items() if wanted[key] != 1)
    return own, shared, together.took.cpu - sum(together.jobs.values())


def rows_of(
    together: Sequence[Done], apart: Mapping[str, Done]
) -> tuple[list[list[Any]], tuple[float, ...], tuple[float, ...]]:
    """The decomposition's rows, and a repeat each the overhead in % and the CPU seconds of all jobs."""
    parts = [shares(one, apart) for one in together]
    wanted = Counter(key for one in apart.values() for key in one.jobs)
    rows: list[list[Any]] = []
    for method, one in apart.items():
        mine = sum(wanted[key] == 1 for key in one.jobs)
        rows.append([f"`{method}`: its own work", mine, median([own[method] for own, _, _ in parts])])
    several = sum(count > 1 for count in wanted.values())
    rows.append(["jobs that several need, each once", several, median([s for _, s, _ in parts])])
    rows.append(["everything else: imports, plan, files, table", "", median([r for _, _, r in parts])])
    rows.append(["the whole run", len(together[0].jobs), median([one.took.cpu for one in together])])
    work = tuple(sum(one.jobs.values()) for one in together)
    return rows, tuple(100 * rest / jobs for (_, _, rest), jobs in zip(parts, work, strict=True)), work


def median(values: Sequence[float]) -> float:
    """Of a few numbers."""
    return Figure("", "", tuple(values)).median


def compare(options: Mapping[str, str]) -> Comparison:
    """Wall, memory and CPU of the run together, its decomposition, and the ratio to separate runs."""
    methods, budget = options["methods"], options["budget"]
    words = ("task=tldr", f"budget={budget}")
    together: list[Done] = []
    separate: list[dict[str, Done]] = []
    for turn in range(max(int(options["repeats"]), int(options["apart"]))):
        with tempfile.TemporaryDirectory() as folder:
            if turn < int(options["apart"]):
                separate.append(side_by_side(Path(folder), methods.split(","), words))
            if turn < int(options["repeats"]):
                together.append(run(Path(folder) / "all", f"methods={methods}", f"workers={WORKERS}", *words))
    apart = separate[0]
    rows, overhead, work = rows_of(together, apart)
    alone = tuple(sum(one.took.cpu for one in runs.values()) for runs in separate)
    whole = median([one.took.cpu for one in together])
    found = Comparison(
        "six",
        "Six methods in one run",
        f"`bench run methods={methods} task=tldr budget={budget} workers=2`, seed 0, `base` among its cells, "
        "in an empty results folder; beside it one run a method, each in a folder of its own, two at a time. "
        "A job is shared if two of the separate runs did it. Everything that is not a job counts as "
        "overhead: imports of three processes, the plan, reading and writing of files, the table.",
        [
            Figure("together: CPU", "CPU s", tuple(one.took.cpu for one in together)),
            Figure("together: CPU of all jobs", "CPU s", work),
            Figure("six separate runs: CPU", "CPU s", alone),
            Figure("six separate runs: wall of all, added up", "s", tuple(map(walls, separate))),
        ],
        [
            Claim(Figure("wall, two workers", "s", tuple(one.took.wall for one in together)), WALL),
            Claim(Figure("largest process", "GB", tuple(one.took.peak / 1e9 for one in together)), MEMORY),
            Claim(Figure("overhead over all jobs", "%", overhead), OVERHEAD),
            Claim(Figure("separate runs over together, CPU", "x", tuple(one / whole for one in alone)), ""),
        ],
    )
    found.tables.append(
        {
            "title": "Where the CPU seconds of the run together go",
            "head": ["part", "jobs", "CPU s"],
            "rows": rows,
        }
    )
    twice = sum(one.repeated for one in together)
    known = {key for one in apart.values() for key in one.jobs}
    strangers = [set(one.jobs) ^ known for one in together]
    found.notes.append(
        f"{twice} jobs were done twice in the runs together"
        + (
            "; the separate runs did exactly the same jobs between them."
            if not any(strangers)
            else f"; {max(map(len, strangers))} jobs differ from those of the separate runs."
        )
    )
    return found


def walls(runs: Mapping[str, Done]) -> float:
    """Wall seconds of the separate runs, added up; two ran at a time."""
    return sum(one.took.wall for one in runs.values())


if __name__ == "__main__":
    sys.exit(script(compare, methods=METHODS, budget="small", apart="1"))
