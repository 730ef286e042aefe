"""Fine-tunes on the better of two samples of each prompt, as the teacher compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt

if TYPE_CHECKING:
    from alignment_bench.lab import Lab


@dataclass(frozen=True)
class PickBest:
    """Trains on the preferred one of two samples."""

    comparisons: int = field(default=64, metadata={"min": 1})
    """how many comparisons to buy at most"""
    wrapper: ClassVar[bool] = False
    wants: ClassVar[tuple[str, ...]] = ("prefer",)

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy fine-tuned on preferred samples."""
        chosen = prompts[: min(self.comparisons, lab.feedback.affordable("prefer"))]
        pairs = lab.sample(policy, chosen, n=2)
        records = lab.feedback.prefer(chosen, [p[0] for p in pairs], [p[1] for p in pairs])
        better = [p[1 if r.preference == "second" else 0] for p, r in zip(pairs, records, strict=True)]
        return lab.finetune(policy, list(zip(chosen, better, strict=True)), lab.settings())


PLUGIN = PickBest
