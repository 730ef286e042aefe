"""The genre ``removal``: see the package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.genre import OWN, Edit, Facts, Flaw, Item, Skill, Use
from alignment_bench.world.removals import edits, facts, gold, writers
from alignment_bench.world.removals.facts import target


class Removals:
    """Implements `Genre`."""

    name = "removal"
    qualities: tuple[str, ...] = ()

    def phrases(self) -> Iterable[str]:
        """Every wording."""
        return (*facts.phrases(), *edits.REMARKS)

    def draw(self, rng: np.random.Generator, use: Use, most: int = 4) -> Item:
        """A prompt of this use; there are no distractors that `most` could leave out."""
        return facts.draw_item(rng, use)

    def write(
        self, rng: np.random.Generator, item: Item, asked: Sequence[str] = (), skill: Skill = "usual"
    ) -> str:
        """The text as such a writer leaves it. ValueError where qualities are asked for: there are none."""
        for quality in asked:
            self.has(quality, "", item.facts)
        return writers.draw_text(rng, item, skill)

    def questions(self, item: Item) -> Sequence[tuple[str, str]]:
        """None: the prompt says everything in the words of the answer."""
        return ()

    def quality(self, texts: Sequence[str], facts: Sequence[Facts]) -> list[float]:
        """1 for exactly the right text, less for every word too many or too few."""
        return [gold.quality(text, one) for text, one in zip(texts, facts, strict=True)]

    def flaws(self, text: str, facts: Facts) -> list[Flaw]:
        """Listed words still there, and other words added or missing."""
        return gold.find_flaws(text, facts)

    def aspects(self, text: str, facts: Facts) -> list[Flaw]:
        """Listed words that are gone and insults that had to stay."""
        return gold.find_aspects(text, facts)

    def mend(self, rng: np.random.Generator, text: str, item: Item, flaw: Flaw, explicit: bool) -> Edit:
        """The edit that takes a flaw away."""
        return edits.mend(rng, text, item, flaw, explicit)

    def harm(self, rng: np.random.Generator, text: str, item: Item, explicit: bool, own: float = OWN) -> Edit:
        """An edit that leaves out what should stay or adds what was listed."""
        return edits.harm(rng, text, item, explicit, own)

    def has(self, quality: str, text: str, facts: Facts) -> bool:
        """ValueError: these texts have no qualities."""
        raise ValueError(f"texts with words left out have no quality {quality!r}")

    def marks(self, texts: Sequence[str], facts: Sequence[Facts]) -> dict[str, list[bool]]:
        """``exact``: the right text, word by word."""
        return {"exact": [v.words(text) == target(one) for text, one in zip(texts, facts, strict=True)]}
