"""A run against a baseline, cell by cell: is it not worse, worse, or can the run not tell?

A cell is one label in one setting and its gated metric, paired over the baseline's seeds and prompts. The
difference is new minus baseline, turned so that up is better, with the two-way random-effects interval of
`statistics.paired`. All gated cells together err at most at 5 %: each interval's level is 1 - .05 / cells
(Bonferroni; unlike Holm it gives every cell an interval). 0: the interval lies above minus the margin; else
1: it lies below 0; else 3: it cannot tell. A missing or failed cell is 1, a baseline of another model, data
or world is 2. The run takes 2, else 1, else 3, else 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from alignment_bench.comparison import Block, Line, SeedScores
from alignment_bench.gate.baseline import ADDRESS, IDENTITY, Baseline, Group, Kept, address, described
from alignment_bench.gate.making import current, newest, sources_of
from alignment_bench.gate.margins import Margin
from alignment_bench.results import Unreadable
from alignment_bench.statistics import Array, Interval, paired

Code = Literal[0, 1, 2, 3]
FAMILY = 0.05
"""how often at least one of all gated intervals may miss the truth"""
ORDER: tuple[Code, ...] = (2, 1, 3, 0)
"""the run takes the first of these that one of its cells has"""


@dataclass(frozen=True)
class Finding:
    """What became of one cell. `difference` is new minus baseline with up better; None: not comparable."""

    task: str
    label: str
    metric: str
    unit: str
    code: Code | None
    """None: shown, not gated"""
    reason: str
    margin: float
    before: float | None = None
    now: float | None = None
    difference: Interval | None = None
    seeds: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole check."""

    findings: tuple[Finding, ...]
    level: float
    """of each interval"""
    gated: int
    margin: Margin
    unreadable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def code(self) -> Code:
        """The exit code of the run."""
        codes = {finding.code for finding in self.findings} | ({2} if self.unreadable else set())
        return next((code for code in ORDER if code in codes), 0)


def check(
    baseline: Baseline,
    blocks: Sequence[Block],
    unreadable: Sequence[Unreadable] = (),
    margin: Margin | None = None,
    metrics: tuple[str, ...] = (),
) -> Report:
    """The run in `blocks` against the baseline; `metrics` gates only these, the others are shown.

    `margin` replaces the baseline's own.
    """
    margin = margin or baseline.margin
    gated = [
        (group, cell, cell.gated and (not metrics or cell.metric in metrics))
        for group in baseline.groups
        for cell in group.cells
    ]
    count = sum(counts for _, _, counts in gated)
    level = 1 - FAMILY / max(1, count)
    found = [_finding(baseline, blocks, *one, level, margin.for_metric(one[1].metric)) for one in gated]
    return Report(
        tuple(found),
        level,
        count,
        margin,
        tuple(one.reason for one in unreadable),
        tuple(_new(baseline, blocks)),
    )


def decide(difference: Interval, margin: float) -> Code:
    """The rule for one cell whose difference is not exactly 0 everywhere."""
    low, high = difference.low, difference.high
    if low is None or high is None:
        # every prompt differs by the same amount: that amount is known exactly
        if difference.mean is None or difference.se != 0.0:
            return 3
        low = high = difference.mean
    if low > -margin:
        return 0
    return 1 if high < 0 else 3


def _finding(
    baseline: Baseline,
    blocks: Sequence[Block],
    group: Group,
    cell: Kept,
    gated: bool,
    level: float,
    margin: float,
) -> Finding:
    blank = Finding(
        str(group.setting["task"]),
        cell.label,
        cell.metric,
        cell.unit,
        None,
        "",
        margin,
        before=_mean(cell.values),
    )

    def ended(code: Code, reason: str, **more: Any) -> Finding:
        return replace(blank, code=code if gated else None, reason=reason, **more)

    here = [block for block in blocks if address(described(block.setting)) == group.address]
    same = [block for block in here if not differing(group.setting, described(block.setting))]
    if not same:
        others = [block for block in here if not _belongs(baseline, block)]
        if others:
            fewest = min((differing(group.setting, described(b.setting)) for b in others), key=len)
            what = "; ".join(_told(name, group.setting, others) for name in fewest)
            return ended(2, f"the baseline is of another {what}")
        return ended(1, f"missing: the run has no such cell{_hint(group, blocks)}")
    lines = [
        (block, line) for block in same for line in block.lines if line.label == cell.label and current(line)
    ]
    if not lines:
        return ended(1, "missing: the run has no cell of this label")
    block, line = max(lines, key=lambda one: newest(one[1]))
    scores = block.scores.get(cell.metric, {}).get(cell.label)
    if scores is None:
        known = line.estimates.get(cell.metric)
        why = line.reason or (known.reason if known else "the run did not measure it")
        return ended(1, f"{line.status if line.status != 'ok' else 'not scored'}: {why}")
    return _compared(blank, gated, group, cell, block, line, scores, level)


def _compared(
    blank: Finding,
    gated: bool,
    group: Group,
    cell: Kept,
    block: Block,
    line: Line,
    scores: SeedScores,
    level: float,
) -> Finding:
    seeds = tuple(seed for seed in cell.seeds if seed in scores.seeds)
    old = cell.values[[cell.seeds.index(seed) for seed in seeds]]
    new = _aligned(scores.values[[scores.seeds.index(seed) for seed in seeds]], block.prompts, group.prompts)
    notes = list(_changed(group, cell, block, line))
    broken = []
    if absent := [seed for seed in cell.seeds if seed not in seeds]:
        names = ", ".join(map(str, absent))
        broken.append(f"missing or failed: seed {names}" + (f" ({line.reason})" if line.reason else ""))
    lost = int(np.count_nonzero(np.isfinite(old) & ~np.isfinite(new)))
    if lost:
        broken.append(f"{lost} scores that the baseline has are missing")
    if not seeds:
        return replace(blank, code=1 if gated else None, reason="; ".join(broken), notes=tuple(notes))
    sign = -1.0 if cell.better == "lower" else 1.0
    difference = paired(sign * new, sign * old, list(map(str, group.clusters)), level)
    code: Code = decide(difference, blank.margin)
    reason = {
        0: "not worse by the margin",
        1: "worse: the interval lies below 0 and reaches the margin",
        3: "inconclusive: the interval reaches the margin and 0",
    }.get(code, "")
    if difference.note:
        notes.append(difference.note)
    if np.array_equal(old, new, equal_nan=True):
        code, reason = 0, "the very same scores"
    elif difference.se == 0.0:
        reason += ", by the same amount on every prompt"
    if broken:
        code, reason = 1, "; ".join(broken)
    if not gated:
        reason = "shown, not gated" + (f"; {reason}" if broken else "")
    return replace(
        blank,
        code=code if gated else None,
        reason=reason,
        before=_mean(old),
        now=_mean(new),
        difference=difference,
        seeds=seeds,
        notes=tuple(notes),
    )


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """The parts of two settings' identities that are not equal."""
    return tuple(name for name in IDENTITY if one[name] != other[name])


def _belongs(baseline: Baseline, block: Block) -> bool:
    """Whether a block is what some group of the baseline is to be compared with."""
    setting = described(block.setting)
    where = address(setting)
    return any(group.address == where and not differing(group.setting, setting) for group in baseline.groups)


_PEOPLES = {"model_digest": "model", "data_digest": "data", "world": "world", "task_version": "task version"}


def _told(name: str, setting: Mapping[str, Any], others: Sequence[Block]) -> str:
    word = _PEOPLES[name]

    def said(one: Mapping[str, Any]) -> str:
        return f"{one[word]} ({str(one[name])[:12]})" if name.endswith("_digest") else str(one[name])

    nearest = min(
        (described(block.setting) for block in others), key=lambda one: len(differing(setting, one))
    )
    return f"{word}: {name} is {said(setting)} there and {said(nearest)} in the run"


def _hint(group: Group, blocks: Sequence[Block]) -> str:
    """Where the run has the task under another address: which part of it differs."""
    settings = [described(block.setting) for block in blocks]
    near = [one for one in settings if one["task"] == group.setting["task"]]
    if not near:
        return f" (nothing of task {group.setting['task']} is stored)"
    best = min(near, key=lambda one: sum(one[name] != group.setting[name] for name in ADDRESS))
    parts = [
        f"{name} {best[name]}, not {group.setting[name]}"
        for name in ADDRESS
        if best[name] != group.setting[name]
    ]
    return f" (it has {'; '.join(parts)})" if parts else ""


def _aligned(values: Array, prompts: Sequence[str], wanted: Sequence[str]) -> Array:
    """`values` [seeds, prompts] in the order of the wanted prompts; nan for one that is not there."""
    place = {prompt: i for i, prompt in enumerate(prompts)}
    out = np.full((len(values), len(wanted)), np.nan)
    for i, prompt in enumerate(wanted):
        if prompt in place:
            out[:, i] = values[:, place[prompt]]
    return out


def _mean(values: Array) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _changed(group: Group, cell: Kept, block: Block, line: Line) -> list[str]:
    """What of the cell's making changed since: for the reader, a gate passes it or not by its scores."""
    notes = []
    now = sources_of(line)
    if changed := sorted(name for name in {*now, *cell.sources} if now.get(name) != cell.sources.get(name)):
        notes.append(f"source changed since the baseline: {', '.join(changed)}")
    method = max(line.cells, key=lambda one: one.started).method
    if method != cell.method:
        notes.append("its configuration changed since the baseline")
    if group.setting["format_digest"] != block.setting.format_digest:
        notes.append("the format of prompts changed since the baseline")
    return notes


def _new(baseline: Baseline, blocks: Sequence[Block]) -> list[str]:
    known = {(group.address, cell.label) for group in baseline.groups for cell in group.cells}
    fresh = {
        f"{block.setting.task} {line.label}"
        for block in blocks
        for line in block.lines
        if current(line) and (address(described(block.setting)), line.label) not in known
    }
    return [f"not in the baseline, so not checked: {', '.join(sorted(fresh))}"] if fresh else []
