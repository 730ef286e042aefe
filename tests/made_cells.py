"""Made-up cells of a results folder, for whatever reads results: known gains, shared prompts, known noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from alignment_bench.digests import digest
from alignment_bench.results import CellRecord, MetricScores

PROMPTS = 30


def scores(label: str, seed: int, gain: float, prompts: int = PROMPTS) -> np.ndarray[Any, Any]:
    """Quality of one cell: a prompt effect that all cells share, the method's gain, noise of its own."""
    shared = np.random.default_rng(7).normal(0.5, 0.1, prompts)
    noise = np.random.default_rng(int(digest([label, seed])[:8], 16)).normal(0, 0.02, prompts)
    return np.asarray(shared + gain + noise)


def record(label: str, seed: int, found: Sequence[MetricScores], **changes: Any) -> CellRecord:
    """A stored cell with these scores; its digest is that of everything else but them."""
    prompts = max((len(one.values) for one in found), default=0)
    values: dict[str, Any] = {
        "label": label,
        "method": {"label": label},
        "task": "tldr",
        "task_version": "0",
        "model": "tiny",
        "model_digest": "aaaa1111",
        "data": "built-in",
        "data_digest": "bbbb2222",
        "world": "0",
        "budget": "small",
        "budget_amount": 54750.0,
        "currency": "seconds",
        "teacher": "annotators",
        "judge": "gold",
        "init": "base",
        "format_digest": "cccc3333",
        "decoding": {"temperature": 0.3},
        "evaluators": ("quality", "length"),
        "seed": seed,
        "prompt_ids": tuple(f"p{index}" for index in range(prompts)),
        "clusters": tuple(f"c{index}" for index in range(prompts)),
        "scores": tuple(found),
        "started": "2026-11-20T10:00:00+00:00",
        **changes,
    }
    named = json.dumps({key: str(value) for key, value in values.items() if key != "scores"})
    return CellRecord(digest=digest(named), **values)


def cell(label: str, seed: int = 0, gain: float = 0.0, **changes: Any) -> CellRecord:
    """A cell with quality, length and a metric that nobody has; two prompts a cluster."""
    quality = scores(label, seed, gain)
    values: dict[str, Any] = {
        "scores": (
            MetricScores("nll_reference", "nats", "lower", missing="no references"),
            MetricScores("quality", "score", "higher", tuple(quality)),
            MetricScores("length", "words", "neither", tuple(20 * quality), note="words, not tokens"),
        ),
        "prompt_ids": tuple(f"p{index}" for index in range(PROMPTS)),
        "clusters": tuple(f"c{index // 2}" for index in range(PROMPTS)),
        "spend": {"acts": {"critique": 300}, "annotator_seconds": 54750.0, "tokens_generated": 12345},
        "captions": ("the world's own quality",),
        "code": {"core": "1", "commit": label, "plugins": {f"methods/{label}": label, "evaluators/q": "e"}},
        **changes,
    }
    return record(label, seed, values.pop("scores"), **values)


def failed(label: str, seed: int = 0, **changes: Any) -> CellRecord:
    """A cell that produced nothing."""
    empty: dict[str, Any] = {"prompt_ids": (), "clusters": (), "scores": ()}
    return cell(label, seed, **{"status": "failed", "reason": "loss became nan", **empty, **changes})


def three_seeds() -> list[CellRecord]:
    """Base, a control and a better method."""
    return [
        cell(*one) for seed in (0, 1, 2) for one in (("ilf", seed, 0.1), ("base", seed), ("base_copy", seed))
    ]
