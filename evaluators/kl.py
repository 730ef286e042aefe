"""How far the policy has moved: KL(policy || base), sampled at temperature 1 without truncation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.evaluation import AT_ONE, Evidence, Metric, Needs, SampleSpec, Scores
from alignment_bench.feedback import Judge
from alignment_bench.per_prompt import average, flatten
from alignment_bench.policy import KlBoundedPolicy, LogitPolicy, Policy


@dataclass(frozen=True)
class Kl:
    """KL(policy || base) in nats: exact over the vocabulary at each prefix, sampled over prefixes.

    Rao-Blackwellised (Amini, Vieira and Cotterell 2025, arXiv 2504.10637), in fp32. Best-of-N around the
    base shows the bound log n - (n - 1)/n, with a footnote; any other wrapper is n/a.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("kl_to_base", "nat", "neither"),
        Metric("kl_to_base_per_token", "nat/token", "neither"),
    )
    # Not `logits=True`: a policy without logits may still offer a bound, and this file says which.
    needs: ClassVar[Needs] = Needs(samples=(AT_ONE,))

    def used(self, policy: Policy, judge: Judge) -> tuple[SampleSpec, ...]:
        """Nothing where there are no logits: a bound needs no samples."""
        return self.needs.samples if isinstance(policy, LogitPolicy) else ()

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean over each prompt's samples of the sum over tokens, and of the mean over tokens."""
        policy = evidence.policy
        if isinstance(policy, LogitPolicy):
            rows = flatten(evidence.prompts, evidence.keys, evidence.samples[AT_ONE.name])
            tokens = policy.kl(evidence.base, [r.prompt for r in rows], [r.completion for r in rows])
            # A completion without a single token (stopped at once) has not moved.
            return {
                "kl_to_base": Scores(average([sum(values) for values in tokens], rows)),
                "kl_to_base_per_token": Scores(
                    average([sum(values) / max(1, len(values)) for values in tokens], rows)
                ),
            }
        bound = policy.kl_bound(evidence.base) if isinstance(policy, KlBoundedPolicy) else None
        if bound is None:
            reason = "the policy has no next-token distribution, and no bound on its distance from the base"
            return {metric.name: Scores(missing=reason) for metric in self.metrics}
        return {
            "kl_to_base": Scores((bound,) * len(evidence.prompts), note="an upper bound, not an estimate"),
            "kl_to_base_per_token": Scores(missing="the bound holds for whole sequences only"),
        }


PLUGIN = Kl
