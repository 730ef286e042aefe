"""The genre ``program``: see the package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from alignment_bench.world.genre import OWN, Edit, Facts, Flaw, Item, Skill, Use
from alignment_bench.world.programs import edits, facts, gold, language, writers


class Programs:
    """Implements `Genre`."""

    name = "program"
    qualities: tuple[str, ...] = ()

    def phrases(self) -> Iterable[str]:
        """Every wording."""
        return (*facts.phrases(), *language.WORDING, *edits.REMARKS)

    def draw(self, rng: np.random.Generator, use: Use, most: int = 4) -> Item:
        """A prompt of this use; there are no distractors that `most` could leave out."""
        return facts.draw_item(rng, use)

    def write(
        self, rng: np.random.Generator, item: Item, asked: Sequence[str] = (), skill: Skill = "usual"
    ) -> str:
        """A program by such a writer. ValueError where qualities are asked for: programs have none."""
        for quality in asked:
            self.has(quality, "", item.facts)
        return writers.draw_text(rng, item, skill)

    def questions(self, item: Item) -> Sequence[tuple[str, str]]:
        """What each of the three slots is."""
        return edits.find_answers(item.facts)

    def quality(self, texts: Sequence[str], facts: Sequence[Facts]) -> list[float]:
        """The share of hidden calls answered right, by running the programs in the sandbox."""
        return gold.qualities(texts, facts)

    def flaws(self, text: str, facts: Facts) -> list[Flaw]:
        """The slots that are wrong; their gains are estimates."""
        return edits.find_flaws(text, facts)

    def aspects(self, text: str, facts: Facts) -> list[Flaw]:
        """The slots that are right."""
        return edits.find_aspects(text, facts)

    def mend(self, rng: np.random.Generator, text: str, item: Item, flaw: Flaw, explicit: bool) -> Edit:
        """The edit that takes a flaw away."""
        return edits.mend(rng, text, item, flaw, explicit)

    def harm(self, rng: np.random.Generator, text: str, item: Item, explicit: bool, own: float = OWN) -> Edit:
        """An edit that puts a wrong value in a slot."""
        return edits.harm(rng, text, item, explicit, own)

    def has(self, quality: str, text: str, facts: Facts) -> bool:
        """ValueError: programs have no qualities."""
        raise ValueError(f"programs have no quality {quality!r}")

    def marks(self, texts: Sequence[str], facts: Sequence[Facts]) -> dict[str, list[bool]]:
        """``passed``: all hidden calls were answered right."""
        return {
            "passed": [
                len(passed) == gold.CALLS and all(passed) for passed in gold.passed_calls(texts, facts)
            ]
        }
