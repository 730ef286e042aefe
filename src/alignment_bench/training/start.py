"""The policy that training starts from, as a reference that needs no second copy of the base.

A fresh LoRA adapter changes nothing, so the reference is the model with its adapter off. Where what trains is
not fresh (an adapter trained further, or all weights), the reference is the same model with copies of those
weights put in their places for one pass: of an adapter that is a few megabytes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


class Start(torch.nn.Module):
    """A model as it was when this was made: called like the model, without a gradient.

    It has no weights of its own as torch counts them: the model's owner trains, moves and stores them.
    """

    def __init__(self, model: Any, fresh_adapter: bool) -> None:
        """`fresh_adapter`: the model has a LoRA adapter that changed nothing yet."""
        super().__init__()
        self._model = [model]
        self._kept = (
            [] if fresh_adapter else [(p, p.detach().clone()) for p in model.parameters() if p.requires_grad]
        )

    @torch.no_grad()
    def forward(self, **arguments: Any) -> Any:
        """What the model would have returned then."""
        (model,) = self._model
        with self._put_back() if self._kept else model.disable_adapter():
            return model(**arguments)

    @contextlib.contextmanager
    def _put_back(self) -> Iterator[None]:
        trained = [p.data for p, _ in self._kept]
        try:
            for p, kept in self._kept:
                p.data = kept
            torch.clear_autocast_cache()  # it holds the trained weights in bf16
            yield
        finally:
            for (p, _), data in zip(self._kept, trained, strict=True):
                p.data = data
            torch.clear_autocast_cache()
