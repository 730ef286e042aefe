"""The crew of several processes: gradients meet in DistributedDataParallel or fully sharded (FSDP2).

Both average gradients over processes; a process's loss therefore counts `size` times. Items of a step are
dealt out in turn, in their order of length, so that every process has about as many tokens. All processes
have equally many micro-batches, because sharded weights come together for every forward pass: who has run
out of items repeats one of them at a factor of 0.
"""

from __future__ import annotations

import contextlib
import math
import operator
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict as states

from alignment_bench.ledger import Spend, report
from alignment_bench.training.crew import FILE, Clock, restore, save, write
from alignment_bench.training.processes import shards

Item = TypeVar("Item")
SHARDS = "shards-"
"""a folder of the checkpoint after so many steps, a file a process"""


class Together:
    """One of several processes on one machine."""

    def __init__(self, accelerator: Any, sharding: str, partial: Path, seconds: float) -> None:
        """`accelerator` has joined the processes; checkpoints lie in `partial`, at least `seconds` apart."""
        self.accelerator = accelerator
        self.sharding = sharding
        self.file = partial / FILE
        self.clock = Clock(seconds)
        self.asked = 1
        """the step after which the first process looks at its clock for all"""
        self.begun: int | None = None

    @property
    def rank(self) -> int:
        """Which process this is."""
        return int(self.accelerator.process_index)

    @property
    def size(self) -> int:
        """How many there are."""
        return int(self.accelerator.num_processes)

    @property
    def device(self) -> str:
        """Where this one computes."""
        return str(self.accelerator.device)

    @property
    def shelf(self) -> str:
        """Where it loads models: a sharded one may not fit on one device."""
        return self.device if self.sharding == "ddp" else "cpu"

    def ready(self, model: Any) -> Any:
        """The model behind DDP, or sharded in place."""
        if self.sharding == "ddp":
            return self.accelerator.prepare_model(model)
        from accelerate.utils import fsdp2_prepare_model

        # accelerate leaves FSDP out on CPUs (state.py), where this very function works as well.
        self.accelerator.state.fsdp_plugin = sharding_plugin(model)
        return fsdp2_prepare_model(self.accelerator, model)

    def whole(self, model: Any, like: Any) -> Any:
        """The model itself, or its shards put together in a fresh one, on the first process."""
        if self.sharding == "ddp":
            return self.accelerator.unwrap_model(model) if self.rank == 0 else None
        found = states.get_model_state_dict(model, options=_GATHERED)
        if self.rank != 0:
            return None
        fresh = like()
        named = dict(fresh.named_parameters())
        if missing := sorted(set(named) - set(found)):
            raise RuntimeError(f"the shards do not hold {', '.join(missing[:3])} of the trained model")
        with torch.no_grad():
            for name, value in found.items():
                if name in named:
                    named[name].copy_(value)
        return fresh

    def parts(self, items: Sequence[Item], size: int) -> list[tuple[Sequence[Item], float]]:
        """Every `size`-th item from the one of this process's number, filled up with an item at 0."""
        mine = items[self.rank :: self.size]
        passes = math.ceil(math.ceil(len(items) / self.size) / size)
        factor = float(self.size)
        found = [(mine[start : start + size], factor) for start in range(0, len(mine), size)]
        return found + [(items[:1], 0.0)] * (passes - len(found))

    def accumulating(self, model: Any, more: bool) -> AbstractContextManager[None]:
        """DDP sums up gradients once a step. Sharded ones meet at once: whole ones may not fit."""
        if more and self.sharding == "ddp":
            found: AbstractContextManager[None] = self.accelerator.no_sync(model)
            return found
        return contextlib.nullcontext()

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over processes, in double precision."""
        sums = torch.tensor(list(values), dtype=torch.float64, device=self.accelerator.device)
        dist.all_reduce(sums)
        found: list[float] = sums.tolist()
        return found

    def resume(self, model: Any, optimiser: torch.optim.Optimizer) -> list[float]:
        """Takes up the checkpoint; the first process reports what it had cost them all."""
        first = self.rank == 0
        said: list[Any] = [first and self.file.exists()]  # one looks for all
        dist.broadcast_object_list(said, src=0)
        if not said[0]:
            return []
        if self.sharding == "ddp":
            return restore(self.file, unwrapped(self.accelerator, model), optimiser, paid=first)
        state = torch.load(self.file, weights_only=True, map_location="cpu")
        shards.restore(self.shard(state["shards"]), model, optimiser)
        if first:
            report(Spend.from_json(state["spend"]))
        return list(state["curve"])

    def shard(self, folder: str) -> Path:
        """This process's file in a folder of shards."""
        return self.file.parent / folder / f"{self.rank}.pt"

    def due(self, step: int) -> bool:
        """The first process's clock counts. It is asked for at steps that all know beforehand."""
        if self.begun is None:
            self.begun = step
            self.asked = step + 1
        if step < self.asked:
            return False
        due = self.clock.due()
        pace = max(1e-6, self.clock.elapsed / (step + 1 - self.begun))
        left = self.clock.wait if due else self.clock.wait - self.clock.elapsed
        said: list[Any] = [due, step + max(1, math.ceil(left / pace))]
        dist.broadcast_object_list(said, src=0)
        due, self.asked = said
        if due:
            self.begun = step + 1
        return bool(due)

    def keep(
        self, model: Any, optimiser: torch.optim.Optimizer, curve: Sequence[float], spent: Spend
    ) -> None:
        """Each process writes its shards, if any; then the first what is whole, or where the shards are."""
        with self.clock.pausing():
            folder = f"{SHARDS}{len(curve)}"
            if self.sharding == "fsdp":
                shards.save(self.shard(folder), model, optimiser)
            everybody: list[Any] = [None] * self.size
            dist.all_gather_object(everybody, spent)  # and all shards are written
            if self.rank != 0:
                return
            spends = reduce(operator.add, everybody)
            if self.sharding == "ddp":
                save(self.file, unwrapped(self.accelerator, model), optimiser, curve, spends)
                return
            write(self.file, {"shards": folder}, curve, spends)
            for old in self.file.parent.glob(f"{SHARDS}*"):
                if old.name != folder:
                    shutil.rmtree(old)

    def part(self) -> None:
        """Leaves in order, once all are here."""
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()


_GATHERED = states.StateDictOptions(full_state_dict=True, cpu_offload=True)


def unwrapped(accelerator: Any, model: Any) -> Any:
    """The model inside DDP."""
    return accelerator.unwrap_model(model)


def sharding_plugin(model: Any) -> Any:
    """FSDP2 by decoder layer."""
    from accelerate.utils import FullyShardedDataParallelPlugin

    layers = {name for module in model.modules() for name in getattr(module, "_no_split_modules", None) or ()}
    present = sorted(layers & {type(module).__name__ for module in model.modules()})
    return FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=present,
        cpu_ram_efficient_loading=False,
    )


def joined(device: str, sharding: str, partial: Path, seconds: float, patience: float) -> Together:
    """This process's place among the processes that its environment names (torch elastic sets it)."""
    from datetime import timedelta

    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

    handlers = [
        # Models have no buffers that training changes; a scalar head leaves the vocabulary unread.
        DistributedDataParallelKwargs(broadcast_buffers=False, find_unused_parameters=True),
        InitProcessGroupKwargs(timeout=timedelta(seconds=patience)),
    ]
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no", kwargs_handlers=handlers)
    return Together(accelerator, sharding, partial, seconds)
