"""A block as a sheet: title, caption, grids of cells already written out, footnotes.

The sheet is the same for every format that people read; `alignment_bench.table_layout` sets it.
The first metrics stand wide, with their difference to base; the others show their interval and a mark.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from alignment_bench.comparison import BASE, Block, Column, Estimate, Line
from alignment_bench.statistics import ONE_RUN, TWO_RUNS, Interval

WIDE = 2
"""metrics whose difference to base is written out"""
ARROWS = {"higher": " ↑", "lower": " ↓", "neither": ""}
UNITLESS = ("0-1", "share", "")
KL = "KL: from the method to the unaligned base, KL(policy || base), at temperature 1 without truncation"
LEGEND = (
    "mean [95 % interval]; Δ: paired difference to base; * the 95 % interval of that difference "
    "excludes 0 (not adjusted for the number of comparisons)"
)
SPEND = (
    "spend is a mean over seeds: tokens sampled and trained on, seconds of wall time; test: tokens sampled "
    "to answer the test prompts"
)


GAP = 3
"""characters between two columns"""
Columns = list[tuple[str, list[str]]]
"""columns as header and cells"""


@dataclass(frozen=True)
class Grid:
    """Columns of text with their headers; the first column names the methods."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Sheet:
    """One block, written out."""

    title: str
    caption: tuple[str, ...]
    grids: tuple[Grid, ...]
    footnotes: tuple[str, ...]


def sheet(block: Block, alarms: Sequence[str], width: int) -> Sheet:
    """The sheet of a block, its grids at most `width` characters wide where one column allows it."""
    shown = [column for column in block.columns if any(_value(line, column) for line in block.lines)]
    groups = [_metric(block.lines, column, place < WIDE) for place, column in enumerate(shown)]
    labels = ["method", *(line.label for line in block.lines)]
    if not shown:
        groups.append([("status", [line.status for line in block.lines])])
    spend = [[column] for column in _spend(block)]
    grids = [*_pack(labels, groups, width), *_pack(labels, spend, width)]
    title = f"{block.setting.task}, model {block.setting.model}, budget {block.setting.budget}"
    caption = (*_caption(block, shown), *alarms)
    return Sheet(title, caption, tuple(grids), tuple(_footnotes(block, shown)))


def plain_sheet(block: Block, title: str, caption: Sequence[str], width: int) -> Sheet:
    """The sheet of a block that no run made: its metrics under a caption of its own, and no spend."""
    shown = [column for column in block.columns if any(_value(line, column) for line in block.lines)]
    groups = [_metric(block.lines, column, place < WIDE) for place, column in enumerate(shown)]
    labels = ["method", *(line.label for line in block.lines)]
    if not shown:
        groups.append([("status", [line.status for line in block.lines])])
    lines = [*caption, *([f"units: {units}"] if (units := _units(shown)) else []), LEGEND]
    return Sheet(title, tuple(lines), tuple(_pack(labels, groups, width)), tuple(_footnotes(block, shown)))


def _units(shown: Sequence[Column]) -> str:
    return ", ".join(f"{c.name} in {c.unit}" for c in shown if c.unit not in UNITLESS)


def _value(line: Line, column: Column) -> Interval | None:
    estimate = line.estimates.get(column.name)
    return estimate.value if estimate else None


def _metric(lines: Sequence[Line], column: Column, wide: bool) -> Columns:
    estimates = [line.estimates[column.name] for line in lines]
    decimals = _decimals(estimates)
    values, deltas = [], []
    for line, estimate in zip(lines, estimates, strict=True):
        delta = estimate.delta
        mark = "*" if delta and excludes_zero(delta) else ""
        if estimate.value is None:
            word = {"over_budget": "over budget", "failed": "failed"}.get(estimate.status, "n/a")
            values.append(word)
            deltas.append("")
            continue
        values.append(_written(estimate.value, decimals, False) + ("" if wide else mark))
        if line.label == BASE:
            deltas.append("0")
        else:
            deltas.append(_written(delta, decimals, True) + mark if delta else "n/a")
    header = column.name + ARROWS[column.better]
    return [(header, values), (f"Δ {column.name}", deltas)] if wide else [(header, values)]


def excludes_zero(delta: Interval) -> bool:
    """Whether the difference has an interval and 0 lies outside it."""
    return delta.low is not None and delta.high is not None and not delta.low <= 0 <= delta.high


def _decimals(estimates: Iterable[Estimate]) -> int:
    """So many that the narrowest interval of the column shows two digits, at most four."""
    found = [one for estimate in estimates for one in (estimate.value, estimate.delta) if one]
    reaches = [one.high - one.mean for one in found if one.high is not None and one.mean is not None]
    if reaches:
        return min(4, max(0, 1 - floor(log10(min(reaches)))))
    largest = max((abs(one.mean) for one in found if one.mean), default=1.0)
    return min(4, max(0, 2 - floor(log10(largest))))


def _written(value: Interval, decimals: int, signed: bool) -> str:
    def number(one: float | None) -> str:
        text = f"{one:{'+' if signed else ''}.{decimals}f}"
        return text if float(text) else text.lstrip("+-")

    if value.low is None:
        return f"{number(value.mean)} [n/a]"
    return f"{number(value.mean)} [{number(value.low)}, {number(value.high)}]"


def _pack(first: Sequence[str], groups: Sequence[Columns], width: int) -> list[Grid]:
    """Groups of columns side by side as long as they fit, then a new grid that begins with the labels."""
    start = max(map(len, first))
    grids: list[Columns] = []
    used = width + 1
    for group in groups:
        needed = sum(GAP + max(map(len, [header, *cells])) for header, cells in group)
        if used + needed > width:
            grids.append([])
            used = start
        grids[-1].extend(group)
        used += needed
    return [
        Grid(
            (first[0], *(header for header, _ in grid)),
            tuple(zip(first[1:], *(cells for _, cells in grid), strict=True)),
        )
        for grid in grids
    ]


def _spend(block: Block) -> Columns:
    """What a method cost, as the mean over its seeds of the sum over folds."""
    seconds = block.setting.currency == "seconds"
    spends = [_mean_spend(line, "spend") for line in block.lines]
    tests = [_mean_spend(line, "test_spend") for line in block.lines]
    used = [one.get("annotator_seconds" if seconds else "calls", 0.0) for one in spends]
    amount = block.setting.budget_amount
    paid = [f"{one / 3600:.2f}" if seconds else f"{one:,.0f}" for one in used]

    def of(key: str, where: Sequence[Mapping[str, float]] = spends, unit: float = 1.0) -> list[str]:
        return [_short(one.get(key, 0.0) / unit) for one in where]

    acts = [
        ", ".join(
            f"{name[5:]} {count:,.0f}" for name, count in one.items() if name.startswith("acts/") and count
        )
        for one in spends
    ]
    tuning = [one.cells[0].tuning if one.cells else {} for one in block.lines]
    return [
        ("hours" if seconds else "calls", paid),
        ("used", [f"{one / amount:.0%}" if amount else "-" for one in used]),
        ("words", of("words")),
        ("sampled", of("tokens_generated")),
        ("trained", of("tokens_trained")),
        ("GFLOPs", of("flops", unit=1e9)),
        ("seconds", of("seconds")),
        ("test", of("tokens_generated", tests)),
        *([("tuning", [_tuning(one, seconds) for one in tuning])] if any(tuning) else []),
        ("acts", [one or "-" for one in acts]),
    ]


def _tuning(tuning: Mapping[str, Any], seconds: bool) -> str:
    """What finding the tuned values of a line cost, once for all of its seeds."""
    if not tuning:
        return "-"
    paid = f"{tuning['annotator_seconds'] / 3600:.1f} h" if seconds else f"{tuning['calls']:,.0f} calls"
    return f"{paid}, {tuning['trials']} trials"


def _mean_spend(line: Line, name: str) -> dict[str, float]:
    totals: dict[str, float] = {}
    cells = [cell for cell in line.cells if cell.seed in line.seeds] or line.cells
    seeds = len({cell.seed for cell in cells})
    for cell in cells:
        stored: Mapping[str, Any] = getattr(cell, name)
        flat = {f"acts/{channel}": count for channel, count in stored.get("acts", {}).items()}
        for key, value in (flat | {key: stored[key] for key in stored if key != "acts"}).items():
            totals[key] = totals.get(key, 0.0) + float(value) / seeds
    return totals


def _short(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def _caption(block: Block, shown: Sequence[Column]) -> list[str]:
    setting = block.setting
    decoding = ", ".join(
        f"{key} {value}" for key, value in json.loads(setting.decoding).items() if value not in ([], None)
    )
    amount = f"{setting.budget_amount:,.0f} " + (
        f"annotator seconds ({setting.budget_amount / 3600:.1f} h)"
        if setting.currency == "seconds"
        else "teacher calls"
    )
    seeds = sorted({seed for line in block.lines for seed in line.seeds})
    estimates = [line.estimates[column.name] for line in block.lines for column in shown]
    found = [one for estimate in estimates for one in (estimate.value, estimate.delta) if one]
    sizes = sorted({(one.n_prompts, one.n_clusters) for one in found}, reverse=True)
    prompts = " or ".join(f"{n}" if n == groups else f"{n} in {groups} clusters" for n, groups in sizes)
    start = "the base" if setting.init == "base" else setting.init
    lines = [
        f"task {setting.task} (version {setting.task_version}); model {setting.model} "
        f"({setting.model_digest[:8]}), format {setting.format_digest[:8]}; data {setting.data} "
        f"({setting.data_digest[:8]})",
        f"decoding: {decoding}; training starts from {start}",
        f"teacher {setting.teacher}; judge {setting.judge}; budget {setting.budget}: {amount} a method",
        f"seeds {', '.join(map(str, seeds)) or 'none'}; prompts {prompts or 'none'}"
        + (f"; {setting.folds}-fold cross-fit, folds are clusters" if setting.folds else ""),
    ]
    lines += dict.fromkeys(line for one in block.lines for cell in one.cells for line in cell.captions)
    flags = dict.fromkeys(flag for one in block.lines for cell in one.cells for flag in cell.flags)
    for flag in flags:
        labels = [one.label for one in block.lines if any(flag in cell.flags for cell in one.cells)]
        if not any(line.startswith(flag) for line in lines):
            lines.append(f"{flag}: {_who(labels, block)}")
    for note, count in ((ONE_RUN, 1), (TWO_RUNS, 2)):
        labels = [one.label for one in block.lines if len(one.seeds) == count]
        if labels:
            lines.append(note if _are_all(labels, block) else f"{', '.join(labels)}: {note}")
    smallest = [
        f"{column.name} {max(mdes):.3g}"
        for column in shown[:WIDE]
        if (mdes := [d.mde for one in block.lines if (d := one.estimates[column.name].delta) and d.mde])
    ]
    if smallest:
        lines.append(f"smallest difference to base seen with 80 % power: {', '.join(smallest)}")
    if units := _units(shown):
        lines.append(f"units: {units}")
    if any(column.name.startswith("kl_to_base") for column in shown):
        lines.append(KL)
    return [*lines, LEGEND, SPEND]


def _who(labels: Sequence[str], block: Block) -> str:
    return "all methods" if _are_all(labels, block) else ", ".join(labels)


def _are_all(labels: Sequence[str], block: Block) -> bool:
    everyone = {line.label for line in block.lines if line.seeds} or {line.label for line in block.lines}
    return set(labels) >= everyone


def _footnotes(block: Block, shown: Sequence[Column]) -> list[str]:
    """Every remark once, with the metrics and the methods it is about."""
    about: dict[str, dict[str, list[str]]] = {}

    def add(text: str, label: str, metric: str = "") -> None:
        metrics = about.setdefault(text, {}).setdefault(label, [])
        if metric and metric not in metrics:
            metrics.append(metric)

    for line in block.lines:
        if not line.seeds:
            add(f"{line.status.replace('_', ' ')}: {line.reason or 'no reason stored'}", line.label)
        for note in dict.fromkeys(note for cell in line.cells for note in cell.notes):
            add(note, line.label)
        for note in line.notes:
            add(note, line.label)
        for column in block.columns:
            estimate = line.estimates[column.name]
            if line.seeds and estimate.value is None:
                add(f"n/a: {estimate.reason}", line.label, column.name)
            for note in estimate.notes:
                add(note, line.label, column.name)
            for kind, found in (("", estimate.value), ("difference to base: ", estimate.delta)):
                for note in found.note.split("; ") if found else ():
                    repeated = bool(kind) and estimate.value is not None and note in estimate.value.note
                    if note and note not in (ONE_RUN, TWO_RUNS) and not repeated:
                        add(kind + note, line.label, column.name)
    written = []
    for text, by_label in about.items():
        grouped: dict[tuple[str, ...], list[str]] = {}
        for label, metrics in by_label.items():
            grouped.setdefault(tuple(metrics), []).append(label)
        for group, labels in grouped.items():
            every = len(group) == len(shown) > 1
            what = "" if every else ", ".join(group)
            whom = "" if what and _are_all(labels, block) else _who(labels, block)
            written.append(f"{', '.join(filter(None, (whom, what)))}: {text}")
    return written
