"""Settings of the training loops; importing them needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


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
    missing_eos_score: float
    whiten_advantages: bool
    separate_value: bool
    micro_batch: int
    max_grad_norm: float = 1.0
    lora_rank: int = 0
    bf16: bool = False
