"""What `bench plan` says beside what the run then takes: processor and wall time, jobs, tokens, memory.

    python perf/plan_accuracy.py                                     # tiny: the six methods of the card
    python perf/plan_accuracy.py smollm2=FILE.jsonl                  # and SmolLM2 on real posts
    python perf/plan_accuracy.py repeats=5 out=plan_accuracy.json    # medians of five
    python perf/plan_accuracy.py -- methods=sft task=tldr workers=1  # any command instead

Every repeat plans with a fresh probe and then runs, in processes and a results folder of its own. On a
machine that others use, the clock tells more of them than of the plan: compare processor seconds. Asserts
nothing.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

TINY = [
    "methods=ilf,alt,coh,srt,ppo,best_of_n",
    "task=tldr",
    "budget=small",
    "seeds=0",
    "workers=1",
    "threads=1",
    "device=cpu",
]
SMOLLM2 = ["methods=sft,ilf", "task=tldr", "model=smollm2", "budget=smoke", "workers=1", "threads=1"]
BENCH = [sys.executable, "-m", "alignment_bench"]


def timed(command: list[str]) -> tuple[float, float, str]:
    """Processor seconds and wall seconds of a command, and what it printed."""
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return used, time.perf_counter() - began, done.stdout


def once(words: list[str]) -> dict[str, Any]:
    """One plan and its run."""
    with tempfile.TemporaryDirectory() as folder:
        asked = [*words, f"results={folder}", "quiet=true"]
        planning, _, text = timed([*BENCH, "plan", *asked, "probe=true", "format=json"])
        plan = json.loads(text)
        used, passed, _ = timed([*BENCH, "run", *asked])
        spends = [
            json.loads(path.read_text("utf-8"))["spend"] for path in Path(folder).glob("jobs/*/*/job.json")
        ]
    rows = [row for part in plan["settings"] for row in (*part["rows"], part["shared"])]
    tokens = ("tokens_generated", "tokens_scored", "tokens_trained", "flops")
    return {
        "planning": planning,
        "processor": (plan["seconds"], used),
        "clock": (plan["wall_seconds"], passed),
        "jobs": (sum(row["own_jobs"] for row in rows), len(spends)),
        **{name: (plan[name], sum(spend[name] for spend in spends)) for name in tokens},
        # Of all runs so far: the system keeps no more than the largest.
        "memory": (
            max(part["memory_bytes"]["total"] for part in plan["settings"]),
            resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        ),
    }


def main(argv: list[str]) -> int:
    """Prints predicted / measured for each command; `out=` writes all repeats as JSON."""
    given = dict(word.split("=", 1) for word in argv if "=" in word and "--" not in argv)
    commands = {"tiny": TINY}
    if "--" in argv:
        commands = {"given": argv[argv.index("--") + 1 :]}
    elif "smollm2" in given:
        commands["smollm2"] = [*SMOLLM2, f"task.data={given['smollm2']}"]
    found: dict[str, list[dict[str, Any]]] = {}
    for name, words in commands.items():
        print(f"{name}: bench run {' '.join(words)}")
        found[name] = [once(words) for _ in range(int(given.get("repeats", 1)))]
        for key in found[name][0]:
            if key == "planning":
                print(f"  {'planning':17} {median(one[key] for one in found[name]):.4g} s of the processor")
                continue
            planned = median(one[key][0] for one in found[name])
            measured = median(one[key][1] for one in found[name])
            ratios = [one[key][0] / one[key][1] for one in found[name]]
            print(
                f"  {key:17} planned {planned:.4g}, measured {measured:.4g}: ratio {median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )
    if "out" in given:
        Path(given["out"]).write_text(json.dumps(found, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
