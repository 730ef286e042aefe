"""How often a policy's reward model prefers what the judge prefers, on prompts it never saw.

A reward model's own held-out pairs are the teacher's noisy comparisons of training prompts; this is the same
question about test prompts and the judge's verdict. The pairs are of the base's samples at temperature 1, the
same for every method, and those that the judge calls a tie are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan
from statistics import fmean
from typing import Any, ClassVar, Protocol, runtime_checkable

from alignment_bench.completions import Completion
from alignment_bench.evaluation import AT_ONE, Evidence, Metric, Needs, SampleSpec, Scores
from alignment_bench.feedback import Judge
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt


@runtime_checkable
class Scorer(Protocol):
    """What scores completions: a trained reward model."""

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
        """One number a completion; more is better."""


@dataclass(frozen=True)
class RewardModelAccuracy:
    """Share of decided pairs in which the reward model scores the better answer higher, ties half; n/a for a
    policy that carries no reward model (what PPO and others train against does not stay with the policy)."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("reward_model_accuracy", "share", "higher"),)
    needs: ClassVar[Needs] = Needs(samples=(AT_ONE,), base_samples=True)

    def used(self, policy: Policy, judge: Judge) -> tuple[SampleSpec, ...]:
        """What the base, which has logits, is drawn for; a wrapper's own samples are not looked at."""
        return self.needs.samples if isinstance(policy, LogitPolicy) else ()

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean over each prompt's decided pairs; a prompt without one is not scored."""
        model, judge = carried(evidence.policy), evidence.judge
        if model is None:
            return _missing("the policy carries no reward model")
        if reason := judge.unfit(evidence.keys):
            return _missing(f"judge {judge.name}: {reason}")
        rows = [
            (i, first, second)
            for i, drawn in enumerate(evidence.base_samples[AT_ONE.name])
            for first, second in combinations({c.text: c for c in drawn}.values(), 2)
        ]
        if not rows:
            return _missing("the base's samples of a prompt are all the same")
        prompts = [evidence.prompts[i] for i, _, _ in rows]
        verdicts = judge.compare(
            prompts,
            [evidence.keys[i] for i, _, _ in rows],
            [first.text for _, first, _ in rows],
            [second.text for _, _, second in rows],
        )
        ahead = model.score(prompts, [first for _, first, _ in rows])
        behind = model.score(prompts, [second for _, _, second in rows])
        right: list[list[float]] = [[] for _ in evidence.prompts]
        for (i, _, _), verdict, a, b in zip(rows, verdicts, ahead, behind, strict=True):
            if verdict.parsed and verdict.value != 0.5:
                gap = a - b if verdict.value > 0.5 else b - a
                right[i].append(0.5 + 0.5 * (gap > 0) - 0.5 * (gap < 0))
        decided = sum(map(len, right))
        if not decided:
            return _missing(f"judge {judge.name} decides no pair of the base's samples")
        note = f"{decided} of {len(rows)} pairs decided by judge {judge.name}"
        values = tuple(fmean(row) if row else nan for row in right)
        return {"reward_model_accuracy": Scores(values, note=note)}


def carried(policy: Any) -> Scorer | None:
    """The reward model that a policy, or one that it wraps, chooses by; None where there is none."""
    while policy is not None:
        model = getattr(policy, "reward_model", None)
        if isinstance(model, Scorer):
            return model
        policy = getattr(policy, "inner", None)
    return None


def _missing(reason: str) -> dict[str, Scores]:
    return {"reward_model_accuracy": Scores(missing=reason)}


PLUGIN = RewardModelAccuracy
