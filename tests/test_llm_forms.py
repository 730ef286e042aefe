"""Replies are read as they are or not at all: the forms' right and wrong examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alignment_bench.llm import forms
from alignment_bench.llm.comparing import read_choice
from alignment_bench.llm.speaking import Heard, Question, Reply, Unreadable, Usage, ask
from alignment_bench.prompts import Message
from alignment_bench.teachers.llm import CATEGORIES

REVIEW = """Weaknesses: It is vague. It names nobody.
Advice: Say who sold the bike.
Overall Score: [[4]]
### Improved Response
A neighbour sold my bike.

What now?"""


def category(reply: Reply) -> int:
    return forms.category(reply, CATEGORIES)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (forms.line, "  Say who it was. \n", "Say who it was."),
        (forms.score, "[[10]]", 10),
        (forms.score, "Overall Score: [[ 7 ]]", 7),
        (forms.winner, "a", "first"),
        (forms.winner, "B.", "second"),
        (forms.winner, " Tie \n", "tie"),
        (forms.explained_winner, "A is shorter.\nVerdict: B", "second"),
        (category, "harmless and HELPFUL", 3),
        (category, "Harmful.", 1),
        (forms.sentence_and_score, "Feedback: Names nobody.\nScore: 2", ("Names nobody.", 2)),
        (forms.sentence_and_score, "feedback: x\n\nscore: 0.", ("x", 0)),
        (
            forms.review,
            REVIEW,
            forms.Review(
                "It is vague. It names nobody.",
                "Say who sold the bike.",
                4,
                "A neighbour sold my bike.\n\nWhat now?",
            ),
        ),
    ],
)
def test_what_was_asked_for_is_read(read: Callable[[Reply], Any], text: str, value: Any) -> None:
    assert read(Reply(text)) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (forms.text, " \n"),
        (forms.line, "One.\nTwo."),
        (forms.score, "7"),
        (forms.score, "[[7]] or [[8]]"),
        (forms.score, "[[0]]"),
        (forms.score, "[[11]]"),
        (forms.score, "[[-3]]"),
        (forms.score, "[[7.5]]"),
        (forms.winner, "Answer A"),
        (forms.winner, "A or B"),
        (forms.winner, "C"),
        (forms.explained_winner, "Verdict: A\nVerdict: B"),
        (forms.explained_winner, "Verdict: A\nbut B is fine too"),
        (forms.explained_winner, "Verdict: both"),
        (category, "Harmless"),
        (category, "Harmless and helpful, I think"),
        (category, "It is: Harmful"),
        (forms.sentence_and_score, "Feedback: Names nobody."),
        (forms.sentence_and_score, "Feedback: \nScore: 1"),
        (forms.sentence_and_score, "Feedback: x\nScore: 4"),
        (forms.sentence_and_score, "Score: 1\nFeedback: x"),
        (forms.sentence_and_score, "Feedback: x\nScore: 1\nThat is all."),
        (forms.review, REVIEW.replace("Weaknesses:", "Problems:")),
        (forms.review, REVIEW.replace("Advice: Say who sold the bike.\n", "")),
        (forms.review, REVIEW.replace("[[4]]", "4")),
        (forms.review, REVIEW.replace("[[4]]", "[[40]]")),
        (forms.review, REVIEW.replace("Overall Score: [[4]]\n", "")),
        (forms.review, REVIEW.partition("###")[0]),
        (forms.review, REVIEW.partition("A neighbour")[0]),
        (forms.review, REVIEW + "\nOverall Score: [[9]]"),
        (forms.review, "Sure!\n" + REVIEW),
        (forms.review, REVIEW.replace(" It is vague. It names nobody.", " ")),
        (forms.review, REVIEW.replace(" Say who sold the bike.", "")),
        (forms.review, REVIEW.replace("Response\n", "Response: ")),
        (forms.review, "Advice: x\nWeaknesses: y\nOverall Score: [[4]]\n### Improved Response\nz"),
        (forms.review, REVIEW.replace("[[4]]", "4").replace("Weaknesses:", "Weaknesses:" + "\n" * 20_000)),
        (forms.review, REVIEW.replace("[[4]]", f"[[{'9' * 5000}]]")),
        (forms.score, f"[[{'9' * 5000}]]"),
        (forms.sentence_and_score, "Feedback: x" + " \n" * 20_000 + "y"),
    ],
)
def test_anything_else_is_unreadable(read: Callable[[Reply], Any], text: str) -> None:
    with pytest.raises(Unreadable, match=r"\w"):
        read(Reply(text))


def test_soft_choices_are_shares_of_the_options() -> None:
    assert read_choice(Reply("", weights=(0.3, 0.1)), 0.1, explained=False) == pytest.approx(0.75)
    assert read_choice(Reply("A", weights=(0.2, 0.2, 0.4)), 0.5, explained=False) == pytest.approx(0.5)
    with pytest.raises(Unreadable, match="less than"):
        read_choice(Reply("", weights=(0.02, 0.01)), 0.1, explained=False)
    assert read_choice(Reply("B", weights=(0.02, 0.01, 0.0)), 0.1, explained=False) == 0.0
    assert read_choice(Reply("B"), 0.1, explained=False) == 0.0


class Slow:
    """Answers usefully at the third attempt."""

    def __init__(self, draws: bool = True) -> None:
        self.draws = draws
        self.asked: list[Question] = []

    def answer(self, questions: Any, *, kept: bool = False) -> list[Reply]:
        self.asked += questions
        texts = ["cut", "not a word", "A"]
        return [
            Reply(texts[q.attempt], "cut off" if q.attempt == 0 else "", usage=Usage(1, 2)) for q in questions
        ]


def test_unreadable_replies_are_asked_for_again_a_bounded_number_of_times() -> None:
    one = Question((Message("user", "x"),), 8)
    speaker = Slow()
    assert ask(speaker, [one, one], forms.winner, 3) == [Heard("first", "", Usage(3, 6), 3)] * 2
    assert [question.attempt for question in speaker.asked] == [0, 1, 2]
    assert ask(Slow(), [one], forms.winner, 2) == [Heard(None, "neither A nor B nor tie", Usage(2, 4), 2)], (
        "no guess, no fourth attempt, all of it paid"
    )
    again = Slow(draws=False)
    assert ask(again, [one], forms.winner, 3) == [Heard(None, "cut off", Usage(1, 2), 1)]
    assert len(again.asked) == 1, "greedy answers of one's own model stay the same"


def test_final_replies_are_not_asked_for_again() -> None:
    class Refusing(Slow):
        def answer(self, questions: Any, *, kept: bool = False) -> list[Reply]:
            self.asked += questions
            return [Reply(None, "refused: no", final=True) for _ in questions]

    speaker = Refusing()
    (heard,) = ask(speaker, [Question((Message("user", "x"),), 8)], forms.winner, 5)
    assert heard.reason == "refused: no" and len(speaker.asked) == 1
