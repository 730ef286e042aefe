"""Supervised fine-tuning on completions: cross-entropy over completion tokens, prompts masked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from alignment_bench.training.batches import Row, collate, completion_logits, token_logprobs
from alignment_bench.training.optimise import optimise
from alignment_bench.training.settings import Settings


def finetune(
    model: Any, rows: Sequence[Row], settings: Settings, generator: np.random.Generator, pad: int, device: str
) -> list[float]:
    """Trains `model` in place on the rows' completions; returns the loss in nats per token at every step."""

    def loss(part: Sequence[Row]) -> tuple[Tensor, int]:
        batch = collate(part, pad, device)
        return -token_logprobs(completion_logits(model, batch), batch).sum(), batch.tokens

    def weight(part: Sequence[Row]) -> float:
        return float(sum(len(row.completion) for row in part))

    lengths = [row.length for row in rows]
    return optimise(model, rows, lengths, loss, weight, settings, generator, device)
