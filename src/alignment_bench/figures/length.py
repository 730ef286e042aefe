"""Win rate over base against the length of answers: who wins by writing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alignment_bench.comparison import BASE
from alignment_bench.figures import charts, frame, style
from alignment_bench.figures.plot import (
    Figure,
    Plot,
    Row,
    View,
    axis,
    best_first,
    ends,
    numbers,
    scored,
    span,
    value_of,
    without,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

WINS = ("win_rate_vs_base", "win_rate_vs_reference")
CONTROLLED = "lc_win_rate_vs_base"


def prepare(view: View) -> Plot | str:
    """A point a method; a dash where its length-controlled win rate lies, if that was measured."""
    block = view.block
    length = scored(block, "length")
    if length is None:
        return "no length is stored: the evaluator length measures it"
    column = view.column if view.asked else next((c for name in WINS if (c := scored(block, name))), None)
    if column is None:
        return "no win rate is stored: the evaluator win_rate measures it"
    ranked = [line for line in best_first(block.lines, column) if value_of(line, "length")]
    if not ranked:
        return f"no method has both {column.name} and length"
    controlled = scored(block, CONTROLLED) if column.name == WINS[0] else None
    rows: list[Row] = [
        {
            "method": line.label,
            **numbers(value_of(line, "length"), "length_"),
            "metric": column.name,
            **numbers(value_of(line, column.name)),
            **numbers(value_of(line, CONTROLLED) if controlled else None, "length_controlled_"),
        }
        for line in ranked
    ]

    half = 0.5 if column.name in WINS else None
    also = [row["length_controlled_mean"] for row in rows if row["length_controlled_mean"] is not None]
    shapes = (
        frame.of((span(row, "length_") for row in rows), length.unit),
        frame.of(map(span, rows), column.unit, also if half is None else [half, *also]),
    )

    def paint() -> Canvas:
        points = [
            charts.Point(row["method"], row["length_mean"], row["mean"], ends(row, "length_"), ends(row))
            for row in rows
        ]
        figure, panel = charts.scatter(points, axis(length), axis(column, upright=True), shapes, half)
        for place, row in enumerate(rows[: style.MARKED]):
            if row["length_controlled_mean"] is not None:
                heights = [row["mean"], row["length_controlled_mean"]]
                color = style.mark(place).color
                panel.plot([row["length_mean"]] * 2, heights, color=color, lw=0.8, ls=":", zorder=2)
                panel.plot([row["length_mean"]], heights[1:], "_", color=color, ms=7, mew=1.4, zorder=3)
        base = next((row["length_mean"] for row in rows if row["method"] == BASE), None)
        if base is not None:
            panel.axvline(base, color=style.GREY, lw=0.8, ls="--", zorder=1)
        return figure

    notes = [*without(block.lines, column), *dict.fromkeys(shapes[0].notes + shapes[1].notes)]
    if len(ranked) > style.MARKED:
        notes.append(f"marked are the {style.MARKED} best by {column.name}, the others grey")
    if column.name in WINS:
        notes.append("horizontal dashed line: one half")
    if any(row["method"] == BASE for row in rows):
        notes.append("vertical dashed line: the length of base's answers")
    dash = " A dash: the win rate with length held fixed." if controlled else ""
    return Plot(
        rows=tuple(rows),
        caption=f"{column.name} against the length of answers.{dash}",
        paint=paint,
        columns=(column, length, *([controlled] if controlled else [])),
        labels=tuple(line.label for line in ranked),
        notes=tuple(notes),
    )


FIGURE = Figure("length", "win rate against the length of answers", prepare, takes_metric=True)
