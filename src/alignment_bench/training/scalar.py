"""Scalar reward heads on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from alignment_bench.completions import Completion
from alignment_bench.ledger import Spend, forward_cost, report
from alignment_bench.prompts import Prompt
from alignment_bench.training.batches import Row, collate
from alignment_bench.training.preference import ScalarHead

if TYPE_CHECKING:
    from alignment_bench.models.policy import ModelPolicy


def save_head(head: ScalarHead, path: Path) -> None:
    """Writes the head's weight and bias; the trunk is a policy and saved as one."""
    save_file({"weight": head.weight.detach().cpu(), "bias": head.bias.detach().cpu()}, path)


@torch.no_grad()
def score_scalar(
    trunk: ModelPolicy, head_file: Path, prompts: Sequence[Prompt], completions: Sequence[Completion]
) -> list[float]:
    """The head's raw output at the last token of each completion, in fp32."""
    model = trunk.load_for_training(0).eval()
    head = ScalarHead(model, seed=0)
    stored = load_file(head_file)
    head.weight.copy_(stored["weight"])
    head.bias.copy_(stored["bias"])
    rows = [
        Row(tuple(trunk.render(prompt)), completion.tokens)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda i: rows[i].length)
    scores = [0.0] * len(rows)
    for start in range(0, len(order), trunk.score_rows):
        indices = order[start : start + trunk.score_rows]
        batch = collate([rows[i] for i in indices], trunk.pad, trunk.device)
        cost = forward_cost(trunk.n_parameters, batch.tokens)
        report(Spend(tokens_scored=batch.tokens, flops=cost))
        for i, value in zip(indices, head.last(batch).tolist(), strict=True):
            scores[i] = value
    return scores
