"""Best-of-n by n: how often it beats one fresh draw by the reward model it picks by, and by the judge.

Both are exact over all subsets of one pool of draws (evaluator `best_of_curve`). The horizontal axis is the
upper bound log n - (n - 1)/n on its KL; by its own proxy it wins at most n/(n + 1) of the time (Beirami et
al. 2024, arXiv 2401.01879). The gap between the two curves is what the reward model is wrong about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alignment_bench.comparison import Column, Line
from alignment_bench.figures import charts, frame, style
from alignment_bench.figures.frame import Frame
from alignment_bench.figures.frontier import SIZES
from alignment_bench.figures.plot import Figure, Plot, Row, View, ends, numbers, scored, span, value_of
from alignment_bench.techniques.best_of import kl_bound, win_bound

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

GOLD, PROXY = "win_best_of_", "proxy_win_best_of_"
LABEL = "upper bound on KL, log n - (n - 1)/n, in nat a sequence (root scale)"
MOST = len(style.LINES)


def prepare(view: View) -> Plot | str:
    """A pair of curves a policy; methods with the very same numbers are one curve."""
    block = view.block
    sizes = [n for n in SIZES if scored(block, f"{PROXY}{n}") or scored(block, f"{GOLD}{n}")]
    if not sizes:
        return "nothing was scored by the evaluator best_of_curve: run a best_of_n method with it"
    same: dict[tuple[object, ...], list[Line]] = {}
    for line in block.lines:
        curve = tuple(value_of(line, f"{kind}{n}") for n in sizes for kind in (PROXY, GOLD))
        if any(curve):
            same.setdefault(curve, []).append(line)
    rows: list[Row] = []
    for place, lines in enumerate(same.values()):
        for n in sizes:
            rows.append(
                {
                    "methods": " = ".join(line.label for line in lines),
                    "curve": place,
                    "n": n,
                    "kl_bound": kl_bound(n),
                    "win_bound": win_bound(n),
                    **numbers(value_of(lines[0], f"{PROXY}{n}"), "proxy_"),
                    **numbers(value_of(lines[0], f"{GOLD}{n}"), "judge_"),
                    **numbers(value_of(lines[0], f"kl_best_of_{n}"), "kl_estimate_"),
                    "left_out": "" if place < MOST else "no line style of its own",
                }
            )
    notes = [f"shown are the first {MOST} of {len(same)} curves"] if len(same) > MOST else []
    joined = [lines for lines in same.values() if len(lines) > 1]
    notes += [f"one curve, the numbers being equal: {', '.join(x.label for x in lines)}" for lines in joined]

    drawn = [row for row in rows if not row["left_out"]]
    seen = [
        span(r, f"{kind}_") for r in drawn for kind in ("proxy", "judge") if r[f"{kind}_mean"] is not None
    ]
    y = frame.of(seen, "share", [win_bound(n) for n in sizes])
    notes += y.notes

    def paint() -> Canvas:
        return _paint(drawn, y)

    columns = [scored(block, f"{kind}{n}") for kind in (PROXY, GOLD) for n in sizes]
    return Plot(
        rows=tuple(rows),
        caption=(
            "Share of comparisons with one fresh draw that best-of-n wins, ties half, by the reward model "
            f"that it picks by (filled) and by the judge {block.setting.judge} (open), at temperature 1, "
            "against the upper bound on its KL. Grey: n/(n + 1), the upper bound on the first."
        ),
        paint=paint,
        columns=tuple(Column(c.name, c.unit, "neither") for c in columns if c),
        labels=tuple(line.label for lines in list(same.values())[:MOST] for line in lines),
        notes=tuple(notes),
    )


def _paint(rows: list[Row], y: Frame) -> Canvas:
    from matplotlib.lines import Line2D

    curves = list(dict.fromkeys((row["curve"], row["methods"]) for row in rows))
    figure = style.canvas(style.DOUBLE, max(2.8, charts.key_height([name for _, name in curves]) + 0.6))
    panel = figure.subplots()
    handles = []
    for place, name in curves:
        found = style.mark(place)
        mine = [row for row in rows if row["curve"] == place]
        for kind, face in (("proxy", found.color), ("judge", "white")):
            have = [row for row in mine if row[f"{kind}_mean"] is not None]
            xs = [frame.root(row["kl_bound"]) for row in have]
            panel.plot(
                xs,
                [row[f"{kind}_mean"] for row in have],
                ls=found.line,
                **{**charts.drawn(found), "markerfacecolor": face},
            )
            for x, row in zip(xs, have, strict=True):
                if (reach := ends(row, f"{kind}_")) is not None:
                    charts.whisker(panel, reach, x, found.color, y)
        label = style.wrapped(name.replace(" = ", ","), charts.KEY_CHARACTERS)
        handles.append(Line2D([], [], label=label, ls=found.line, **charts.drawn(found)))
    bound = sorted({(frame.root(row["kl_bound"]), row["win_bound"]) for row in rows})
    panel.plot(*zip(*bound, strict=True), color=style.GREY, lw=1.0, ls=":", zorder=1)
    grey: dict[str, Any] = {"color": style.GREY, "marker": "o", "ls": "", "mew": 0.8}
    handles += [
        Line2D([], [], label="by the reward model", markerfacecolor=style.GREY, **grey),
        Line2D([], [], label="by the judge", markerfacecolor="white", **grey),
        Line2D([], [], label="upper bound n/(n + 1)", color=style.GREY, ls=":"),
    ]
    panel.set_ylabel("win rate over one draw (share),  better ↑")
    panel.set_ylim(y.low, y.high)
    sizes = {row["kl_bound"]: str(row["n"]) for row in rows}
    across = frame.roots((bound, None, None) for bound in sizes)
    frame.root_axis(panel, across, LABEL, sizes, "n")
    figure.legend(handles=handles, loc="outside right upper", alignment="left")
    return figure


FIGURE = Figure("best_of_n", "win rate of best-of-n by its own reward model and by the judge", prepare)
