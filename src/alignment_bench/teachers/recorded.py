"""A teacher that only replays: what people said when a data set was made, at the price of saying it now.

It answers nothing afresh, so methods that need answers about texts of their own cannot work with it; those
that learn from comparisons, demonstrations or critiques of given answers can (`from_record`). Feedback comes
in the data's order, and the budget takes its first acts, the same for every seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from alignment_bench.errors import NotApplicable
from alignment_bench.feedback import CHANNELS, Ask, Channel, FeedbackRecord, Preference
from alignment_bench.prompts import Example, Key


@dataclass(frozen=True)
class RecordedTeacher:
    """Replays the feedback that a published data set brings; answers nothing afresh."""

    name: ClassVar[str] = "recorded"
    family: ClassVar[str] = "recorded"
    paid_in: ClassVar[Literal["seconds", "calls"]] = "seconds"
    channels: ClassVar[tuple[Channel, ...]] = ()

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why it has nothing to replay, or None where it has."""
        return None if any(key.recorded for key in keys) else "it brings no recorded feedback"

    def answer(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """Raises NotApplicable: nothing is answered afresh."""
        raise NotApplicable(f"teacher {self.name!r} only replays, it gives no fresh answers on {channel!r}")

    def recorded(self, examples: Sequence[Example]) -> list[FeedbackRecord]:
        """Everything that was recorded about these examples, in their order."""
        return [
            FeedbackRecord(
                example.prompt.id,
                act.channel,
                act.completions,
                text=act.text,
                value=act.value,
                preference=cast(Preference | None, act.preference),
                source=self.name,
            )
            for example in examples
            for act in example.key.recorded
            if act.channel in CHANNELS
        ]


PLUGIN = RecordedTeacher
