"""A teacher for any data with references: a program that reads the reference and answers like a person.

It finds what a summary misses or invents (`alignment_bench.reference_points`) and says the most important
point in words, one point a critique, as one directive: small models take up `Mention "X".` where they fail
on a longer instruction. It stands for people and is paid in seconds. Against human comparisons of
summaries such signals are right in about three of five cases: the caption of the judge says how often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from alignment_bench.digests import generator
from alignment_bench.feedback import CHANNELS, Ask, Channel, FeedbackRecord, Preference
from alignment_bench.prompts import Example, Key
from alignment_bench.reference_points import Point, points, quality, sentence_around, worth

FINE = "This is fine as it is."


@dataclass(frozen=True)
class Reference:
    """Compares a summary with the written reference and the text; noise is declared in the fields."""

    name: ClassVar[str] = "reference"
    family: ClassVar[str] = "reference"
    paid_in: ClassVar[Literal["seconds", "calls"]] = "seconds"
    channels: ClassVar[tuple[Channel, ...]] = CHANNELS

    critic_noise: float = field(default=0.1, metadata={"min": 0.0, "max": 1.0})
    """share of critiques and refinements about a random point instead of the most important one"""
    score_noise: float = field(default=0.8, metadata={"min": 0.0})
    """standard deviation of the noise on the 7-point scale, in points"""
    sharpness: float = field(default=10.0, metadata={"min": 0.0})
    """comparisons are Bradley-Terry: the odds for the first are exp(sharpness * difference in `worth`)"""
    indifference: float = field(default=0.01, metadata={"min": 0.0, "max": 1.0})
    """a difference in `worth` up to this is called a tie"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why it cannot answer about these examples, or None where it can."""
        lacking = sum(not key.references for key in keys)
        return f"{lacking} of {len(keys)} examples have no reference" if lacking else None

    def answer(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """One record per ask, in order; `cost` is filled by the ledger. No reference, no usable answer.

        A score is 1 + 6 * quality + noise, rounded and clipped to 1..7, with
        quality = sqrt(F) - invented / 2, at least 0, as `alignment_bench.reference_points` defines it.
        Comparisons are by `worth`, the same without that floor.
        """
        return [self._answer(channel, ask, seed) for ask in asks]

    def recorded(self, examples: Sequence[Example]) -> list[FeedbackRecord]:
        """Nothing: this teacher is always asked afresh."""
        return []

    def in_review(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """As `answer`, but the refinement heeds the very point that the critique makes."""
        about = "critique" if channel == "refine" else channel
        return [self._answer(channel, ask, seed, about) for ask in asks]

    def _answer(self, channel: Channel, ask: Ask, seed: int, about: Channel | None = None) -> FeedbackRecord:
        """The record, with the noise of channel `about` where it is another's."""
        texts = ask.completions
        record = FeedbackRecord(ask.prompt.id, channel, texts, source=self.name)
        if not ask.key.references:
            return replace(record, ok=False, reason="this example has no reference")
        rng = generator("reference", seed, about or channel, ask.prompt.id, *texts)
        references = ask.key.references
        reference = references[int(rng.integers(len(references)))] if len(references) > 1 else references[0]
        post = ask.prompt.text
        if channel == "demonstrate":
            return replace(record, text=reference)
        if channel == "score":
            value = 1 + 6 * quality(texts[0], post, reference) + self.score_noise * rng.standard_normal()
            return replace(record, value=float(min(7, max(1, round(value)))))
        if channel == "prefer":
            return replace(record, preference=self._prefer(rng, texts, post, reference))
        point = self._choose(rng, points(texts[0], post, reference))
        if channel == "critique":
            return _critique(record, point)
        return _refine(record, point, reference)

    def _choose(self, rng: np.random.Generator, found: Sequence[Point]) -> Point | None:
        if not found:
            return None
        if rng.random() < self.critic_noise:
            return found[int(rng.integers(len(found)))]
        return found[0]

    def _prefer(
        self, rng: np.random.Generator, texts: Sequence[str], post: str, reference: str
    ) -> Preference:
        first, second = (worth(text, post, reference) for text in texts)
        gap = first - second
        if abs(gap) <= self.indifference:
            return "tie"
        return "first" if rng.random() < (1 + math.tanh(self.sharpness * gap / 2)) / 2 else "second"


def _critique(record: FeedbackRecord, point: Point | None) -> FeedbackRecord:
    if point is None:
        return replace(record, text=FINE)
    if point.kind == "missing":
        return replace(record, text=f'Mention "{point.phrase}".')
    return replace(
        record,
        text=f'Remove "{point.phrase}", which is not in the text.',
        spans=((point.start, point.end),),
    )


def _refine(record: FeedbackRecord, point: Point | None, reference: str) -> FeedbackRecord:
    """Drops the sentence with the invention, or appends the reference's sentence with what is missing."""
    text = record.completions[0]
    if point is None:
        return replace(record, ok=False, reason="there is nothing to improve")
    if point.kind == "missing":
        start, end = sentence_around(reference, point.start, point.end)
        clause = reference[start:end]
        clause += "" if clause.endswith((".", "!", "?")) else "."
        kept = text.rstrip()
        kept += "" if not kept or kept.endswith((".", "!", "?")) else "."
        return replace(record, text=f"{kept} {clause}".strip())
    start, end = sentence_around(text, point.start, point.end)
    rest = f"{text[:start].rstrip()} {text[end:].lstrip()}".strip()
    if not rest:
        return replace(record, ok=False, reason="nothing would be left without the invented sentence")
    return replace(record, text=rest)


PLUGIN = Reference
