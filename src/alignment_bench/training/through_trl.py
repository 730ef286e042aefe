"""What all trainers taken from trl share: configuration, optimiser, costs, silence, batches.

Only this module and its `trl_*` siblings import trl, whose trainers come and go with minor releases. What
is ours: the token ids, the batches, the optimiser and its schedule (those of `optimise`), the rollouts and
the account of tokens. What is trl's: the training step and the loss.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trl.trainer.utils as trl_utils
from torch.utils.data import DataLoader
from transformers import PrinterCallback
from transformers.utils import logging as transformers_logging

from alignment_bench.errors import BenchError, Diverged
from alignment_bench.ledger import Spend, forward_cost, report, training_cost
from alignment_bench.training.batches import batches_by_length
from alignment_bench.training.optimise import linear_schedule, make_optimiser
from alignment_bench.training.settings import Settings


class Untold:
    """Mixed into every trainer: nothing is sent to anybody outside."""

    def _send_telemetry(self) -> None:
        return None


class Planned(Untold):
    """Mixed into trainers that take their batches from us."""

    planned: list[list[int]]
    """micro-batches of dataset rows, in the order in which they are trained on"""
    train_dataset: Any
    data_collator: Any

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The planned micro-batches."""
        return DataLoader(self.train_dataset, batch_sampler=self.planned, collate_fn=self.data_collator)


def arguments(
    folder: Path,
    device: str,
    *,
    micro: int,
    accumulation: int,
    max_grad_norm: float,
    bf16: bool,
    seed: int,
) -> dict[str, Any]:
    """Arguments common to all configurations; trl's own defaults are bf16 and checkpointing, on CPUs too."""
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": accumulation,
        "num_train_epochs": 1,  # our batches of all epochs are one pass
        "max_grad_norm": max_grad_norm,
        "seed": seed,
        "data_seed": seed,
        "use_cpu": torch.device(device).type == "cpu",
        "bf16": bf16,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
        "report_to": "none",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "disable_tqdm": True,
    }


def optimisers(model: Any, learning_rate: float, steps: int, warmup: float) -> tuple[Any, Any]:
    """The optimiser and schedule of our own loops, for `steps` optimiser steps."""
    optimiser = make_optimiser(model, learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: linear_schedule(step, steps, warmup))
    return optimiser, schedule


def micro_batches(
    lengths: Sequence[int], settings: Settings, noise: np.random.Generator, rows_per_item: int, least: int = 1
) -> tuple[list[list[int]], int]:
    """All epochs' micro-batches of items, and how many of them make one optimiser step.

    Batches are those of `batches_by_length`. Every batch is split into the same number of micro-batches of
    at least `least` items, so one that is too small for that joins the batch before it.
    """
    parts = max(1, -(-settings.batch_size * rows_per_item // settings.micro_batch))
    parts = min(parts, max(1, len(lengths) // least))
    planned: list[list[int]] = []
    for _ in range(settings.epochs):
        whole: list[list[int]] = []
        small: list[int] = []
        for batch in batches_by_length(lengths, settings.batch_size, noise):
            if len(batch) < parts * least:
                small += batch
            else:
                whole.append(batch)
        if small and whole:
            whole[-1] = whole[-1] + small
        elif small:
            whole = [small]
        for batch in whole:
            planned += [[int(i) for i in part] for part in np.array_split(batch, parts)]
    return planned, parts


def metered(model: Any, parameters: int) -> None:
    """Makes every pass over `model` report its real tokens, and count positions from a row's first token.

    Passes with a cache are sampling, which reports for itself. trl gives left-padded rows no position ids.
    """

    def before(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        if kwargs.get("past_key_values") is not None:
            return None
        mask = kwargs["attention_mask"]
        tokens = int(mask.sum())
        if torch.is_grad_enabled():
            report(Spend(tokens_trained=tokens, flops=training_cost(parameters, tokens)))
        else:
            report(Spend(tokens_scored=tokens, flops=forward_cost(parameters, tokens)))
        if kwargs.get("position_ids") is None:
            kwargs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        return args, kwargs

    model.register_forward_pre_hook(before, with_kwargs=True)


@contextlib.contextmanager
def at_completions_only() -> Iterator[None]:
    """Inside, trl's projection onto the vocabulary skips prompt tokens, whose result it would mask.

    It does so by itself where Triton runs, and elsewhere keeps every position, for compilers that want one
    shape; nothing is compiled here, and prompts are most of the tokens. It has no option for it. Its kernels
    ask for Triton under another name.
    """
    own = trl_utils._use_triton
    trl_utils._use_triton = lambda device: True
    try:
        yield
    finally:
        trl_utils._use_triton = own


def size_of(model: Any) -> int:
    """Weights of the model, adapters included, as costs are computed from."""
    return sum(p.numel() for p in model.parameters())


def train(trainer: Any, keys: Mapping[str, str]) -> list[dict[str, float]]:
    """Runs the trainer; one row per optimiser step with its loss and the metrics that `keys` rename."""
    trainer.remove_callback(PrinterCallback)
    with at_completions_only():
        trainer.train()
    rows: list[dict[str, float]] = []
    for entry in trainer.state.log_history:
        if "loss" not in entry:
            continue
        found = {ours: entry[theirs] for theirs, ours in keys.items() if entry.get(theirs) is not None}
        rows.append({"step": float(len(rows)), "loss": float(entry["loss"]), **found})
    if not all(math.isfinite(row["loss"]) for row in rows):
        raise Diverged("learning_rate: the training loss became infinite or NaN (lower it)")
    trainer.model.eval()
    return rows


def check_reference(trainer: Any) -> None:
    """Raises BenchError unless the trainer's reference is the model it is about to train, weight for weight.

    GRPO and RLOO load their reference from wherever the model's configuration says it came from.
    """
    weights = dict(trainer.model.named_parameters())
    if trainer.ref_model is not None:
        twins = dict(trainer.ref_model.named_parameters())
        pairs = [(p, twins[name]) for name, p in weights.items()]
    else:  # an adapter, and its copy under the name "ref"
        own = [name for name in weights if ".default." in name]
        pairs = [(weights[name], weights[name.replace(".default.", ".ref.")]) for name in own]
    if not pairs or not all(torch.equal(p, reference) for p, reference in pairs):
        raise BenchError("the reference that trl loaded is not the policy that training starts from")


def without_reference(model: Any) -> Any:
    """The model less the copy of its adapter that trl keeps as reference, which is not to be stored."""
    if "ref" in getattr(model, "peft_config", {}):
        model.delete_adapter("ref")
    return model


@contextlib.contextmanager
def quietly(device: str) -> Iterator[None]:
    """No warnings and notices of the libraries inside; random states and environment restored after."""
    environment = dict(os.environ)
    python, numpy = random.getstate(), np.random.get_state()
    level = transformers_logging.get_verbosity()
    loggers = [logging.getLogger(name) for name in ("trl", "accelerate", "datasets")]
    levels = [logger.level for logger in loggers]
    cuda = [] if torch.device(device).type == "cpu" else [torch.device(device)]
    try:
        transformers_logging.set_verbosity(logging.CRITICAL)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), torch.random.fork_rng(devices=cuda):
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)
        for logger, before in zip(loggers, levels, strict=True):
            logger.setLevel(before)
        random.setstate(python)
        np.random.set_state(numpy)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
