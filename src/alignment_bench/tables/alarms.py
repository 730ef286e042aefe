"""The control alarm: a copy of the base that differs from base puts everything beside it in doubt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alignment_bench.amounts import counted
from alignment_bench.comparison import CONTROL, Block, compare, is_control
from alignment_bench.p_values import holm, no_spread, p_value
from alignment_bench.results import CellRecord
from alignment_bench.statistics import Interval

ALARM_LEVEL = 0.01
"""family-wise error rate at which a control that differs from base raises the alarm"""


@dataclass(frozen=True)
class Alarm:
    """A control that differs from base where it cannot: everything else in that block is in doubt."""

    block: Block
    metric: str
    delta: float
    p: float
    """after Holm over all control-metric pairs of the table"""
    label: str = CONTROL
    comparisons: int = 1
    """control-metric pairs looked at, over which `p` was adjusted"""

    def __str__(self) -> str:
        return (
            f"CONTROL ALARM: {self.label} differs from base on {self.metric} by {self.delta:+.3g} "
            f"(t test on the paired differences, p {self.p:.1g} after Holm over "
            f"{counted(self.comparisons, 'pair')} of control and metric): what it shares with the "
            "other rows is in doubt"
        )


def alarms(blocks: Sequence[Block]) -> list[Alarm]:
    """Every control-metric pair whose difference to base survives Holm over all such pairs at .01."""
    found = _tested(blocks)
    adjusted = holm([p for *_, p in found])
    return [
        Alarm(block, name, delta.mean or 0.0, p, label, len(found))
        for (block, name, label, delta, _), p in zip(found, adjusted, strict=True)
        if p < ALARM_LEVEL
    ]


def tested(blocks: Sequence[Block]) -> list[str]:
    """The controls that could be compared with base in anything, sorted."""
    return sorted({label for _, _, label, _, _ in _tested(blocks)})


def _tested(blocks: Sequence[Block]) -> list[tuple[Block, str, str, Interval, float]]:
    return [
        (block, name, line.label, estimate.delta, p)
        for block in blocks
        for line in block.lines
        if is_control(line.label)
        for name, estimate in line.estimates.items()
        if estimate.delta is not None and (p := _p(estimate.delta)) is not None
    ]


def _p(delta: Interval) -> float | None:
    # a control trains nothing: where all its differences are one number, prompts are what is drawn anew
    return no_spread(delta.n_clusters) if delta.mean and delta.se == 0 else p_value(delta)


def control_alarm(records: Iterable[CellRecord]) -> str:
    """The alarms of these cells, one a line; empty where no control differs from base."""
    return "\n".join(map(str, alarms(compare(records))))
