"""One training by two processes of this machine and by one: the same losses, step by step.

    python perf/processes.py [out=FILE]

`sft` on the built-in posts, by one process, by two (DDP on gloo) and by two with sharded weights (FSDP).
`tests/test_distributed_launch.py` kills such trainings and takes them up again.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from measuring import Claim, Comparison, Figure, Took, bench, in_process, one_thread, read_lines, script

WORDS = ("methods=sft", "task=tldr", "budget=small", "threads=1", "device=cpu", "workers=1", "quiet=true")
SIDES = {
    "one process": (),
    "two, DDP": ("training_processes=2",),
    "two, FSDP": ("training_processes=2", "sharding=fsdp"),
}
SAME = "<= 0.0001"


def losses(words: tuple[str, ...]) -> tuple[list[float], Took]:
    """The loss of every step of the run's only training, and what the run took."""
    with tempfile.TemporaryDirectory() as folder:
        took = in_process(bench("run", *WORDS, *words, f"results={folder}", "out=/dev/null"), one_thread())
        (log,) = Path(folder).glob("jobs/*/*/log.jsonl")
        return [line["loss"] for line in read_lines(log)], took


def compare(options: Mapping[str, str]) -> Comparison:
    """Losses of each side against one process's, and the wall time of the run."""
    found = {name: losses(words) for name, words in SIDES.items()}
    one = found["one process"][0]
    claims = []
    for name, (curve, _) in found.items():
        if name != "one process":
            apart = max(abs(a - b) for a, b in zip(curve, one, strict=True))
            figure = Figure(f"{name}: largest difference of a step's loss", "nat", (apart,))
            claims.append(Claim(figure, SAME))
    return Comparison(
        "processes",
        "Training in two processes and in one",
        f"`bench run {' '.join(WORDS)}`, the default model with all its weights in float32, {len(one)} "
        "steps: by one process, and with `training_processes=2` over gloo at the same effective batch.",
        [Figure(f"{name}: the whole run", "s of wall", (took.wall,)) for name, (_, took) in found.items()],
        claims,
        notes=[
            "The model is tiny, so that starting processes and meeting at every step outweigh what they save."
        ],
    )


if __name__ == "__main__":
    sys.exit(script(compare))
