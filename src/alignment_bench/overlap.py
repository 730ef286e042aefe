"""ROUGE F-measures of written answers, as google's rouge-score computes them (with Porter stems)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

KINDS = ("rouge1", "rougeL")


@functools.cache
def _scorer() -> Any:
    from rouge_score import rouge_scorer, tokenizers

    # A tokenizer that remembers: references and posts are scored again and again.
    class Remembering(tokenizers.DefaultTokenizer):  # type: ignore[misc]
        @functools.lru_cache(maxsize=10_000)  # noqa: B019  lives as long as the process, like its one owner
        def tokenize(self, text: str) -> Any:
            return super().tokenize(text)

    return rouge_scorer.RougeScorer(list(KINDS), tokenizer=Remembering(use_stemmer=True))


def rouge(text: str, references: Sequence[str]) -> dict[str, float]:
    """F-measure in [0, 1] of `rouge1` and `rougeL`, each the best over the references; 0 for an empty text.

    Raises ValueError without references.
    """
    if not references:
        raise ValueError("ROUGE needs at least one reference")
    scores = [_scorer().score(reference, text) for reference in references]
    return {kind: max(float(score[kind].fmeasure) for score in scores) for kind in KINDS}
