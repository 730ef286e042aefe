"""Comparisons looked back on: answers to learn after a phrase that says how they turned out.

A sequence is written as its letters: "p" is the preferred answer after its marker, "n" the other one after
its own, "pn" and "np" chains of both about one prompt, which is given once. A chain is factorised (see
`lessons`): its first answer is learned in layout `describe`, its second in layout `chain`, whose prompt holds
the first marker, the first answer and the second marker. Markers and prompts are thus never in the loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from alignment_bench.completions import Completion
from alignment_bench.lessons import Lesson
from alignment_bench.prompts import Prompt

Markers = Literal["simple", "auxiliary"]


@dataclass(frozen=True, slots=True)
class Marker:
    """Two phrases that ask for an answer: like those that were preferred, like those that were not."""

    good: str
    bad: str

    def of(self, outcome: str) -> str:
        """The phrase of outcome "p" or "n"."""
        return {"p": self.good, "n": self.bad}[outcome]


SIMPLE = Marker("a good answer", "a bad answer")
MARKERS: Mapping[Markers, tuple[Marker, ...]] = {
    "simple": (SIMPLE,),
    "auxiliary": (
        SIMPLE,
        Marker("a helpful answer", "a harmful answer"),
        Marker("an excellent answer", "a terrible answer"),
        Marker("a great answer", "a poor answer"),
        Marker("a better answer", "a worse answer"),
        Marker("the best answer", "the worst answer"),
    ),
}
"""The first pair of each is the one that a trained policy is asked with."""


def phrases(markers: Sequence[Marker]) -> list[str]:
    """Every phrase once, in order."""
    return list(dict.fromkeys(phrase for marker in markers for phrase in (marker.good, marker.bad)))


def hindsight_lessons(
    pairs: Sequence[tuple[Prompt, Completion, Completion]],
    sequences: Sequence[str],
    markers: Sequence[Marker],
) -> list[Lesson]:
    """The sequences of every (prompt, preferred, other) under every marker.

    A lesson that several sequences share ("p" is also how "pn" begins) comes once, with their number as its
    weight; weights are scaled to mean 1, as if each sequence had been read on its own.
    """
    steps = Counter(sequence[: k + 1] for sequence in sequences for k in range(len(sequence)))
    scale = len(steps) / sum(steps.values())
    return [
        _step(pair, step, marker, count * scale)
        for pair in pairs
        for marker in markers
        for step, count in steps.items()
    ]


def _step(pair: tuple[Prompt, Completion, Completion], step: str, marker: Marker, weight: float) -> Lesson:
    """The last answer of the sequence, after everything before it."""
    prompt, *answers = pair
    answer = dict(zip("pn", answers, strict=True))
    first, last = step[:-1], step[-1]
    if not first:
        return Lesson(prompt.using("describe", condition=marker.of(last)), answer[last], weight)
    asked = prompt.using(
        "chain", condition=marker.of(first), completion=answer[first].text, next_condition=marker.of(last)
    )
    return Lesson(asked, answer[last], weight)


def unlikelihood_lessons(
    pairs: Sequence[tuple[Prompt, Completion, Completion]], weight: float
) -> list[Lesson]:
    """The preferred answers as they are, the others made unlikely with `weight`; no markers."""
    return [
        lesson
        for prompt, preferred, other in pairs
        for lesson in (Lesson(prompt, preferred), Lesson(prompt, other, weight, unlikely=True))
    ]


def chosen_lessons(pairs: Sequence[tuple[Prompt, Completion, Completion]]) -> list[Lesson]:
    """The preferred answers as they are, without markers."""
    return [Lesson(prompt, preferred) for prompt, preferred, _ in pairs]
