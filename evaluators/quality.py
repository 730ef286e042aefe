"""Gold quality, where the judge has one: at the task's temperature, at temperature 1, and greedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.evaluation import AT_ONE, AT_TASK, GREEDY, Evidence, Metric, Needs, SampleSpec, Scores
from alignment_bench.feedback import Judge
from alignment_bench.per_prompt import average, flatten, lacks
from alignment_bench.policy import Policy

_SPECS = {"quality": AT_TASK, "quality_t1": AT_ONE, "quality_greedy": GREEDY}


@dataclass(frozen=True)
class Quality:
    """Gold quality in [0, 1] from the judge's own scale; n/a with a judge that only compares.

    Three temperatures, because temperature 1 rewards mere sharpening and a cold one hides conditioning.
    """

    metrics: ClassVar[tuple[Metric, ...]] = tuple(Metric(name, "0-1", "higher") for name in _SPECS)
    needs: ClassVar[Needs] = Needs(samples=tuple(_SPECS.values()))

    def used(self, policy: Policy, judge: Judge) -> tuple[SampleSpec, ...]:
        """Nothing under a judge that has no scale of quality."""
        return () if judge.score([], [], []) is None else self.needs.samples

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean quality of each prompt's samples, for each of the three ways of sampling."""
        judge = evidence.judge
        if reason := judge.unfit(evidence.keys):
            return {name: Scores(missing=f"judge {judge.name}: {reason}") for name in _SPECS}
        if not self.used(evidence.policy, judge):
            reason = f"judge {judge.name} compares, it has no scale of quality"
            return {name: Scores(missing=reason) for name in _SPECS}
        result = {}
        for name, spec in _SPECS.items():
            if spec.name not in evidence.samples:
                result[name] = Scores(missing=lacks(spec))
                continue
            rows = flatten(evidence.prompts, evidence.keys, evidence.samples[spec.name])
            values = judge.score(
                [row.prompt for row in rows],
                [row.key for row in rows],
                [row.completion.text for row in rows],
            )
            if values is None:
                raise ValueError(f"judge {judge.name} has a scale of quality but gave no scores")
            result[name] = Scores(average(values, rows))
        return result


PLUGIN = Quality
