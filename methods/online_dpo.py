"""Online DPO (OAIF: Guo et al. 2024, arXiv 2402.04792), through trl's experimental trainer.

In every step the current policy answers each prompt twice, somebody says which answer is better, and the
policy takes one DPO step on those fresh pairs, its start the reference.

Who says: `labels=model`, a reward model bought with the whole budget before training (a deviation: the
paper asks an annotator, and argues against the fixed reward model); `labels=teacher`, the paper's way, the
teacher's preference in every pair, bought as training goes, as many steps as the budget pays for.

Other deviations: AdamW with a linearly falling learning rate (Adafactor in the paper); temperature 1 (the
paper .9); 32 pairs a step (128); the policy starts from the base unless init= says otherwise (an SFT
model). A pair without a preference has no gradient: two equal answers (never sent to the teacher), a tie, or
an unusable answer. With labels=model a completion that does not end gets a fixed score.
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
from alignment_bench.training.trl_settings import OnlineDPOLoss, OnlineSettings

PAIR = 2


@dataclass(frozen=True)
class OnlineDPO:
    """DPO on fresh pairs of the current policy, labelled by a reward model or by the teacher."""

    wrapper: ClassVar[bool] = False
    wants: ClassVar[tuple[Channel, ...]] = ("prefer",)

    labels: Literal["model", "teacher"] = "model"
    """label pairs with a reward model, or ask the teacher to compare every one"""
    reward_kind: Literal["likelihood_ratio", "scalar"] = "likelihood_ratio"
    """form of the reward model"""
    steps: int | None = field(default=None, metadata={"min": 1})
    """rounds of sampling and updating; None: by model size"""
    rollouts: int | None = field(default=None, metadata={"min": 2})
    """completions drawn in each round, two a prompt; None: by model size"""
    beta: float = field(default=0.1, metadata={"min": 1e-6, "tune": ("log", 0.03, 1.0)})
    """scale of the implicit reward: the larger, the nearer to the start it stays"""
    loss: OnlineDPOLoss = "sigmoid"
    """loss on the margin between the two completions"""
    missing_eos_score: float = -1.0
    """with labels=model, replaces the score of a completion that did not end"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 1e-4, 2e-3)})
    """peak learning rate, falling linearly; None: by model size"""

    def __post_init__(self) -> None:
        if self.rollouts is not None:
            online.groups(self.rollouts, PAIR)

    @property
    def from_record(self) -> tuple[Channel, ...]:
        """Comparisons for the reward model; every pair of its own needs a fresh one."""
        return ("prefer",) if self.labels == "model" else ()

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy after training; its course is a footnote."""
        tier = lab.tier
        judge: online.Judge = "model" if self.labels == "model" else "preferences"
        places = online.places(self.rollouts, tier.online_rollouts, PAIR)
        steps = online.affordable_steps(judge, self.steps or tier.online_steps, places, PAIR, lab)
        rate = tier.online_dpo_learning_rate if self.learning_rate is None else self.learning_rate
        settings = OnlineSettings(
            algorithm="online_dpo",
            steps=steps,
            prompts=places,
            group=PAIR,
            learning_rate=rate,
            beta=self.beta,
            loss=self.loss,
            missing_eos_score=self.missing_eos_score,
            micro_batch=tier.micro_batch,
            lora_rank=tier.lora_rank,
            bf16=tier.bf16,
        )
        return online.train(policy, prompts, judge, self.reward_kind, settings, lab)


PLUGIN = OnlineDPO
