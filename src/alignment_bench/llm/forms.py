"""Strict readers of what language models write: exactly the form that was asked for, or Unreadable.

Nothing is guessed, searched for in other words or filled in. Letters' case and white space around the form
are free, as is one full stop after a single word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alignment_bench.llm.speaking import Reply, Unreadable

SCORES = range(1, 11)
"""of a score in double brackets"""
Word = Literal["first", "second", "tie"]
_WINNERS: dict[str, Word] = {"a": "first", "b": "second", "tie": "tie"}
_SCORE = re.compile(r"\[\[\s*(-?\d{1,9})\s*\]\]")
_SENTENCE = re.compile(r"feedback:[ \t]*(?P<words>\S.*)", re.I)
_GRADE = re.compile(r"score:[ \t]*(?P<score>[0-3])\.?", re.I)
PARTS = ("weaknesses:", "advice:", "overall score:", "### improved response")
"""what the parts of a review begin with, each at the start of a line"""
_HEADINGS = re.compile("^(" + "|".join(map(re.escape, PARTS)) + ")", re.I | re.M)
_OVERALL = re.compile(_SCORE.pattern + r"\.?")
_VERDICT = re.compile(r"^verdict:\s*(a|b|tie)\.?$", re.I)


@dataclass(frozen=True, slots=True)
class Review:
    """Critique, score and rewriting of one answer, in one reply."""

    weakness: str
    advice: str
    score: int
    refinement: str


def text(reply: Reply) -> str:
    """All of it, as it is; nothing is unreadable."""
    found = (reply.text or "").strip()
    if not found:
        raise Unreadable("the reply is empty")
    return found


def line(reply: Reply) -> str:
    """One line of words."""
    found = text(reply)
    if "\n" in found:
        raise Unreadable("more than one line where one sentence was asked for")
    return found


def score(reply: Reply) -> int:
    """The one number in double brackets, from 1 to 10."""
    found = _SCORE.findall(text(reply))
    if len(found) != 1:
        raise Unreadable(f"{len(found)} scores in double brackets where one was asked for")
    return _in_range(int(found[0]))


def winner(reply: Reply) -> Word:
    """A, B or tie, and not a word more."""
    found = text(reply)
    if (word := _WINNERS.get(_bare(found))) is None:
        raise Unreadable("neither A nor B nor tie")
    return word


def explained_winner(reply: Reply) -> Word:
    """`Verdict:` and A, B or tie on the last line, and on no other."""
    lines = [one.strip() for one in text(reply).splitlines() if one.strip()]
    verdicts = [one for one in lines if one.casefold().startswith("verdict:")]
    found = _VERDICT.match(lines[-1])
    if found is None or len(verdicts) != 1:
        raise Unreadable("the last line, and no other, must be a verdict: A, B or tie")
    return _WINNERS[found.group(1).casefold()]


def category(reply: Reply, known: Sequence[str]) -> int:
    """Which of the known categories it names, counted from 1."""
    found = _bare(text(reply))
    for level, name in enumerate(known, start=1):
        if found == name.casefold():
            return level
    raise Unreadable("none of the categories, word for word")


def sentence_and_score(reply: Reply) -> tuple[str, int]:
    """`Feedback:` with a sentence and, on the next line, `Score:` with a digit from 0 to 3."""
    lines = [one.strip() for one in text(reply).split("\n") if one.strip()]
    said = _SENTENCE.fullmatch(lines[0])
    grade = _GRADE.fullmatch(lines[1]) if len(lines) == 2 else None
    if said is None or grade is None:
        raise Unreadable("not a line of feedback and a line with a score from 0 to 3")
    return said["words"], int(grade["score"])


def review(reply: Reply) -> Review:
    """Weaknesses, advice, overall score and improved response: all of them, once each, in this order."""
    # Cut at the headings: one pattern for the whole backtracks for hours over a model's run of empty lines.
    before, *pieces = _HEADINGS.split(text(reply))
    headings, bodies = [one.casefold() for one in pieces[::2]], pieces[1::2]
    if missing := [one for one in PARTS if one not in headings]:
        raise Unreadable(f"without {', '.join(one.strip('#: ') for one in missing)}")
    if len(headings) > len(PARTS):
        raise Unreadable("a part is there twice")
    weakness, advice, overall, better = (one.strip() for one in bodies)
    score = _OVERALL.fullmatch(overall)
    in_order = tuple(headings) == PARTS and not before and not bodies[-1].partition("\n")[0].strip()
    if not (in_order and weakness and advice and better and score):
        raise Unreadable("its parts are empty, out of order, or the score is no [[number]]")
    return Review(" ".join(weakness.split()), " ".join(advice.split()), _in_range(int(score[1])), better)


def _bare(said: str) -> str:
    return said.strip().removesuffix(".").rstrip().casefold()


def _in_range(number: int) -> int:
    if number not in SCORES:
        raise Unreadable(f"the score {number} is not from {SCORES[0]} to {SCORES[-1]}")
    return number
