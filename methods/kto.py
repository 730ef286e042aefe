"""KTO, Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306), through trl's trainer.

Learns from completions labelled desirable or undesirable, each for itself: the implicit reward (beta times
the log-ratio to the start) is pushed above or below a baseline, the KL to the start as estimated from the
prompts of a batch crossed with one another's completions.

The teacher has no channel for yes or no, so labels are made of others, which is a deviation:
`labels=comparisons` buys comparisons and calls winners desirable, losers undesirable (what the paper does
with preference data); `labels=score` buys a score of each of the policy's samples and calls those above
the median desirable.

Other deviations: the reference is whatever it starts from, the unaligned base unless init= says otherwise;
AdamW with a linearly falling learning rate; batches of the model size's tier (the paper advises large
ones, and its baseline is as noisy as they are small).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable, OverBudget
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques.preferences import collect_pairs
from alignment_bench.training.trl_settings import KTOLoss, KTOSettings


@dataclass(frozen=True)
class KTO:
    """Kahneman-Tversky optimisation on completions labelled desirable or undesirable."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("prefer",)

    labels: Literal["comparisons", "score"] = "comparisons"
    """label winners and losers of comparisons, or scores above and below their median"""
    loss: KTOLoss = "kto"
    """the paper's loss, or APO-zero's for single completions"""
    beta: float = field(default=0.1, metadata={"min": 1e-6, "tune": ("log", 0.03, 1.0)})
    """scale of the implicit reward: the larger, the nearer to the start it stays"""
    desirable_weight: float = field(default=1.0, metadata={"min": 0.0, "tune": ("linear", 0.5, 2.0)})
    """weight of the loss on desirable completions"""
    undesirable_weight: float = field(default=1.0, metadata={"min": 0.0})
    """weight of the loss on undesirable completions"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 3e-4, 3e-3)})
    """peak learning rate; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (1, 2, 3, 5))})
    """passes over the labelled completions; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 2})
    """completions per optimiser step; None: twice that of the model size, as many as in its pairs"""

    @property
    def wants(self) -> tuple[Channel, ...]:
        """The channel that labels are made of."""
        return ("prefer",) if self.labels == "comparisons" else ("score",)

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy trained on as many labelled completions as the budget pays for."""
        rows = (
            self.compared(policy, prompts, lab)
            if self.labels == "comparisons"
            else self.scored(policy, prompts, lab)
        )
        settings = lab.settings(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size or 2 * lab.tier.batch_size,
            purpose="reward",
        )
        weights = {
            "desirable_weight": self.desirable_weight,
            "undesirable_weight": self.undesirable_weight,
        }
        return lab.kto(policy, rows, KTOSettings(settings, self.beta, self.loss, **weights))

    def compared(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab
    ) -> list[tuple[Prompt, Completion, bool]]:
        """Winners and losers of comparisons."""
        pairs, ties = collect_pairs(policy, prompts, lab)
        lab.note(f"binary labels made of {len(pairs)} comparisons, winner and loser; {ties} ties dropped")
        rows = []
        for prompt, preferred, other in pairs:
            rows += [(prompt, preferred, True), (prompt, other, False)]
        return rows

    def scored(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab
    ) -> list[tuple[Prompt, Completion, bool]]:
        """Samples with a score above the median, and below it; those at the median are dropped."""
        affordable = lab.feedback.affordable("score")
        if affordable < 2:
            raise OverBudget("the budget does not pay for two scores: raise budget=")
        order = [prompts[int(i)] for i in lab.random("scores").permutation(len(prompts))]
        turns = -(-affordable // len(order))
        samples = lab.sample(policy, order[:affordable], n=turns, stream="scores")
        shown = [(p, row[k]) for k in range(turns) for p, row in zip(order, samples, strict=False)]
        shown = shown[:affordable]
        records = lab.feedback.score([p for p, _ in shown], [c for _, c in shown])
        values = [
            (p, c, record.value)
            for (p, c), record in zip(shown, records, strict=True)
            if record.value is not None
        ]
        if not values:
            raise NotApplicable("the teacher gave no usable score")
        median = statistics.median(value for _, _, value in values)
        rows = [(p, c, value > median) for p, c, value in values if value != median]
        good = sum(desirable for _, _, desirable in rows)
        lab.note(
            f"binary labels made of {len(records)} scores, median {median:g}: {good} above, "
            f"{len(rows) - good} below, {len(records) - len(rows)} at it or unusable, dropped"
        )
        if len({desirable for _, _, desirable in rows}) < 2:
            raise NotApplicable("the scores are all alike: nothing tells desirable from undesirable")
        return rows


PLUGIN = KTO
