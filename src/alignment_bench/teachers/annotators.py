"""Simulated annotators of the built-in world, version 1: programs that read the Key, but as busy people do.

Five roles answer the five channels: a critic, a rater, a comparer, a demonstrator and a reviser. They see the
flaws that gold sees, and what they get wrong is declared below. Every draw depends on the seed, the channel,
the prompt's id and the texts shown in their order, never on the order of the questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from alignment_bench.digests import generator
from alignment_bench.feedback import CHANNELS, Ask, Channel, FeedbackRecord, Preference
from alignment_bench.judges.gold import Gold, quality
from alignment_bench.prompts import Example, Key
from alignment_bench.world.corpus import FINE
from alignment_bench.world.genre import Edit, Item, pick
from alignment_bench.world.genres import GENRES

_SHARE = {"min": 0.0, "max": 1.0}


@dataclass(frozen=True)
class Annotators:
    """A pool of annotators, each act by one of them."""

    name: ClassVar[str] = "annotators"
    """as typed in `teacher=`"""
    family: ClassVar[str] = "world-annotators"
    """reads the same facts as the gold judge, but with noise and without its exact numbers"""
    paid_in: ClassVar[Literal["seconds", "calls"]] = "seconds"
    """they stand for people"""
    channels: ClassVar[tuple[Channel, ...]] = CHANNELS
    """what they can be asked"""
    critic_noise: float = field(default=0.1, metadata=_SHARE)
    """share of critiques and refinements about a random aspect instead of the biggest flaw"""
    explicit: float = field(default=0.75, metadata=_SHARE)
    """share of critiques that name the right value, not only what is missing or wrong"""
    score_noise: float = field(default=0.8, metadata={"min": 0.0})
    """standard deviation of the noise on the 7-point scale, in points"""
    sharpness: float = field(default=8.0, metadata={"min": 0.0})
    """comparisons are Bradley-Terry: the odds for the first are exp(sharpness * difference in quality)"""
    indifference: float = field(default=0.01, metadata=_SHARE)
    """a difference in quality, as they see it, below this is called a tie"""
    length_bias: float = field(default=0.02, metadata={"min": -1.0, "max": 1.0})
    """quality that raters and comparers wrongly credit for every ten words"""
    position_bias: float = field(default=0.2, metadata={"min": -10.0, "max": 10.0})
    """log-odds that comparers add to the answer shown first"""
    inconsistency: float = field(default=0.05, metadata=_SHARE)
    """share of scores and comparisons given without looking: any point, either answer"""
    writer: Literal["weak", "good"] = "good"
    """who writes demonstrations: somebody complete and right, or somebody who forgets and errs"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why it cannot answer about these examples, or None where it can."""
        return Gold().unfit(keys)

    def answer(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """One record per ask; `cost` is filled by the ledger."""
        records = [FeedbackRecord(a.prompt.id, channel, a.completions, source=self.name) for a in asks]
        if channel == "critique":
            found = zip(records, self.edits(channel, asks, seed=seed), strict=True)
            return [replace(record, text=edit.remark) for record, edit in found]
        if channel == "refine":
            return self._refined(asks, self.edits(channel, asks, seed=seed))
        draws = [_draws(channel, ask, seed) for ask in asks]
        if channel == "demonstrate":
            written = zip(records, map(self._demonstrate, draws, asks), strict=True)
            return [replace(record, text=text) for record, text in written]
        seen = self._seen(asks)
        if channel == "score":
            scored = zip(records, map(self._score, draws, seen), strict=True)
            return [replace(record, value=value) for record, value in scored]
        compared = zip(records, map(self._prefer, draws, asks, seen), strict=True)
        return [replace(record, preference=preference) for record, preference in compared]

    def in_review(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """As `answer`, but the refinement is the very edit that the critique asks for."""
        if channel == "refine":
            return self._refined(asks, self.edits("critique", asks, seed=seed))
        return self.answer(channel, asks, seed=seed)

    def _refined(self, asks: Sequence[Ask], edits: Sequence[Edit]) -> list[FeedbackRecord]:
        return [
            FeedbackRecord(a.prompt.id, "refine", a.completions, text=edit.text, source=self.name)
            for a, edit in zip(asks, edits, strict=True)
        ]

    def recorded(self, examples: Sequence[Example]) -> list[FeedbackRecord]:
        """Nothing: these annotators are always asked afresh."""
        return []

    def edits(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[Edit]:
        """What they have in mind when they criticise or revise: the remark, and the answer that heeds it."""
        return [self._edit(_draws(channel, ask, seed), ask) for ask in asks]

    def _edit(self, rng: np.random.Generator, ask: Ask) -> Edit:
        """Takes away the biggest flaw; now and then whatever came to mind."""
        genre, text, item = GENRES[ask.key.facts["genre"]], ask.completions[0], _item(ask)
        explicit = bool(rng.random() < self.explicit)
        flaws = genre.flaws(text, item.facts)
        if rng.random() < self.critic_noise and (anything := [*flaws, *genre.aspects(text, item.facts)]):
            return genre.mend(rng, text, item, pick(rng, anything), explicit)
        if not flaws:
            return Edit(FINE, text)
        worst = max(flaw.gain for flaw in flaws)
        chosen = pick(rng, [flaw for flaw in flaws if flaw.gain == worst])
        return genre.mend(rng, text, item, chosen, explicit)

    def _seen(self, asks: Sequence[Ask]) -> list[list[float]]:
        """The quality of every text shown as they see it: longer ones look better than they are."""
        texts = [text for ask in asks for text in ask.completions]
        gold = iter(quality(texts, [ask.key.facts for ask in asks for _ in ask.completions]))
        return [
            [next(gold) + self.length_bias * len(text.split()) / 10 for text in ask.completions]
            for ask in asks
        ]

    def _score(self, rng: np.random.Generator, seen: Sequence[float]) -> float:
        if rng.random() < self.inconsistency:
            return float(rng.integers(1, 8))
        points = 1 + 6 * seen[0] + self.score_noise * rng.standard_normal()
        return float(min(7, max(1, round(points))))

    def _prefer(self, rng: np.random.Generator, ask: Ask, seen: Sequence[float]) -> Preference:
        if ask.completions[0] == ask.completions[1]:
            return "tie"
        gap = seen[0] - seen[1]
        if rng.random() < self.inconsistency:
            return "first" if rng.random() < 0.5 else "second"
        if abs(gap) < self.indifference:
            return "tie"
        odds = self.sharpness * gap + self.position_bias
        return "first" if rng.random() < (1 + np.tanh(odds / 2)) / 2 else "second"

    def _demonstrate(self, rng: np.random.Generator, ask: Ask) -> str:
        return GENRES[ask.key.facts["genre"]].write(rng, _item(ask), skill=self.writer)


def _item(ask: Ask) -> Item:
    return Item(ask.prompt.text, ask.key.facts)


def _draws(channel: Channel, ask: Ask, seed: int) -> np.random.Generator:
    return generator("annotators", seed, channel, ask.prompt.id, *ask.completions)


PLUGIN = Annotators
