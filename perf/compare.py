"""Every comparison of cost, side by side, by one command; writes the numbers and docs/performance.md.

    python perf/compare.py                               # all of them: about two hours of two idle cores
    python perf/compare.py only=sampling_tiny,ppo repeats=5 trl112=trl112
    python perf/compare.py missing=true                  # those that have no numbers yet; after a kill, say
    python perf/compare.py only=none                     # the page alone, from the numbers that are stored

Each comparison is a command of its own (named in COMMANDS) in a process of its own; when it ends its numbers
are in docs/performance/NAME.json and the page is written anew, so that nothing is lost where a later one
breaks off. Run it on a machine that does nothing else. SmolLM2 must have been fetched (`bench fetch
smollm2`), trl 1.12.0 be in a folder (`pip install --no-deps --target trl112 trl==1.12.0`), `posts=` be a file
of posts with references (docs/real-tier.md) and the extras `ray` and `slurm` be installed, else what needs
them is skipped with that line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from measuring import Comparison, one_thread, options_of, rounded
from performance_page import page

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
STORED = DOCS / "performance"
COMMANDS: dict[str, tuple[str, ...]] = {
    "six": ("together.py",),
    "scaling": ("scaling.py",),
    "sampling_tiny": ("sampling.py", "model=tiny"),
    "sampling_smollm2": ("sampling.py", "model=smollm2"),
    "ppo": ("ppo_beside_trl.py",),
    "sft_tiny": ("trainers.py", "what=sft", "model=tiny"),
    "dpo_tiny": ("trainers.py", "what=dpo", "model=tiny"),
    "sft_smollm2": ("trainers.py", "what=sft", "model=smollm2"),
    "dpo_smollm2": ("trainers.py", "what=dpo", "model=smollm2"),
    "memory": ("peaks.py",),
    "plan_tiny": ("plan_accuracy.py", "model=tiny"),
    "plan_smollm2": ("plan_accuracy.py", "model=smollm2"),
    "processes": ("processes.py",),
    "launchers": ("launchers.py", "world=small"),
}
GIVEN = {"ppo": "trl112", "plan_smollm2": "posts"}
"""what a comparison needs from outside, an option of the same name"""
FEWER = {"memory": 1, "scaling": 2, "plan_tiny": 3, "plan_smollm2": 1, "processes": 1, "launchers": 1}
"""repeats, at most, where a median of more would say little else: a peak, lines through seven runs, what has
repeats within, and what takes minutes a repeat"""


def main(argv: Sequence[str]) -> int:
    """Measures what was picked; 1 where a comparison broke off or a target is missed."""
    options = options_of(argv, {"only": "", "repeats": "5", "trl112": "", "posts": "", "missing": "false"})
    picked = list(COMMANDS) if not options["only"] else options["only"].split(",")
    if picked == ["none"]:
        picked = []
    if unknown := sorted(set(picked) - set(COMMANDS)):
        raise SystemExit(f"only: {', '.join(unknown)} is no comparison, there are {', '.join(COMMANDS)}")
    STORED.mkdir(exist_ok=True)
    broken = []
    for name in picked:
        file = STORED / f"{name}.json"
        if options["missing"] == "true" and file.exists() and not stored(file).skipped:
            continue
        started = time.perf_counter()
        print(f"--- {name}", flush=True)
        # Written beside and moved: numbers that are there stay until there are new ones.
        fresh = file.with_suffix(".new")
        status = subprocess.call(command(name, options, fresh), env=environment())
        print(f"    {time.perf_counter() - started:.0f} s", flush=True)
        if status:
            broken.append(name)
            fresh.unlink(missing_ok=True)
            continue
        if stored(fresh).skipped and file.exists() and not stored(file).skipped:
            fresh.unlink()  # skipping is no reason to forget what was measured
        else:
            fresh.replace(file)
        write_page()
    write_page()
    missed = [claim for one in everything() for claim in one.claims if claim.met is False]
    for name in broken:
        print(f"BROKE OFF {name}")
    for claim in missed:
        one = claim.figure
        print(f"MISSED {one.name}: {one.median:.3g} {one.unit}, wanted {claim.wanted}")
    return 1 if broken or missed else 0


def command(name: str, options: Mapping[str, str], file: Path) -> list[str]:
    """The command line that measures one comparison into a file."""
    words = [f"repeats={min(int(options['repeats']), FEWER.get(name, 10**6))}", f"out={file}"]
    if options.get(GIVEN.get(name, "")):
        words.append(f"{GIVEN[name]}={options[GIVEN[name]]}")
    module, *settings = COMMANDS[name]
    return [sys.executable, str(HERE / module), *settings, *words]


def environment() -> dict[str, str]:
    """One thread, nothing from the network, no notices."""
    quiet = {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore", "TRANSFORMERS_VERBOSITY": "error"}
    return {**os.environ, **one_thread(), **quiet}


def stored(file: Path) -> Comparison:
    """The comparison in a file."""
    return Comparison.from_json(json.loads(file.read_text("utf-8")))


def everything() -> list[Comparison]:
    """All that is stored, in the order of COMMANDS."""
    files = [STORED / f"{name}.json" for name in COMMANDS]
    return [stored(file) for file in files if file.exists()]


def write_page() -> None:
    """docs/performance.md from what is stored."""
    (DOCS / "performance.md").write_text(page([rounded_one(one) for one in everything()]), "utf-8")


def rounded_one(found: Comparison) -> Comparison:
    """With the digits that are stored."""
    return Comparison.from_json(rounded(found.to_json()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
