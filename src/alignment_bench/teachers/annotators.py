"""Simulated annotators of the built-in world: programs that read the Key and answer like busy people.

They see the flaws that gold sees, and their noise is declared below. Every draw depends on the seed, the
channel, the prompt's id and the texts shown, never on the order of the questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from alignment_bench.digests import generator
from alignment_bench.feedback import CHANNELS, Ask, Channel, FeedbackRecord, Preference
from alignment_bench.judges.gold import Gold, facts_of
from alignment_bench.prompts import Example, Key
from alignment_bench.world import writers
from alignment_bench.world.edits import FINE, Edit, mend
from alignment_bench.world.facts import SLOTS, Facts, pick, reread
from alignment_bench.world.gold import Flaw, claims, find_flaws, quality
from alignment_bench.world.language import parse, render


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
    critic_noise: float = field(default=0.1, metadata={"min": 0.0, "max": 1.0})
    """share of critiques and refinements about a random aspect instead of the biggest flaw"""
    explicit: float = field(default=0.75, metadata={"min": 0.0, "max": 1.0})
    """share of critiques that name the right value, not only what is missing or wrong"""
    sharpness: float = field(default=10.0, metadata={"min": 0.0})
    """comparisons are Bradley-Terry: the odds for the first are exp(sharpness * difference in quality)"""
    score_noise: float = field(default=0.8, metadata={"min": 0.0})
    """standard deviation of the noise on the 7-point scale, in points"""
    writer: Literal["weak", "good"] = "good"
    """who writes demonstrations: somebody complete and right, or somebody who forgets and errs"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why it cannot answer about these examples, or None where it can."""
        return Gold().unfit(keys)

    def answer(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """One record per ask; `cost` is filled by the ledger."""
        return [self._answer(channel, ask, seed) for ask in asks]

    def recorded(self, examples: Sequence[Example]) -> list[FeedbackRecord]:
        """Nothing: these annotators are always asked afresh."""
        return []

    def _answer(self, channel: Channel, ask: Ask, seed: int) -> FeedbackRecord:
        facts, texts = facts_of(ask.key.facts), ask.completions
        rng = generator("annotators", seed, channel, ask.prompt.id, *texts)
        record = FeedbackRecord(ask.prompt.id, channel, texts, source=self.name)
        if channel == "prefer":
            return replace(record, preference=self._prefer(rng, facts, *texts))
        if channel == "score":
            points = 1 + 6 * quality(texts[0], facts) + self.score_noise * rng.standard_normal()
            return replace(record, value=float(min(7, max(1, round(points)))))
        if channel == "demonstrate":
            return replace(record, text=self._demonstrate(rng, ask.prompt.text, facts))
        edit = self._edit(rng, texts[0], facts)
        return replace(record, text=edit.remark if channel == "critique" else render(edit.summary))

    def _edit(self, rng: np.random.Generator, text: str, facts: Facts) -> Edit:
        explicit = bool(rng.random() < self.explicit)
        summary = parse(text)
        flaws = find_flaws(summary, facts)
        if rng.random() < self.critic_noise:
            stated = {slot for clause in summary.clauses for slot in claims(clause)}
            aspects = flaws + [Flaw("missing", 0.0, slot) for slot in SLOTS if slot in stated]
            return mend(rng, summary, pick(rng, aspects), facts, explicit)
        if not flaws:
            return Edit(pick(rng, FINE), summary)
        worst = max(flaw.gain for flaw in flaws)
        return mend(rng, summary, pick(rng, [f for f in flaws if f.gain == worst]), facts, explicit)

    def _prefer(self, rng: np.random.Generator, facts: Facts, first: str, second: str) -> Preference:
        if first == second:
            return "tie"
        gap = quality(first, facts) - quality(second, facts)
        return "first" if rng.random() < 1 / (1 + np.exp(-self.sharpness * gap)) else "second"

    def _demonstrate(self, rng: np.random.Generator, post: str, facts: Facts) -> str:
        story = reread(post, facts)
        return writers.write(rng, story, writers.GOOD if self.writer == "good" else writers.WEAK)


PLUGIN = Annotators
