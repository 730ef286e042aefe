"""A process's share of a sharded training as a file: nothing is gathered to keep it or to take it up.

torch's own distributed checkpoints hang when they spread optimiser state over CPUs. A training is taken up
by as many processes as kept it, since their number is part of its key, so that each finds its own shards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor


def save(path: Path, model: Any, optimiser: torch.optim.Optimizer) -> None:
    """Writes what this process holds of the weights that train and of the optimiser's state."""
    weights = {name: share(p.detach()) for name, p in model.named_parameters() if p.requires_grad}
    state = optimiser.state_dict()
    moments = {
        k: {name: share(value) for name, value in values.items()} for k, values in state["state"].items()
    }
    path.parent.mkdir(exist_ok=True)
    torch.save({"weights": weights, "optimiser": {**state, "state": moments}}, path)


def restore(path: Path, model: Any, optimiser: torch.optim.Optimizer) -> None:
    """Loads what `save` wrote, into a model that is sharded in the same way."""
    saved = torch.load(path, weights_only=True, map_location="cpu")
    named = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in saved["weights"].items():
            (named[name].to_local() if isinstance(named[name], DTensor) else named[name]).copy_(value)
    trained = [p for group in optimiser.param_groups for p in group["params"]]
    moments = {
        k: {name: alike(value, trained[k]) for name, value in values.items()}
        for k, values in saved["optimiser"]["state"].items()
    }
    optimiser.load_state_dict({**saved["optimiser"], "state": moments})


def share(value: Any) -> Any:
    """This process's part of a tensor, in a storage of its own; what is no tensor as it is."""
    if isinstance(value, DTensor):
        return value.to_local().clone()
    return value.clone() if isinstance(value, Tensor) else value


def alike(value: Any, weight: Tensor) -> Any:
    """The inverse of `share` for a moment of `weight`; a step count stays as it is."""
    if not isinstance(weight, DTensor) or not isinstance(value, Tensor) or not value.dim():
        return value
    local = value.to(weight.to_local().device)
    return DTensor.from_local(
        local,
        weight.device_mesh,
        weight.placements,
        run_check=False,
        shape=weight.shape,
        stride=weight.stride(),
    )
