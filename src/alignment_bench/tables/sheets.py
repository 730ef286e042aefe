"""A block as a sheet: title, verdict, caption, grids of cells already written out, footnotes.

The sheet is the same for every format that people read; `alignment_bench.tables.formats` sets it. The main
metric comes first, with its difference to base and its tied sets; the next one has its difference, the
others show their interval and a mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10
from statistics import median_high

from alignment_bench.comparison import BASE, Block, Column, Estimate, Line
from alignment_bench.statistics import Interval
from alignment_bench.tables.caption import LEGEND, caption, units
from alignment_bench.tables.footnotes import footnotes
from alignment_bench.tables.spend import Columns, spend_columns
from alignment_bench.tables.standing import Standing

WIDE = 2
"""metrics whose difference to base is written out"""
ARROWS = {"higher": " ↑", "lower": " ↓", "neither": ""}
GAP = 3
"""characters between two columns"""
TIED = "tied set"
AT = " @ "
"""between a method and its budget, in a sweep"""


@dataclass(frozen=True)
class Grid:
    """Columns of text with their headers; the first column names the methods."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Sheet:
    """One block, written out."""

    title: str
    caption: tuple[str, ...]
    grids: tuple[Grid, ...]
    footnotes: tuple[str, ...]
    alarms: tuple[str, ...] = ()
    verdict: tuple[str, ...] = ()
    """the verdict in plain words, the most important sentence first"""


def sheet(block: Block, alarms: Sequence[str], width: int, found: Standing | None = None) -> Sheet:
    """The sheet of a block, its grids at most `width` characters wide where one column allows it."""
    found = found or Standing()
    shown = shown_columns(block, found.column)
    labels = ["method", *(line.label for line in block.lines)]
    spend = [[column] for column in spend_columns(block)]
    grids = [*_pack(labels, _metrics(block, shown, found), width), *_pack(labels, spend, width)]
    setting = block.setting
    return Sheet(
        f"{setting.task}, model {setting.model}, budget {setting.budget}",
        tuple(caption(block, shown, shown[:WIDE], found)),
        tuple(grids),
        tuple(footnotes(block, shown)),
        tuple(alarms),
        (*found.sentences, *found.warnings),
    )


def plain_sheet(block: Block, title: str, caption: Sequence[str], width: int) -> Sheet:
    """The sheet of a block that no run made: its metrics under a caption of its own, and no spend."""
    shown = shown_columns(block, None)
    labels = ["method", *(line.label for line in block.lines)]
    lines = [*caption, *([f"units: {said}"] if (said := units(shown)) else []), LEGEND]
    grids = _pack(labels, _metrics(block, shown, Standing()), width)
    return Sheet(title, tuple(lines), tuple(grids), tuple(footnotes(block, shown)))


def column_sheet(
    title: str,
    caption: Sequence[str],
    labels: Sequence[str],
    columns: Columns,
    width: int,
    verdict: Sequence[str] = (),
) -> Sheet:
    """A sheet of finished columns beside the methods; where they do not fit, in several grids."""
    grids = _pack(["method", *labels], [[column] for column in columns], width)
    return Sheet(title, tuple(caption), tuple(grids), (), verdict=tuple(verdict))


def shown_columns(block: Block, main: Column | None) -> list[Column]:
    """The metrics of which somebody has a value, the main one first."""
    scored = [column for column in block.columns if any(_value(line, column) for line in block.lines)]
    return sorted(scored, key=lambda column: main is None or column.name != main.name)


def excludes_zero(delta: Interval) -> bool:
    """Whether the difference has an interval and 0 lies outside it."""
    return delta.low is not None and delta.high is not None and not delta.low <= 0 <= delta.high


def written_column(found: Sequence[Interval | None]) -> list[str]:
    """Intervals in as many decimals as their column needs; n/a for none."""
    decimals = _decimals([one for one in found if one])
    return [_written(one, decimals, False) if one else "n/a" for one in found]


def _metrics(block: Block, shown: Sequence[Column], found: Standing) -> list[Columns]:
    if not shown:
        return [[("status", [line.status for line in block.lines])]]
    groups = [_metric(block.lines, column, place < WIDE) for place, column in enumerate(shown)]
    if found.letters:
        groups[0].append((TIED, [found.letters.get(line.label, "") for line in block.lines]))
    return groups


def _value(line: Line, column: Column) -> Interval | None:
    estimate = line.estimates.get(column.name)
    return estimate.value if estimate else None


def _metric(lines: Sequence[Line], column: Column, wide: bool) -> Columns:
    estimates = [line.estimates[column.name] for line in lines]
    decimals = _decimals([one for estimate in estimates for one in (estimate.value, estimate.delta) if one])
    values, deltas = [], []
    for line, estimate in zip(lines, estimates, strict=True):
        delta = estimate.delta
        mark = "*" if delta and excludes_zero(delta) else ""
        if estimate.value is None:
            values.append(_absent(estimate))
            deltas.append("")
            continue
        values.append(_written(estimate.value, decimals, False) + ("" if wide else mark))
        if line.label.partition(AT)[0] == BASE:
            deltas.append("0")
        else:
            deltas.append(_written(delta, decimals, True) + mark if delta else "n/a")
    header = column.name + ARROWS[column.better]
    return [(header, values), (f"Δ {column.name}", deltas)] if wide else [(header, values)]


def _absent(estimate: Estimate) -> str:
    return {"over_budget": "over budget", "failed": "failed"}.get(estimate.status, "n/a")


def _decimals(found: Iterable[Interval]) -> int:
    """So many that half of the column's intervals show two digits or more, at most four."""
    intervals = list(found)
    reaches = [one.high - one.mean for one in intervals if one.high is not None and one.mean is not None]
    if reaches:
        return min(4, max(0, 1 - floor(log10(median_high(reaches)))))
    largest = max((abs(one.mean) for one in intervals if one.mean), default=1.0)
    return min(4, max(0, 2 - floor(log10(largest))))


def _written(value: Interval, decimals: int, signed: bool) -> str:
    def number(one: float | None) -> str:
        text = f"{one:{'+' if signed else ''}.{decimals}f}"
        return text if float(text) else text.lstrip("+-")

    if value.mean is None:  # no prompt that counts: the footnote says why
        return "n/a"
    if value.low is None:
        return f"{number(value.mean)} [n/a]"
    return f"{number(value.mean)} [{number(value.low)}, {number(value.high)}]"


def _pack(first: Sequence[str], groups: Sequence[Columns], width: int) -> list[Grid]:
    """Groups of columns side by side as long as they fit, then a new grid that begins with the labels."""
    start = max(map(len, first))
    grids: list[Columns] = []
    used = width + 1
    for group in groups:
        needed = sum(GAP + max(map(len, [header, *cells])) for header, cells in group)
        if used + needed > width:
            grids.append([])
            used = start
        grids[-1].extend(group)
        used += needed
    return [
        Grid(
            (first[0], *(header for header, _ in grid)),
            tuple(zip(first[1:], *(cells for _, cells in grid), strict=True)),
        )
        for grid in grids
    ]
