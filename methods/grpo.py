"""GRPO, group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300), through trl's trainer.

Each prompt is answered `group` times; a completion's advantage, the same for all its tokens, is its reward
less the group's mean, over the group's spread; clipped ratio as in PPO, no value function; the KL to the
start enters the loss per token by the estimator k3 (always positive), not the reward.

Deviations: the reward model is bought from the annotation budget by comparing the policy's own samples, its
scores normalised to mean 0 and spread 1 on those (the paper: a model trained on 144 K questions); the
reference stays the start and reward model is not renewed (the paper's outer loop, here one round of it);
groups of 8 (the paper: 64); a completion that does not end gets a fixed score; trl adds 1e-4 to the spread.
`loss` chooses how tokens are weighed: grpo is the paper's mean over each completion's tokens, others are
later corrections of its bias by length (dr_grpo is meant to go with scale_advantages=false).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques import online
from alignment_bench.training.trl_settings import GRPOLoss, OnlineSettings


@dataclass(frozen=True)
class GRPO:
    """Group relative policy optimisation against a reward model: the group is the baseline."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("prefer",)

    reward: Literal["model", "teacher"] = "model"
    """score rollouts with a reward model, or ask the teacher for every one (raw scores, its own scale)"""
    reward_kind: Literal["likelihood_ratio", "scalar"] = "likelihood_ratio"
    """form of the reward model"""
    steps: int | None = field(default=None, metadata={"min": 1})
    """rounds of sampling and updating; None: by model size"""
    rollouts: int | None = field(default=None, metadata={"min": 2})
    """completions drawn in each round, a multiple of group; None: by model size"""
    group: int = field(default=8, metadata={"min": 2, "tune": ("choice", (4, 8, 16))})
    """completions of one prompt, which are compared with one another"""
    loss: GRPOLoss = "grpo"
    """how tokens and completions are weighed"""
    beta: float = field(default=0.04, metadata={"min": 0.0, "tune": ("log", 0.01, 0.3)})
    """weight of the KL to the start in the loss; at 0 there is no reference"""
    iterations: int = field(default=1, metadata={"min": 1, "tune": ("choice", (1, 2, 4))})
    """optimiser steps on each round's rollouts"""
    clip: float = field(default=0.2, metadata={"min": 0.0})
    """range of the probability ratio; at one iteration nothing is ever clipped"""
    scale_advantages: bool = True
    """divide advantages by the spread of the group's rewards"""
    missing_eos_score: float = -1.0
    """replaces the score of a completion that did not end"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 1e-4, 1e-3)})
    """peak learning rate, falling linearly; None: by model size"""

    def __post_init__(self) -> None:
        if self.rollouts is not None:
            online.groups(self.rollouts, self.group)

    @property
    def wants(self) -> tuple[Channel, ...]:
        """Comparisons for the reward model, or scores of every rollout."""
        return ("prefer",) if self.reward == "model" else ("score",)

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy after training; its course is a footnote."""
        tier = lab.tier
        places = online.places(self.rollouts, tier.online_rollouts, self.group)
        steps = online.affordable_steps(self.reward, self.steps or tier.online_steps, places, self.group, lab)
        settings = OnlineSettings(
            algorithm="grpo",
            steps=steps,
            prompts=places,
            group=self.group,
            learning_rate=tier.online_learning_rate if self.learning_rate is None else self.learning_rate,
            beta=self.beta,
            loss=self.loss,
            iterations=self.iterations,
            scale_advantages=self.scale_advantages,
            clip=self.clip,
            missing_eos_score=self.missing_eos_score,
            micro_batch=tier.micro_batch,
            lora_rank=tier.lora_rank,
            bf16=tier.bf16,
        )
        return online.train(policy, prompts, self.reward, self.reward_kind, settings, lab)


PLUGIN = GRPO
