"""The table of a results folder: rows for machines, and the way to the layouts for people.

A row is one method and metric in one block of comparable cells (`alignment_bench.comparison`);
`alignment_bench.table_layout` makes text, markdown, LaTeX, CSV and JSON of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment_bench.comparison import (
    BASE,
    CONTROL,
    Block,
    Column,
    Estimate,
    Line,
    Setting,
    compare,
    is_control,
)
from alignment_bench.errors import BadInput, Problem
from alignment_bench.evaluation import Better
from alignment_bench.judging import cards
from alignment_bench.results import CellRecord, Status, Unreadable, read_all
from alignment_bench.statistics import holm, p_value

ALARM_LEVEL = 0.01
"""family-wise error rate at which a control that differs from base raises the alarm"""


@dataclass(frozen=True)
class Row:
    """One method and metric in one block; `delta` is the paired difference to base. The JSON of a table."""

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
    n_prompts: int
    n_seeds: int
    status: Status
    reason: str


@dataclass(frozen=True)
class Alarm:
    """A control that differs from base where it cannot: everything else in that block is in doubt."""

    block: Block
    metric: str
    delta: float
    p: float
    """after Holm over all control-metric pairs of the table"""

    def __str__(self) -> str:
        return (
            f"CONTROL ALARM: {CONTROL} differs from base on {self.metric} by {self.delta:+.3g} "
            f"(p {self.p:.1g} after Holm over all controls and metrics): "
            "what it shares with the other rows is in doubt"
        )


def rows(records: Iterable[CellRecord], only: Collection[str] | None = None) -> list[Row]:
    """One row per block, method and metric; a method without any cell to score still has its rows."""
    return block_rows(compare(records, only))


def block_rows(blocks: Iterable[Block]) -> list[Row]:
    """The rows of blocks that are already compared."""
    return [
        _row(block.setting, line, column)
        for block in blocks
        for line in block.lines
        for column in block.columns or (None,)
    ]


def alarms(blocks: Sequence[Block]) -> list[Alarm]:
    """Every control-metric pair whose difference to base survives Holm over all such pairs at .01."""
    tested = [
        (block, name, estimate.delta, p)
        for block in blocks
        for line in block.lines
        if is_control(line.label)
        for name, estimate in line.estimates.items()
        if estimate.delta is not None and (p := p_value(estimate.delta)) is not None
    ]
    adjusted = holm([p for *_, p in tested])
    return [
        Alarm(block, name, delta.mean or 0.0, p)
        for (block, name, delta, _), p in zip(tested, adjusted, strict=True)
        if p < ALARM_LEVEL
    ]


def control_alarm(records: Iterable[CellRecord]) -> str:
    """The alarms of these cells, one a line; empty where no control differs from base."""
    return "\n".join(map(str, alarms(compare(records))))


def render(results: Path, format: str, filters: Mapping[str, tuple[str, ...]]) -> str:
    """The table of a results folder. Raises BadInput where nothing is stored, or nothing passes the filters.

    `filters` keep cells by task, model, data, world, budget, teacher, judge and seeds; `methods` picks
    lines, base still being what they are compared with.
    """
    from alignment_bench.table_layout import render_blocks

    records, unreadable = read_all(results)
    records = cards.marked(records, results)
    # stored by digest: an order that means something to a reader, and is the same after every run
    records.sort(key=lambda cell: (cell.label, cell.seed, cell.fold))
    if not records and not unreadable:
        raise BadInput([Problem("results", f"no cells are stored in {results}", "run bench run first")])
    problems = []
    for key, allowed in filters.items():
        present = {_filtered(cell, key) for cell in records}
        problems += [
            Problem(key, f"no stored cell has {value!r}", f"stored: {', '.join(sorted(present))}")
            for value in allowed
            if value not in present
        ]
    if problems:
        raise BadInput(problems)
    cells = [
        cell
        for cell in records
        if all(_filtered(cell, key) in allowed for key, allowed in filters.items() if key != "methods")
    ]
    if not cells and records:
        raise BadInput([Problem("filters", "no stored cell passes all of them", "leave one out")])
    return render_blocks(compare(cells), format, unreadable, filters.get("methods"))


def render_records(records: Sequence[CellRecord], format: str, unreadable: Sequence[Unreadable] = ()) -> str:
    """The table of these cells, lines in their order; what `bench run` prints at its end."""
    from alignment_bench.table_layout import render_blocks

    return render_blocks(compare(records), format, unreadable)


def _row(setting: Setting, line: Line, column: Column | None) -> Row:
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
        n_prompts=value.n_prompts if value else 0,
        n_seeds=value.n_seeds if value else 0,
        status=estimate.status,
        reason=estimate.reason,
    )


def _filtered(cell: CellRecord, key: str) -> str:
    names = {"methods": "label", "seeds": "seed"}
    return str(getattr(cell, names.get(key, key)))
