"""How much memory a worker needs at most: an estimate from the model's shape and the plan's batches.

Weights in float32, gradients and two moments of what is trained, the models that inference keeps, and the
larger of what a batch of sampling and a micro-batch of training hold. On a CPU all of it counts beside the
libraries; on a GPU it is the device's memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignment_bench.runtime import batch_rows

if TYPE_CHECKING:
    from collections.abc import Set

    from alignment_bench.plan import Setting

LIVE = 14
"""float32 vectors of hidden size that a layer keeps for each token until the backward pass, about"""


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of one worker, by what they hold."""

    libraries: float
    weights: float
    training: float
    """gradients, moments, activations of a micro-batch"""
    sampling: float
    """cache and probabilities of a batch"""
    probed: float = 0.0
    """what the probe's process held at its peak, which did a little of everything"""

    @property
    def total(self) -> float:
        """The peak, no less than the probe's: training and sampling do not happen at once."""
        computed = self.libraries + self.weights + max(self.training, self.sampling)
        return max(computed, self.probed)


def memory(
    setting: Setting, kinds: Set[str], prompt: int, completion: int, libraries: float, probed: float
) -> Memory:
    """The peak for jobs of these kinds, with prompts and completions of these lengths."""
    shape: dict[str, Any] = json.loads((setting.source.located / "config.json").read_text("utf-8"))
    shape = {**shape, **shape.get("text_config", {})}
    hidden = int(shape.get("hidden_size") or shape.get("n_embd") or 1)
    layers = int(shape.get("num_hidden_layers") or shape.get("n_layer") or 1)
    heads = int(shape.get("num_attention_heads") or shape.get("n_head") or 1)
    grouped = int(shape.get("num_key_value_heads") or heads)
    inner = int(shape.get("intermediate_size") or shape.get("n_inner") or 4 * hidden)
    vocabulary = int(shape["vocab_size"])
    size, tier, runtime = setting.source.parameters, setting.tier, setting.runtime
    trains = bool(kinds & TRAINING)
    adapters = 2 * tier.lora_rank * layers * (5 * hidden + 2 * hidden + 3 * inner)
    learnt = adapters if tier.lora_rank else size
    bytes_of = 4 if runtime.sampling_dtype(size) == "float32" else 2
    rows = batch_rows(size, "sample", runtime.device)
    width = prompt + setting.decoding.max_tokens
    cache = rows * width * layers * 2 * grouped * (hidden // heads) * bytes_of
    # A step holds logits, probabilities in double precision and their sums.
    drawing = rows * vocabulary * (4 + 4 + 8 + 8)
    micro = tier.micro_batch
    tokens = micro * (prompt + completion)
    # Logits, their log-softmax, and the gradient of each, at completion positions.
    logits = micro * completion * vocabulary * 4 * 4
    active = tokens * layers * (LIVE * hidden + 3 * inner) * (2 if tier.bf16 else 4)
    attention = layers * micro * heads * (prompt + completion) ** 2 * 4
    references = 1 if "ppo" in kinds and not tier.lora_rank else 0
    training = learnt * 4 * 3 + references * size * 4 + logits + active + attention
    kept = size * 4 + (size * bytes_of if size >= 10_000_000 else size * 4)
    return Memory(
        libraries=libraries,
        weights=float(kept),
        training=float(training) if trains else 0.0,
        sampling=float(cache + drawing),
        probed=probed if runtime.device == "cpu" else 0.0,
    )


TRAINING = frozenset(
    ("finetune", "reward_model", "ppo", "dpo", "kto", "online_dpo", "grpo", "rloo", "copy", "settle")
)
"""kinds of jobs that load a model with gradients"""
