"""What `bench plan` says beside what the run then takes: processor and wall time, jobs, tokens, memory.

    python perf/plan_accuracy.py                                      # tiny: the six methods of the card
    python perf/plan_accuracy.py model=smollm2 posts=FILE.jsonl       # SmolLM2 on real posts
    python perf/plan_accuracy.py words="methods=sft task=tldr workers=1"     # any command instead

Every repeat plans with a fresh probe and then runs, in processes and a results folder of its own. On a
machine that others use, the clock tells more of them than of the plan: compare processor seconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from measuring import Claim, Comparison, Figure, bench, in_process, one_thread, script

from alignment_bench.models import catalog

HERE = ("workers=1", "threads=1", "device=cpu")
COMMANDS = {
    "tiny": ("methods=ilf,alt,coh,srt,ppo,best_of_n", "task=tldr", "budget=small", "seeds=0"),
    "smollm2": ("methods=sft,ilf", "task=tldr", "model=smollm2", "budget=smoke"),
}
WITHIN = "<= 30"
"""% that planned time may be off"""
COUNTED = ("tokens_generated", "tokens_scored", "tokens_trained", "flops")


def once(words: Sequence[str]) -> dict[str, tuple[float, float]]:
    """One plan and its run: (planned, measured) of each quantity, and what planning took."""
    with tempfile.TemporaryDirectory() as folder:
        asked = [*words, f"results={folder}", "quiet=true"]
        written = Path(folder) / "plan.json"
        planning = in_process(
            bench("plan", *asked, "probe=true", "format=json", f"out={written}"), one_thread()
        )
        plan = json.loads(written.read_text("utf-8"))
        took = in_process(bench("run", *asked), one_thread())
        spends = [
            json.loads(path.read_text("utf-8"))["spend"] for path in Path(folder).glob("jobs/*/*/job.json")
        ]
    rows = [row for part in plan["settings"] for row in (*part["rows"], part["shared"])]
    return {
        "planning": (0.0, planning.cpu),
        "processor": (plan["seconds"], took.cpu),
        "clock": (plan["wall_seconds"], took.wall),
        "jobs": (sum(row["own_jobs"] for row in rows), len(spends)),
        **{name: (plan[name], sum(spend[name] for spend in spends)) for name in COUNTED},
        "memory": (max(part["memory_bytes"]["total"] for part in plan["settings"]) / 1e9, took.peak / 1e9),
    }


def compare(options: Mapping[str, str]) -> Comparison:
    """Planned and measured, and by how much planned time is off."""
    model = options["model"]
    title = f"`bench plan` beside the run, {model}"
    words = [*COMMANDS[model], *HERE]
    if "words" in options:
        words = options["words"].split()
    elif model != "tiny":
        if not catalog.resolve(model).ready:
            return Comparison(
                f"plan_{model}", title, "", skipped=f"{model} is not on this machine: bench fetch {model}"
            )
        if "posts" not in options:
            return Comparison(f"plan_{model}", title, "", skipped="no posts=FILE.jsonl of posts was given")
        words.append(f"task.data={options['posts']}")
    found = [once(words) for _ in range(int(options["repeats"]))]

    def column(name: str, place: int) -> tuple[float, ...]:
        return tuple(float(one[name][place]) for one in found)

    def off(name: str) -> tuple[float, ...]:
        return tuple(100 * abs(planned / measured - 1) for planned, measured in (one[name] for one in found))

    shown = [word for word in words if not word.startswith("task.data=")]
    posts = " on real posts" if len(shown) < len(words) else ""
    rows = [
        [name.replace("_", " "), *(sum(column(name, place)) / len(found) for place in (0, 1))]
        for name in ("jobs", *COUNTED)
    ]
    return Comparison(
        f"plan_{model}",
        title,
        f"`bench plan {' '.join(shown)} probe=true`{posts}, then `bench run` of the same in an empty results "
        "folder, each in a process of its own.",
        [
            Figure("planning, probe included", "CPU s", column("planning", 1)),
            Figure("planned", "CPU s", column("processor", 0)),
            Figure("measured", "CPU s", column("processor", 1)),
            Figure("planned", "s of wall", column("clock", 0)),
            Figure("measured", "s of wall", column("clock", 1)),
            Figure("planned memory", "GB", column("memory", 0)),
            Figure("measured memory", "GB", column("memory", 1)),
        ],
        [
            Claim(Figure("planned CPU time is off by", "%", off("processor")), WITHIN),
            Claim(Figure("planned wall time is off by", "%", off("clock")), WITHIN),
        ],
        tables=[
            {
                "title": "Counts, means over repeats",
                "head": ["what", "planned", "measured"],
                "rows": rows,
            }
        ],
    )


if __name__ == "__main__":
    sys.exit(script(compare, model="tiny", posts="", words="", repeats="3"))
