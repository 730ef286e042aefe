"""Points: what a Key faults in an answer, put in words, and whether a later answer takes it up.

An evaluator does not see what a teacher once said. To measure whether a policy takes up feedback it makes
feedback of its own from the Key: a judge that knows exactly what is wrong says it (`Pointing`); elsewhere a
written reference does (`Missing`), and then only on what is missing: what a reference does not have is left
out by any other answer, asked or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from alignment_bench.feedback import Judge
from alignment_bench.per_prompt import without_references
from alignment_bench.prompts import Key, Prompt
from alignment_bench.reference_points import points
from alignment_bench.words import content_stems


@dataclass(frozen=True, slots=True)
class Raised:
    """One point about one answer: the critique in words, and what its maker looks for afterwards."""

    critique: str
    about: Any


@runtime_checkable
class Pointing(Protocol):
    """Says what matters most about an answer, and whether another one takes it up."""

    def point(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[Raised | None]:
        """The weightiest point about each text; None where there is nothing to say."""

    def heeded(self, keys: Sequence[Key], raised: Sequence[Raised], texts: Sequence[str]) -> list[bool]:
        """Whether each text does what the point about an earlier one asked for."""


@dataclass(frozen=True)
class Missing:
    """Points by written references: the weightiest phrase that an answer leaves out."""

    def point(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[Raised | None]:
        """`Mention "X".`, by the first reference that something of is missing."""
        return [self._point(*row) for row in zip(prompts, keys, texts, strict=True)]

    def heeded(self, keys: Sequence[Key], raised: Sequence[Raised], texts: Sequence[str]) -> list[bool]:
        """Whether every content word of the phrase is there."""
        return [
            set(content_stems(one.about)) <= set(content_stems(text))
            for one, text in zip(raised, texts, strict=True)
        ]

    def _point(self, prompt: Prompt, key: Key, text: str) -> Raised | None:
        found = (
            point
            for reference in key.references
            for point in points(text, prompt.text, reference)
            if point.kind == "missing"
        )
        point = next(found, None)
        return None if point is None else Raised(f'Mention "{point.phrase}".', point.phrase)


def pointing_of(judge: Judge, keys: Sequence[Key]) -> tuple[Pointing | None, str]:
    """Who makes points about these examples, with a word on how; None and the reason where nobody can."""
    if isinstance(judge, Pointing) and judge.unfit(keys) is None:
        return judge, f"points by judge {judge.name}"
    if reason := without_references(keys):
        return None, f"judge {judge.name} makes no points, and {reason}"
    return Missing(), 'points by what the reference has and the first answer lacks ("missing" alone)'
