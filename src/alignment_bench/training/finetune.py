"""Supervised fine-tuning on completions: cross-entropy over completion tokens, prompts masked.

The `Objective` adds what methods ask for besides: a KL penalty against a reference that may read another
prompt, an entropy bonus, unlikelihood rows, a forgetful causal mask, and a language-model loss on plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alignment_bench.ledger import Spend, forward_cost, report
from alignment_bench.training.batches import Batch, Row, collate, completion_logits, token_logprobs
from alignment_bench.training.crew import Crew
from alignment_bench.training.optimise import optimise, precision
from alignment_bench.training.settings import Objective, Settings


def finetune(
    model: Any,
    rows: Sequence[Row],
    settings: Settings,
    generator: np.random.Generator,
    pad: int,
    device: str,
    objective: Objective | None = None,
    reference: Any = None,
    crew: Crew | None = None,
) -> list[float]:
    """Trains `model` in place on the rows' completions; returns the loss in nats per token at every step.

    `reference` is the frozen model of the objective's KL penalty.
    """
    objective = objective or Objective()
    if objective.kl_coefficient and reference is None:
        raise ValueError("a KL penalty needs a reference model")
    plain_weight = objective.plain_weight
    if plain_weight:
        beside = sum(len(row.completion) for row in rows if len(row.plain) > 1)
        if not beside:
            raise ValueError("a plain-text loss needs plain texts of two tokens or more")
        # Fewer texts than rows count more each, so that the weight means the same.
        plain_weight *= sum(len(row.completion) for row in rows) / beside
    draw: Callable[[Sequence[Row]], Sequence[Row]] | None = None
    if objective.hidden_share:
        draw = _hiding(objective.hidden_share, settings.micro_batch, generator)
    cost = forward_cost(sum(p.numel() for p in model.parameters()), 1)

    def loss(part: Sequence[Row]) -> tuple[Tensor, int]:
        batch = collate(part, pad, device)
        logits = completion_logits(model, hidden(batch, part))
        terms = answer_terms(logits, batch, part)
        if objective.kl_coefficient:
            with torch.no_grad(), precision(settings.bf16, device):
                theirs = collate([_as_reference_reads(row) for row in part], pad, device)
                known = completion_logits(reference, theirs)
            report(Spend(tokens_scored=theirs.tokens, flops=cost * theirs.tokens))
            terms = terms + objective.kl_coefficient * divergence(known, logits, objective.kl_direction)
        if objective.entropy_coefficient:
            terms = terms - objective.entropy_coefficient * entropy(logits)
        total, tokens = terms.masked_fill(~batch.mask, 0.0).sum(), batch.tokens
        if plain_weight:
            extra, read = plain_loss(model, part, pad, device, always=crew is not None and crew.size > 1)
            total, tokens = total + plain_weight * extra, tokens + read
        return total, tokens

    def weight(part: Sequence[Row]) -> float:
        return float(sum(len(row.completion) for row in part))

    lengths = [row.length for row in rows]
    return optimise(model, rows, lengths, loss, weight, settings, generator, device, crew=crew, draw=draw)


def answer_terms(logits: Tensor, batch: Batch, rows: Sequence[Row]) -> Tensor:
    """Weighted loss of each completion token, [B, C]: -log p, or -log(1 - p) for unlikely rows."""
    logprobs = token_logprobs(logits, batch)
    terms = -logprobs
    if any(row.unlikely for row in rows):
        unlikely = torch.tensor([row.unlikely for row in rows], device=terms.device).unsqueeze(1)
        complement = torch.log1p(-logprobs.exp().clamp(max=1 - 1e-6))
        terms = torch.where(unlikely, -complement, terms)
    if any(row.weight != 1.0 for row in rows):
        terms = terms * torch.tensor([row.weight for row in rows], device=terms.device).unsqueeze(1)
    return terms


def divergence(reference: Tensor, policy: Tensor, direction: str) -> Tensor:
    """Exact KL at each completion token, [B, C], from logits [B, C, V]; forward: KL(reference || policy)."""
    theirs, ours = torch.log_softmax(reference.float(), -1), torch.log_softmax(policy.float(), -1)
    first, second = (theirs, ours) if direction == "forward" else (ours, theirs)
    return (first.exp() * (first - second)).sum(-1)


def entropy(logits: Tensor) -> Tensor:
    """Exact entropy of the next token at each completion token, [B, C]."""
    logprobs = torch.log_softmax(logits.float(), -1)
    return -(logprobs.exp() * logprobs).sum(-1)


def plain_loss(
    model: Any, rows: Sequence[Row], pad: int, device: str, always: bool = False
) -> tuple[Tensor, int]:
    """Sum over rows of the mean loss per token of the row's plain text, times the row's completion length.

    So that, divided by the completion tokens of a step, it is a mean loss per token of plain text. With
    `always` the model is called even where there is no text: processes that share one call it together.
    """
    kept = [row for row in rows if len(row.plain) > 1]
    if not kept and always:
        batch = collate([Row(rows[0].completion[:1], rows[0].completion[:1])], pad, device)
        return 0.0 * token_logprobs(completion_logits(model, batch), batch).sum(), 0
    if not kept:
        return torch.zeros((), device=device), 0
    batch = collate([Row(row.plain[:1], row.plain[1:]) for row in kept], pad, device)
    nll = -token_logprobs(completion_logits(model, batch), batch).sum(1) / batch.mask.sum(1)
    lengths = torch.tensor([float(len(row.completion)) for row in kept], device=device)
    return (nll * lengths).sum(), batch.tokens


def _as_reference_reads(row: Row) -> Row:
    return row if row.reference is None else Row(row.reference, row.completion)


def _hiding(
    share: float, micro_batch: int, generator: np.random.Generator
) -> Callable[[Sequence[Row]], Sequence[Row]]:
    """A forgetful causal mask (Liu et al. 2022, arXiv 2210.13432) for every row of a step.

    Drawn in the shapes of the micro-batches that one process has, whoever works on the rows.
    """
    noise = torch.Generator().manual_seed(int(generator.integers(2**62)))

    def draw(rows: Sequence[Row]) -> Sequence[Row]:
        found: list[Row] = []
        for start in range(0, len(rows), micro_batch):
            part = rows[start : start + micro_batch]
            before = max(len(row.prompt) for row in part)
            after = max(len(row.completion) for row in part)
            ratio = torch.rand((len(part), 1), generator=noise) * share
            kept = torch.rand((len(part), before + after), generator=noise) >= ratio
            for row, line in zip(part, kept, strict=True):
                own = line[before - len(row.prompt) : before + len(row.completion)]
                found.append(replace(row, seen=tuple(own.tolist())))
        return found

    return draw


def hidden(batch: Batch, rows: Sequence[Row]) -> Batch:
    """The batch without attention to tokens that its rows may not see; the first is always seen."""
    if all(row.seen is None for row in rows):
        return batch
    kept = torch.ones(batch.attention.shape, dtype=torch.bool)
    for line, row in zip(kept, rows, strict=True):
        if row.seen is not None:
            start = batch.prompt_columns - len(row.prompt)
            line[start : start + row.length] = torch.tensor(row.seen)
    first = batch.attention.cumsum(1) == 1
    return replace(batch, attention=batch.attention * (kept.to(first.device) | first).long())
