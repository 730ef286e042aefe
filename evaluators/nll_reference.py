"""How surprising the written references are to the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.evaluation import Evidence, Metric, Needs, Scores
from alignment_bench.per_prompt import without_references
from alignment_bench.policy import LogitPolicy


@dataclass(frozen=True)
class NllReference:
    """Negative log-likelihood of the references under the policy, in nats per token, the end included.

    Fine-tuning on refinements may raise it while the answers get better: it measures nearness to the
    references' style, not quality.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("nll_reference", "nat/token", "lower"),)
    needs: ClassVar[Needs] = Needs(logits=True, references=True)

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean over each prompt's references of the mean over that reference's tokens."""
        policy = evidence.policy
        if not isinstance(policy, LogitPolicy):
            return {"nll_reference": Scores(missing="the policy has no next-token distribution")}
        if reason := without_references(evidence.keys):
            return {"nll_reference": Scores(missing=reason)}
        prompts, written = [], []
        for prompt, key in zip(evidence.prompts, evidence.keys, strict=True):
            for reference in key.references:
                prompts.append(prompt)
                written.append(policy.encode(reference))
        tokens = iter(policy.logprobs(prompts, written))
        values = []
        for key in evidence.keys:
            means = [-sum(row) / len(row) for row in (next(tokens) for _ in key.references)]
            values.append(sum(means) / len(means))
        return {"nll_reference": Scores(tuple(values))}


PLUGIN = NllReference
