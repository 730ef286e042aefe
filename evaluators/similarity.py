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
    """Cosine of the answer's and the nearest reference's sentence embedding (all-MiniLM-L6-v2)."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("cosine_to_reference", "-1 to 1", "higher"),)
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,), references=True)

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean over each prompt's samples; an empty answer counts 0."""
        reason = "" if embedding.available() else embedding.MISSING
        if reason := reason or without_references(evidence.keys):
            return {"cosine_to_reference": Scores(missing=reason)}
        rows = flatten(evidence.prompts, evidence.keys, evidence.samples[AT_TASK.name])
        values = embedding.cosine([r.completion.text for r in rows], [r.key.references for r in rows])
        return {"cosine_to_reference": Scores(average(values, rows))}


PLUGIN = Similarity
