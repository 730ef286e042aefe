"""RLOO, REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv 2402.14740), through trl's trainer.

Each prompt is answered `group` times; a whole completion is one action, its baseline the mean reward of
the other completions of the same prompt; the KL to the start, by the estimator k1 summed over tokens, is
taken from the reward before the baseline is.

Deviations: the reward model is bought from the annotation budget by comparing the policy's own samples, its
scores normalised to mean 0 and spread 1 on those; the policy starts from the base unless init= says
otherwise (an SFT model in the paper); groups of 4 (the paper: 2 and 4); a completion that does not end gets
a fixed score; trl's loss is a clipped probability ratio, whose gradient at one iteration is REINFORCE's.
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
from alignment_bench.training.trl_settings import OnlineSettings


@dataclass(frozen=True)
class RLOO:
    """REINFORCE against a reward model, with the other completions of a prompt as baseline."""

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
    group: int = field(default=4, metadata={"min": 2, "tune": ("choice", (2, 4, 8))})
    """completions of one prompt, which are compared with one another"""
    beta: float = field(default=0.05, metadata={"min": 0.0, "tune": ("log", 0.01, 0.3)})
    """weight of the KL to the start in the reward; at 0 there is no reference"""
    iterations: int = field(default=1, metadata={"min": 1, "tune": ("choice", (1, 2, 4))})
    """optimiser steps on each round's rollouts"""
    clip: float = field(default=0.2, metadata={"min": 0.0})
    """range of a completion's probability ratio; at one iteration nothing is ever clipped"""
    scale_advantages: bool = False
    """whiten advantages over the round's rollouts"""
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
            algorithm="rloo",
            steps=steps,
            prompts=places,
            group=self.group,
            learning_rate=tier.online_learning_rate if self.learning_rate is None else self.learning_rate,
            beta=self.beta,
            loss="rloo",
            iterations=self.iterations,
            scale_advantages=self.scale_advantages,
            clip=self.clip,
            missing_eos_score=self.missing_eos_score,
            micro_batch=tier.micro_batch,
            lora_rank=tier.lora_rank,
            bf16=tier.bf16,
        )
        return online.train(policy, prompts, self.reward, self.reward_kind, settings, lab)


PLUGIN = RLOO
