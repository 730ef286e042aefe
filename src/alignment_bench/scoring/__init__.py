"""Evaluators on their own: over any file of samples (`bench score`), and as `evaluate.Metric`s.

    from alignment_bench.scoring import metric
    metric("rouge").compute(predictions=["a b"], references=[["a b c"]])   # {"rouge_1": .8, "rouge_l": .8}

Both call the evaluators of runs themselves, on evidence made from texts. What texts cannot show (logits, a
policy to draw from, gold) is a named n/a.
"""

from __future__ import annotations

from typing import Any


def metric(name: str, judge: str | None = None, **options: Any) -> Any:
    """The evaluator as an `evaluate.Metric`: `compute`, `add` and `add_batch`, without any network.

    `judge` as in `judge=`, for evaluators that ask one; `options` go to `evaluate.Metric` (`experiment_id`,
    `cache_dir`). `evaluate` keeps batches in the Hugging Face cache, a folder that must be writable: give
    `cache_dir=` for another one. Raises BadInput where there is no such evaluator or judge.
    """
    from alignment_bench.scoring.as_metric import make

    return make(name, judge, **options)
