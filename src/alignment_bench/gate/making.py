"""Baselines out of stored cells, and what one baseline says differently from another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from alignment_bench import provenance
from alignment_bench.comparison import Block, Column, Line
from alignment_bench.errors import BadInput, Problem
from alignment_bench.gate.baseline import Baseline, Group, Kept, described
from alignment_bench.gate.margins import Margin
from alignment_bench.statistics import paired
from alignment_bench.verdicts.main import main_column

Choose = Callable[[Block], Column | None]


@dataclass(frozen=True)
class Made:
    """A baseline, and one line for each thing that it could not take in."""

    baseline: Baseline
    left_out: tuple[str, ...]


def make(
    blocks: Sequence[Block],
    margin: Margin,
    metrics: tuple[str, ...] = (),
    choose: Choose = main_column,
    kept: tuple[Group, ...] = (),
) -> Made:
    """The baseline of these blocks: each label's main metric, or the `metrics` named.

    `kept` are groups of an earlier baseline that stay. Raises BadInput where a named metric is not there, or
    nothing could be gated.
    """
    left_out: list[str] = []
    groups: list[Group] = []
    known = {column.name for block in blocks for column in block.columns}
    problems = [
        Problem("metrics", f"no cell has {one!r}", f"there are: {', '.join(sorted(known))}")
        for one in metrics
        if one not in known
    ]
    if problems:
        raise BadInput(problems)
    for block in blocks:
        columns = _columns(block, metrics, choose)
        if not columns:
            left_out.append(f"{block.setting.task}, model {block.setting.model}: no metric has a better side")
        cells = []
        for line in block.lines:
            found = [_kept(block, line, column, left_out) for column in columns]
            cells += [one for one in found if one is not None]
        if cells:
            groups.append(
                Group(described(block.setting), block.prompts, tuple(map(int, block.clusters)), tuple(cells))
            )
    baseline = Baseline(margin, (*groups, *kept), provenance.versions(), str(provenance.code()["commit"]))
    if not baseline.gated:
        why = "; ".join(left_out) or "nothing is stored"
        raise BadInput([Problem("baseline", f"there is nothing to gate: {why}", "run bench run first")])
    return Made(baseline, tuple(left_out))


def current(line: Line) -> bool:
    """Whether the line is its label's newest configuration, not an older one kept beside it."""
    return any(cell.label == line.label for cell in line.cells)


def newest(line: Line) -> str:
    """When the newest cell of a line was started."""
    return max(cell.started for cell in line.cells)


def _columns(block: Block, metrics: tuple[str, ...], choose: Choose) -> list[Column]:
    if metrics:
        return [column for column in block.columns if column.name in metrics]
    main = choose(block)
    return [main] if main is not None else []


def _kept(block: Block, line: Line, column: Column, left_out: list[str]) -> Kept | None:
    name = f"{block.setting.task} {line.label} {column.name}"
    if not current(line):
        left_out.append(f"{name}: an older configuration or source of the label")
        return None
    scores = block.scores.get(column.name, {}).get(line.label)
    if scores is None:
        reason = line.estimates[column.name].reason or line.reason
        left_out.append(f"{name}: {line.status if line.status != 'ok' else 'not scored'}: {reason}")
        return None
    if line.reason:
        left_out.append(f"{name}: {line.reason}")
    cell = line.cells[-1]
    return Kept(
        label=line.label,
        method=cell.method,
        metric=column.name,
        unit=column.unit,
        better=column.better,
        seeds=scores.seeds,
        values=scores.values,
        sources=sources_of(line),
    )


def sources_of(line: Line) -> dict[str, str]:
    """First digits of the digest of every plugin behind a line's newest cell, and the core's version."""
    code = max(line.cells, key=lambda cell: cell.started).code
    plugins = {name: str(value)[:16] for name, value in sorted(code.get("plugins", {}).items())}
    return {"core": str(code.get("core")), **plugins}


Key = tuple[tuple[str, ...], str, str]


def changes(old: Baseline, new: Baseline) -> list[str]:
    """What the new baseline says differently, one thing a line; empty where nothing changed."""
    lines = []
    if old.margin != new.margin:
        lines.append(f"margin: {old.margin} -> {new.margin}")
    before, after = dict(_by_key(old)), dict(_by_key(new))
    for key, (_, cell) in before.items():
        if key not in after:
            lines.append(f"removed: {cell.label} {cell.metric}")
    for key, (group, cell) in after.items():
        name = f"{group.setting['task']} {cell.label} {cell.metric}"
        if key not in before:
            lines.append(f"added: {name}, mean {_mean(cell):.4g}, seeds {_seeds(cell)}")
            continue
        lines += [f"{name}: {what}" for what in _differences(*before[key], group, cell)]
    return lines


def _by_key(baseline: Baseline) -> Iterator[tuple[Key, tuple[Group, Kept]]]:
    for group in baseline.groups:
        for cell in group.cells:
            where = (*group.address, str(group.setting["model"]), str(group.setting["world"]))
            yield (where, cell.label, cell.metric), (group, cell)


def _differences(old_group: Group, old: Kept, group: Group, cell: Kept) -> Iterator[str]:
    for name in ("task_version", "model_digest", "data_digest", "format_digest"):
        was, now = str(old_group.setting[name]), str(group.setting[name])
        if was != now:
            yield f"{name} {was[:12]} -> {now[:12]}"
    if old.method != cell.method:
        yield f"configuration {old.method} -> {cell.method}"
    if old.seeds != cell.seeds:
        yield f"seeds {_seeds(old)} -> {_seeds(cell)}"
    shared = [seed for seed in cell.seeds if seed in old.seeds]
    if old_group.prompts != group.prompts or not shared:
        yield f"mean {_mean(old):.4g} -> {_mean(cell):.4g} (not paired: other prompts or seeds)"
        return
    now_rows = cell.values[[cell.seeds.index(seed) for seed in shared]]
    old_rows = old.values[[old.seeds.index(seed) for seed in shared]]
    if np.array_equal(now_rows, old_rows, equal_nan=True):
        return
    change = paired(now_rows, old_rows, list(map(str, group.clusters)))
    mean = "n/a" if change.mean is None else f"{change.mean:+.4g}"
    reach = "" if change.low is None else f" [{change.low:+.4g}, {change.high:+.4g}]"
    yield f"mean {_mean(old):.4g} -> {_mean(cell):.4g}, difference {mean}{reach}"


def _mean(cell: Kept) -> float:
    return float(np.nanmean(cell.values)) if np.isfinite(cell.values).any() else float("nan")


def _seeds(cell: Kept) -> str:
    return ",".join(map(str, cell.seeds))
