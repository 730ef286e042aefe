"""What a method makes of its budget: a metric against annotator time or teacher calls, and against tokens.

A sweep (`bench run budget=smoke,small`) joins a method's budgets by a line. Base costs nothing: a level.
"""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING

from alignment_bench.comparison import BASE, Line, is_control
from alignment_bench.figures import charts, frame, style
from alignment_bench.figures.frame import Frame
from alignment_bench.figures.plot import (
    Figure,
    Plot,
    Row,
    View,
    axis,
    best_first,
    ends,
    numbers,
    span,
    value_of,
)
from alignment_bench.tables.spend import mean_spend, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def against_time(view: View) -> Plot | str:
    """What the teacher was paid, on the horizontal axis; nothing to see where there is one budget."""
    if len(view.sweep) < 2:
        return (
            f"one budget is stored ({view.block.setting.budget}), and methods spend it: a sweep, as bench "
            "run budget=smoke,small, shows what more of it buys"
        )
    if view.block.setting.currency == "seconds":
        return _plot(view, "annotator_seconds", 3600, "annotator time a method paid, in hours")
    return _plot(view, "calls", 1, "teacher calls a method paid")


def against_tokens(view: View) -> Plot | str:
    """What training generated, on the horizontal axis; of one budget too, because methods differ in it."""
    return _plot(view, "tokens_generated", 1, "tokens generated while training")


def _plot(view: View, key: str, unit: float, label: str) -> Plot | str:
    column = view.column
    largest = best_first(view.block.lines, column)
    order = [line.label for line in largest if not _free(line)]
    order += [
        line.label
        for block in view.sweep
        for line in block.lines
        if not _free(line) and line.label not in order
    ]
    rows: list[Row] = [
        {
            "method": line.label,
            "budget": block.setting.budget,
            "budget_amount": block.setting.budget_amount,
            "spent": mean_spend(line, "spend").get(key, 0.0) / unit,
            "spent_on": label,
            "metric": column.name,
            **numbers(value_of(line, column.name)),
            "left_out": "" if not _free(line) or line.label == BASE else "costs nothing, and is base again",
        }
        for block in view.sweep
        for line in block.lines
        if value_of(line, column.name)
    ]
    drawn = [row for row in rows if not row["left_out"] and row["method"] != BASE]
    if not drawn:
        return f"nothing but base was scored in {column.name}"
    if not any(row["spent"] for row in drawn):
        return f"no method has spent anything: {label}"

    base = [row for row in rows if row["method"] == BASE]
    y = frame.of(map(span, drawn), column.unit, [row["mean"] for row in base])

    def paint() -> Canvas:
        return _paint(drawn, order, base, label, axis(column, upright=True), y)

    notes = [*y.notes]
    if len({row["method"] for row in drawn}) > style.MARKED:
        notes.append(f"marked are the {style.MARKED} best at the largest budget, the others grey")
    swept = len(view.sweep) > 1
    return Plot(
        rows=tuple(rows),
        caption=f"{column.name} against {label}, a mean over seeds"
        + ("; a line joins the budgets of one method" if swept else "")
        + (". Dashed line: base, which costs nothing." if any(r["method"] == BASE for r in rows) else "."),
        paint=paint,
        columns=(column,),
        labels=(*order, BASE),
        notes=tuple(notes),
    )


def _free(line: Line) -> bool:
    return line.label == BASE or is_control(line.label)


def _paint(drawn: list[Row], order: list[str], base: list[Row], x: str, label: str, y: Frame) -> Canvas:
    labels = [label for label in order if any(row["method"] == label for row in drawn)]
    marks = {label: style.mark(place) for place, label in enumerate(labels[: style.MARKED])}
    figure = style.canvas(style.DOUBLE, max(2.9, charts.key_height(list(marks))))
    panel = figure.subplots()
    joined = False
    for name in reversed(labels):
        mine = sorted((row for row in drawn if row["method"] == name), key=lambda row: row["spent"])
        found = marks.get(name)
        joined |= len(mine) > 1
        if len(mine) > 1:
            look = {"color": found.color, "ls": found.line} if found else {"color": "#c8c8c8", "ls": "-"}
            panel.plot([r["spent"] for r in mine], [r["mean"] for r in mine], lw=0.8, zorder=2, **look)
        points = [charts.Point(name, r["spent"], r["mean"], None, ends(r)) for r in mine]
        charts.points_at(panel, points, marks, None, y)
    for level in {row["mean"] for row in base}:
        panel.axhline(level, color=style.GREY, lw=0.8, ls="--", zorder=1)
    _scale(panel, [row["spent"] for row in drawn])
    panel.set_ylim(y.low, y.high)
    panel.set_xlabel(x)
    panel.set_ylabel(label)
    charts.key(figure, marks, "best first", len(labels) > len(marks), lines=joined)
    return figure


def _scale(panel: Axes, values: list[float]) -> None:
    """A logarithmic axis with round ticks; 0, where somebody spent nothing, stands apart at its left end."""
    from matplotlib.ticker import NullLocator

    above = [value for value in values if value > 0]
    least, most, free = min(above), max(above), len(above) < len(values)
    if most < 4 * least and not free:
        return
    if free:
        panel.set_xscale("symlog", linthresh=least / 2, linscale=0.35)
        panel.set_xlim(-least / 8, most * 1.4)
    else:
        panel.set_xscale("log")
    ticks = round_ticks(least / 1.3, most * 1.3)
    panel.set_xticks(([0.0] if free else []) + ticks, (["0"] if free else []) + [short(one) for one in ticks])
    panel.xaxis.set_minor_locator(NullLocator())


def round_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of 10 between the two; powers alone where those are many."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps]
        inside = [one for one in ticks if low <= one <= high]
        if len(inside) <= 7:
            break
    return inside


TIME = Figure(
    "annotator_time", "a metric against what the teacher was paid, over budgets", against_time, "sweep", True
)
TOKENS = Figure("tokens", "a metric against tokens generated while training", against_tokens, "sweep", True)
