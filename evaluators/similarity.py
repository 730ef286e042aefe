"""Nearness in meaning to the references, by sentence embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench import embedding
from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.per_prompt import average, flatten, without_references


@dataclass(frozen=True)
class Similarity:
    """Cosine of the answer's and the nearest reference's sentence embedding (all-MiniLM-L6-v2).

    n/a where the judge knows the quality itself: in a world of templates all texts lie close together, and
    embedding them would take longer than everything else.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("cosine_to_reference", "-1 to 1", "higher"),)
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,), references=True)

    @property
    def identity(self) -> str:
        """Says that embeddings are missing: a score stored without them is not taken once they are there."""
        return "" if embedding.available() else embedding.MISSING

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean over each prompt's samples; an empty answer counts 0."""
        judge = evidence.judge
        if judge.score([], [], []) is not None:
            reason = f"judge {judge.name} knows the quality itself; nearness to one reference says less"
        elif not embedding.available():
            reason = embedding.MISSING
        else:
            reason = without_references(evidence.keys)
        if reason:
            return {"cosine_to_reference": Scores(missing=reason)}
        rows = flatten(evidence.prompts, evidence.keys, evidence.samples[AT_TASK.name])
        values = embedding.cosine([r.completion.text for r in rows], [r.key.references for r in rows])
        return {"cosine_to_reference": Scores(average(values, rows))}


PLUGIN = Similarity
