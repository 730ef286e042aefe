"""Draws what can be drawn of compared blocks, and names what cannot and why.

Every figure is written in each format with its data (`.csv`) and its caption (`.txt`) beside it; `index.json`
lists all, the skipped ones with their reasons.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from alignment_bench.comparison import Block, Column, Setting
from alignment_bench.digests import digest
from alignment_bench.errors import BadInput, Problem
from alignment_bench.figures import (
    best_of_n,
    budget,
    by_method,
    frontier,
    learning_curves,
    length,
    levels,
    over_optimisation,
    pass_at_k,
    reward_model,
    style,
    toxicity,
    win_matrix,
)
from alignment_bench.figures.captions import caption
from alignment_bench.figures.plot import Figure, Plot, View, scored
from alignment_bench.figures.training_logs import Logs
from alignment_bench.registry import suggest

FORMATS = ("pdf", "svg", "png")
INDEX = "index.json"
SCHEMA = 1
"""of the index"""

FIGURES: Mapping[str, Figure] = {
    one.name: one
    for one in (
        by_method.FIGURE,
        win_matrix.FIGURE,
        frontier.FIGURE,
        budget.TIME,
        budget.TOKENS,
        over_optimisation.FIGURE,
        best_of_n.FIGURE,
        length.FIGURE,
        toxicity.FIGURE,
        pass_at_k.FIGURE,
        levels.FIGURE,
        learning_curves.FIGURE,
        reward_model.FIGURE,
    )
}
"""every figure by its name"""


@dataclass(frozen=True)
class Drawn:
    """One figure of one block, drawn or not."""

    name: str
    """of its files: the figure's, with the metric asked for and, of several blocks, the block"""
    figure: str
    files: tuple[Path, ...] = ()
    csv: Path | None = None
    caption: Path | None = None
    skipped: str = ""
    """why nothing was drawn"""


def draw(
    blocks: Sequence[Block],
    out: Path,
    names: Sequence[str] | None = None,
    formats: Collection[str] = FORMATS,
    root: Path | None = None,
) -> list[Drawn]:
    """Draws these figures (default: all) of these blocks into a folder, and says what came of each.

    A name may ask for a metric, as `metric_by_method:rouge_l`. `root` is the results folder, for training
    logs. Raises BadInput with every name, metric and format that is not known.
    """
    asked = _asked(names, blocks, formats)
    out.mkdir(parents=True, exist_ok=True)
    logs = Logs(root) if root is not None else None
    done = []
    with style.applied():
        for figure, metric in asked:
            for suffix, sweep in _groups(blocks, figure.scope):
                name = "-".join(filter(None, (figure.name, metric, suffix)))
                done.append(_one(figure, metric, sweep, logs, out, name, formats))
    _write(out / INDEX, _index(done))
    return done


def _one(
    figure: Figure,
    metric: str,
    sweep: Sequence[Block],
    logs: Logs | None,
    out: Path,
    name: str,
    formats: Collection[str],
) -> Drawn:
    block = sweep[-1]
    column = scored(block, metric) if metric else _main(block)
    if column is None:
        return Drawn(name, figure.name, skipped=f"nothing was scored{f' in {metric}' if metric else ''} here")
    plot = figure.prepare(View(block, tuple(sweep), column, bool(metric), logs))
    if isinstance(plot, str):
        return Drawn(name, figure.name, skipped=plot)
    data, text = out / f"{name}.csv", out / f"{name}.txt"
    _write(data, _csv(plot))
    _write(text, caption(plot, sweep, data.name) + "\n")
    files = tuple(out / f"{name}.{form}" for form in FORMATS if form in formats)
    painted = plot.paint()
    for file in files:
        style.save(painted, file)
    return Drawn(name, figure.name, files, data, text)


def _asked(
    names: Sequence[str] | None, blocks: Sequence[Block], formats: Collection[str]
) -> list[tuple[Figure, str]]:
    """The figures asked for, each with the metric asked for or none."""
    problems = [
        Problem("format", f"{one!r} is no format of a figure", suggest(one, FORMATS))
        for one in formats
        if one not in FORMATS
    ]
    asked = []
    known = dict.fromkeys(column.name for block in blocks for column in block.columns)
    for one in names if names is not None else FIGURES:
        name, colon, metric = one.partition(":")
        figure = FIGURES.get(name)
        if figure is None:
            problems.append(Problem("names", f"no figure is called {name!r}", suggest(name, FIGURES)))
        elif colon and not figure.takes_metric:
            able = ", ".join(other.name for other in FIGURES.values() if other.takes_metric)
            problems.append(
                Problem("names", f"{name} shows what it shows, not {metric!r}", f"with a metric: {able}")
            )
        elif colon and metric not in known:
            problems.append(Problem("names", f"no metric {metric!r} is stored", suggest(metric, known)))
        else:
            asked.append((figure, metric))
    if problems:
        raise BadInput(problems)
    return asked


def _main(block: Block) -> Column | None:
    """The main metric, or, where no metric has a better side, the first that was scored."""
    from alignment_bench.verdicts import main_column

    return main_column(block) or next((c for c in block.columns if scored(block, c.name)), None)


def _groups(blocks: Sequence[Block], scope: str) -> Iterator[tuple[str, list[Block]]]:
    """Blocks with a suffix of a file's name that tells them apart: each with the sweep it belongs to."""
    sweeps: dict[Setting, list[Block]] = {}
    for block in blocks:
        sweeps.setdefault(replace(block.setting, budget="", budget_amount=0.0), []).append(block)
    for family in sweeps.values():
        family.sort(key=lambda block: block.setting.budget_amount)
    if scope == "sweep":
        yield from zip(_suffixes(list(sweeps)), sweeps.values(), strict=True)
        return
    for suffix, block in zip(_suffixes([block.setting for block in blocks]), blocks, strict=True):
        yield suffix, [block]


def _suffixes(settings: Sequence[Setting]) -> list[str]:
    """What tells settings apart in words: the fields in which they differ; a digest where those are equal."""
    if len(settings) == 1:
        return [""]
    shown = ("task", "model", "world", "data", "budget", "teacher", "judge", "init")
    differ = [name for name in shown if len({getattr(one, name) for one in settings}) > 1]
    if "world" in differ and "data" in differ:
        differ.remove("data")
    words = ["-".join(_slug(str(getattr(one, name))) for name in differ) for one in settings]
    return [
        word if words.count(word) == 1 else f"{word}-{_digest(one)}".strip("-")
        for word, one in zip(words, settings, strict=True)
    ]


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "_", text).strip("_")[:40]


def _digest(setting: Setting) -> str:
    return digest([str(getattr(setting, one.name)) for one in fields(setting) if one.compare])[:8]


def _csv(plot: Plot) -> str:
    out = io.StringIO()
    header = list(dict.fromkeys(key for row in plot.rows for key in row))
    writer = csv.DictWriter(out, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(plot.rows)
    return out.getvalue()


def _index(done: Sequence[Drawn]) -> str:
    rows = [
        {
            "name": one.name,
            "figure": one.figure,
            "files": [file.name for file in one.files],
            "csv": one.csv.name if one.csv else None,
            "caption": one.caption.name if one.caption else None,
            "skipped": one.skipped or None,
        }
        for one in done
    ]
    return (
        json.dumps({"schema": SCHEMA, "figures": rows}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
