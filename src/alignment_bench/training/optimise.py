"""What every training loop shares: optimiser, schedule, precision, micro-batches and checkpoints."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from alignment_bench.errors import Diverged
from alignment_bench.ledger import Spend, metering, report, training_cost
from alignment_bench.training.batches import batches_by_length
from alignment_bench.training.crew import Alone, Crew
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
    crew: Crew | None = None,
    draw: Callable[[Sequence[Item]], Sequence[Item]] | None = None,
) -> list[float]:
    """Trains in place; returns the loss of every step.

    `loss(items)` gives the *sum* of the loss over a micro-batch and the tokens that went through the
    model; `weight(items)` the number of terms in that sum, so that a step's gradient is that of the mean
    over the effective batch, whatever the micro-batch and however many processes the `crew` is. An item is
    `rows_per_item` rows of the model's batch. `draw(items)` gives a step's items whatever is drawn for
    them at random, in one order for all processes. A killed training goes on from the crew's checkpoint.
    """
    crew = crew or Alone()
    optimiser = make_optimiser(model, settings.learning_rate)
    plan = [
        batch
        for _ in range(settings.epochs)
        for batch in batches_by_length(lengths, settings.batch_size, generator)
    ]
    size = max(1, settings.micro_batch // rows_per_item)
    parameters = sum(p.numel() for p in model.parameters())
    trained = [p for p in model.parameters() if p.requires_grad]
    with metering() as meter:
        curve = crew.resume(model, optimiser)
        done = len(curve)
        fresh: list[tuple[list[Tensor], float]] = []
        model.train()
        for step, indices in enumerate(plan):
            chosen: Sequence[Item] = [items[i] for i in indices]
            if draw is not None:
                chosen = draw(chosen)
            if step < done:
                continue
            factor = linear_schedule(step, len(plan), settings.warmup)
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * factor
            terms = weight(chosen)
            sums, tokens = accumulate(model, crew.parts(chosen, size), loss, terms, settings, device, crew)
            report(Spend(tokens_trained=tokens, flops=training_cost(parameters, tokens)))
            torch.nn.utils.clip_grad_norm_(trained, settings.max_grad_norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            fresh.append((sums, terms))
            if crew.due(step):
                curve += means(fresh, crew)
                fresh = []
                crew.keep(model, optimiser, curve, meter.total)
        curve += means(fresh, crew)
    report(meter.total)
    model.eval()
    if not np.isfinite(curve).all():
        raise Diverged("learning_rate: the training loss became infinite or NaN (lower it)")
    return curve


def accumulate(
    model: Any,
    parts: Sequence[tuple[Sequence[Item], float]],
    loss: Callable[[Sequence[Item]], tuple[Tensor, int]],
    terms: float,
    settings: Settings,
    device: str,
    crew: Crew,
) -> tuple[list[Tensor], int]:
    """Adds up the gradient of (sum of losses) / `terms` over micro-batches; their losses, and the tokens.

    A loss stays a tensor: reading it would make a GPU's host wait for every micro-batch.
    """
    sums: list[Tensor] = []
    tokens = 0
    for number, (part, factor) in enumerate(parts, 1):
        with contextlib.ExitStack() as around:
            around.enter_context(crew.accumulating(model, number < len(parts)))
            if not factor:
                around.enter_context(metering())  # what only keeps others company costs nobody anything
            with precision(settings.bf16, device):
                summed, read = loss(part)
            mean = summed / terms
            (mean if factor == 1.0 else mean * factor).backward()  # type: ignore[no-untyped-call]
        if factor:
            sums.append(summed.detach())
            tokens += read
    return sums, tokens


def means(steps: Sequence[tuple[Sequence[Tensor], float]], crew: Crew) -> list[float]:
    """The loss of each step, of (sums over micro-batches, terms)."""
    own = []
    for sums, _ in steps:
        total = 0.0
        for one in sums:  # in this order: sum() adds floats up in another way since Python 3.12
            total += float(one)
        own.append(total)
    return [total / terms for total, (_, terms) in zip(crew.total(own), steps, strict=True)]
