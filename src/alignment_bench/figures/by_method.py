"""One metric of every method with its interval, the best on top, against base."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    span,
    value_of,
    without,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

LEVEL = 0.05


def prepare(view: View) -> Plot | str:
    """Rows of mean and interval; filled where the difference to base survives Holm over all methods shown."""
    from alignment_bench.verdicts import against

    column, block = view.column, view.block
    ranked = best_first(block.lines, column)
    if not ranked:
        return f"nothing was scored in {column.name}"
    shown = chosen(ranked, charts.fits([line.label for line in ranked]))
    base = next((line for line in block.lines if line.label == BASE), None)
    compared = against(block, column, BASE) if base else ()
    tests = {pair.a: pair for pair in compared if pair.p is not None}
    rows: list[Row] = []
    for place, line in enumerate(ranked, start=1):
        found, pair = value_of(line, column.name), tests.get(line.label)
        rows.append(
            {
                "method": line.label,
                "metric": column.name,
                "unit": column.unit,
                "better": column.better,
                "place": place,
                **numbers(found),
                **numbers(line.estimates[column.name].delta, "difference_to_base_"),
                "p_holm": pair.p_holm if pair else None,
                "test": pair.test if pair else None,
                "n_seeds": found.n_seeds if found else 0,
                "n_prompts": found.n_prompts if found else 0,
                "left_out": "" if line in shown else "no room on a page",
            }
        )
    drawn = [row for row in rows if not row["left_out"]]
    shape = frame.of(map(span, drawn), column.unit)
    notes = [*without(block.lines, column), *shape.notes]
    told = "Open circles: no test against base. "
    if tests:
        names = ", ".join(sorted({pair.test for pair in tests.values()}))
        told = (
            f"Filled circles: the difference to base has p < {LEVEL} after Holm over {len(tests)} "
            f"comparisons with base ({names}). "
        )
    if len(shown) < len(ranked):
        notes.append(
            f"shown are base, its control and the best of {len(ranked)} methods that a page can hold"
        )
    reference = "Dashed line and grey band: base with its interval. " if base in shown else ""

    def paint() -> Canvas:
        bars = [_bar(row) for row in drawn]
        return charts.rows(bars, axis(column), next((bar for bar in bars if bar.label == BASE), None), shape)

    return Plot(
        rows=tuple(rows),
        caption=f"Mean {column.name} of every method, the best on top. {told}{reference}".strip(),
        paint=paint,
        columns=(column,),
        labels=tuple(line.label for line in shown),
        notes=tuple(notes),
    )


def _bar(row: Row) -> charts.Bar:
    p = row["p_holm"]
    return charts.Bar(
        str(row["method"]), row["mean"], row["low"], row["high"], isinstance(p, float) and p < LEVEL
    )


FIGURE = Figure("metric_by_method", "a metric of every method, with intervals", prepare, takes_metric=True)
