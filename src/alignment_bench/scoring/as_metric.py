"""Evaluators as `evaluate.Metric`s: texts and references in, numbers out, nothing fetched.

Importing this module imports `evaluate`, which takes seconds; `alignment_bench.scoring.metric` does it when
asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from statistics import fmean
from typing import Any

import datasets
import evaluate

from alignment_bench import registry
from alignment_bench.completions import Completion
from alignment_bench.errors import BadInput, NotApplicable, Problem
from alignment_bench.evaluation import VIEW, Evaluator
from alignment_bench.feedback import Judge
from alignment_bench.labels import evaluator_part, parse_part, resolve_part
from alignment_bench.prompts import Key, Message, Prompt
from alignment_bench.scoring.evidence import Given, evidence_of, judge_for, scores_of

INPUTS = {"length": ("predictions",), "grounding": ("predictions", "references", "prompts")}
"""what evaluators read that do not read predictions and references"""
UNTOLD = ("finished",)
"""metrics of how an answer ended, which a text does not tell"""
JUDGES = {"exact_match": "exact"}
"""who judges by default"""


def make(name: str, judge: str | None = None, **options: Any) -> EvaluatorMetric:
    """The metric of an evaluator's label. Raises BadInput where there is none, or texts are not enough."""
    part = evaluator_part(name)
    evaluator: Evaluator = part.plugin
    if evaluator.needs.logits or evaluator.needs.base_samples:
        lacking = "a model's probabilities" if evaluator.needs.logits else "the base's answers"
        fix = "score it in a run" if evaluator.needs.logits else "use bench score with base=FILE"
        raise BadInput([Problem("metric", f"{part.name} needs {lacking}, which texts do not hold", fix)])
    wanted = judge or JUDGES.get(part.name)
    return EvaluatorMetric(part.name, evaluator, _judge(wanted) if wanted else None, **options)


def _judge(label: str) -> Judge:
    problems: list[Problem] = []
    part = resolve_part("judges", parse_part(label, "judge"), {}, "judge", problems)
    if part is None:
        raise BadInput(problems)
    judge: Judge = part.plugin
    return judge


class EvaluatorMetric(evaluate.Metric):  # type: ignore[misc]
    """One evaluator over lists of texts: each prediction is the one answer to a prompt of its own."""

    def __init__(self, name: str, evaluator: Evaluator, judge: Judge | None, **options: Any) -> None:
        # before the base class's own, which asks for `_info`
        self._label, self._evaluator, self._judge = name, evaluator, judge
        super().__init__(config_name=name, **options)

    def _info(self) -> Any:
        text, texts = datasets.Value("string"), datasets.Sequence(datasets.Value("string"))
        inputs = INPUTS.get(self._label, ("predictions", "references"))
        plain = dict.fromkeys(inputs, text)
        several = {**plain, "references": texts} if "references" in plain else None
        names = ", ".join(f"{m.name} ({m.unit}, {m.better} is better)" for m in self._evaluator.metrics)
        return evaluate.MetricInfo(
            description=f"{registry.summary('evaluators', self._label)} {names}",
            citation="alignment-bench, whose tables hold the same numbers",
            inputs_description=f"{', '.join(inputs)}: texts; references may be a list of texts for each",
            features=[datasets.Features(one) for one in (several, plain) if one is not None],
        )

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str | Sequence[str]] | None = None,
        prompts: Sequence[str] | None = None,
        per_example: bool = False,
    ) -> dict[str, Any]:
        """Means over the examples that have a value, or with `per_example=True` a list for each metric.

        Raises NotApplicable where no metric can be had."""
        asked = [
            Prompt(str(i), (Message("user", text),))
            for i, text in enumerate(prompts or [""] * len(predictions))
        ]
        written = [[] if references is None else references[i] for i in range(len(predictions))]
        keys = [
            Key(prompt.id, (one,) if isinstance(one, str) else tuple(one))
            for prompt, one in zip(asked, written, strict=True)
        ]
        answers = [[Completion(text, (), "eos")] for text in predictions]
        specs = {spec.name: answers for spec in self._evaluator.needs.samples}
        judge = judge_for(keys, self._judge)
        evidence = evidence_of(asked, keys, specs, Given({}, {}), judge)
        scores = scores_of(self._label, self._evaluator, evidence)
        found = {
            n: list(one.values)
            for n, one in scores.items()
            if not one.missing and n not in UNTOLD and VIEW not in n
        }
        if not found:
            raise NotApplicable(
                "; ".join(dict.fromkeys(one.missing for one in scores.values() if one.missing))
            )
        if per_example:
            return dict(found)
        return {
            name: fmean([v for v in values if not isnan(v)] or [float("nan")])
            for name, values in found.items()
        }
