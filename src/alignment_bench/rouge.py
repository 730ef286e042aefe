"""ROUGE as an `evaluate.Metric` that needs no network: for use on its own, in any `evaluate` pipeline.

    from alignment_bench.rouge import Rouge
    Rouge().compute(predictions=["a b"], references=[["a b c"]])   # {"rouge1": .8, "rougeL": .8}

`evaluate.load("rouge")` fetches its script from the hub; this class is the same measure from this package.
Importing this module imports `evaluate`, which takes seconds: the evaluators use `alignment_bench.overlap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from alignment_bench.overlap import KINDS, rouge


class Rouge(evaluate.Metric):  # type: ignore[misc]
    """ROUGE-1 and ROUGE-L F-measure, stemmed, best over each prediction's references."""

    def _info(self) -> Any:
        return evaluate.MetricInfo(
            description="ROUGE-1 and ROUGE-L F-measure in [0, 1], stemmed, best over the references.",
            citation="Lin (2004), ROUGE: a package for automatic evaluation of summaries",
            inputs_description="predictions: texts; references: one text or a list of texts for each",
            features=[
                datasets.Features(
                    {
                        "predictions": datasets.Value("string"),
                        "references": datasets.Sequence(datasets.Value("string")),
                    }
                ),
                datasets.Features(
                    {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
                ),
            ],
        )

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str | Sequence[str]],
        per_example: bool = False,
    ) -> dict[str, Any]:
        """Means over the examples, or with `per_example=True` one list of values for each measure."""
        scores = [
            rouge(text, [written] if isinstance(written, str) else written)
            for text, written in zip(predictions, references, strict=True)
        ]
        lists = {kind: [score[kind] for score in scores] for kind in KINDS}
        if per_example:
            return dict(lists)
        return {kind: sum(values) / len(values) for kind, values in lists.items()}
