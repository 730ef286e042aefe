"""What a method gains for how far it moves: a metric against KL to base, on a root scale.

The root, because the gain grows about linearly in it at first (Gao, Schulman and Hilton 2023, arXiv
2210.10760). Best-of-n stands at log n - (n - 1)/n, which is an upper bound on its KL and not an estimate
(Beirami et al. 2024, arXiv 2401.01879). KL does not measure the same effort in every kind of method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alignment_bench.comparison import BASE, Line
from alignment_bench.figures import charts, frame, style
from alignment_bench.figures.plot import (
    Figure,
    Plot,
    Row,
    View,
    axis,
    best_first,
    ends,
    mean_of,
    numbers,
    span,
    value_of,
    without,
)
from alignment_bench.techniques.best_of import kl_bound

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

KL = "kl_to_base"
BOUND = "upper bound"
SIZES = (2, 4, 8, 16, 32, 64, 128)
CURVE = "quality_t1_best_of_"
LABEL = "KL to base, KL(policy || base), in nat a sequence (root scale)"


def prepare(view: View) -> Plot | str:
    """A point a method; the curve of best-of-n where the evaluator `best_of_curve` ran."""
    block = view.block
    kl = next((column for column in block.columns if column.name == KL), None)
    moved = [line for line in block.lines if value_of(line, KL)]
    if kl is None or not moved:
        return f"no method has a {KL}: the evaluator kl measures it"
    # KL is that of the policy at temperature 1: where there is a gold metric at 1, it is the one that fits
    column = view.metric("quality_t1") if view.column.name == "quality" else view.column
    ranked = best_first(moved, column)
    if len([line for line in ranked if line.label != BASE]) < 1:
        return f"no method but base has both {column.name} and {KL}"
    rows: list[Row] = [
        {
            "method": line.label,
            "kind": BOUND if is_bound(line) else "estimate",
            "n": None,
            **numbers(value_of(line, KL), "kl_"),
            "metric": column.name,
            **numbers(value_of(line, column.name)),
        }
        for line in ranked
    ]
    curve = _curve(ranked) if column.name == "quality_t1" else []
    rows += curve

    points = [row for row in rows if row["n"] is None]
    marked = points[: style.MARKED]
    x = frame.roots(span(row, "kl_") for row in [*marked, *curve])
    y = frame.of(map(span, points), column.unit)
    outside = [row for row in points if frame.root(row["kl_mean"]) > x.high]

    def paint() -> Canvas:
        base = next((row["mean"] for row in points if row["method"] == BASE), None)
        bound: dict[str, Any] = {"color": style.GREY, "lw": 1.0, "marker": "|", "ms": 5}
        figure, panel = charts.scatter(
            [_point(row) for row in points if row not in outside],
            "",
            axis(column, upright=True),
            (x, y),
            base,
            {"best-of-n at its bound": bound} if curve else None,
        )
        panel.plot([frame.root(r["kl_mean"]) for r in curve], [r["mean"] for r in curve], zorder=1, **bound)
        sizes = {kl_bound(n): str(n) for n in SIZES}
        frame.root_axis(panel, x, LABEL, sizes, "n of best-of-n, at its upper bound log n - (n - 1)/n")
        return figure

    notes = [*without(block.lines, kl), *without(moved, column), *dict.fromkeys(x.notes + y.notes)]
    if outside:
        told = ", ".join(f"{row['method']} (KL {row['kl_mean']:.3g}, {row['mean']:.3g})" for row in outside)
        notes.append(f"outside of the picture, to the right: {told}")
    bounded = [line.label for line in ranked if is_bound(line)]
    if bounded:
        notes.append(f"an arrow to the left marks an upper bound on KL: {', '.join(bounded)}")
    if len(ranked) > style.MARKED:
        notes.append(f"marked are the {style.MARKED} best by {column.name}, the others grey")
    if column.name == "quality":
        notes.append("KL is that of sampling at temperature 1, the metric at the task's decoding")
    return Plot(
        rows=tuple(rows),
        caption=(
            f"{column.name} against KL to base. Ticks above: the upper bound log n - (n - 1)/n on the KL of "
            "best-of-n."
            + (" Grey curve: best-of-n drawn at that bound; its KL is to the left of it." if curve else "")
        ),
        paint=paint,
        columns=(column, kl),
        labels=tuple(line.label for line in ranked),
        notes=tuple(notes),
    )


def is_bound(line: Line) -> bool:
    """Whether the line's KL is an upper bound, as its footnote says."""
    estimate = line.estimates.get(KL)
    return estimate is not None and any(BOUND in note for note in estimate.notes)


def _curve(ranked: list[Line]) -> list[Row]:
    """Best-of-n by n of the line with the most of it, drawn from the base."""
    for line in ranked:
        known = [n for n in (1, *SIZES) if mean_of(line, f"{CURVE}{n}") is not None]
        if len(known) > 1 and mean_of(line, "kl_best_of_2") is not None:
            return [
                {
                    "method": line.label,
                    "kind": BOUND,
                    "n": n,
                    "kl_mean": kl_bound(n),
                    "kl_low": None,
                    "kl_high": None,
                    "metric": f"{CURVE}{n}",
                    **numbers(value_of(line, f"{CURVE}{n}")),
                }
                for n in known
            ]
    return []


def _point(row: Row) -> charts.Point:
    reach = ends(row, "kl_")
    return charts.Point(
        row["method"],
        frame.root(row["kl_mean"]),
        row["mean"],
        (frame.root(reach[0]), frame.root(reach[1])) if reach else None,
        ends(row),
        row["kind"] == BOUND,
    )


FIGURE = Figure(
    "frontier", "a metric against KL to base, with the bound of best-of-n", prepare, takes_metric=True
)
