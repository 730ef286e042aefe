"""A control, not a judge: the longer text wins. What a judge adds to this is what it knows beyond length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.feedback import Verdict
from alignment_bench.prompts import Key, Prompt


@dataclass(frozen=True)
class AlwaysLonger:
    """Control: prefers the text of more characters; for auditing judges, never for results."""

    name: ClassVar[str] = "always_longer"
    family: ClassVar[str] = "control-length"
    against_reference: ClassVar[bool] = True

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """None: every text has a length."""
        return None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """None: length is no quality."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """1 where the first is longer, 0 where the second is, .5 where both are equally long."""
        gaps = [len(one) - len(other) for one, other in zip(first, second, strict=True)]
        return [Verdict(0.5 if gap == 0 else float(gap > 0)) for gap in gaps]

    def caption(self) -> str:
        """One line for the table's caption."""
        return "always_longer: a control that prefers the longer text, no judge"


PLUGIN = AlwaysLonger
