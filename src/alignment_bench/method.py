"""The contract of a method: `align(policy, prompts, lab) -> Policy`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from alignment_bench.feedback import Channel
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt

if TYPE_CHECKING:
    from alignment_bench.lab import Lab


@runtime_checkable
class Method(Protocol):
    """One file in `methods/`: a frozen dataclass whose fields are the hyperparameters.

    The class docstring's first line is its listing; the docstring under a field is its help. The class
    attributes say how it may be used, so that a plan can be checked before any work.
    """

    wrapper: ClassVar[bool]
    """may follow a `+`: changes decoding of whatever policy it is given"""

    @property
    def wants(self) -> tuple[Channel, ...]:
        """Channels it needs fresh answers on as configured, checked against the teacher before any work.

        A class attribute does, where the fields change nothing. A method whose defaults go by model size
        may define `wants_at(tier)` besides, which a plan then asks instead. On channels in `from_record`,
        another attribute, it works with what a teacher that only replays has recorded, too.
        """

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The aligned policy. Heavy work, randomness and feedback go through `lab` only."""
