"""Settings of the trainers that come from trl; importing them needs neither torch nor trl."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alignment_bench.training.settings import Settings

DPOLoss = Literal[
    "sigmoid",
    "ipo",
    "hinge",
    "robust",
    "exo_pair",
    "nca_pair",
    "bco_pair",
    "sppo_hard",
    "aot",
    "apo_zero",
    "apo_down",
    "discopop",
    "sigmoid_norm",
]
"""trl's losses on pairs that need nothing but the pairs"""
KTOLoss = Literal["kto", "apo_zero_unpaired"]
GRPOLoss = Literal["grpo", "dr_grpo", "bnpo", "dapo"]
OnlineDPOLoss = Literal["sigmoid", "ipo"]
Algorithm = Literal["online_dpo", "grpo", "rloo"]


@dataclass(frozen=True, slots=True)
class DPOSettings:
    """Everything DPO needs besides policy and pairs; part of the job's key."""

    train: Settings
    beta: float
    loss: DPOLoss = "sigmoid"
    label_smoothing: float = 0.0
    """share of pairs taken to be the wrong way round; `robust` and `exo_pair` need one above 0"""


@dataclass(frozen=True, slots=True)
class KTOSettings:
    """Everything KTO needs besides policy and labelled completions; part of the job's key."""

    train: Settings
    beta: float
    loss: KTOLoss = "kto"
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class OnlineSettings:
    """Everything the trainers that sample for themselves need; part of the job's key.

    A step draws `group` completions of each of `prompts` prompts (online DPO: two) and takes `iterations`
    optimiser steps on them.
    """

    algorithm: Algorithm
    steps: int
    prompts: int
    group: int
    learning_rate: float
    beta: float
    loss: str
    """`OnlineDPOLoss`, `GRPOLoss`, or `rloo`"""
    iterations: int = 1
    clip: float = 0.2
    scale_advantages: bool = True
    """GRPO: divide by the group's spread; RLOO: whiten over the batch"""
    missing_eos_score: float = -1.0
    """replaces the score of a completion that did not end"""
    micro_batch: int = 64
    max_grad_norm: float = 1.0
    lora_rank: int = 0
    bf16: bool = False

    @property
    def rollouts(self) -> int:
        """Completions drawn in a step."""
        return self.prompts * self.group
