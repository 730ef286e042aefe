"""The unaligned base, always in the table: every difference is measured against it. No paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt


@dataclass(frozen=True)
class Base:
    """The unaligned base model."""

    wrapper: ClassVar[bool] = False
    wants: ClassVar[tuple[Channel, ...]] = ()

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy as it is."""
        return policy


PLUGIN = Base
