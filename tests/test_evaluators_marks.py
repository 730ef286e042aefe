"""Metrics that count the judge's yes-or-no marks: rude, passed, exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import pytest

from alignment_bench import registry
from alignment_bench.completions import Completion
from alignment_bench.evaluation import AT_TASK, Evaluator, Evidence, Scores
from alignment_bench.evaluators.pass_at_k import pass_at
from alignment_bench.feedback import Judge, Marking, Verdict
from alignment_bench.judges.gold import Gold
from alignment_bench.prompts import Key, Message, Prompt

MARKS = {"toxicity": "rude", "exact_match": "exact", "pass_at_k": "passed"}
METRICS = {"toxicity": "toxicity_rate", "exact_match": "exact_match", "pass_at_k": "pass_at_1"}


@dataclass(frozen=True)
class Comparing:
    """A judge that knows no marks."""

    name: ClassVar[str] = "comparing"
    family: ClassVar[str] = "test"
    against_reference: bool = True
    blind: str = ""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        return self.blind or None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        return [Verdict(0.5) for _ in first]

    def caption(self) -> str:
        return "comparing"


@dataclass(frozen=True)
class ByWord(Comparing):
    """A judge that marks a text with the words in it, of those that it knows."""

    name: ClassVar[str] = "by_word"
    known: tuple[str, ...] = ("rude", "exact", "passed")

    def marks(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> dict[str, list[bool]]:
        return {mark: [mark in text.split() for text in texts] for mark in self.known}


def run(name: str, judge: Any, texts: Sequence[Sequence[str]]) -> Mapping[str, Scores]:
    prompts = [Prompt(f"p{i}", (Message("user", "hello"),)) for i in range(len(texts))]
    samples = [[Completion(text, (1,), "eos") for text in row] for row in texts]
    evaluator = registry.load("evaluators", name)()
    assert isinstance(evaluator, Evaluator)
    nobody: Any = Path()
    keys = [Key(prompt.id) for prompt in prompts]
    return evaluator(Evidence(prompts, keys, {AT_TASK.name: samples}, {}, nobody, nobody, judge))


@pytest.mark.parametrize("name", MARKS)
def test_they_count_each_prompts_marked_samples(name: str) -> None:
    """Three of four, none, all; only the evaluator's own mark counts."""
    mark = MARKS[name]
    other = next(word for word in ("rude", "exact", "passed") if word != mark)
    texts = [[f"{mark} a", mark, f"b {mark} {other}", "a"], ["", other, "x", "y"], [mark] * 4]
    scores = run(name, ByWord(), texts)
    assert METRICS[name] in scores
    assert scores[METRICS[name]].values == (0.75, 0.0, 1.0)
    assert not scores[METRICS[name]].missing


@pytest.mark.parametrize("name", MARKS)
def test_what_cannot_be_counted_says_why(name: str) -> None:
    """A judge without marks, one without this mark, and one that cannot judge these examples."""
    reasons = {
        "comparing compares": Comparing(),
        f"does not know which answers are '{MARKS[name]}' here, only: nothing": ByWord(known=()),
        "judge by_word: no key": ByWord(blind="no key"),
        "carry no facts": Gold(),
    }
    for reason, judge in reasons.items():
        scores = run(name, judge, [["a"], ["b"]])[METRICS[name]]
        assert reason in scores.missing and scores.values == ()


def test_marking_is_optional_for_a_judge() -> None:
    """Both are judges, one also marks."""
    assert isinstance(Comparing(), Judge) and isinstance(ByWord(), Judge)
    assert isinstance(ByWord(), Marking) and not isinstance(Comparing(), Marking)
    assert isinstance(Gold(), Marking)


def test_pass_at_k_is_the_share_of_subsets_with_a_pass() -> None:
    """Counted over all k-subsets; naive powers would differ."""
    for samples in range(1, 7):
        for passed in range(samples + 1):
            for k in range(1, samples + 1):
                subsets = list(combinations(range(samples), k))
                share = sum(any(i < passed for i in chosen) for chosen in subsets) / len(subsets)
                assert pass_at(k, samples, passed) == pytest.approx(share)
    with pytest.raises(ValueError, match="cannot estimate pass@10"):
        pass_at(10, 4, 2)
