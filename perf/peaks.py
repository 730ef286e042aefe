"""Peak memory of SmolLM2 under LoRA, as part of `compare.py`: `memory.py` trains, this looks from outside.

python perf/peaks.py [trainers=dpo,ppo] [repeats=1] [out=FILE]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from measuring import Claim, Comparison, Figure, in_process, one_thread, script

MOST = "<= 3"
"""GB"""
NO_LIMIT = "limit=1000"


def compare(options: Mapping[str, str]) -> Comparison:
    """The largest resident memory of each trainer's process, by the operating system's account."""
    title = "Memory of SmolLM2 under LoRA"
    if not ready():
        return Comparison("memory", title, "", skipped="smollm2 is not on this machine: bench fetch smollm2")
    found = Comparison(
        "memory",
        title,
        "`model=smollm2`, LoRA, micro-batch and bf16 autocast of its tier, prompts of 256 tokens and "
        "completions of at most 48: comparisons are sampled, the policy is trained (PPO: the reward model "
        "first), sampled from, and its KL to the base read. The whole process counts, libraries included; "
        "few pairs and one round, since more of them take longer and no more memory.",
    )
    memory = str(Path(__file__).with_name("memory.py"))
    for trainer in options["trainers"].split(","):
        took = [
            in_process([sys.executable, memory, f"trainers={trainer}", NO_LIMIT], one_thread())
            for _ in range(int(options["repeats"]))
        ]
        found.figures.append(Figure(f"{trainer}: CPU", "CPU s", tuple(one.cpu for one in took)))
        peaks = tuple(one.peak / 1e9 for one in took)
        found.claims.append(Claim(Figure(f"{trainer}: largest resident memory", "GB", peaks), MOST))
    return found


def ready() -> bool:
    """Whether the model is on this machine; asked without torch, which would count as the children's peak."""
    from alignment_bench.models import catalog

    return catalog.resolve("smollm2").ready


if __name__ == "__main__":
    sys.exit(script(compare, trainers="dpo,ppo"))
