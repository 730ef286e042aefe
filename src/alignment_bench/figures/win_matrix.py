"""How often each method's answers beat each other's, prompt by prompt: the row wins against the column."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from alignment_bench.comparison import pick
from alignment_bench.figures import style
from alignment_bench.figures.plot import Figure, Plot, Row, View, best_first, chosen, without

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

MOST = 40
"""methods on a page"""
WRITTEN = 24
"""methods up to which the numbers fit in"""


def prepare(view: View) -> Plot | str:
    """A square of win rates, methods in the order of the metric."""
    from alignment_bench.verdicts import win_matrix

    column, block = view.column, view.block
    if column.better == "neither":
        return f"neither side of {column.name} is better, so nobody wins by it"
    ranked = best_first(block.lines, column)
    if len(ranked) < 2:
        return f"fewer than two methods were scored in {column.name}"
    labels = [line.label for line in chosen(ranked, MOST)]
    found = win_matrix(pick(block, labels), column)
    place = {label: i for i, label in enumerate(found.labels)}
    rows: list[Row] = []
    for first in labels:
        for second in labels:
            if first != second and first in place and second in place:
                at = place[first], place[second]
                rate, low, high = (float(part[at]) for part in (found.rate, found.low, found.high))
                rows.append(
                    {
                        "method": first,
                        "against": second,
                        "metric": column.name,
                        "win_rate": None if isnan(rate) else rate,
                        "low": None if isnan(low) else low,
                        "high": None if isnan(high) else high,
                    }
                )

    def paint() -> Canvas:
        return _paint(labels, rows)

    notes = without(block.lines, column)
    if len(labels) < len(ranked):
        notes.append(f"shown are base, its control and the best, {len(labels)} of {len(ranked)} methods")
    return Plot(
        rows=tuple(rows),
        caption=(
            f"Share of prompts on which the method of the row has the better {column.name} than that of the "
            "column, ties half, methods numbered by their mean, the best first."
            + (
                " Bold: the 95 % interval, not adjusted, excludes one half, or all prompts agree."
                if len(labels) <= WRITTEN
                else ""
            )
        ),
        paint=paint,
        columns=(column,),
        labels=tuple(labels),
        notes=tuple(notes),
        bars=False,
    )


def _paint(labels: list[str], rows: list[Row]) -> Canvas:
    import numpy as np

    size = len(labels)
    rates = np.full((size, size), np.nan)
    place = {label: i for i, label in enumerate(labels)}
    for row in rows:
        if row["win_rate"] is not None:
            rates[place[row["method"]], place[row["against"]]] = row["win_rate"]
    # two lines a name at most: the longer the longest, the wider all
    names = [style.wrapped(label, max(24, max(map(len, labels)) // 2 + 6)) for label in labels]
    lines = max(name.count("\n") + 1 for name in names)
    cell = max(0.14 if size > WRITTEN else 0.21, (lines - 1) * style.LINE + 0.1)
    margin = 0.4 + 0.055 * max(len(part) for name in names for part in name.split("\n"))
    width = min(style.DOUBLE, max(style.SINGLE, margin + size * cell + 0.7))
    figure = style.canvas(width, size * cell + 0.45)
    panel = figure.subplots()
    reach = max(0.05, float(np.nanmax(np.abs(rates - 0.5))) if np.isfinite(rates).any() else 0.5)
    image = panel.imshow(rates, cmap=style.SHADES, vmin=0.5 - reach, vmax=0.5 + reach, aspect="auto")
    panel.set_xticks(range(size), [str(i) for i in range(1, size + 1)])
    panel.set_yticks(range(size), [f"{name}  {i}" for i, name in enumerate(names, start=1)])
    panel.set_xlabel("against")
    panel.tick_params(length=0)
    panel.grid(visible=False)
    if size <= WRITTEN:
        for row in rows:
            if row["win_rate"] is None:
                continue
            always = row["low"] is None and row["win_rate"] in (0.0, 1.0)
            sure = always or (row["low"] is not None and (row["low"] > 0.5 or row["high"] < 0.5))
            panel.text(
                place[row["against"]],
                place[row["method"]],
                _short(row["win_rate"]),
                ha="center",
                va="center",
                fontsize=5.5 if size <= 20 else 5.0,
                fontweight="bold" if sure else "normal",
                color="black" if row["win_rate"] > 0.5 else "white",
            )
    bar = figure.colorbar(image, ax=panel, fraction=0.035, pad=0.015)
    bar.set_label("row wins against column (share)", fontsize=style.SMALL)
    bar.outline.set_linewidth(0.5)
    return figure


def _short(rate: float) -> str:
    """Two digits without the zero before them."""
    text = f"{rate:.2f}"
    return text[1:] if text.startswith("0.") else text[:-1]


FIGURE = Figure("win_matrix", "how often each method beats each other one", prepare, takes_metric=True)
