"""Who trains a model: this process alone, or several that share every step (`processes`).

A loop asks its crew for its own part of a step's items, for sums over all processes, and to keep a
checkpoint now and then; alone, all of that is nothing, or a file. A training that takes less than
`CHECKPOINT_SECONDS` never writes one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from alignment_bench.ledger import Spend, report

Item = TypeVar("Item")
CHECKPOINT_SECONDS = 60.0
"""least time between two checkpoints"""
CHECKPOINT_SHARE = 20
"""a checkpoint that took t seconds is followed by at least this many times t of training"""
FILE = "training.pt"


class Crew(Protocol):
    """The processes that train one model together, as one of them sees them."""

    @property
    def rank(self) -> int:
        """Which of them this is, from 0."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def device(self) -> str | None:
        """Where this one computes; None: where the policy that is trained says."""

    @property
    def shelf(self) -> str | None:
        """Where it loads a model that is then made `ready`; None likewise."""

    def ready(self, model: Any) -> Any:
        """The model, as it is to be called, optimised and measured from now on."""

    def whole(self, model: Any, like: Any) -> Any:
        """The trained model, to be stored by rank 0; None elsewhere. `like()` makes a model of its shape."""

    def parts(self, items: Sequence[Item], size: int) -> list[tuple[Sequence[Item], float]]:
        """This process's micro-batches of at most `size` items, each with the factor on its loss.

        Every process has equally many: what is 0 times a loss fills up."""

    def accumulating(self, model: Any, more: bool) -> AbstractContextManager[None]:
        """Around forward and backward; with `more` micro-batches to come, gradients need not meet yet."""

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes."""

    def resume(self, model: Any, optimiser: torch.optim.Optimizer) -> list[float]:
        """Takes up the checkpoint of a killed training, its costs included; the losses of its steps."""

    def due(self, step: int) -> bool:
        """Whether a checkpoint is due after this step; the same answer for all."""

    def keep(
        self, model: Any, optimiser: torch.optim.Optimizer, curve: Sequence[float], spent: Spend
    ) -> None:
        """Writes a checkpoint; `curve` is of all processes, `spent` this one's own."""


class Alone:
    """One process."""

    rank = 0
    size = 1
    device = None
    shelf = None

    def __init__(self, partial: Path | None = None) -> None:
        """Checkpoints are kept in `partial`; None: nowhere."""
        self.partial = partial
        self.clock = Clock()

    def ready(self, model: Any) -> Any:
        """The model."""
        return model

    def whole(self, model: Any, like: Any) -> Any:
        """The model."""
        return model

    def parts(self, items: Sequence[Item], size: int) -> list[tuple[Sequence[Item], float]]:
        """The items in their order."""
        return [(items[start : start + size], 1.0) for start in range(0, len(items), size)]

    def accumulating(self, model: Any, more: bool) -> AbstractContextManager[None]:
        """Nothing."""
        return contextlib.nullcontext()

    def total(self, values: Sequence[float]) -> list[float]:
        """The values."""
        return list(values)

    def resume(self, model: Any, optimiser: torch.optim.Optimizer) -> list[float]:
        """Takes up the checkpoint, if there is one."""
        if self.partial is None or not (self.partial / FILE).exists():
            return []
        return restore(self.partial / FILE, model, optimiser)

    def due(self, step: int) -> bool:
        """Whether there has been enough training since the last."""
        return self.partial is not None and self.clock.due()

    def keep(
        self, model: Any, optimiser: torch.optim.Optimizer, curve: Sequence[float], spent: Spend
    ) -> None:
        """Writes a checkpoint."""
        assert self.partial is not None
        with self.clock.pausing():
            save(self.partial / FILE, model, optimiser, curve, spent)


class Clock:
    """When a checkpoint is due: `seconds` after the last, or later where checkpoints take long."""

    def __init__(self, seconds: float | None = None) -> None:
        """Starts now; None: `CHECKPOINT_SECONDS`."""
        self.wait = CHECKPOINT_SECONDS if seconds is None else seconds
        self.last = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the last checkpoint."""
        return time.monotonic() - self.last

    def due(self) -> bool:
        """Whether one is due."""
        return self.elapsed >= self.wait

    @contextlib.contextmanager
    def pausing(self) -> Iterator[None]:
        """Around the writing of one."""
        begun = time.monotonic()
        yield
        self.last = time.monotonic()
        self.wait = max(self.wait, CHECKPOINT_SHARE * (self.last - begun))


def save(
    path: Path, model: Any, optimiser: torch.optim.Optimizer, curve: Sequence[float], spent: Spend
) -> None:
    """Writes the state of a training; the file is replaced whole."""
    weights = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    write(path, {"weights": weights, "optimiser": optimiser.state_dict()}, curve, spent)


def write(path: Path, state: dict[str, Any], curve: Sequence[float], spent: Spend) -> None:
    """Writes a state with what has been lost and spent so far; the file is replaced whole."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    torch.save({**state, "curve": list(curve), "spend": spent.to_json()}, scratch)
    os.replace(scratch, path)


def restore(path: Path, model: Any, optimiser: torch.optim.Optimizer, paid: bool = True) -> list[float]:
    """Loads what `save` wrote; reports its costs where they are `paid` here. The losses so far."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    named = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in state["weights"].items():
            named[name].copy_(value)
    optimiser.load_state_dict(state["optimiser"])
    if paid:
        report(Spend.from_json(state["spend"]))
    return list(state["curve"])
