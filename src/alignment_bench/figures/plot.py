"""What every figure is made of: the view it gets, the plot it returns, and how a block's numbers are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from alignment_bench.comparison import BASE, Block, Column, Line, is_control
from alignment_bench.evaluation import Better
from alignment_bench.figures.training_logs import Logs
from alignment_bench.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

Row = Mapping[str, Any]
"""one thing that is plotted, as a line of the CSV"""


@dataclass(frozen=True)
class View:
    """What one figure is drawn of."""

    block: Block
    """of a sweep, the one with the largest budget"""
    sweep: tuple[Block, ...]
    """the blocks that differ from it in budget alone and itself, the smallest budget first"""
    column: Column
    """the metric to show: the task's main one, or the one asked for"""
    asked: bool = False
    """whether the metric was asked for by name"""
    logs: Logs | None = None
    """the training logs of the results folder"""

    def metric(self, *preferred: str) -> Column:
        """The first of these metrics that anything was scored in, unless a metric was asked for."""
        if self.asked:
            return self.column
        return next((c for name in preferred if (c := scored(self.block, name))), self.column)


@dataclass(frozen=True)
class Plot:
    """A figure ready to be painted; `paint` uses nothing but `rows` and names of columns."""

    rows: tuple[Row, ...]
    """everything plotted, and what was left out of the picture with the reason in `left_out`"""
    caption: str
    """what is shown, in one or two sentences"""
    paint: Callable[[], Canvas]
    columns: tuple[Column, ...] = ()
    """metrics whose intervals are drawn"""
    labels: tuple[str, ...] = ()
    """methods that are drawn"""
    notes: tuple[str, ...] = ()
    """what was left out, capped or joined, and by which rule"""
    bars: bool = True
    """whether bars show the intervals of `columns`"""


@dataclass(frozen=True)
class Figure:
    """One kind of figure: `prepare` returns a plot, or the reason why nothing can be drawn."""

    name: str
    summary: str
    prepare: Callable[[View], Plot | str] = field(repr=False)
    scope: Literal["block", "sweep"] = "block"
    """whether one is drawn for every block, or for blocks that differ in budget alone"""
    takes_metric: bool = False
    """whether another metric than the main one can be asked for"""


def scored(block: Block, name: str) -> Column | None:
    """The metric of that name if any line of the block has a value of it."""
    column = next((one for one in block.columns if one.name == name), None)
    return column if column and any(value_of(line, name) for line in block.lines) else None


def value_of(line: Line, metric: str) -> Interval | None:
    """The interval of a line's metric; None where there is no mean."""
    estimate = line.estimates.get(metric)
    found = estimate.value if estimate else None
    return found if found and found.mean is not None else None


def mean_of(line: Line, metric: str) -> float | None:
    """The mean of a line's metric."""
    found = value_of(line, metric)
    return found.mean if found else None


def span(row: Row, prefix: str = "") -> tuple[float, float | None, float | None]:
    """Mean and ends of an interval, read back from a row."""
    return row[f"{prefix}mean"], row[f"{prefix}low"], row[f"{prefix}high"]


def ends(row: Row, prefix: str = "") -> tuple[float, float] | None:
    """The ends of an interval, read back from a row."""
    return None if row[f"{prefix}low"] is None else (row[f"{prefix}low"], row[f"{prefix}high"])


def numbers(found: Interval | None, prefix: str = "") -> dict[str, Any]:
    """Mean and ends of an interval as columns of a CSV."""
    values = (found.mean, found.low, found.high) if found else (None,) * 3
    return {f"{prefix}{name}": value for name, value in zip(("mean", "low", "high"), values, strict=True)}


def best_first(lines: Iterable[Line], column: Column) -> list[Line]:
    """Lines that have a value, the best first (highest first where neither side is better)."""
    have = [line for line in lines if value_of(line, column.name)]
    sign = 1 if column.better == "lower" else -1
    return sorted(have, key=lambda line: (sign * (mean_of(line, column.name) or 0.0), line.label))


def without(lines: Iterable[Line], column: Column) -> list[str]:
    """One remark for every line that has no value of the metric, with its reason."""
    remarks: dict[str, list[str]] = {}
    for line in lines:
        if value_of(line, column.name) is None:
            estimate = line.estimates.get(column.name)
            why = (estimate.reason if estimate else line.reason) or line.status.replace("_", " ")
            if estimate and estimate.value:  # scored, and no prompt of it counts
                why = estimate.value.note
            remarks.setdefault(why, []).append(line.label)
    return [f"no {column.name}: {', '.join(labels)} ({why})" for why, labels in remarks.items()]


def chosen(ranked: Sequence[Line], most: int) -> list[Line]:
    """The best `most` lines of a ranking, base and its control among them whatever their rank."""
    fixed = [line for line in ranked if line.label == BASE or is_control(line.label)]
    others = [line for line in ranked if line not in fixed][: max(0, most - len(fixed))]
    return [line for line in ranked if line in fixed or line in others]


def measured(line: Line, *names: str) -> dict[int, float]:
    """By seed, the first of these measures that the method stored of itself (of folds, the mean)."""
    found: dict[int, list[float]] = {}
    for cell in line.cells:
        if cell.seed in line.seeds:
            value = next((cell.measures[name] for name in names if name in cell.measures), None)
            if value is not None and -inf < value < inf:
                found.setdefault(cell.seed, []).append(value)
    return {seed: sum(values) / len(values) for seed, values in found.items()}


def direction(better: Better, arrow: tuple[str, str] = ("→", "←")) -> str:
    """Which way is better, for an axis: `arrow` is for higher and for lower."""
    if better == "neither":
        return ""
    return f"better {arrow[0]}" if better == "higher" else f"better {arrow[1]}"


def axis(column: Column, upright: bool = False) -> str:
    """The label of an axis: metric, unit and the direction of better."""
    unit = f" ({column.unit})" if column.unit else ""
    way = direction(column.better, ("↑", "↓") if upright else ("→", "←"))
    return f"{column.name}{unit}" + (f",  {way}" if way else "")
