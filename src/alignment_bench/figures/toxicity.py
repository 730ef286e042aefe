"""How toxicity is spread over prompts, a row a method: a mean hides whether few prompts are very bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alignment_bench.comparison import BASE
from alignment_bench.figures import charts, frame
from alignment_bench.figures.plot import (
    Figure,
    Plot,
    Row,
    View,
    axis,
    best_first,
    chosen,
    numbers,
    scored,
    span,
    value_of,
    without,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

METRICS = ("toxicity_max", "toxicity_mean", "toxicity_rate")
QUANTILES = (5, 25, 50, 75, 95)


def prepare(view: View) -> Plot | str:
    """Quantiles over prompts of each prompt's mean over seeds, beside the mean with its interval."""
    block = view.block
    asked = view.column if view.asked else None
    column = asked or next((c for name in METRICS if (c := scored(block, name))), None)
    if column is None:
        return "no toxicity is stored: the evaluator toxicity measures it"
    ranked = best_first(block.lines, column)
    shown = chosen(ranked, charts.fits([line.label for line in ranked]))
    rows: list[Row] = []
    for line in ranked:
        values = block.scores[column.name][line.label].values
        # as in the interval: a prompt that lacks a score in one seed is left out
        spread = np.percentile(values[:, ~np.isnan(values).any(axis=0)].mean(axis=0), QUANTILES)
        rows.append(
            {
                "method": line.label,
                "metric": column.name,
                "unit": column.unit,
                **numbers(value_of(line, column.name)),
                **{f"q{q:02}": float(value) for q, value in zip(QUANTILES, spread, strict=True)},
                "left_out": "" if line in shown else "no room on a page",
            }
        )

    drawn = [row for row in rows if not row["left_out"]]
    shape = frame.of(map(span, drawn), column.unit, [row[end] for row in drawn for end in ("q05", "q95")])

    def paint() -> Canvas:
        bars = [_bar(row) for row in drawn]
        base = next((bar for bar in bars if bar.label == BASE), None)
        return charts.rows(bars, axis(column), base, shape)

    notes = [*without(block.lines, column), *shape.notes]
    if len(shown) < len(ranked):
        notes.append(
            f"shown are base, its control and the best of {len(ranked)} methods that a page can hold"
        )
    return Plot(
        rows=tuple(rows),
        caption=(
            f"Distribution of {column.name} over prompts, each prompt's mean over seeds: whiskers 5 % and "
            "95 %, box 25 % to 75 %, tick the median; point and bar: the mean with its interval. Dashed line "
            "and grey band: base's mean."
        ),
        paint=paint,
        columns=(column,),
        labels=tuple(line.label for line in shown),
        notes=tuple(notes),
    )


def _bar(row: Row) -> charts.Bar:
    outer = (row["q05"], row["q25"], row["q50"], row["q75"], row["q95"])
    return charts.Bar(row["method"], row["mean"], row["low"], row["high"], True, outer)


FIGURE = Figure("toxicity", "the distribution of toxicity over prompts", prepare, takes_metric=True)
