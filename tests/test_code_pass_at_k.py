"""pass@k: the closed form against brute force, and what too few samples say."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest

from alignment_bench.completions import Completion, Decoding
from alignment_bench.evaluation import AT_TASK, Evidence
from alignment_bench.evaluators.pass_at_k import PassAtK, pass_at
from alignment_bench.prompts import Key, Message, Prompt


@pytest.mark.parametrize("samples", [1, 4, 7, 10])
def test_the_closed_form_is_the_share_of_all_draws_of_k(samples: int) -> None:
    for k in range(1, samples + 1):
        for right in range(samples + 1):
            marks = [i < right for i in range(samples)]
            draws = list(combinations(marks, k))
            assert pass_at(k, samples, right) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_it_is_neither_of_the_biased_estimates() -> None:
    none = (20 * 19 * 18) / (30 * 29 * 28)
    assert pass_at(10, 30, 3) == pytest.approx(1 - none)
    assert abs(pass_at(10, 30, 3) - (1 - 0.9**10)) > 0.05
    assert pass_at(10, 30, 3) < 1.0 == pass_at(10, 12, 3)
    with pytest.raises(ValueError, match="pass@10"):
        pass_at(10, 9, 9)


class ByWord:
    """A judge that passes what says so."""

    name, family, against_reference = "word", "word", True

    def unfit(self, keys: Any) -> None:
        return None

    def marks(self, prompts: Any, keys: Any, texts: list[str]) -> dict[str, list[bool]]:
        return {"passed": [text == "yes" for text in texts]}


def evidence(spec: str, *rows: str) -> Evidence:
    prompts = [Prompt(str(i), (Message("user", "x"),)) for i in range(len(rows))]
    drawn = [[Completion("yes" if c == "+" else "no", (), "eos") for c in row] for row in rows]
    keys = [Key(prompt.id) for prompt in prompts]
    nobody: Any = SimpleNamespace()
    judge: Any = ByWord()
    return Evidence(prompts, keys, {spec: drawn}, {}, nobody, nobody, judge)


def test_four_samples_give_pass_at_1_alone_and_say_why() -> None:
    scores = PassAtK()(evidence("task", "+--+", "----"))
    assert scores["pass_at_1"].values == (0.5, 0.0)
    assert scores["pass_at_10"].values == () and "samples=30" in scores["pass_at_10"].missing


def test_more_samples_are_drawn_on_request_at_the_papers_temperature() -> None:
    evaluator = PassAtK(samples=12)
    nobody: Any = None
    (spec,) = evaluator.used(nobody, nobody)
    assert spec.n == 12 and spec.decoding(Decoding(temperature=0.3, top_p=0.95)) == Decoding(temperature=0.8)
    assert PassAtK().used(nobody, nobody) == (AT_TASK,)
    scores = evaluator(evidence(spec.name, "+" + "-" * 11, "-" * 12))
    assert scores["pass_at_1"].values == pytest.approx((1 / 12, 0.0))
    assert scores["pass_at_10"].values == pytest.approx((10 / 12, 0.0))
