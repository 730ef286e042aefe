"""The exact quality of the built-in world, as a judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from alignment_bench.feedback import Verdict
from alignment_bench.prompts import Key, Prompt
from alignment_bench.world.facts import SLOTS, Facts
from alignment_bench.world.gold import quality


@dataclass(frozen=True)
class Gold:
    """Scores every text with the world's own quality function; no noise, no order effects."""

    name: ClassVar[str] = "gold"
    """as typed in `judge=`"""
    family: ClassVar[str] = "world-gold"
    """no teacher is of this family"""
    against_reference: ClassVar[bool] = True
    """the reference is a text like any other to it"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why these examples have no gold quality, or None where they have."""
        without = [key.prompt_id for key in keys if not set(SLOTS) <= set(key.facts)]
        if not without:
            return None
        return f"{len(without)} of {len(keys)} examples carry no facts of the built-in world"

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """Quality in [0, 1] of each text."""
        return [quality(text, facts_of(key.facts)) for key, text in zip(keys, texts, strict=True)]

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """The better quality wins; equal quality is a tie."""
        verdicts = []
        for key, one, other in zip(keys, first, second, strict=True):
            gap = quality(one, facts_of(key.facts)) - quality(other, facts_of(key.facts))
            verdicts.append(Verdict(0.5 if gap == 0 else float(gap > 0)))
        return verdicts

    def caption(self) -> str:
        """One line for the table's caption."""
        return "gold: the built-in world's exact quality"


def facts_of(facts: Mapping[str, Any]) -> Facts:
    """A Key's facts as the world's own type."""
    return cast(Facts, facts)


PLUGIN = Gold
