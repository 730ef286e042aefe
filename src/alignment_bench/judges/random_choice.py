"""A control, not a judge: a coin for every question, thrown afresh when the two texts change places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.digests import derive_seed
from alignment_bench.feedback import Verdict
from alignment_bench.judging.pairwise import Choice, Pairing, both_orders
from alignment_bench.prompts import Key, Prompt


@dataclass(frozen=True)
class RandomChoice:
    """Control: names one of the two texts at random; for auditing judges, never for results.

    The coin depends on the prompt and on the texts in the order shown, so that the same question always
    gets the same answer, and half of all pairs do not survive a swap.
    """

    name: ClassVar[str] = "random_choice"
    family: ClassVar[str] = "control-chance"
    against_reference: ClassVar[bool] = True

    seed: int = 0
    """another seed throws other coins"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """None: a coin needs nothing."""
        return None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """None: chance is no quality."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """A win where both coins fall on the same text, else a tie."""
        return both_orders(self._throw, prompts, keys, first, second)

    def caption(self) -> str:
        """One line for the table's caption."""
        return "random_choice: a control that throws a coin, no judge"

    def _throw(self, pairings: Sequence[Pairing]) -> list[Choice]:
        named = ("random choice", self.seed)
        coins = [
            derive_seed(*named, p.prompt.id, p.prompt.text, p.shown_first, p.shown_second) for p in pairings
        ]
        return [Choice(float(coin & 1)) for coin in coins]


PLUGIN = RandomChoice
