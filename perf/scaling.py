"""Does cost grow linearly with methods and with seeds, and does the shared part stay what it is?

PPO with eight values of one field: they share comparisons, reward model and base, and each trains for itself.
Methods 1, 2, 4, 8 at one seed; seeds 1, 2, 4 of two methods. Every run has an empty results folder and one
worker, so one process does everything; a line is fitted to its CPU seconds.

    python perf/scaling.py [methods=1,2,4,8] [seeds=1,2,4] [repeats=1] [out=FILE]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from measuring import Claim, Comparison, Figure, script, straight_line
from together import Done, median, run

LABEL = "ppo:iterations=6:kl_coefficient={value}"
VALUES = (0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12)
WORDS = ("task=tldr", "budget=smoke", "workers=1", "tuned=none")
RESIDUAL, GROWTH = "<= 10", "<= 10"
"""% of the fitted line, % of the shared part of the smallest run"""


def labels(count: int) -> str:
    """So many labels. A single one is the last, which two or four do not have: what one method and two have
    in common is then no method's own."""
    values = VALUES[-1:] if count == 1 else VALUES[:count]
    return ",".join(LABEL.format(value=value) for value in values)


def series(counts: list[int], words: dict[int, tuple[str, ...]], repeats: int) -> dict[int, list[Done]]:
    """Every size `repeats` times, sizes in turn."""
    done: dict[int, list[Done]] = {count: [] for count in counts}
    for _ in range(repeats):
        for count in counts:
            with tempfile.TemporaryDirectory() as folder:
                done[count].append(run(Path(folder), *words[count], *WORDS))
    return done


def common(runs: Mapping[int, list[Done]]) -> dict[int, float]:
    """CPU seconds, by number of methods, of the jobs that every method needs."""
    shared = set.intersection(*(set(done[0].jobs) for done in runs.values()))
    return {
        size: median([sum(one.jobs[key] for key in shared) for one in done]) for size, done in runs.items()
    }


def compare(options: Mapping[str, str]) -> Comparison:
    """Both lines, their residuals, and the shared part by number of methods."""
    repeats = int(options["repeats"])
    methods = [int(one) for one in options["methods"].split(",")]
    seeds = [int(one) for one in options["seeds"].split(",")]
    by_methods = series(methods, {one: (f"methods={labels(one)}",) for one in methods}, repeats)
    words = {
        one: (f"methods={labels(2)}", f"seeds={','.join(str(seed) for seed in range(one))}") for one in seeds
    }
    by_seeds = series(seeds, words, repeats)
    found = Comparison(
        "scaling",
        "Cost by number of methods and seeds",
        f"`bench run methods={LABEL.format(value='V')},... {' '.join(WORDS)}`: {options['methods']} values "
        f"of one field at seed 0, and {options['seeds']} seeds of two of them, each in an empty results "
        "folder.",
    )
    for what, runs in (("methods", by_methods), ("seeds", by_seeds)):
        sizes = sorted(runs)
        cpu = [median([one.took.cpu for one in runs[size]]) for size in sizes]
        start, slope, off = straight_line([float(size) for size in sizes], cpu)
        found.tables.append(
            {
                "title": f"CPU seconds by number of {what}: {start:.1f} + {slope:.2f} x {what}",
                "head": [what, "CPU s", "off the line"],
                "rows": [
                    [size, seconds, f"{share:+.1%}"]
                    for size, seconds, share in zip(sizes, cpu, off, strict=True)
                ],
            }
        )
        worst = Figure(f"largest residual over {what}", "%", (100 * max(map(abs, off)),))
        found.claims.append(Claim(worst, RESIDUAL))
    shared = common(by_methods)
    rows = [[size, seconds] for size, seconds in sorted(shared.items())]
    found.tables.append(
        {"title": "The shared part", "head": ["methods", "CPU s of jobs that all need"], "rows": rows}
    )
    growth = 100 * (shared[max(shared)] / shared[min(shared)] - 1)
    found.claims.append(Claim(Figure("growth of the shared part", "%", (growth,)), GROWTH))
    return found


if __name__ == "__main__":
    sys.exit(script(compare, methods="1,2,4,8", seeds="1,2,4"))
