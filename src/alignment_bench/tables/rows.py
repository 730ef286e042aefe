"""Rows of a table for machines: one method and one metric in one block of comparable cells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from alignment_bench.comparison import BASE, Block, Column, Estimate, Line, compare
from alignment_bench.evaluation import Better
from alignment_bench.results import CellRecord, Status


@dataclass(frozen=True)
class Row:
    """One method and metric in one block; `delta` is the paired difference to base.

    `mde` is the smallest true difference to base that 80 % of repeats would tell from none. `tied_set` has
    the letters of the method's tied sets, on the block's main metric only. Rows of one `block` may be
    compared; `alarm` is the block's control alarm, on every row of it.
    """

    task: str
    method: str
    metric: str | None
    model: str
    data: str
    world: str | None
    budget: str
    teacher: str
    judge: str
    unit: str | None
    better: Better | None
    mean: float | None
    low: float | None
    high: float | None
    delta: float | None
    delta_low: float | None
    delta_high: float | None
    mde: float | None
    tied_set: str | None
    n_prompts: int
    n_seeds: int
    status: Status
    reason: str
    block: int
    alarm: str


def rows(records: Iterable[CellRecord], only: Collection[str] | None = None) -> list[Row]:
    """One row per block, method and metric; a method without any cell to score still has its rows."""
    return block_rows(compare(records, only))


def block_rows(
    blocks: Iterable[Block],
    letters: Sequence[Mapping[tuple[str, str], str]] = (),
    alarms: Sequence[str] = (),
) -> list[Row]:
    """The rows of blocks that are already compared.

    `letters[i]` are block i's tied sets by (method, metric), `alarms[i]` its control alarm, where known.
    """
    return [
        _row(place, block, line, column, letters[place] if letters else {}, alarms[place] if alarms else "")
        for place, block in enumerate(blocks)
        for line in block.lines
        for column in block.columns or (None,)
    ]


def _row(
    place: int,
    block: Block,
    line: Line,
    column: Column | None,
    letters: Mapping[tuple[str, str], str],
    alarm: str,
) -> Row:
    setting = block.setting
    estimate = line.estimates[column.name] if column else Estimate(None, None, line.status, line.reason)
    value, delta = estimate.value, estimate.delta
    is_base = line.label == BASE and value is not None
    return Row(
        task=setting.task,
        method=line.label,
        metric=column.name if column else None,
        model=setting.model,
        data=setting.data,
        world=setting.world,
        budget=setting.budget,
        teacher=setting.teacher,
        judge=setting.judge,
        unit=column.unit if column else None,
        better=column.better if column else None,
        mean=value.mean if value else None,
        low=value.low if value else None,
        high=value.high if value else None,
        delta=0.0 if is_base else delta.mean if delta else None,
        delta_low=delta.low if delta else None,
        delta_high=delta.high if delta else None,
        mde=delta.mde if delta else None,
        tied_set=letters.get((line.label, column.name)) if column else None,
        n_prompts=value.n_prompts if value else 0,
        n_seeds=value.n_seeds if value else 0,
        status=estimate.status,
        reason=estimate.reason,
        block=place,
        alarm=alarm,
    )
