"""Quark, quantized reward conditioning (Lu et al. 2022, arXiv 2205.13636), the parent of ALT.

In each round the policy answers training prompts once, the answers are scored and added to a pool that only
grows, the whole pool is sorted anew into equal quantiles (the remainder to the worst), and the policy learns
uniformly drawn batches of it, each answer after its quantile's token. Round 0 samples from the start without
a token, later rounds after the best one, which is also asked for at test time. Loss on the answer's tokens:
negative log-likelihood + .05 * KL(policy || start) - .06 * entropy, exact over the vocabulary; the start
reads the prompt without the token. Answers without a score are dropped.

Deviations: a quantile's token is a number word in the task's layout `describe`, whose embedding is drawn
afresh where a shipped model never trained on it (paper: new tokens, cut off before the KL; here the start's
vocabulary holds them); the end-of-sequence token is not banned from the first three places; starts from the
base unless init= says otherwise; a few rounds on hundreds of prompts (paper: every prompt, 46 rounds), the
optimiser and its schedule starting anew in each; what a round draws is put into batches of like length; the
KL is that of the authors' code (the paper's equation is KL(start || policy): kl_direction=forward).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench.errors import BadInput, OverBudget, Problem
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques import levels as words
from alignment_bench.techniques import pools
from alignment_bench.techniques.critics import Scored, scored_by_hand
from alignment_bench.techniques.pools import Sample
from alignment_bench.training.settings import Objective

LAYOUT = "describe"


@dataclass(frozen=True)
class Quark:
    """Learn a growing pool of answers after their reward quantile, then ask for the best quantile."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("prefer",)

    reward: Literal["model", "teacher"] = "model"
    """score answers with a reward model, or ask the teacher for every one"""
    reward_kind: Literal["likelihood_ratio", "scalar"] = "likelihood_ratio"
    """form of the reward model"""
    level: int | Literal["best", "none"] = field(default="best", metadata={"min": 1})
    """the quantile it is asked for at test time (1 is the worst), or nothing, without a token"""
    levels: int = field(default=5, metadata={"min": 2, "max": words.MOST})
    """quantiles"""
    rounds: int | None = field(default=None, metadata={"min": 1})
    """rounds of sampling and training; None: by model size"""
    prompts: int | None = field(default=None, metadata={"min": 1})
    """prompts answered in each round; None: by model size"""
    samples: int = field(default=1, metadata={"min": 1, "tune": ("choice", (1, 2))})
    """answers to each of them"""
    steps: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (40, 60, 90))})
    """optimiser steps in each round; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1})
    """answers per step; None: by model size"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 3e-4, 3e-3)})
    """peak learning rate of each round; None: by model size"""
    kl_coefficient: float = field(default=0.05, metadata={"min": 0.0, "tune": ("choice", (0.0, 0.05, 0.2))})
    """weight of the KL penalty against the start; 0: none"""
    kl_direction: Literal["forward", "backward"] = "backward"
    """backward: KL(policy || start), as the authors' code has it; forward: KL(start || policy)"""
    entropy_coefficient: float = field(default=0.06, metadata={"min": 0.0})
    """weight of the entropy bonus"""

    def __post_init__(self) -> None:
        if self.level not in ("best", "none") and int(self.level) > self.levels:
            raise BadInput([Problem("level", f"there are {self.levels} levels", f"1 to {self.levels}")])

    @property
    def wants(self) -> tuple[Channel, ...]:
        """Comparisons for the reward model, or scores of every answer."""
        return ("prefer",) if self.reward == "model" else ("score",)

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy after the token asked for; what it was trained on does not depend on `level`."""
        policy.formatter.layout(LAYOUT)
        tokens = words.ranks(self.levels)
        settings = lab.settings(learning_rate=self.learning_rate, epochs=1, batch_size=self.batch_size)
        objective = Objective(
            kl_coefficient=self.kl_coefficient,
            kl_direction=self.kl_direction,
            entropy_coefficient=self.entropy_coefficient,
        )
        reference = policy if self.kl_coefficient else None
        scored, current = self.scorer(policy, prompts, lab), lab.settle(policy, tokens)
        order = lab.random("prompts").permutation(len(prompts)).tolist()
        pool: list[Sample] = []
        for number in range(self.rounds or lab.tier.quark_rounds):
            batch = pools.turns(prompts, order, number, self.size(number, lab))
            sampler = lab.condition(current, LAYOUT, condition=tokens[-1]) if number else policy
            drawn = lab.sample(sampler, batch, n=self.samples, stream=f"quark {number}")
            flat = [(prompt, c) for prompt, row in zip(batch, drawn, strict=True) for c in row]
            fresh = scored.samples([p for p, _ in flat], [c for _, c in flat], number, lab)
            pool = pools.ranked(pool + fresh, tokens, "global")
            self.tell(number, fresh, pool, lab)
            count = (self.steps or lab.tier.quark_steps) * settings.batch_size
            taught = pools.lessons(pool, LAYOUT, "plain")
            chosen = [
                taught[i] for i in lab.random("quark batches", number).integers(len(taught), size=count)
            ]
            current = lab.finetune(current, chosen, settings, objective, reference)
        if self.level == "none":
            return current
        asked_for = tokens[-1] if self.level == "best" else tokens[int(self.level) - 1]
        return lab.condition(current, LAYOUT, condition=asked_for)

    def scorer(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Scored:
        """Who scores answers."""
        tokens = words.ranks(self.levels)
        if self.reward == "teacher":
            return Scored(tokens, lambda p, c: scored_by_hand(p, c, lab))
        model = lab.reward_model(policy, prompts, kind=self.reward_kind)
        return Scored(tokens, lambda p, c: lab.rewards(model, p, c))

    def size(self, number: int, lab: Lab) -> int:
        """How many prompts are answered in a round; with the teacher as reward, what the budget pays for."""
        size = self.prompts or lab.tier.quark_prompts
        if self.reward == "teacher":
            left = (self.rounds or lab.tier.quark_rounds) - number
            size = min(size, lab.feedback.affordable("score") // (left * self.samples))
            if size < 1:
                raise OverBudget(
                    f"the budget does not pay for a score in each of {left} rounds: raise budget="
                )
        return size

    def tell(self, number: int, fresh: Sequence[Sample], pool: Sequence[Sample], lab: Lab) -> None:
        """Footnotes and measures of a round."""
        mean = statistics.fmean(one.score for one in fresh)
        best = sum(one.level == self.levels for one in pool if one.round == number) / len(fresh)
        lab.note(
            f"round {number + 1}: pool {len(pool)}, mean reward {mean:+.2f}, in the best quantile {best:.2f}"
        )
        lab.measure("proxy_reward", mean)
        lab.measure("kept", len(pool))
        lab.measure(f"level_{self.levels}_share", best)


PLUGIN = Quark
