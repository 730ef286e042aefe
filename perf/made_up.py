"""Cells of a results folder that no run made, for scripts that simulate what a run would have stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alignment_bench.cells import CellRecord, MetricScores
from alignment_bench.digests import digest


def record(
    label: str, seed: int, scores: Sequence[MetricScores], clusters: Sequence[str] = (), **changes: Any
) -> CellRecord:
    """A finished cell with these scores, all of it the same but what is named; each prompt its own cluster
    where none are given."""
    ids = tuple(f"prompt-{place}" for place in range(len(scores[0].values)))
    values: dict[str, Any] = {
        "digest": digest(["made up", label, seed]),
        "label": label,
        "method": {"label": label},
        "task": "tldr",
        "task_version": "0",
        "model": "tiny:0",
        "model_digest": "model",
        "data": "made up",
        "data_digest": "data",
        "world": None,
        "budget": "small",
        "budget_amount": 54750.0,
        "currency": "seconds",
        "teacher": "annotators",
        "judge": "gold",
        "init": "base",
        "format_digest": "format",
        "decoding": {"temperature": 0.3},
        "evaluators": ("quality",),
        "seed": seed,
        "prompt_ids": ids,
        "clusters": tuple(clusters) or ids,
        "scores": tuple(scores),
        **changes,
    }
    return CellRecord(**values)
