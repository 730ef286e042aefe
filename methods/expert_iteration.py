"""Expert iteration: sample, keep what a reward model likes, fine-tune on it, and again from there.

RAFT (Dong et al. 2023, arXiv 2304.06767), default: every round samples several answers a prompt from the
current policy, keeps the best of each prompt, and goes on training. `start=base` with `keep=above` is
ReST-EM (Singh et al. 2023, arXiv 2312.06585): everything above a threshold is kept and each round fine-tunes
the start afresh. `rounds=1 samples=16` is the expert iteration of AlpacaFarm (Dubois et al. 2023, arXiv
2305.14387).

Deviations: the reward model is bought from the annotation budget, once, by comparing the start's own samples,
and is not bought again as the policy moves; equal texts of a prompt count once; sampling at temperature 1
(.85 and more in RAFT, .7 in ReST-EM); no KL penalty and no stopping on a validation set; ReST-EM's reward is
a binary check of correctness, here a threshold on a reward model; its cap of 10 kept answers a prompt is the
number of samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import ClassVar, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable, OverBudget
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import RewardModel

Scored = tuple[Prompt, list[tuple[Completion, float]]]
"""a prompt with its distinct answers and their rewards, in the order in which they were drawn"""


@dataclass(frozen=True)
class ExpertIteration:
    """Rounds of sampling, keeping the reward model's best, and fine-tuning on it (RAFT, ReST-EM)."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("prefer",)

    reward: Literal["model", "teacher"] = "model"
    """score samples with a reward model, or ask the teacher for every one (raw scores, its own scale)"""
    reward_kind: Literal["likelihood_ratio", "scalar"] = "likelihood_ratio"
    """form of the reward model"""
    rounds: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (1, 2, 3))})
    """rounds of sampling and fine-tuning; None: by model size"""
    prompts_per_round: int | None = field(default=None, metadata={"min": 1})
    """prompts answered in each round; None: by model size"""
    samples: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (4, 8, 16))})
    """answers sampled for each prompt; None: by model size"""
    keep: Literal["best", "above"] = "best"
    """keep each prompt's best answer, or all whose reward is above the threshold"""
    threshold: float = 0.0
    """reward that keep=above asks for; a reward model's mean over the start's samples is 0, its spread 1"""
    start: Literal["base", "continue"] = "continue"
    """each round fine-tunes the policy that alignment started from, or goes on with the last round's"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 2e-4, 3e-3)})
    """peak learning rate; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (1, 2, 3))})
    """passes over each round's kept answers; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1})
    """answers per optimiser step; None: by model size"""

    @property
    def wants(self) -> tuple[Channel, ...]:
        """Comparisons for the reward model, or scores of every sample."""
        return ("prefer",) if self.reward == "model" else ("score",)

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy after the last round."""
        rounds = self.rounds or lab.tier.expert_rounds
        model = lab.reward_model(policy, prompts, kind=self.reward_kind) if self.reward == "model" else None
        settings = lab.settings(
            learning_rate=self.learning_rate, epochs=self.epochs, batch_size=self.batch_size
        )
        order = [prompts[int(i)] for i in lab.random("prompts").permutation(len(prompts))]
        size = self.size(len(order), rounds, lab)
        current, rewards, drawn, kept_rewards = policy, list[float](), 0, list[float]()
        for number in range(rounds):
            asked = [order[(number * size + k) % len(order)] for k in range(size)]
            scored = self.scored(number, current, asked, model, lab)
            everything = [value for _, row in scored for _, value in row]
            kept = self.kept(scored)
            if not kept:
                above = f" above {self.threshold:g}: lower threshold=" if self.keep == "above" else ""
                raise NotApplicable(f"no sample of round {number + 1} has a reward{above}")
            drawn += len(everything)
            rewards.append(fmean(everything))
            kept_rewards += [value for _, _, value in kept]
            rows = [(prompt, completion) for prompt, completion, _ in kept]
            current = lab.finetune(policy if self.start == "base" else current, rows, settings)
        lab.note(
            f"{rounds} rounds of {size} prompts; {len(kept_rewards)} of {drawn} distinct samples kept; mean "
            f"reward of a round's samples {rewards[0]:+.2f} -> {rewards[-1]:+.2f}, of all kept "
            f"{fmean(kept_rewards):+.2f}"
        )
        lab.measure("keep_rate", len(kept_rewards) / drawn)
        lab.measure("proxy_reward_first", rewards[0])
        lab.measure("proxy_reward_last", rewards[-1])
        lab.measure("proxy_reward_kept", fmean(kept_rewards))
        return current

    def size(self, prompts: int, rounds: int, lab: Lab) -> int:
        """Prompts of a round: with the teacher as reward, as many as the budget pays for."""
        wanted = min(self.prompts_per_round or lab.tier.expert_prompts, prompts)
        if self.reward == "model":
            return wanted
        samples = self.samples or lab.tier.expert_samples
        paid = lab.feedback.affordable("score") // (rounds * samples)
        if paid < 1:
            raise OverBudget(f"the budget does not pay for {rounds} rounds of {samples} scores")
        if paid < wanted:
            lab.note(f"{paid} of {wanted} prompts a round: what the budget pays scores for")
        return min(wanted, paid)

    def scored(
        self, number: int, policy: LogitPolicy, prompts: Sequence[Prompt], model: RewardModel | None, lab: Lab
    ) -> list[Scored]:
        """Each prompt's distinct samples with their rewards; those without a usable score are left out."""
        samples = self.samples or lab.tier.expert_samples
        drawn = lab.sample(policy, prompts, n=samples, stream=f"expert_iteration {number}")
        distinct = [first_of_each_text(row) for row in drawn]
        flat = [(p, c) for p, row in zip(prompts, distinct, strict=True) for c in row]
        asked, answers = [p for p, _ in flat], [c for _, c in flat]
        values: list[float | None]
        if model is not None:
            values = list(lab.rewards(model, asked, answers))
        else:
            values = [r.value if r.ok else None for r in lab.feedback.score(asked, answers)]
            if unusable := sum(value is None for value in values):
                lab.note(f"round {number + 1}: {unusable} of {len(values)} scores were unusable")
        each = iter(values)
        rows = [
            (prompt, [(c, next(each)) for c in row]) for prompt, row in zip(prompts, distinct, strict=True)
        ]
        return [(prompt, [(c, value) for c, value in row if value is not None]) for prompt, row in rows]

    def kept(self, scored: Sequence[Scored]) -> list[tuple[Prompt, Completion, float]]:
        """What is trained on: (prompt, completion, reward)."""
        if self.keep == "above":
            return [
                (prompt, c, value) for prompt, row in scored for c, value in row if value > self.threshold
            ]
        best = [(prompt, max(row, key=lambda one: one[1])) for prompt, row in scored if row]
        return [(prompt, c, value) for prompt, (c, value) in best]


def first_of_each_text(row: Sequence[Completion]) -> list[Completion]:
    """The completions without those whose text was drawn before."""
    first: dict[str, Completion] = {}
    for completion in row:
        first.setdefault(completion.text, completion)
    return list(first.values())


PLUGIN = ExpertIteration
