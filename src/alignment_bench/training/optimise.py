"""What every training loop shares: optimiser, schedule, precision and micro-batches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from alignment_bench.errors import Diverged
from alignment_bench.ledger import Spend, report, training_cost
from alignment_bench.training.batches import batches_by_length
from alignment_bench.training.settings import Settings

Item = TypeVar("Item")


def make_optimiser(model: Any, learning_rate: float, eps: float = 1e-8) -> torch.optim.AdamW:
    """Fused AdamW without weight decay over the weights that train."""
    weights = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(weights, lr=learning_rate, eps=eps, weight_decay=0.0, fused=True)


def linear_schedule(step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate at `step` of `steps`: linear up over the warm-up, linear down to 0."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return (step + 1) / rise
    return max(0.0, (steps - step) / max(1, steps - rise))


@contextlib.contextmanager
def precision(bf16: bool, device: str) -> Iterator[None]:
    """bf16 autocast where asked for."""
    if not bf16:
        yield
        return
    with torch.autocast(device_type=torch.device(device).type, dtype=torch.bfloat16):
        yield


def optimise(
    model: Any,
    items: Sequence[Item],
    lengths: Sequence[int],
    loss: Callable[[Sequence[Item]], tuple[Tensor, int]],
    weight: Callable[[Sequence[Item]], float],
    settings: Settings,
    generator: np.random.Generator,
    device: str,
    rows_per_item: int = 1,
) -> list[float]:
    """Trains in place; returns the loss of every step.

    `loss(items)` gives the *sum* of the loss over a micro-batch and the tokens that went through the
    model; `weight(items)` the number of terms in that sum, so that a step's gradient is that of the mean
    over the effective batch, whatever the micro-batch. An item is `rows_per_item` rows of the model's batch.
    """
    optimiser = make_optimiser(model, settings.learning_rate)
    plan = [
        batch
        for _ in range(settings.epochs)
        for batch in batches_by_length(lengths, settings.batch_size, generator)
    ]
    parameters = sum(p.numel() for p in model.parameters())
    curve: list[float] = []
    model.train()
    for step, indices in enumerate(plan):
        factor = linear_schedule(step, len(plan), settings.warmup)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * factor
        chosen = [items[i] for i in indices]
        total_weight = weight(chosen)
        total = 0.0
        size = max(1, settings.micro_batch // rows_per_item)
        for start in range(0, len(chosen), size):
            part = chosen[start : start + size]
            with precision(settings.bf16, device):
                summed, tokens = loss(part)
            (summed / total_weight).backward()  # type: ignore[no-untyped-call]
            total += float(summed.detach())
            report(Spend(tokens_trained=tokens, flops=training_cost(parameters, tokens)))
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        curve.append(total / total_weight)
    model.eval()
    if not np.isfinite(curve).all():
        raise Diverged("learning_rate: the training loss became infinite or NaN (lower it)")
    return curve
