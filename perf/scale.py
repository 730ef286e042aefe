"""How long a table and its figures take for a large results folder, and how much memory.

    python perf/scale.py                                  # 100 labels x 10 seeds x 10,000 prompts
    python perf/scale.py labels=20 seeds=5 prompts=1000 folder=scale verbs=table

Writes made-up cells through `results.write_cell` (kept in `folder=`, made again where that is missing;
without it all goes to a temporary folder), then runs `bench table` and `bench figures` on them, each in a
process of its own, and prints wall time, CPU seconds and the largest resident memory. `metrics=` says how
many metrics a cell has, `samples=` how many stored answers a prompt, `verbs=` which of table, figures and
report are run. Exit code 1 where one of them fails. Time and memory fail nothing: what is promised is for
the default size on a quiet machine.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import made_up
import numpy as np

from alignment_bench.digests import generator
from alignment_bench.results import CellRecord, MetricScores, StoredSample, write_cell

PROMISED = {"table": "20 s and 2 GB", "figures": "60 s"}
NAMES = ("quality", "length", "win_rate_vs_base", "rouge_l", "toxicity_rate", "perplexity")
SIZES = {"labels": 100, "seeds": 10, "prompts": 10_000, "metrics": 3, "samples": 1}


def main(argv: list[str]) -> int:
    """Makes the folder where there is none, runs the verbs, prints."""
    given = dict(one.split("=", 1) for one in argv if "=" in one)
    if unknown := [one for one in argv if one.partition("=")[0] not in (*SIZES, "folder", "verbs")]:
        print(f"no such argument: {', '.join(unknown)}; there are {', '.join(SIZES)}, folder, verbs")
        return 2
    sizes = {key: int(given.get(key, default)) for key, default in SIZES.items()}
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.get("folder", scratch)) / "results"
        if not folder.exists():
            started = time.perf_counter()
            for label in range(sizes["labels"]):
                for seed in range(sizes["seeds"]):
                    write_cell(folder, *cell(label, seed, sizes))
            print(f"made {sizes} in {time.perf_counter() - started:.0f} s: {_size(folder) / 1e9:.2f} GB")
        for verb in given.get("verbs", "table,figures").split(","):
            promise = f" (promised at full size: {PROMISED[verb]})" if verb in PROMISED else ""
            code, said = _timed(verb, folder, Path(scratch))
            print(f"bench {verb}: {said}{promise}", flush=True)
            failed = failed or code != 0
    return int(failed)


def cell(label: int, seed: int, sizes: dict[str, int]) -> tuple[CellRecord, Iterator[StoredSample]]:
    """One made-up cell and its samples: the label's gain, an effect each of prompt and seed, noise."""
    prompts = sizes["prompts"]
    name = "base" if label == 0 else "base_copy" if label == 1 else f"ilf:epochs={label}"
    shared = generator("prompts").normal(0.5, 0.15, prompts)
    own = generator("cell", label, seed)
    gain = 0.0 if label < 2 else 0.001 * label
    metrics = []
    for place in range(sizes["metrics"]):
        values = shared + gain + own.normal(0, 0.01) + own.normal(0, 0.1, prompts)
        better = "neither" if NAMES[place] == "length" else "higher"
        rounded = np.clip(values, 0, 1) if NAMES[place] != "length" else 20 * values
        metrics.append(MetricScores(NAMES[place], "", better, tuple(rounded.tolist())))
    record = made_up.record(
        name,
        seed,
        metrics,
        [f"article-{one // 2}" for one in range(prompts)],
        spend={"acts": {"critique": 300}, "annotator_seconds": 54750.0, "tokens_generated": 12345},
        code={"core": "1"},
        started="2026-11-20T10:00:00+00:00",
    )
    answers = (
        StoredSample(prompt, "task", turn, "a made-up answer of some length", (1, 2, 3, 4, 5, 6), "eos")
        for prompt in record.prompt_ids
        for turn in range(sizes["samples"])
    )
    return record, answers


def _timed(verb: str, folder: Path, scratch: Path) -> tuple[int, str]:
    out = scratch / (f"{verb}.html" if verb == "report" else verb)
    argv = [sys.executable, "-m", "alignment_bench", verb, f"results={folder}", f"out={out}"]
    started = time.perf_counter()
    process = subprocess.Popen(argv)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    return process.returncode, (
        f"exit {process.returncode}, {seconds:.1f} s wall, {used.ru_utime + used.ru_stime:.1f} s of CPU, "
        f"{_bytes(used) / 1e9:.2f} GB"
    )


def _bytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
