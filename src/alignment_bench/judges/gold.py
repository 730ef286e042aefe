"""The exact quality of the built-in world, as a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.feedback import Verdict
from alignment_bench.pointing import Raised
from alignment_bench.prompts import Key, Prompt
from alignment_bench.world import points
from alignment_bench.world.genre import Facts, Genre
from alignment_bench.world.genres import GENRES


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
        without = sum(key.facts.get("genre") not in GENRES for key in keys)
        return f"{without} of {len(keys)} examples carry no facts of the built-in world" if without else None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """Quality in [0, 1] of each text."""
        return quality(texts, [key.facts for key in keys])

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """The better quality wins; equal quality is a tie."""
        facts = [key.facts for key in keys]
        values = quality([*first, *second], [*facts, *facts])
        pairs = zip(values[: len(facts)], values[len(facts) :], strict=True)
        return [Verdict(0.5 if one == other else float(one > other)) for one, other in pairs]

    def marks(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> dict[str, list[bool]]:
        """The yes-or-no properties that all the genres among the keys have, one value a text."""
        tables = []
        for genre, where in by_genre([key.facts for key in keys]):
            own = [texts[i] for i in where], [keys[i].facts for i in where]
            tables.append((where, genre.marks(*own)))
        shared = set.intersection(*(set(table) for _, table in tables)) if tables else set()
        values = {mark: [False] * len(texts) for mark in sorted(shared)}
        for where, table in tables:
            for mark in values:
                for i, value in zip(where, table[mark], strict=True):
                    values[mark][i] = value
        return values

    def point(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[Raised | None]:
        """The remark on each text's costliest flaw; None where there is none."""
        return [points.point(*row) for row in zip(prompts, keys, texts, strict=True)]

    def heeded(self, keys: Sequence[Key], raised: Sequence[Raised], texts: Sequence[str]) -> list[bool]:
        """Whether each text is rid of the flaw that was pointed at."""
        return [points.heeded(*row) for row in zip(keys, raised, texts, strict=True)]

    def caption(self) -> str:
        """One line for the table's caption."""
        return "gold: the built-in world's exact quality"


def quality(texts: Sequence[str], facts: Sequence[Facts]) -> list[float]:
    """Gold quality of each answer to the prompt with these facts: one call for all answers of a genre."""
    values = [0.0] * len(texts)
    for genre, where in by_genre(facts):
        own = genre.quality([texts[i] for i in where], [facts[i] for i in where])
        for i, value in zip(where, own, strict=True):
            values[i] = value
    return values


def by_genre(facts: Sequence[Facts]) -> list[tuple[Genre, list[int]]]:
    """Each genre that occurs, with the places of its facts."""
    places: dict[str, list[int]] = {}
    for place, one in enumerate(facts):
        places.setdefault(one["genre"], []).append(place)
    return [(GENRES[name], where) for name, where in places.items()]


PLUGIN = Gold
