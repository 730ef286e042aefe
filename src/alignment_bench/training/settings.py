"""Settings of the training loops; importing them needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is trained; everything here is part of the job's key."""

    learning_rate: float
    epochs: int
    batch_size: int
    micro_batch: int
    """rows that go through the model at once; changes memory and rounding, not the effective batch"""
    warmup: float = 0.1
    """share of the steps over which the learning rate rises; it then falls linearly to 0"""
    max_grad_norm: float = 1.0
    lora_rank: int = 0
    """rank of LoRA adapters; 0 trains all weights"""
    bf16: bool = False
    """bf16 autocast over fp32 weights"""


@dataclass(frozen=True, slots=True)
class Objective:
    """What supervised training minimises besides the loss on completions; part of the job's key.

    Per completion token: loss + kl_coefficient * KL - entropy_coefficient * entropy, both exact over the
    vocabulary, against the reference policy that the job is given.
    """

    kl_coefficient: float = 0.0
    kl_direction: Literal["forward", "backward"] = "backward"
    """forward: KL(reference || policy); backward: KL(policy || reference)"""
    entropy_coefficient: float = 0.0
    hidden_share: float = 0.0
    """forgetful causal mask: each row hides a share drawn from U(0, hidden_share) of its past tokens from
    attention, never the first"""
    plain_weight: float = 0.0
    """factor on the mean language-model loss per token of plain texts, however many there are; each stands
    beside one completion"""


@dataclass(frozen=True, slots=True)
class PPOSettings:
    """Everything PPO needs besides model, prompts and reward; part of the job's key."""

    iterations: int
    rollouts: int
    epochs: int
    minibatches: int
    learning_rate: float
    kl_coefficient: float
    clip: float
    value_clip: float
    value_coefficient: float
    gamma: float
    gae_lambda: float
    missing_eos_score: float | None
    """replaces the score of a completion that did not end; None: the score counts"""
    whiten_advantages: bool
    separate_value: bool
    micro_batch: int
    max_grad_norm: float = 1.0
    lora_rank: int = 0
    bf16: bool = False
    temperature: float = 1.0
    """of rollouts; divides the logits of policy and reference wherever PPO reads them"""
    kl_estimator: Literal["k1", "k3"] = "k1"
    whiten_rewards: bool = False
    value_start: Literal["fresh", "reward"] = "fresh"
    """what the value function starts from: a new head, or the scalar reward model whole"""
    stop_at_kl: float | None = None
    """mean KL to the start per sequence, in nats, above which training ends"""
