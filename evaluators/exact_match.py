"""How often answers are exactly right: the share that the judge marks so, at the task's decoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.per_prompt import marked


@dataclass(frozen=True)
class ExactMatch:
    """Share of answers that are the one right answer, word for word; n/a where the task has no such one."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("exact_match", "share", "higher"),)
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,))

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Share of each prompt's samples."""
        exact, reason = marked(evidence, "exact", AT_TASK)
        return {"exact_match": Scores(tuple(fmean(values) for values in exact), missing=reason)}


PLUGIN = ExactMatch
