"""How good a bought reward model is: its accuracy on held-out pairs against the comparisons paid for."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from alignment_bench.comparison import Block
from alignment_bench.figures import style
from alignment_bench.figures.plot import Figure, Plot, Row, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

MEASURE = "reward_model_accuracy"


def prepare(view: View) -> Plot | str:
    """A dot a reward model; methods that share one, and it is one of a seed and a budget, are one dot."""
    dots: dict[tuple[Any, ...], list[str]] = {}
    for block in view.sweep:
        for key, label in _models(block):
            dots.setdefault(key, []).append(label)
    if not dots:
        return f"no method stored a {MEASURE}: those that buy a reward model do"
    sizes = sorted({pairs for pairs, *_ in dots})
    if len(sizes) < 2:
        told = ", ".join(f"{accuracy:.2f}" for _, _, accuracy in sorted(dots)[:5])
        return (
            f"reward models of one size only are stored ({sizes[0]:,.0f} comparisons, accuracy {told}): "
            "a sweep, as bench run budget=smoke,small, shows what more of them buy"
        )
    rows: list[Row] = [
        {
            "comparisons_bought": pairs,
            "seed": seed,
            "accuracy_held_out": accuracy,
            "methods": ", ".join(dict.fromkeys(labels)),
        }
        for (pairs, seed, accuracy), labels in sorted(dots.items())
    ]

    def paint() -> Canvas:
        return _paint(rows)

    return Plot(
        rows=tuple(rows),
        caption=(
            "Accuracy of reward models on comparisons held out from their training (ties half), against the "
            "comparisons paid for: a dot a model, the line their mean at that size. Dashed: chance. The "
            "pairs held out are the teacher's own, noise included."
        ),
        paint=paint,
        labels=tuple(dict.fromkeys(label for labels in dots.values() for label in labels)),
    )


def _models(block: Block) -> list[tuple[tuple[Any, ...], str]]:
    found = []
    for line in block.lines:
        for cell in line.cells:
            pairs = float(cell.spend.get("acts", {}).get("prefer", 0))
            if cell.seed in line.seeds and MEASURE in cell.measures and pairs:
                found.append(((pairs, cell.seed, cell.measures[MEASURE]), line.label))
    return found


def _paint(rows: list[Row]) -> Canvas:
    figure = style.canvas(style.SINGLE, 2.3)
    panel = figure.subplots()
    sizes = sorted({row["comparisons_bought"] for row in rows})
    means = [fmean(r["accuracy_held_out"] for r in rows if r["comparisons_bought"] == size) for size in sizes]
    panel.plot(sizes, means, color=style.PALETTE[0], lw=1.0)
    for row in rows:
        found = style.mark(0)
        panel.plot(
            [row["comparisons_bought"]],
            [row["accuracy_held_out"]],
            found.marker,
            color=found.color,
            mfc="white",
            ms=3.5,
        )
    panel.axhline(0.5, color=style.GREY, lw=0.8, ls="--", zorder=1)
    if sizes[-1] > 8 * sizes[0]:
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    panel.set_xlabel("comparisons paid for")
    panel.set_ylabel("held-out accuracy (share),  better ↑")
    return figure


FIGURE = Figure(
    "reward_model",
    "accuracy of reward models against the comparisons they were bought with",
    prepare,
    "sweep",
)
