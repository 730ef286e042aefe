"""A control: the base's own weights through the whole align, save, load and sample path.

It answers from a sampling stream of its own, so it differs from base by sampling noise alone; a difference
that the statistics call real is a false alarm, or a fault of the path. No paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt


@dataclass(frozen=True)
class BaseCopy:
    """Control: a copy of the base with its own sampling stream; must come out tied with base."""

    wrapper: ClassVar[bool] = False
    wants: ClassVar[tuple[Channel, ...]] = ()

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The same weights, saved and loaded like a trained policy's."""
        return lab.copy(policy, stream="base_copy")


PLUGIN = BaseCopy
