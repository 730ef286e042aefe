"""Stored results in which there is something to draw in every figure, small enough to draw them all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from made_cells import record

from alignment_bench.cells import CellRecord, MetricScores
from alignment_bench.digests import digest

PROMPTS = 24
UNITS = {
    "quality": ("0-1", "higher"),
    "quality_t1": ("0-1", "higher"),
    "win_rate_vs_base": ("share", "higher"),
    "lc_win_rate_vs_base": ("share", "higher"),
    "lc_verdict": ("share", "higher"),
    "lc_longer": ("characters", "neither"),
    "kl_to_base": ("nat", "neither"),
    "length": ("words", "neither"),
    "toxicity_max": ("0-1", "lower"),
    "pass_at_1": ("share", "higher"),
    "pass_at_10": ("share", "higher"),
}
BOUND = "an upper bound, not an estimate"
METHODS: Mapping[str, tuple[float, float]] = {
    "base": (0.4, 0.0),
    "base_copy": (0.4, 0.0),
    "ilf": (0.6, 1.2),
    "ppo": (0.7, 3.1),
    "ppo:kl_coefficient=0:learning_rate=0.001:iterations=24:epochs=4": (0.2, 60.0),
    "best_of_n:n=8": (0.55, 1.204),
    "alt:level=1": (0.3, 0.9),
    "alt:level=5": (0.65, 1.8),
    "alt": (0.65, 1.8),
}
"""quality and KL"""


def scores(label: str, metric: str, seed: int, mean: float, prompts: int = PROMPTS) -> tuple[float, ...]:
    """Values around a mean, of 30ths where they are shares of samples."""
    draw = np.random.default_rng(int(digest([label, metric, seed])[:8], 16))
    shared = np.random.default_rng(3).normal(0, 0.05, prompts)
    values = mean + shared + draw.normal(0, 0.02, prompts) + draw.normal(0, 0.005)
    if metric == "kl_to_base":
        values = np.abs(values) if mean else np.zeros(prompts)
    elif metric in ("length", "lc_longer"):
        values = 20 + 10 * values
    elif metric.startswith("pass_at_1"):
        values = np.rint(30 * np.clip(values, 0, 1)) / 30
    else:
        values = np.clip(values, 0, 1)
    return tuple(float(value) for value in values)


def cell(
    label: str, seed: int, metrics: Mapping[str, float], prompts: int = PROMPTS, **changes: Any
) -> CellRecord:
    """A cell with these metrics at these means."""
    notes = {"kl_to_base": BOUND} if label.startswith("best_of_n") else {}
    values_of = {name: scores(label, name, seed, mean, prompts) for name, mean in metrics.items()}
    if "pass_at_10" in metrics:
        values_of["pass_at_10"] = tuple(
            1 - comb(30 - round(30 * share), 10) / comb(30, 10) for share in values_of["pass_at_1"]
        )
    found = tuple(
        MetricScores(name, *UNITS.get(name, ("share", "higher")), one, note=notes.get(name, ""))
        for name, one in values_of.items()
    )
    if "lc_verdict" in metrics:
        found += (MetricScores("lc_win_rate_vs_base", "share", "higher", missing="fitted later"),)
    name, _, fields = label.partition(":")
    options = dict(part.split("=") for part in fields.split(":")) if fields else {}
    level = {"level": options.get("level", "best")} if name == "alt" else {}
    values: dict[str, Any] = {
        "method": [{"name": name, "fields": {**options, **level}}],
        "model": "tiny:0",
        "evaluators": ("quality", "pass_at_k:samples=30"),
        "code": {"core": "1", "plugins": {}},
        **changes,
    }
    return record(label, seed, found, **values)


def everything(root: Path) -> list[CellRecord]:
    """Every method, two budgets and three seeds; training logs under `root`."""
    found = []
    for place, (budget, amount) in enumerate((("smoke", 9000.0), ("small", 54750.0))):
        for label, (quality, kl) in METHODS.items():
            for seed in range(3):
                share = 0.6 + 0.4 * place
                good = 0.4 + (quality - 0.4) * share
                metrics = {
                    "quality": good,
                    "quality_t1": good - 0.1,
                    "win_rate_vs_base": 0.1 + good,
                    "lc_verdict": 0.05 + good,
                    "lc_longer": quality,
                    "kl_to_base": kl * share,
                    "length": quality,
                    "toxicity_max": 0.9 - quality,
                    "pass_at_1": good / 2,
                    "pass_at_10": good,
                }
                if label.startswith("best_of_n"):
                    metrics |= {f"win_best_of_{n}": 0.5 + 0.08 * i for i, n in enumerate((2, 4, 8, 16), 1)}
                    metrics |= {f"proxy_win_best_of_{n}": n / (n + 1) for n in (2, 4, 8, 16)}
                    metrics |= {f"quality_t1_best_of_{n}": 0.3 + 0.05 * i for i, n in enumerate((1, 2, 4, 8))}
                    metrics |= {f"kl_best_of_{n}": 0.1 * n for n in (2, 4, 8, 16)}
                free = label.startswith("base")
                spend = {
                    "acts": {} if free else {"prefer": int(amount / 61.5)},
                    "annotator_seconds": 0.0 if free else amount - 7.0 * len(label),
                    "tokens_generated": 0 if free or label == "ilf" else int(100 * amount * quality),
                }
                measures = (
                    {"reward_model_accuracy": 0.6 + 0.1 * place + 0.01 * seed} if "ppo" in label else {}
                )
                if "ppo" in label:
                    measures["proxy_reward_last"] = 1.0 + kl / 10 * share
                code = {
                    "core": "1",
                    "plugins": {},
                    **({} if free else {"policy_folder": trained(root, label, seed)}),
                }
                found.append(
                    cell(
                        label,
                        seed,
                        metrics,
                        budget=budget,
                        budget_amount=amount,
                        spend=spend,
                        measures=measures,
                        code=code,
                    )
                )
    return found


def trained(root: Path, label: str, seed: int) -> str:
    """Where a policy lies that was trained in two rounds and, for alt and best_of_n, then wrapped."""
    rows = [{"step": i, "loss": 2.0 / (i + 1) + 0.1 * seed} for i in range(20)]
    if label.startswith("ppo"):
        end = METHODS[label][1]
        rows = [
            {"iteration": i, "reward": i / 9, "kl_to_reference": end * i / 19, "loss": 0.1} for i in range(20)
        ]
    first = job(root, "finetune", f"{label} {seed} 1", {"digest": f"{label} {seed} 1"}, rows, "the base")
    last = job(
        root, "finetune", f"{label} {seed} 2", {"digest": f"{label} {seed} 2"}, rows, f"{label} {seed} 1"
    )
    if label.startswith(("alt", "best_of_n")):
        wrapped = job(root, "wrap", f"{label} {seed}", {"kind": "conditioned"}, None, "")
        inner = root / wrapped / "inner"
        inner.mkdir(exist_ok=True)
        (inner / "policy.json").write_text(json.dumps({"digest": f"{label} {seed} 2"}))
        return wrapped
    assert first != last
    return last


def job(
    root: Path, kind: str, name: str, policy: Mapping[str, Any], log: Sequence[Any] | None, start: str
) -> str:
    """A job's folder as a run leaves it; returns where its policy lies."""
    folder = root / "jobs" / kind / digest(name)
    (folder / "policy").mkdir(parents=True, exist_ok=True)
    (folder / "policy" / "policy.json").write_text(json.dumps(policy))
    (folder / "job.json").write_text(json.dumps({"inputs": {"inputs": {"policy": start}}}))
    if log is not None:
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    return f"jobs/{kind}/{digest(name)}/policy"
