"""pass@k against k, for programs.

Where the evaluator drew n samples a prompt (`pass_at_k:samples=30`) the stored pass@1 is c/n, so that c, the
number that passed, and with it pass@k for every k up to n are known exactly: 1 - C(n - c, k)/C(n, k) (Chen et
al. 2021, arXiv 2107.03374). Otherwise the curve has the k that are stored.
"""

from __future__ import annotations

import re
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from alignment_bench.comparison import Block, Column, Line
from alignment_bench.figures import charts, frame, style
from alignment_bench.figures.frame import Frame
from alignment_bench.figures.plot import (
    Figure,
    Plot,
    Row,
    View,
    best_first,
    ends,
    numbers,
    scored,
    span,
    value_of,
    without,
)
from alignment_bench.statistics import Array, Interval, interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

METRIC = re.compile(r"pass_at_(\d+)")
SAMPLES = re.compile(r"pass_at_k:(?:.*:)?samples=(\d+)")


def prepare(view: View) -> Plot | str:
    """A curve a method, the best at the smallest k first."""
    block = view.block
    stored = sorted(
        int(m[1]) for c in block.columns if (m := METRIC.fullmatch(c.name)) and scored(block, c.name)
    )
    if not stored:
        return "no pass@k is stored: the evaluator pass_at_k measures it, on tasks whose answers are programs"
    samples = next((int(m[1]) for name in block.setting.evaluators if (m := SAMPLES.fullmatch(name))), 0)
    ks = _ks(samples) if samples and stored[0] == 1 else stored
    if len(ks) < 2:
        return f"only pass@{ks[0]} is stored, which is no curve: pass_at_k:samples=30 draws enough for more"
    first = next(column for column in block.columns if column.name == f"pass_at_{stored[0]}")
    ranked = best_first(block.lines, first)
    rows: list[Row] = []
    for line in ranked:
        for k in ks:
            found, kind = _at(block, line, k, samples)
            if found is not None:
                rows.append(
                    {
                        "method": line.label,
                        "k": k,
                        "source": kind,
                        "samples": samples or None,
                        **numbers(found),
                        "left_out": "" if line in ranked[: style.MARKED] else "no mark of its own",
                    }
                )

    drawn = [row for row in rows if not row["left_out"]]
    y = frame.of(map(span, drawn), "share")

    def paint() -> Canvas:
        return _paint(drawn, y)

    notes = [*without(block.lines, first), *y.notes]
    if len(ranked) > style.MARKED:
        notes.append(f"shown are the {style.MARKED} best by {first.name} of {len(ranked)}")
    if samples:
        notes.append(f"estimated without bias from {samples} samples a prompt")
    return Plot(
        rows=tuple(rows),
        caption="pass@k, the chance that at least one of k sampled programs passes every test, against k.",
        paint=paint,
        columns=tuple(Column(f"pass_at_{k}", "share", "higher") for k in stored),
        labels=tuple(line.label for line in ranked[: style.MARKED]),
        notes=tuple(notes),
    )


def _ks(samples: int) -> list[int]:
    """1, 2, 5, 10, 20 and so on up to the number of samples, which is the last."""
    usual = [a * 10**b for b in range(len(str(samples))) for a in (1, 2, 5)]
    return sorted({*(k for k in usual if k < samples), samples})


def _at(block: Block, line: Line, k: int, samples: int) -> tuple[Interval | None, str]:
    """pass@k of a line as stored, or worked out from its pass@1 over `samples`."""
    if (found := value_of(line, f"pass_at_{k}")) is not None:
        return found, "stored"
    ones = block.scores.get("pass_at_1", {}).get(line.label)
    if ones is None or not samples:
        return None, ""
    return interval(more(ones.values, samples, k), block.clusters), f"from pass@1 over {samples} samples"


def more(ones: Array, samples: int, k: int) -> Array:
    """pass@k for each pass@1 that was estimated from `samples`; nan stays nan."""
    table = np.array([1.0 - comb(samples - c, k) / comb(samples, k) for c in range(samples + 1)])
    known = np.where(np.isnan(ones), 0.0, ones)
    return np.where(np.isnan(ones), np.nan, table[np.rint(known * samples).astype(int)])


def _paint(rows: list[Row], y: Frame) -> Canvas:
    labels = list(dict.fromkeys(row["method"] for row in rows))
    marks = {label: style.mark(place) for place, label in enumerate(labels)}
    figure = style.canvas(style.DOUBLE, max(2.8, charts.key_height(labels)))
    panel = figure.subplots()
    for label, found in marks.items():
        mine = [row for row in rows if row["method"] == label]
        panel.plot([r["k"] for r in mine], [r["mean"] for r in mine], ls=found.line, **charts.drawn(found))
        for row in mine:
            if (reach := ends(row)) is not None:
                charts.whisker(panel, reach, row["k"], found.color, y)
    ks = sorted({row["k"] for row in rows})
    panel.set_xscale("log")
    panel.set_xticks(ks, [str(k) for k in ks])
    panel.minorticks_off()
    panel.set_ylim(y.low, y.high)
    panel.set_xlabel("k, programs sampled a prompt")
    panel.set_ylabel("pass@k (share),  better ↑")
    charts.key(figure, marks, lines=True)
    return figure


FIGURE = Figure("pass_at_k", "pass@k against k", prepare)
