"""How often answers are exactly right: the share that the judge marks so, sampled and greedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, GREEDY, Evidence, Metric, Needs, SampleSpec, Scores
from alignment_bench.per_prompt import lacks, marked


@dataclass(frozen=True)
class ExactMatch:
    """Share of answers that are the one right answer, word for word; n/a where the task has no such one.

    Published word removal is greedy: `exact_match_greedy`.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("exact_match", "share", "higher"),
        Metric("exact_match_greedy", "share", "higher"),
    )
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK, GREEDY))

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Share of each prompt's samples."""
        return {"exact_match": _share(evidence, AT_TASK), "exact_match_greedy": _share(evidence, GREEDY)}


def _share(evidence: Evidence, spec: SampleSpec) -> Scores:
    if spec.name not in evidence.samples:
        return Scores(missing=lacks(spec))
    exact, reason = marked(evidence, "exact", spec)
    return Scores(tuple(fmean(values) for values in exact), missing=reason)


PLUGIN = ExactMatch
