"""Word overlap with the references: ROUGE-1 and ROUGE-L."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.overlap import rouge
from alignment_bench.per_prompt import average, flatten, without_references


@dataclass(frozen=True)
class Rouge:
    """ROUGE F-measure in [0, 1], stemmed, best over the references, by google's rouge-score.

    On forum posts it is nearly uninformative: 20 random words of a post come within .02 of a small model's
    summaries. The same measure is an `evaluate.Metric` in `alignment_bench.rouge`.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("rouge_1", "0-1", "higher"),
        Metric("rouge_l", "0-1", "higher"),
    )
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,), references=True)

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean over each prompt's samples."""
        if reason := without_references(evidence.keys):
            return {metric.name: Scores(missing=reason) for metric in self.metrics}
        rows = flatten(evidence.prompts, evidence.keys, evidence.samples[AT_TASK.name])
        scores = [rouge(row.completion.text, row.key.references) for row in rows]
        return {
            "rouge_1": Scores(average([score["rouge1"] for score in scores], rows)),
            "rouge_l": Scores(average([score["rougeL"] for score in scores], rows)),
        }


PLUGIN = Rouge
