"""KL in both directions, and the two Monte-Carlo estimators of it beside the exact one per prefix.

For x drawn from p at temperature 1, with r = q(x) / p(x) per token: k1 = -log r, without bias but of either
sign; k3 = (r - 1) - log r, without bias and never negative, but its variance can explode where q finds
likely what p hardly ever says (Schulman, joschu.net/blog/kl-approx). The exact one sums over the vocabulary
at every sampled prefix (Rao-Blackwellised, arXiv 2504.10637): its variance is never above k1's. All three
agree in expectation; where they do not here, too few samples were drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, nan
from typing import ClassVar

from alignment_bench.completions import Completion
from alignment_bench.evaluation import AT_ONE, Evidence, Metric, Needs, SampleSpec, Scores
from alignment_bench.feedback import Judge
from alignment_bench.per_prompt import Answered, average, flatten
from alignment_bench.policy import LogitPolicy, Policy


@dataclass(frozen=True)
class KlEstimates:
    """KL(policy || base) by k1 and k3, and KL(base || policy) exactly, by k1 and by k3; nats a sequence.

    `kl_to_base` (evaluator `kl`) is the exact one of the first direction. The reverse direction is read on
    the base's own samples and says what the policy no longer says. Temperature 1, no truncation, fp32.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("kl_to_base_k1", "nat", "neither"),
        Metric("kl_to_base_k3", "nat", "neither"),
        Metric("kl_from_base", "nat", "neither"),
        Metric("kl_from_base_k1", "nat", "neither"),
        Metric("kl_from_base_k3", "nat", "neither"),
    )
    needs: ClassVar[Needs] = Needs(samples=(AT_ONE,), logits=True, base_samples=True)

    def used(self, policy: Policy, judge: Judge) -> tuple[SampleSpec, ...]:
        """Nothing where there are no logits."""
        return self.needs.samples if isinstance(policy, LogitPolicy) else ()

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Means over each prompt's samples of sums over tokens."""
        policy, base = evidence.policy, evidence.base
        if not isinstance(policy, LogitPolicy) or not isinstance(base, LogitPolicy):
            reason = "both policy and base must have a next-token distribution"
            return {metric.name: Scores(missing=reason) for metric in self.metrics}
        own = flatten(evidence.prompts, evidence.keys, evidence.samples[AT_ONE.name])
        others = flatten(evidence.prompts, evidence.keys, evidence.base_samples[AT_ONE.name])
        there = _estimated(policy, base, own)
        back = _estimated(base, policy, others)
        exact = base.kl(policy, [row.prompt for row in others], [row.completion for row in others])
        return {
            "kl_to_base_k1": there[0],
            "kl_to_base_k3": there[1],
            "kl_from_base": Scores(average([sum(values) for values in exact], others)),
            "kl_from_base_k1": back[0],
            "kl_from_base_k3": back[1],
        }


def _estimated(sampled: LogitPolicy, other: LogitPolicy, rows: Sequence[Answered]) -> tuple[Scores, Scores]:
    """k1 and k3 of KL(sampled || other) on samples of the first."""
    prompts = [row.prompt for row in rows]
    completions: list[Completion] = [row.completion for row in rows]
    first, second = sampled.logprobs(prompts, completions), other.logprobs(prompts, completions)
    pairs = list(zip(first, second, strict=True))
    k3s = average([k3(p, q) for p, q in pairs], rows)
    lost = sum(not isfinite(value) for value in k3s)
    note = f"{lost} prompts have a ratio beyond all numbers and are left out" if lost else ""
    return (
        Scores(average([k1(p, q) for p, q in pairs], rows)),
        Scores(tuple(value if isfinite(value) else nan for value in k3s), note=note),
    )


def k1(sampled: Sequence[float], other: Sequence[float]) -> float:
    """Sum over tokens of log p - log q, from the log-probabilities of what was drawn from p."""
    return sum(p - q for p, q in zip(sampled, other, strict=True))


def k3(sampled: Sequence[float], other: Sequence[float]) -> float:
    """Sum over tokens of (r - 1) - log r with r = q / p; infinite where r is beyond all numbers."""
    return sum(_k3(q - p) for p, q in zip(sampled, other, strict=True))


def _k3(log_ratio: float) -> float:
    try:
        return max(0.0, exp(log_ratio) - 1 - log_ratio)  # rounding alone could bring it below 0
    except OverflowError:
        return inf


PLUGIN = KlEstimates
