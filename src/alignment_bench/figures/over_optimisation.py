"""Over-optimisation: the proxy that a method trains against, and the metric it stands for, by root KL.

Above the proxy reward (in standard deviations of the reward model's own training samples), below the metric;
where the first goes on rising and the second falls, the reward model is being gamed (Gao, Schulman and Hilton
2023, arXiv 2210.10760). Lines above are training runs, step by step.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from alignment_bench.comparison import BASE, Line
from alignment_bench.figures import charts, frame, style
from alignment_bench.figures.frame import Frame
from alignment_bench.figures.frontier import KL, LABEL
from alignment_bench.figures.plot import (
    Figure,
    Plot,
    Row,
    View,
    axis,
    best_first,
    ends,
    mean_of,
    measured,
    numbers,
    span,
    value_of,
)
from alignment_bench.figures.training_logs import Logs

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

PROXIES = ("proxy_reward_last", "proxy_reward")
MOST = 12
"""methods, those with the highest proxy reward"""


def prepare(view: View) -> Plot | str:
    """Methods that stored a proxy reward and have a KL to base."""
    column = view.metric("quality_t1") if view.column.name == "quality" else view.column
    able = [line for line in best_first(view.block.lines, column) if value_of(line, KL)]
    # by the proxy, not by the metric: the best by the metric are those that were not over-optimised
    proxies = {line.label: fmean(known.values()) for line in able if (known := measured(line, *PROXIES))}
    found = sorted((line for line in able if line.label in proxies), key=lambda one: -proxies[one.label])
    if not found:
        return f"no method stored a proxy reward and has both {column.name} and {KL}"
    base = next((line for line in view.block.lines if line.label == BASE), None)
    level = mean_of(base, column.name) if base else None
    marked = found[:MOST]
    rows: list[Row] = []
    for line in found:
        rows.append(
            {
                "method": line.label,
                "family": line.label.partition(":")[0],
                "kind": "trained",
                "iteration": None,
                **numbers(value_of(line, KL), "kl_"),
                "proxy": proxies[line.label],
                "proxy_seeds": len(measured(line, *PROXIES)),
                "metric": column.name,
                **numbers(value_of(line, column.name)),
                "left_out": "" if line in marked else "no mark of its own",
            }
        )
        rows += [] if view.logs is None or line not in marked else _course(line, view.logs, column.name)

    drawn = [row for row in rows if not row["left_out"]]
    ends_of = [row for row in drawn if row["kind"] == "trained"]
    x = frame.roots((row["kl_mean"], None, None) for row in drawn)
    y = frame.of(map(span, ends_of), column.unit, [] if level is None else [level])

    def paint() -> Canvas:
        return _paint(drawn, level, axis(column, upright=True), x, y)

    notes = [*y.notes]
    if len(marked) < len(found):
        notes.append(f"shown are the {MOST} with the highest proxy reward of {len(found)} methods")
    if any(row["kind"] == "training" for row in rows):
        start = view.block.setting.init
        said = (
            ""
            if start == "base"
            else f", and to the policy that training started from ({start}), not to base"
        )
        notes.append(
            f"KL along training is what trainers log, on the rollouts of one step{said}; some log none"
        )
    else:
        notes.append("no training log with reward and KL was found")
    return Plot(
        rows=tuple(rows),
        caption=(
            f"Over-optimisation: proxy reward (above, a mean over seeds) and {column.name} (below) against "
            "KL to base on a root scale. Points: the trained policies, with the proxy reward that training "
            "last measured; lines above: their training, a mean over seeds; lines below join base and "
            "the settings of one method, where there are several, by KL; dashed: base."
        ),
        paint=paint,
        columns=(column,),
        labels=tuple(line.label for line in marked),
        notes=tuple(notes),
    )


def _course(line: Line, logs: Logs, metric: str) -> list[Row]:
    """Reward and KL along the last training, averaged over the seeds that got that far."""
    by_step: dict[int, list[tuple[float, float]]] = {}
    for cell in line.cells:
        if cell.seed not in line.seeds:
            continue
        trainings, _ = logs.of(cell)
        for training in trainings[-1:]:
            for step, row in enumerate(training.rows):
                if "reward" in row and "kl_to_reference" in row:
                    by_step.setdefault(step, []).append((row["reward"], row["kl_to_reference"]))
    most = max(map(len, by_step.values()), default=0)
    empty = {"kl_low": None, "kl_high": None, "metric": metric, **numbers(None), "left_out": ""}
    return [
        {
            "method": line.label,
            "family": line.label.partition(":")[0],
            "kind": "training",
            "iteration": step,
            "kl_mean": fmean(kl for _, kl in seen),
            "proxy": fmean(reward for reward, _ in seen),
            "proxy_seeds": len(seen),
            **empty,
        }
        for step, seen in sorted(by_step.items())
        if len(seen) == most
    ]


def _paint(rows: list[Row], level: float | None, label: str, x: Frame, y: Frame) -> Canvas:
    trained = [row for row in rows if row["kind"] == "trained"]
    marks = {row["method"]: style.mark(place) for place, row in enumerate(trained)}
    figure = style.canvas(style.DOUBLE, max(4.2, charts.key_height(list(marks))))
    above, below = figure.subplots(2, 1, sharex=True)
    for name, found in marks.items():
        course = [row for row in rows if row["method"] == name and row["kind"] == "training"]
        above.plot(
            [frame.root(r["kl_mean"]) for r in course],
            [r["proxy"] for r in course],
            color=found.color,
            ls=found.line,
            lw=0.8,
            zorder=2,
        )
    heights = frame.of([(row["proxy"], None, None) for row in rows])
    rewards = [charts.Point(r["method"], frame.root(r["kl_mean"]), r["proxy"]) for r in trained]
    charts.points_at(above, rewards, marks, None, heights)
    for family in dict.fromkeys(row["family"] for row in trained):
        joined = sorted((frame.root(r["kl_mean"]), r["mean"]) for r in trained if r["family"] == family)
        if len(joined) < 2:
            continue
        joined = [(0.0, level), *joined] if level is not None else joined
        first = next(row["method"] for row in trained if row["family"] == family)
        below.plot(
            *zip(*joined, strict=True), color=marks[first].color, ls=marks[first].line, lw=0.6, zorder=2
        )
    points = [charts.Point(r["method"], frame.root(r["kl_mean"]), r["mean"], None, ends(r)) for r in trained]
    charts.points_at(below, points, marks, None, y)
    below.set_ylim(y.low, y.high)
    if level is not None:
        below.axhline(level, color=style.GREY, lw=0.8, ls="--", zorder=1)
    frame.root_axis(below, x, LABEL, {}, "")
    above.set_ylabel("proxy reward (sd of its samples)")
    below.set_ylabel(label)
    charts.key(figure, marks, "highest proxy first", lines=any(r["kind"] == "training" for r in rows))
    return figure


FIGURE = Figure("over_optimisation", "proxy reward and metric against root KL", prepare, takes_metric=True)
