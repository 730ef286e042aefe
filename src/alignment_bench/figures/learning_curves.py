"""How training went: what each method's trainer logged in every step, a small panel a method.

Shown is the proxy reward where the trainer logs one, the loss otherwise. Losses of different methods are
different things: every panel has a scale of its own. Rounds of one method follow each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Any

from alignment_bench.amounts import named
from alignment_bench.comparison import Line
from alignment_bench.figures import style
from alignment_bench.figures.plot import Figure, Plot, Row, View, best_first
from alignment_bench.figures.training_logs import Logs, Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

COLUMNS = 4
MOST = 32
"""panels on a page"""
POINTS = 120
"""of one curve; longer ones are averaged over as many steps as it takes"""


def prepare(view: View) -> Plot | str:
    """Every seed a thin line, their mean a thick one."""
    if view.logs is None:
        return "no results folder was given, and training logs lie there"
    ranked = best_first(view.block.lines, view.column)
    ranked += [line for line in view.block.lines if line not in ranked]
    curves: dict[tuple[Any, ...], tuple[list[Row], list[str]]] = {}
    missing: dict[str, list[str]] = {}
    for line in ranked:
        found, why = _curves(line, view.logs)
        if found:
            same = tuple((row["seed"], row["step"], row["value"]) for row in found)
            curves.setdefault(same, (found, []))[1].append(line.label)
        else:
            missing.setdefault(why, []).append(line.label)
    notes = [f"no curve: {named(labels)} ({why})" for why, labels in missing.items()]
    if not curves:
        return "; ".join(notes) or "nothing is stored"
    rows: list[Row] = []
    for place, (found, labels) in enumerate(curves.values()):
        room = "" if place < MOST else "no room on a page"
        rows += [{"methods": " = ".join(sorted(labels, key=len)), **row, "left_out": room} for row in found]
    shared = [labels for _, labels in curves.values() if len(labels) > 1]
    notes += [f"one training behind {named(labels)}" for labels in shared]
    if len(curves) > MOST:
        notes.append(f"shown are the {MOST} best by {view.column.name} of {len(curves)}")

    def paint() -> Canvas:
        return _paint([row for row in rows if not row["left_out"]])

    return Plot(
        rows=tuple(rows),
        caption=(
            "What trainers logged against the optimiser step: thin, each seed; thick, their mean. Each panel "
            "has a scale of its own, since losses of different methods are not comparable. Dotted: a new "
            f"round. (+n): n methods more that share the training. Curves of more than {POINTS} steps are "
            "averages over consecutive steps."
        ),
        paint=paint,
        labels=tuple(label for _, labels in list(curves.values())[:MOST] for label in labels),
        notes=tuple(notes),
    )


def _curves(line: Line, logs: Logs) -> tuple[list[Row], str]:
    """The logged rows of a line's seeds (of folds, the first), or why there are none."""
    rows: list[Row] = []
    reasons = []
    for seed in line.seeds:
        cell = next(one for one in line.cells if one.seed == seed)
        trainings, why = logs.of(cell)
        reasons.append(why)
        rows += [{"seed": seed, **row} for row in _averaged(trainings)]
    return rows, next((why for why in reasons if why), line.reason or "nothing was logged")


def _averaged(trainings: Sequence[Training]) -> list[Row]:
    """The rounds of one seed behind each other, averaged over so many steps that POINTS are enough."""
    column = logged(trainings)
    width = -(-sum(len(one.rows) for one in trainings) // POINTS)
    rows: list[Row] = []
    step = 0
    for number, training in enumerate(trainings, start=1):
        for first in range(0, len(training.rows), width):
            seen = [row[column] for row in training.rows[first : first + width] if column in row]
            if seen:
                where = {"round": number, "job": training.kind, "step": step + first, "steps": len(seen)}
                rows.append({**where, "quantity": column, "value": fmean(seen)})
        step += len(training.rows)
    return rows


def logged(trainings: Sequence[Training]) -> str:
    """The quantity to show: a reward where every training logs one."""
    return "reward" if trainings and all(one.has("reward") for one in trainings) else "loss"


def _title(methods: str) -> str:
    first, *others = methods.split(" = ")
    return f"{first} (+{len(others)})" if others else first


def _paint(rows: list[Row]) -> Canvas:
    labels = list(dict.fromkeys(row["methods"] for row in rows))
    across = min(COLUMNS, len(labels))
    down = -(-len(labels) // across)
    titles = [style.wrapped(_title(label), 24) for label in labels]
    tallest = max(title.count("\n") for title in titles)
    height = 0.3 + down * (1.0 + style.LINE * tallest)
    figure = style.canvas(style.DOUBLE if across > 2 else style.SINGLE, max(1.6, height))
    panels = figure.subplots(down, across, squeeze=False)
    for panel in panels.flat[len(labels) :]:
        panel.remove()
    for panel, label, title in zip(panels.flat, labels, titles, strict=False):
        mine = [row for row in rows if row["methods"] == label]
        by_step: dict[int, list[float]] = {}
        for seed in dict.fromkeys(row["seed"] for row in mine):
            curve = [row for row in mine if row["seed"] == seed]
            panel.plot([r["step"] for r in curve], [r["value"] for r in curve], color="#9db8cc", lw=0.5)
            for row in curve:
                by_step.setdefault(row["step"], []).append(row["value"])
        steps = sorted(by_step)
        panel.plot(steps, [fmean(by_step[one]) for one in steps], color=style.PALETTE[0], lw=1.1)
        first = [r for r in mine if r["seed"] == mine[0]["seed"]]
        for before, after in pairwise(first):
            if after["round"] != before["round"]:
                panel.axvline(after["step"], color=style.GREY, lw=0.6, ls=":")
        panel.set_title(title, fontsize=style.SMALL, pad=2)
        panel.set_ylabel(mine[0]["quantity"], fontsize=style.SMALL, labelpad=1)
        panel.locator_params(nbins=4)
    figure.supxlabel("optimiser step", fontsize=7)
    return figure


FIGURE = Figure("learning_curves", "loss or proxy reward by training step", prepare)
