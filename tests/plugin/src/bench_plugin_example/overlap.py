"""A teacher and a judge that count the words a text shares with the reference."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench.feedback import Ask, Channel, FeedbackRecord, Preference, Verdict
from alignment_bench.prompts import Example, Key, Prompt


def shared(text: str, key: Key) -> float:
    """Share of all words of text and reference that both have, in [0, 1]."""
    ours, theirs = set(text.split()), set(key.references[0].split())
    return len(ours & theirs) / max(1, len(ours | theirs))


@dataclass(frozen=True)
class Overlap:
    """Compares and rates by the words shared with the reference; a machine, without noise."""

    points: int = field(default=7, metadata={"min": 2})
    """points of its rating scale"""
    name: ClassVar[str] = "overlap"
    family: ClassVar[str] = "overlap"
    paid_in: ClassVar[Literal["seconds", "calls"]] = "calls"
    channels: ClassVar[tuple[Channel, ...]] = ("score", "prefer")

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """It needs a reference for every example."""
        return None if all(key.references for key in keys) else "there are examples without a reference"

    def answer(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """One record per ask."""
        return [self._answer(channel, ask) for ask in asks]

    def recorded(self, examples: Sequence[Example]) -> list[FeedbackRecord]:
        """Nothing was collected before."""
        return []

    def _answer(self, channel: Channel, ask: Ask) -> FeedbackRecord:
        values = [shared(text, ask.key) for text in ask.completions]
        if channel == "score":
            points = 1 + (self.points - 1) * values[0]
            return FeedbackRecord(ask.prompt.id, channel, ask.completions, value=points, source=self.name)
        better: Preference = "tie"
        if values[0] != values[1]:
            better = "first" if values[0] > values[1] else "second"
        return FeedbackRecord(ask.prompt.id, channel, ask.completions, preference=better, source=self.name)


@dataclass(frozen=True)
class Closer:
    """The text that shares more words with the reference wins."""

    name: ClassVar[str] = "closer"
    family: ClassVar[str] = "overlap"
    against_reference: ClassVar[bool] = False

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """It needs a reference for every example."""
        return None if all(key.references for key in keys) else "there are examples without a reference"

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """It compares only."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """More shared words win, equally many tie."""
        gains = [shared(a, key) - shared(b, key) for a, b, key in zip(first, second, keys, strict=True)]
        return [Verdict(0.5 + 0.5 * ((gain > 0) - (gain < 0))) for gain in gains]

    def caption(self) -> str:
        """What it is; its agreement with people was never measured."""
        return "closer: words shared with the reference; agreement with people not measured"
