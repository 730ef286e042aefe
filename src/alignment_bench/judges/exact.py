"""The one right answer, word for word: for tasks whose references are exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.feedback import Verdict
from alignment_bench.prompts import Key, Prompt


@dataclass(frozen=True)
class Exact:
    """Right is an answer whose first line is a reference, up to white space; right beats wrong.

    Only the first line counts, as for models that are stopped at its end. It has no scale of quality: almost
    right is wrong, and says nothing about how wrong.
    """

    name: ClassVar[str] = "exact"
    """as typed in `judge=`"""
    family: ClassVar[str] = "exact"
    """no teacher is of this family"""
    against_reference: ClassVar[bool] = False
    """the reference is right by definition"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why these examples have no right answer, or None where they have."""
        lacking = sum(not key.references for key in keys)
        return f"{lacking} of {len(keys)} examples have no reference" if lacking else None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """None: right or wrong is a mark, not a scale."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """The right one wins; two right or two wrong ones tie."""
        pairs = zip(_right(keys, first), _right(keys, second), strict=True)
        return [Verdict(0.5 + 0.5 * (one - other)) for one, other in pairs]

    def marks(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> dict[str, list[bool]]:
        """``exact``."""
        return {"exact": _right(keys, texts)}

    def caption(self) -> str:
        """One line for the table's caption."""
        return "exact: an answer is right when its first line is the reference, word for word"


def _right(keys: Sequence[Key], texts: Sequence[str]) -> list[bool]:
    return [
        first_line(text) in {first_line(reference) for reference in key.references}
        for key, text in zip(keys, texts, strict=True)
    ]


def first_line(text: str) -> str:
    """The words of the first line that has any, single spaces between them."""
    return next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "")


PLUGIN = Exact
