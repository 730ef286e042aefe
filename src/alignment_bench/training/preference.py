"""Learning from comparisons: the DPO loss (also a reward model, as a likelihood ratio) and a scalar head.

* `train_likelihood_ratio`: Rafailov et al. 2023 (arXiv 2305.18290), sigmoid loss. With beta 1 the trained
  model is a good reward model of small data: r(x, y) = beta * log(pi(y|x) / reference(y|x)).
* `train_scalar_head`: Bradley-Terry on a linear head over the last completion token's hidden state, head
  initialised N(0, 1/sqrt(h+1)) (Stiennon et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from alignment_bench.ledger import Spend, forward_cost, report
from alignment_bench.training.batches import Batch, Row, collate, completion_logits, token_logprobs
from alignment_bench.training.crew import Alone, Crew
from alignment_bench.training.optimise import optimise, precision
from alignment_bench.training.settings import Settings


@dataclass(frozen=True, slots=True)
class PairRow:
    """A comparison as ids: one prompt, the completion preferred and the one not."""

    chosen: Row
    rejected: Row


@torch.no_grad()
def sequence_logprobs(
    model: Any,
    rows: Sequence[Row],
    micro_batch: int,
    bf16: bool,
    pad: int,
    device: str,
    crew: Crew | None = None,
) -> Tensor:
    """Summed log-probability of each row's completion, [rows], computed in length-sorted batches."""
    crew = crew or Alone()
    out = torch.zeros(len(rows), device=device)
    parameters = sum(p.numel() for p in model.parameters())
    order = sorted(range(len(rows)), key=lambda i: rows[i].length)
    model.eval()
    for indices, factor in crew.parts(order, micro_batch):
        batch = collate([rows[i] for i in indices], pad, device)
        with precision(bf16, device):
            logits = completion_logits(model, batch)
        if factor:
            out[indices] = token_logprobs(logits, batch).sum(1)
            report(Spend(tokens_scored=batch.tokens, flops=forward_cost(parameters, batch.tokens)))
    return out if crew.size == 1 else torch.tensor(crew.total(out.tolist()), device=device)


def train_likelihood_ratio(
    model: Any,
    pairs: Sequence[PairRow],
    beta: float,
    settings: Settings,
    generator: np.random.Generator,
    pad: int,
    device: str,
    crew: Crew | None = None,
) -> list[float]:
    """Trains `model` in place with the sigmoid DPO loss against its own start; the loss at every step.

    The reference's log-probabilities are computed once, before the first step.
    """
    chosen = sequence_logprobs(
        model, [p.chosen for p in pairs], settings.micro_batch, settings.bf16, pad, device, crew
    )
    rejected = sequence_logprobs(
        model, [p.rejected for p in pairs], settings.micro_batch, settings.bf16, pad, device, crew
    )
    margins = (chosen - rejected).tolist()
    items = list(zip(pairs, margins, strict=True))

    def loss(part: Sequence[tuple[PairRow, float]]) -> tuple[Tensor, int]:
        batch = _both(part, pad, device)
        sums = token_logprobs(completion_logits(model, batch), batch).sum(1)
        reference = torch.tensor([margin for _, margin in part], device=device)
        margin = sums[: len(part)] - sums[len(part) :] - reference
        return -logsigmoid(beta * margin).sum(), batch.tokens

    lengths = [max(p.chosen.length, p.rejected.length) for p in pairs]
    return optimise(
        model, items, lengths, loss, lambda part: float(len(part)), settings, generator, device, 2, crew
    )


def _both(part: Sequence[tuple[PairRow, float]], pad: int, device: str) -> Batch:
    rows = [pair.chosen for pair, _ in part] + [pair.rejected for pair, _ in part]
    return collate(rows, pad, device)


class ScalarHead(torch.nn.Module):
    """A causal model's trunk with a linear head, read at each completion position: values [B, C]."""

    def __init__(self, model: Any, seed: int) -> None:
        super().__init__()
        self.model = model
        width = int(model.config.hidden_size)
        noise = torch.Generator().manual_seed(seed)
        weight = torch.randn(width, generator=noise) / (width + 1) ** 0.5
        self.weight = torch.nn.Parameter(weight.to(next(model.parameters()).device))
        self.bias = torch.nn.Parameter(torch.zeros(1, device=self.weight.device))

    def forward(self, batch: Batch) -> Tensor:
        """The head's output at every completion token, [B, C]."""
        output = self.model(
            input_ids=batch.ids,
            attention_mask=batch.attention,
            position_ids=batch.positions,
            logits_to_keep=1,
            output_hidden_states=True,
            use_cache=False,
        )
        hidden = output.hidden_states[-1][:, batch.prompt_columns :]
        values: Tensor = hidden.float() @ self.weight + self.bias
        return values

    def last(self, batch: Batch) -> Tensor:
        """The head's output at each row's last completion token, [B]: the reward of the completion."""
        return _at_end(self.forward(batch), batch)


def _at_end(values: Tensor, batch: Batch) -> Tensor:
    """Of values [B, C], those at each row's last completion token, [B]."""
    index = (batch.mask.sum(1) - 1).clamp(min=0).unsqueeze(1)
    return values.gather(1, index).squeeze(1)


def train_scalar_head(
    head: Any,
    pairs: Sequence[PairRow],
    settings: Settings,
    generator: np.random.Generator,
    pad: int,
    device: str,
    crew: Crew | None = None,
) -> list[float]:
    """Trains trunk and head in place on -log sigmoid(r(chosen) - r(rejected)); the loss at every step.

    `head` is a ScalarHead, or what the crew has made of it.
    """

    def loss(part: Sequence[PairRow]) -> tuple[Tensor, int]:
        batch = _both([(pair, 0.0) for pair in part], pad, device)
        rewards = _at_end(head(batch), batch)
        return -logsigmoid(rewards[: len(part)] - rewards[len(part) :]).sum(), batch.tokens

    lengths = [max(p.chosen.length, p.rejected.length) for p in pairs]
    return optimise(
        head, pairs, lengths, loss, lambda part: float(len(part)), settings, generator, device, 2, crew
    )
