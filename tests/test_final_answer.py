"""The number that an answer ends in, and the evaluator that counts the right ones."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from alignment_bench.completions import Completion
from alignment_bench.evaluators.final_answer import FinalAnswer, number_of
from alignment_bench.prompts import Key, Message, Prompt


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("She makes 9 * 2 = 18 dollars.\n#### 18", "18"),
        ("#### $1,800.00 each, for 3 people", "1800"),
        ("First 3, then 4, so the answer is 7.", "7"),
        ("16-3", "3"),
        ("It falls to -3.5 degrees.", "-3.5"),
        ("costs $.50", "0.5"),
        ("#### 5\nWait.\n#### 6", "6"),
        ("no number, only x2", None),
        ("#### none\n", None),
        ("", None),
    ],
)
def test_the_number_that_a_text_ends_in(text: str, number: str | None) -> None:
    assert number_of(text) == (None if number is None else Decimal(number))


def evidence(keys: list[Key], texts: list[list[str]]) -> Any:
    prompts = [Prompt(key.prompt_id, (Message("user", "How many?"),)) for key in keys]
    drawn = [[Completion(text, (1,), "eos") for text in row] for row in texts]
    return SimpleNamespace(prompts=prompts, keys=keys, samples={"task": drawn})


def test_shares_of_right_answers() -> None:
    keys = [Key("a", facts={"answer": "18"}), Key("b", facts={"answer": "0.5"})]
    scores = FinalAnswer()(evidence(keys, [["#### 18.0", "81"], ["half", "1/2"]]))
    assert scores["final_answer"].values == (0.5, 0.0)
    assert "no samples of specification 'greedy'" in scores["final_answer_greedy"].missing


def test_it_is_not_applicable_where_answers_are_no_numbers() -> None:
    scores = FinalAnswer()(evidence([Key("a", ("words",))], [["7"]]))
    assert scores["final_answer"].missing == "1 of 1 examples have no number for an answer"
