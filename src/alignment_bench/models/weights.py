"""A policy's weights in memory: merged for inference, fresh for training, served by vLLM.

Where an adapter comes from and what it sits on is decided here; what is kept in memory, in `loading`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from alignment_bench.models import loading
from alignment_bench.models.vllm_engine import Served

if TYPE_CHECKING:
    from alignment_bench.models.policy import ModelPolicy


def fresh(policy: ModelPolicy, lora_rank: int, seed: int) -> Any:
    """A float32 model from disk that trains: all its weights, or a LoRA adapter of that rank."""
    loading.make_room(policy.n_parameters)  # training needs the memory more than sampling needs the seconds
    if lora_rank and continues(policy, lora_rank):
        return loading.with_adapter(_plain(policy, "float32"), policy.folder, trainable=True)
    model = _merged(policy, "float32").requires_grad_(True)  # merging an adapter leaves weights frozen
    return loading.new_adapter(model, lora_rank, seed) if lora_rank else model


def continues(policy: ModelPolicy, lora_rank: int) -> bool:
    """Whether training at that rank goes on with the policy's own adapter."""
    return policy.weights == "adapter" and loading.adapter_rank(policy.folder) == lora_rank


def for_inference(policy: ModelPolicy, dtype: str) -> Any:
    """The policy's model in that precision, adapter merged; kept while in use."""
    weights = policy.base_digest if policy.weights == "base" else policy.digest
    return loading.kept((weights, dtype, policy.device), lambda: _merged(policy, dtype).requires_grad_(False))


def sampling_twin(policy: ModelPolicy, model: Any) -> Any:
    """A model in training itself, or its copy in the precision that the policy samples in."""
    wanted = policy.runtime.sampling_dtype(policy.n_parameters)
    if str(next(model.parameters()).dtype) == f"torch.{wanted}":
        return model
    return loading.inference_copy(model, wanted)


@contextmanager
def served(policy: ModelPolicy, model: Any = None) -> Iterator[Served | None]:
    """The policy's weights as vLLM loads them: all of them, or the base's with an adapter over them.

    Those of a `model` in training are its adapter, written out; None where its other weights are not the
    base's own.
    """
    base = Served(
        model=policy.source.located,
        tokenizer=policy.source.located,
        dtype=policy.runtime.sampling_dtype(policy.n_parameters),
        trust=policy.runtime.trust,
    )
    if model is not None:
        adapters = getattr(model, "peft_config", {})
        rank = adapters["default"].r if "default" in adapters else 0
        if not rank or not (policy.weights == "base" or continues(policy, rank)):
            yield None
            return
        with tempfile.TemporaryDirectory() as scratch:
            model.save_pretrained(scratch, selected_adapters=["default"])
            yield replace(base, adapter=Path(scratch), rank=rank)
    elif policy.weights == "full":
        yield replace(base, model=policy.folder, alone=True)
    elif policy.weights == "adapter":
        yield replace(base, adapter=policy.folder, rank=loading.adapter_rank(policy.folder))
    else:
        yield base


def _merged(policy: ModelPolicy, dtype: str) -> Any:
    if policy.weights != "adapter":
        return _plain(policy, dtype)
    # Merged in float32: a small update would vanish in bfloat16's rounding of the sum.
    merged = loading.with_adapter(_plain(policy, "float32"), policy.folder)
    return merged.to(getattr(torch, dtype)).eval()


def _plain(policy: ModelPolicy, dtype: str) -> Any:
    folder = policy.folder if policy.weights == "full" else policy.source.located
    return loading.load(folder, dtype, policy.device, trust=policy.runtime.trust)
