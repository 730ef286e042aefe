"""How long a table and its figures take for a large results folder, and how much memory.

    python perf/scale.py                                  # 100 labels x 10 seeds x 10,000 prompts
    python perf/scale.py labels=20 seeds=5 prompts=1000 folder=scale verbs=table

Writes made-up cells through `results.write_cell` (kept in `folder=`, made again where that is missing), then
runs `bench table` and `bench figures` on them, each in a process of its own, and prints wall time and the
largest resident memory. `metrics=` says how many metrics a cell has, `samples=` how many stored answers a
prompt. Asserts nothing; TABLE and FIGURES are what is promised at the default size.
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

import numpy as np

from alignment_bench.digests import digest, generator
from alignment_bench.results import CellRecord, MetricScores, StoredSample, write_cell

TABLE, FIGURES = "20 s and 2 GB", "60 s"
NAMES = ("quality", "length", "win_rate_vs_base", "rouge_l", "toxicity_rate", "perplexity")
SIZES = {"labels": 100, "seeds": 10, "prompts": 10_000, "metrics": 3, "samples": 1}


def main(argv: list[str]) -> int:
    """Makes the folder where there is none, runs the verbs, prints."""
    given = dict(one.split("=", 1) for one in argv)
    sizes = {key: int(given.get(key, default)) for key, default in SIZES.items()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.get("folder", scratch)) / "results"
        if not folder.exists():
            started = time.perf_counter()
            for label in range(sizes["labels"]):
                for seed in range(sizes["seeds"]):
                    write_cell(folder, *cell(label, seed, sizes))
            print(f"made {sizes} in {time.perf_counter() - started:.0f} s: {_size(folder) / 1e9:.2f} GB")
        for verb in given.get("verbs", "table,figures").split(","):
            promise = TABLE if verb == "table" else FIGURES
            print(f"bench {verb}: {_timed(verb, folder, Path(scratch))} (promised at full size: {promise})")
    return 0


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
    ids = tuple(f"prompt-{one}" for one in range(prompts))
    record = CellRecord(
        digest=digest(["scale", label, seed]),
        label=name,
        method={"label": name},
        task="tldr",
        task_version="0",
        model="tiny:0",
        model_digest="model",
        data="made up",
        data_digest="data",
        world=None,
        budget="small",
        budget_amount=54750.0,
        currency="seconds",
        teacher="annotators",
        judge="gold",
        init="base",
        format_digest="format",
        decoding={"temperature": 0.3},
        evaluators=("quality",),
        seed=seed,
        prompt_ids=ids,
        clusters=tuple(f"article-{one // 2}" for one in range(prompts)),
        scores=tuple(metrics),
        spend={"acts": {"critique": 300}, "annotator_seconds": 54750.0, "tokens_generated": 12345},
        code={"core": "1"},
        started="2026-11-20T10:00:00+00:00",
    )
    answers = (
        StoredSample(prompt, "task", turn, "a made-up answer of some length", (1, 2, 3, 4, 5, 6), "eos")
        for prompt in ids
        for turn in range(sizes["samples"])
    )
    return record, answers


def _timed(verb: str, folder: Path, scratch: Path) -> str:
    out = scratch / verb
    argv = [sys.executable, "-m", "alignment_bench", verb, f"results={folder}", f"out={out}"]
    started = time.perf_counter()
    process = subprocess.Popen(argv)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    return (
        f"exit {process.returncode}, {seconds:.1f} s wall, {used.ru_utime + used.ru_stime:.1f} s of CPU, "
        f"{_bytes(used) / 1e9:.2f} GB"
    )


def _bytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
