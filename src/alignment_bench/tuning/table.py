"""What `bench tune` prints: one line a method, or, for plots, one row a trial with the best score so far."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alignment_bench.tuning.files import Entry, Head, Trial, show

COLUMNS = ("task", "model", "method", "trial", "status", "score", "best_so_far", "fields")


@dataclass(frozen=True)
class Curve:
    """The search of one label, and what it was searched on."""

    head: Head
    entry: Entry

    def best_so_far(self) -> list[float | None]:
        """For every trial the best score up to it, None where there is none yet."""
        better = min if self.head.better == "lower" else max
        best: float | None = None
        found = []
        for trial in self.entry.trials:
            if trial.score is not None:
                best = trial.score if best is None else better(best, trial.score)
            found.append(best)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One row a trial, COLUMNS."""
        entry = self.entry
        return [
            {
                "task": self.head.task,
                "model": self.head.model,
                "method": entry.label,
                "trial": number,
                "status": trial.status,
                "score": trial.score,
                "best_so_far": best,
                "fields": written(trial.fields),
            }
            for number, (trial, best) in enumerate(zip(entry.trials, self.best_so_far(), strict=True))
        ]


def written(fields: Any) -> str:
    """Fields as the command line takes them."""
    return " ".join(f"{key}={show(value)}" for key, value in fields.items())


def render(curves: Sequence[Curve], format: str) -> str:
    """All searches as text, csv or json, ending with a newline."""
    rows = [row for curve in curves for row in curve.rows()]
    if format == "json":
        return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if format == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()
    blocks = [_text(head, list(group)) for head, group in itertools.groupby(curves, lambda one: one.head)]
    return "\n".join(blocks)


def _text(head: Head, curves: Sequence[Curve]) -> str:
    """One task and model as a table."""
    seeds = ", ".join(map(str, head.seeds))
    title = (
        f"{head.task}, model {head.model}, budget {head.budget}, development world {head.world}, "
        f"seeds {seeds}; mean {head.objective}, {head.better} is better"
    )
    cells = [("method", "default", "best", "trials", "failed", "cost", "chosen", "best so far")]
    for curve in curves:
        entry = curve.entry
        chosen = "-" if entry.best is None else written(entry.values) or "the defaults"
        paid = entry.spend["annotator_seconds"]
        cost = f"{paid / 3600:.1f} h" if head.currency == "seconds" else f"{entry.spend['calls']:,.0f} calls"
        cells.append(
            (
                entry.label,
                _score(entry.trials[0]),
                "-" if entry.best is None else _score(entry.trials[entry.best]),
                str(len(entry.trials)),
                str(sum(trial.score is None for trial in entry.trials)),
                cost,
                chosen,
                " ".join("-" if best is None else f"{best:.3f}" for best in curve.best_so_far()),
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    reasons = dict.fromkeys(
        f"- {curve.entry.label}, trial {number}: {trial.status.replace('_', ' ')}: {trial.reason}"
        for curve in curves
        for number, trial in enumerate(curve.entry.trials)
        if trial.score is None
    )
    return "\n".join([title, "", *(line.rstrip() for line in lines), *reasons]) + "\n"


def _score(trial: Trial) -> str:
    return trial.status.replace("_", " ") if trial.score is None else f"{trial.score:.4f}"
