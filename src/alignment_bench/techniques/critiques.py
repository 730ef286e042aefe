"""Critiques with parts, in words: what is wrong, what would help, and a number.

    weakness: the wish is missing. suggestion: i want to move out. score: four.

One form for every model: the words exist in plain English and in the built-in world's closed vocabulary. It
is what layout `critique` answers and what slot `critique` of layout `refine` holds, byte for byte, in
training and at test time. Reading never guesses: a text that is not exactly of this form is no critique, and
is counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import BadInput, Problem
from alignment_bench.formatter import Formatter
from alignment_bench.prompts import Prompt
from alignment_bench.techniques.levels import NUMBERS

Part = Literal["weakness", "suggestion", "score"]
EVERY_PART: tuple[Part, ...] = ("weakness", "suggestion", "score")
"""all parts, in the order in which they are written"""
WORDS = (*EVERY_PART, *NUMBERS)
"""what the form itself is made of; a shipped model is to be settled into these words before it learns them"""

_FIRST_SENTENCE = re.compile(r"(.+?[.!?])\s+(.+)", re.DOTALL)
_LABEL = re.compile(rf"\b({'|'.join(EVERY_PART)}):")
_FORM = re.compile(
    r"(?:weakness: (?P<weakness>.+?))?(?:(?:^| )suggestion: (?P<suggestion>.+?))?"
    rf"(?:(?:^| )score: (?P<score>{'|'.join(NUMBERS)})\.)?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Critique:
    """One critique; an empty text or None is a part that it does not have."""

    weakness: str = ""
    suggestion: str = ""
    score: int | None = None
    """1 to 7"""


def of_remark(remark: str, value: float | None = None) -> Critique:
    """A remark in free words as a critique: its first sentence is the weakness, the rest the suggestion.

    `value` is rounded; the score is None where that is not from 1 to 7.
    """
    text = " ".join(remark.split())
    found = _FIRST_SENTENCE.fullmatch(text)
    weakness, suggestion = found.groups() if found else (text, "")
    points = None if value is None else round(value)
    return Critique(
        _ended(weakness), _ended(suggestion), points if points in range(1, len(NUMBERS) + 1) else None
    )


def write(critique: Critique, parts: Sequence[Part] = EVERY_PART) -> str:
    """The critique in words, `parts` alone; parts that it does not have are left out."""
    said = {
        "weakness": critique.weakness,
        "suggestion": critique.suggestion,
        "score": "" if critique.score is None else f"{NUMBERS[critique.score - 1]}.",
    }
    return " ".join(f"{part}: {said[part]}" for part in EVERY_PART if part in parts and said[part])


def read(text: str, parts: Sequence[Part] = EVERY_PART) -> Critique | None:
    """The critique that a text writes; None where it is not exactly of the form with these parts.

    Of `parts`, weakness and score must be there; a suggestion may be missing, as where nothing is wrong.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    said = {name: (value or "").strip() for name, value in found.groupdict().items()}
    present = {name for name, value in said.items() if value}
    needed = {part for part in parts if part != "suggestion"}
    if not present or not needed <= present <= set(parts):
        return None
    if any(_LABEL.search(said[name]) for name in ("weakness", "suggestion")):
        return None  # a part said twice, or out of order
    score = NUMBERS.index(said["score"]) + 1 if said["score"] else None
    return Critique(said["weakness"], said["suggestion"], score)


def to_criticise(prompt: Prompt, answer: Completion) -> Prompt:
    """The prompt and an answer, put to a critic."""
    return prompt.using("critique", completion=answer.text)


def rewriting(formatter: Formatter, feedback: bool) -> str:
    """The layout in which an answer is shown to be rewritten, with its critique or without words.

    It is `refine` or `improve`, or the form of it named `_shown` where a task's usual one leaves the answer
    out. Raises BadInput where neither shows the answer.
    """
    plain = "refine" if feedback else "improve"
    for name in (plain, f"{plain}_shown"):
        if "{completion}" in formatter.layout(name).user:
            return name
    what = f"neither {plain!r} nor '{plain}_shown' of this policy's format shows the answer"
    raise BadInput([Problem("layout", what, "give one of them a {completion} slot")])


def to_refine(prompt: Prompt, answer: Completion, critique: str | None, layout: str) -> Prompt:
    """The prompt, an answer and its critique, put to a refiner; None: to be improved without words.

    `layout` is that of `rewriting`.
    """
    if critique is None:
        return prompt.using(layout, completion=answer.text)
    return prompt.using(layout, completion=answer.text, critique=critique)


def _ended(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
