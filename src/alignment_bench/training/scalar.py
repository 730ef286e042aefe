"""Scalar reward heads on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable
from alignment_bench.ledger import Spend, forward_cost, report
from alignment_bench.models.fitting import fitting
from alignment_bench.prompts import Prompt
from alignment_bench.training.batches import Row, collate
from alignment_bench.training.preference import ScalarHead

if TYPE_CHECKING:
    from alignment_bench.models.policy import ModelPolicy
    from alignment_bench.reward_models import RewardModel


def save_head(head: ScalarHead, path: Path) -> None:
    """Writes the head's weight and bias; the trunk is a policy and saved as one."""
    save_file({"weight": head.weight.detach().cpu(), "bias": head.bias.detach().cpu()}, path)


@torch.no_grad()
def load_head(model: Any, path: Path) -> ScalarHead:
    """The head stored at `path`, on the trunk `model`."""
    head = ScalarHead(model, seed=0)
    stored = load_file(path)
    head.weight.copy_(stored["weight"])
    head.bias.copy_(stored["bias"])
    return head


@torch.no_grad()
def value_head(reward_model: RewardModel, lora_rank: int, seed: int) -> ScalarHead:
    """A value function that starts as a scalar reward model: its trunk, ready for training, and its head
    rescaled to the normalised reward. Raises NotApplicable for a reward model without a head."""
    card = reward_model.card
    if card.kind != "scalar":
        raise NotApplicable("a likelihood-ratio reward model has no head to start a value function from")
    trunk = reward_model.trunk.load_for_training(lora_rank, seed)
    head = load_head(trunk, reward_model.folder / "head.safetensors")
    head.weight.div_(card.scale)
    head.bias.sub_(card.mean).div_(card.scale)
    return head


@torch.no_grad()
def score_scalar(
    trunk: ModelPolicy, head_file: Path, prompts: Sequence[Prompt], completions: Sequence[Completion]
) -> list[float]:
    """The head's raw output at the last token of each completion, in fp32."""
    model = trunk.load_for_training(0).eval()
    head = load_head(model, head_file)
    rows = [
        Row(tuple(trunk.render(prompt)), completion.tokens)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda i: rows[i].length)
    scores = [0.0] * len(rows)

    def score(indices: Sequence[int]) -> tuple[list[float], int]:
        batch = collate([rows[i] for i in indices], trunk.pad, trunk.device)
        values: list[float] = head.last(batch).tolist()
        return values, batch.tokens

    parts = [order[start : start + trunk.score_rows] for start in range(0, len(order), trunk.score_rows)]
    for indices, (values, tokens) in fitting(parts, score):
        report(Spend(tokens_scored=tokens, flops=forward_cost(trunk.n_parameters, tokens)))
        for i, value in zip(indices, values, strict=True):
            scores[i] = value
    return scores
