"""Which stored cells may be compared, and the comparison: every number of a table before its layout.

A `Block` holds the cells that agree in everything a comparison must hold fixed (`Setting`); cells of two
blocks are never pooled or paired. In a block each line is one method; its scores form an array
[seeds, prompts] a metric, compared with base's array over the seeds and prompts that both have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignment_bench.digests import canonical, digest
from alignment_bench.evaluation import VIEW, Better
from alignment_bench.judging import length_control
from alignment_bench.results import CellRecord, Status
from alignment_bench.statistics import Array, Interval, interval, paired

BASE = "base"
CONTROL = "base_copy"


@dataclass(frozen=True)
class Setting:
    """What cells must share to be compared, the code outside the method itself (`sources`) included.

    Names that a digest or an amount stands for may differ: a budget typed in other words, a moved file.
    """

    task: str
    task_version: str
    model: str = field(compare=False)
    model_digest: str
    data: str = field(compare=False)
    data_digest: str
    world: str | None = field(compare=False)
    budget: str = field(compare=False)
    budget_amount: float
    currency: str
    teacher: str
    judge: str
    init: str
    format_digest: str
    decoding: str
    evaluators: tuple[str, ...]
    folds: int
    sources: str

    @staticmethod
    def of(cell: CellRecord) -> Setting:
        """The setting of a stored cell."""
        values: dict[str, Any] = {
            one.name: getattr(cell, one.name) for one in fields(Setting) if hasattr(cell, one.name)
        }
        values["decoding"] = canonical(cell.decoding)
        shared, _ = _sources(cell)
        return Setting(**values, sources=canonical(shared))


@dataclass(frozen=True)
class Estimate:
    """One method's value of one metric, and its paired difference to base (None: base itself, or no base)."""

    value: Interval | None
    delta: Interval | None
    status: Status
    reason: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """One method in a block: its stored cells, the seeds that count, and an estimate for every metric."""

    label: str
    cells: tuple[CellRecord, ...]
    seeds: tuple[int, ...]
    status: Status
    reason: str
    notes: tuple[str, ...] = ()
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """One metric of a block."""

    name: str
    unit: str
    better: Better


@dataclass(frozen=True)
class SeedScores:
    """One method's scores of one metric: `values[i]` [prompts of the block] of seed `seeds[i]`."""

    seeds: tuple[int, ...]
    values: Array
    """[seeds, prompts of the block]; nan: not scored"""


@dataclass(frozen=True)
class Block:
    """Cells of one setting, compared: metrics in order of importance, base's line first.

    `scores[metric][label]` is what every estimate of that metric and line was made from; a label without
    a score has no entry. `prompts` and `clusters` name the last axis of all of them.
    """

    setting: Setting
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    prompts: tuple[str, ...] = ()
    clusters: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp), compare=False)
    scores: Mapping[str, Mapping[str, SeedScores]] = field(
        default_factory=dict[str, Mapping[str, SeedScores]], compare=False, repr=False
    )


def compare(records: Iterable[CellRecord], only: Collection[str] | None = None) -> list[Block]:
    """The blocks of these cells (of those with a digest in `only`, where given), in a stable order."""
    by_setting: dict[Setting, list[CellRecord]] = {}
    for record in records:
        if only is None or record.digest in only:
            by_setting.setdefault(Setting.of(record), []).append(record)
    return [_block(setting, by_setting[setting]) for setting in sorted(by_setting, key=_order)]


def pick(block: Block, labels: Collection[str]) -> Block:
    """The block with only the lines of these labels; comparisons with base stay as they were."""
    return replace(block, lines=tuple(line for line in block.lines if line.label in labels))


def is_control(label: str) -> bool:
    """Whether this method is the base again, so that any difference to base is an error."""
    return label.partition(":")[0] == CONTROL and "+" not in label


def _block(setting: Setting, cells: Sequence[CellRecord]) -> Block:
    lines = sorted(_lines(cells, setting.folds), key=lambda line: _rank(line.label))
    prompts = _Prompts([cell for line in lines for cell in line.cells if cell.seed in line.seeds])
    columns = _columns(lines)
    base = next((line for line in lines if line.label == BASE), None)
    found: list[dict[str, Estimate]] = [{} for _ in lines]
    controlled = length_control.controlled(
        {line.label: {one: _scores(line, one, prompts) for one in length_control.INPUTS} for line in lines},
        base.label if base else None,
    )
    kept: dict[str, dict[str, SeedScores]] = {}
    for column in columns:

        def of(line: Line, name: str = column.name) -> Mapping[int, Array]:
            fitted = name == length_control.METRIC
            return controlled[line.label] if fitted else _scores(line, name, prompts)

        by_line = {line.label: _stacked(of(line)) for line in lines}
        reference = by_line.get(base.label) if base else None
        for line, estimates in zip(lines, found, strict=True):
            own = by_line[line.label]
            estimates[column.name] = _estimate(line, column, own, reference, base, prompts.clusters)
        kept[column.name] = {label: own for label, own in by_line.items() if own is not None}
    done = (replace(line, estimates=own) for line, own in zip(lines, found, strict=True))
    return Block(setting, columns, tuple(done), prompts.ids, prompts.clusters, kept)


def _stacked(by_seed: Mapping[int, Array]) -> SeedScores | None:
    return SeedScores(tuple(by_seed), np.stack(list(by_seed.values()))) if by_seed else None


def shared_seeds(a: SeedScores, b: SeedScores) -> tuple[tuple[int, ...], Array, Array]:
    """The seeds that both have and the scores of each in them, [shared seeds, prompts]."""
    seeds = tuple(seed for seed in a.seeds if seed in b.seeds)
    first = a.values[[a.seeds.index(seed) for seed in seeds]]
    return seeds, first, b.values[[b.seeds.index(seed) for seed in seeds]]


class _Prompts:
    """The prompts of a block as positions, with their clusters; one look-up per distinct list of ids."""

    def __init__(self, cells: Sequence[CellRecord]) -> None:
        self._position: dict[str, int] = {}
        names: list[str] = []
        known: set[tuple[object, ...]] = set()
        for cell in cells:
            # most cells have the very prompts of the one before
            listed = (cell.prompt_ids, cell.fold)
            if listed in known:
                continue
            known.add(listed)
            for prompt, cluster in zip(cell.prompt_ids, cell.clusters, strict=True):
                if prompt not in self._position:
                    self._position[prompt] = len(names)
                    # in a cross-fit the prompts of one fold share one training
                    names.append(f"fold {cell.fold}" if cell.folds else cluster)
        self.count = len(names)
        self.ids = tuple(self._position)
        numbers: dict[str, int] = {}
        codes = [numbers.setdefault(name, len(numbers)) for name in names]
        self.clusters = np.array(codes, dtype=np.intp)
        self._seen: dict[tuple[str, ...], NDArray[np.intp]] = {}

    def positions(self, ids: tuple[str, ...]) -> NDArray[np.intp]:
        """Where these prompts stand in the block's arrays."""
        if ids not in self._seen:
            self._seen[ids] = np.array([self._position[one] for one in ids], dtype=np.intp)
        return self._seen[ids]


def _lines(cells: Sequence[CellRecord], folds: int) -> list[Line]:
    """One line a label. A label stored with several configurations or sources gets a line for each."""
    by_label: dict[str, dict[str, list[CellRecord]]] = {}
    for cell in cells:
        by_label.setdefault(cell.label, {}).setdefault(_variant(cell), []).append(cell)
    lines = []
    for label, variants in by_label.items():
        newest_first = sorted(variants, key=lambda one: max(c.started for c in variants[one]), reverse=True)
        for place, variant in enumerate(newest_first):
            if place == 0:
                lines.append(_line(label, variants[variant], folds, ()))
                continue
            note = f"an older configuration or source of {label}: {canonical(variants[variant][0].method)}"
            lines.append(_line(f"{label}@{variant[:4]}", variants[variant], folds, (note,)))
    return lines


def _line(label: str, stored: Sequence[CellRecord], folds: int, notes: tuple[str, ...]) -> Line:
    latest: dict[tuple[int, int], CellRecord] = {}
    for cell in sorted(stored, key=lambda one: one.started):
        latest[cell.seed, cell.fold] = cell
    if len(latest) < len(stored):
        hidden = len(stored) - len(latest)
        notes = (*notes, f"{hidden} older cells of the same seeds not shown")
    seeds: list[int] = []
    bad: list[tuple[int, Status, str]] = []
    stored_seeds = sorted({seed for seed, _ in latest})
    for seed in stored_seeds:
        mine = [cell for (one, _), cell in sorted(latest.items()) if one == seed]
        broken = [cell for cell in mine if cell.status != "ok"]
        if broken:
            bad.append((seed, broken[0].status, broken[0].reason))
        elif folds and len(mine) < folds:
            bad.append((seed, "failed", f"{len(mine)} of {folds} folds stored"))
        else:
            seeds.append(seed)
    reasons = {why: [seed for seed, _, one in bad if one == why] for _, _, why in bad}
    reason = "; ".join(
        why if len(which) == len(stored_seeds) else f"seed {', '.join(map(str, which))}: {why}"
        for why, which in reasons.items()
    )
    if seeds and bad:
        notes = (*notes, f"left out: {reason}")
    cells = tuple(latest[key] for key in sorted(latest))
    return Line(label, cells, tuple(seeds), "ok" if seeds else bad[0][1], reason, notes)


def _columns(lines: Sequence[Line]) -> tuple[Column, ...]:
    """Metrics in the order in which the evaluators gave them, those that nobody has a value of last."""
    columns: dict[str, Column] = {}
    scored: set[str] = set()
    for line in lines:
        for cell in line.cells:
            for metric in cell.scores:
                if metric.name in length_control.INPUTS or VIEW in metric.name:
                    continue
                columns.setdefault(metric.name, Column(metric.name, metric.unit, metric.better))
                if not metric.missing and cell.seed in line.seeds:
                    scored.add(metric.name)
    return tuple(sorted(columns.values(), key=lambda column: column.name not in scored))


def _scores(line: Line, metric: str, prompts: _Prompts) -> dict[int, Array]:
    """Each good seed's scores [prompts of the block]; a seed that lacks the metric in a fold is left out."""
    scores: dict[int, Array] = {}
    lacking = set()
    for cell in line.cells:
        if cell.seed not in line.seeds:
            continue
        found = next((one for one in cell.scores if one.name == metric), None)
        if found is None or found.missing:
            lacking.add(cell.seed)
            continue
        row = scores.setdefault(cell.seed, np.full(prompts.count, np.nan))
        row[prompts.positions(cell.prompt_ids)] = found.values
    return {seed: row for seed, row in scores.items() if seed not in lacking}


def _estimate(
    line: Line,
    column: Column,
    scores: SeedScores | None,
    reference: SeedScores | None,
    base: Line | None,
    clusters: NDArray[np.intp],
) -> Estimate:
    if not line.seeds:
        return Estimate(None, None, line.status, line.reason)
    found = [one for cell in line.cells for one in cell.scores if one.name == column.name]
    notes = list(dict.fromkeys(one.note for one in found if one.note))
    if scores is None:
        why = "; ".join(dict.fromkeys(one.missing for one in found if one.missing))
        return Estimate(None, None, "not_applicable", why or "not measured", tuple(notes))
    if len(scores.seeds) < len(line.seeds):
        notes.append(f"measured in {len(scores.seeds)} of {len(line.seeds)} seeds")
    value = interval(scores.values, clusters)
    delta = None
    if line is not base and reference is None:
        notes.append("base is not stored here, or not readable")
    elif line is not base and reference is not None:
        seeds, ours, theirs = shared_seeds(scores, reference)
        if seeds:
            delta = paired(ours, theirs, clusters)
        if not seeds:
            notes.append("no seed in common with base")
        elif len(seeds) < len(scores.seeds):
            notes.append(f"compared with base on the {len(seeds)} seeds both have")
    return Estimate(value, delta, "ok", line.reason, tuple(notes))


def _rank(label: str) -> int:
    return 0 if label == BASE else 1 if is_control(label) else 2


def _sources(cell: CellRecord) -> tuple[dict[str, Any], dict[str, Any]]:
    """The digests of code that all methods of a block share, and those of this method's own."""
    plugins: Mapping[str, Any] = cell.code.get("plugins", {})
    own = {name: value for name, value in plugins.items() if name.startswith("methods/")}
    shared = {name: value for name, value in plugins.items() if name not in own}
    return {"core": cell.code.get("core"), "terms": cell.code.get("terms"), **shared}, own


def _variant(cell: CellRecord) -> str:
    """Digest of what may differ under one label in one block: the configuration and the method's source."""
    return digest([cell.method, _sources(cell)[1]])


def _order(setting: Setting) -> tuple[str | float, ...]:
    rest = [str(getattr(setting, one.name)) for one in fields(setting)]
    return (setting.task, setting.model, setting.data, setting.currency, setting.budget_amount, *rest)
