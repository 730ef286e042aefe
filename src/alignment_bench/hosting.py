"""What a teacher or a judge needs to do heavy work: a place where answers are kept, and how models run.

Most teachers and judges are plain functions of their fields. One that calls an endpoint or runs a model
declares `hosted`; the run then uses the object that it returns, whose answers are jobs: what was asked once
is never asked again, whoever asks, and a killed run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from alignment_bench.feedback import Ask, Channel
from alignment_bench.jobs import JobStore
from alignment_bench.layouts import Layout
from alignment_bench.ledger import Spend
from alignment_bench.runtime import Runtime

Part = TypeVar("Part")


@dataclass(frozen=True)
class Host:
    """What the run lends: its job store, how models run, a way to say what is going on, and the task's own
    layouts, which say what is asked for with a prompt."""

    store: JobStore
    runtime: Runtime
    say: Callable[[str], None] = lambda text: None
    layouts: Mapping[str, Layout] = field(default_factory=dict)


@runtime_checkable
class Hosted(Protocol):
    """A teacher or judge that cannot work by its fields alone."""

    def hosted(self, host: Host) -> Any:
        """The same teacher or judge, ready to work."""


@runtime_checkable
class Billing(Protocol):
    """A teacher whose answers cost tokens or money besides the calls that budgets count."""

    def bill(self, channels: Sequence[Channel], asks: Sequence[Ask], *, seed: int, in_review: bool) -> Spend:
        """What answers that were given took, the same whenever and however often it is asked; asks nobody."""


def host_of(part: Part, host: Host) -> Part:
    """The part, made ready where it needs to be."""
    if isinstance(part, Hosted):
        ready: Part = part.hosted(host)
        return ready
    return part
