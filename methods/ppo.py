"""PPO against a reward model (Schulman et al. 2017; for summaries Stiennon et al. 2020, arXiv 2009.01325).

The loop follows the implementation details of Huang et al. 2024 (arXiv 2403.17031): per-token KL penalty
with estimator k1, the score at the last real token, GAE with gamma 1 and lambda .95, whitened advantages,
no reward whitening, clipped value loss, a rule for completions that do not end, logits divided by the
rollouts' temperature everywhere, no dropout, AdamW eps 1e-5, linear decay; see
`alignment_bench.training.ppo`.

Deviations: the reward model is bought from the annotation budget by comparing samples of the policy that
training starts from, its scores are normalised to mean 0 *and* spread 1 on those (fresh samples spread less;
the papers shift so that references have mean 0); the policy starts from the base unless init= says otherwise,
and is its own reference then; the value function is a new head on the policy's own trunk, unless
value_start=reward gives it a copy of the reward model (which is the papers'); rollouts at temperature 1 (.7
in both papers), so that the KL penalty is that of the policy itself; 2 passes over each round's rollouts and
a KL coefficient of .1 (4 and .05 in both papers, which on a built-in development world
over-optimise the reward model: it soars at 12 nat of KL while gold quality falls back). With
reward=teacher the raw scores are the reward: the KL coefficient and the score of a missing EOS are then in
the teacher's units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench.errors import BadInput, OverBudget, Problem
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.training.settings import PPOSettings


@dataclass(frozen=True)
class PPO:
    """Proximal policy optimisation against a reward model bought from the budget."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("prefer",)

    reward: Literal["model", "teacher"] = "model"
    """score rollouts with a reward model, or ask the teacher for every one (raw scores, its own scale)"""
    reward_kind: Literal["likelihood_ratio", "scalar"] = "likelihood_ratio"
    """form of the reward model"""
    iterations: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (14, 28, 56))})
    """rounds of sampling and updating; None: by model size"""
    rollouts: int | None = field(default=None, metadata={"min": 2})
    """completions sampled in each round; None: by model size"""
    epochs: int = field(default=2, metadata={"min": 1, "tune": ("choice", (1, 2, 4))})
    """passes over each round's rollouts"""
    minibatches: int = field(default=1, metadata={"min": 1})
    """optimiser steps per pass"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 1e-4, 1e-3)})
    """peak learning rate, falling linearly; None: by model size"""
    kl_coefficient: float = field(default=0.1, metadata={"min": 0.0, "tune": ("log", 0.02, 0.5)})
    """weight of the per-token KL penalty in the reward"""
    kl_estimator: Literal["k1", "k3"] = "k1"
    """how the penalty is read off a sampled token: k1 the log ratio, k3 never negative and less noisy"""
    stop_at_kl: float | None = field(default=None, metadata={"min": 0.0})
    """end training once rollouts are further than this from the start, in nat a sequence; None: never"""
    temperature: float = field(default=1.0, metadata={"min": 0.05})
    """of rollouts; logits are divided by it wherever PPO reads them (.7 in the papers)"""
    clip: float = field(default=0.2, metadata={"min": 0.0})
    """range of the probability ratio"""
    value_clip: float = field(default=0.2, metadata={"min": 0.0})
    """range of the value function's change"""
    value_coefficient: float = field(default=0.1, metadata={"min": 0.0})
    """weight of the value loss"""
    gamma: float = field(default=1.0, metadata={"min": 0.0, "max": 1.0})
    """discount per token"""
    gae_lambda: float = field(default=0.95, metadata={"min": 0.0, "max": 1.0})
    """lambda of generalised advantage estimation"""
    missing_eos_score: float | None = -1.0
    """replaces the score of a completion that did not end; none: its own score counts"""
    whiten_advantages: bool = True
    """scale advantages to mean 0 and variance 1"""
    whiten_rewards: bool = False
    """scale token rewards to variance 1 (the papers' authors found it harmful)"""
    value_start: Literal["fresh", "reward"] = "fresh"
    """value function: a new head, or a copy of the reward model (the papers'; needs reward_kind=scalar)"""

    def __post_init__(self) -> None:
        if self.value_start == "reward" and (self.reward, self.reward_kind) != ("model", "scalar"):
            what = "value_start=reward copies a scalar reward model, and there is none"
            fix = "add reward_kind=scalar and leave reward=model, or write value_start=fresh"
            raise BadInput([Problem("value_start", what, fix)])

    @property
    def wants(self) -> tuple[Channel, ...]:
        """Comparisons for the reward model, or scores of every rollout."""
        return ("prefer",) if self.reward == "model" else ("score",)

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy after PPO; its course is a footnote and some measures."""
        settings = self.settings(lab)
        if self.reward == "model":
            model = lab.reward_model(policy, prompts, kind=self.reward_kind)
            trained, log = lab.ppo(policy, prompts, model, settings)
        else:
            trained, log = lab.ppo(policy, prompts, "teacher", settings)
        first, last = log[0], log[-1]
        stopped = ", stopped there by stop_at_kl" if "loss" not in last else ""
        lab.note(
            f"{len(log)} iterations of {settings.rollouts}; reward {first['reward']:+.2f} -> "
            f"{last['reward']:+.2f}, KL to start {last['kl_to_reference']:.2f} nat a sequence{stopped}, "
            f"ended {last['ended']:.0%}"
        )
        lab.measure("proxy_reward_first", first["reward"])
        lab.measure("proxy_reward_last", last["reward"])
        lab.measure("kl_to_start", last["kl_to_reference"])
        lab.measure("ended", last["ended"])
        return trained

    def settings(self, lab: Lab) -> PPOSettings:
        """The loop's settings; with the teacher as reward, as many iterations as the budget pays for."""
        tier = lab.tier
        rollouts = self.rollouts or tier.ppo_rollouts
        iterations = self.iterations or tier.ppo_iterations
        if self.reward == "teacher":
            affordable = lab.feedback.affordable("score") // rollouts
            if affordable < 1:
                raise OverBudget(f"the budget does not pay for one iteration of {rollouts} scores")
            if affordable < iterations:
                lab.note(f"{affordable} of {iterations} iterations, the budget ends there")
            iterations = min(iterations, affordable)
        return PPOSettings(
            iterations=iterations,
            rollouts=rollouts,
            epochs=self.epochs,
            minibatches=self.minibatches,
            learning_rate=tier.ppo_learning_rate if self.learning_rate is None else self.learning_rate,
            kl_coefficient=self.kl_coefficient,
            clip=self.clip,
            value_clip=self.value_clip,
            value_coefficient=self.value_coefficient,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            missing_eos_score=self.missing_eos_score,
            whiten_advantages=self.whiten_advantages,
            separate_value=tier.separate_value or self.value_start == "reward",
            micro_batch=tier.micro_batch,
            lora_rank=tier.lora_rank,
            bf16=tier.bf16,
            temperature=self.temperature,
            kl_estimator=self.kl_estimator,
            whiten_rewards=self.whiten_rewards,
            value_start=self.value_start,
            stop_at_kl=self.stop_at_kl,
        )


PLUGIN = PPO
