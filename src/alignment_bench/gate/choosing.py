"""Which stored cells a command means: the filters of a table, applied to records and to baselines alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from alignment_bench.cells import CellRecord
from alignment_bench.comparison import Block, compare, pick
from alignment_bench.errors import BadInput, Problem
from alignment_bench.gate.baseline import Baseline, Group, Kept

Filters = Mapping[str, tuple[str, ...]]


def blocks_of(records: Sequence[CellRecord], filters: Filters) -> list[Block]:
    """The cells that pass, compared; `methods` picks lines only after base has been compared with.

    Raises BadInput for a value that no stored cell has.
    """
    _refuse_unknown(
        filters, {key: {_of_record(one, key) for one in records} for key in filters}, "stored cell"
    )
    rest = {key: allowed for key, allowed in filters.items() if key != "methods"}
    kept = [one for one in records if all(_of_record(one, key) in allowed for key, allowed in rest.items())]
    blocks = compare(kept)
    return [pick(block, filters["methods"]) for block in blocks] if "methods" in filters else blocks


def baseline_of(baseline: Baseline, filters: Filters) -> Baseline:
    """The part of a baseline that passes. Raises BadInput for a value that none of its cells has."""
    cells = [(group, cell) for group in baseline.groups for cell in group.cells]
    known = {key: {one for group, cell in cells for one in _of_kept(group, cell, key)} for key in filters}
    _refuse_unknown(filters, known, "cell of the baseline")
    return replace(baseline, groups=_parted(baseline.groups, filters, keep=True))


def others_of(baseline: Baseline, filters: Filters) -> tuple[Group, ...]:
    """The part of a baseline that does not pass, which an update leaves as it is."""
    return _parted(baseline.groups, filters, keep=False) if filters else ()


def _parted(groups: Iterable[Group], filters: Filters, keep: bool) -> tuple[Group, ...]:
    found = []
    for group in groups:
        cells = [one for cell in group.cells if (one := _part(group, cell, filters, keep)) is not None]
        if cells:
            found.append(replace(group, cells=tuple(cells)))
    return tuple(found)


def _part(group: Group, cell: Kept, filters: Filters, keep: bool) -> Kept | None:
    """The seeds of a cell that pass (or do not), as a cell; None where none is left."""
    whole = all(
        set(_of_kept(group, cell, key)) <= set(allowed) for key, allowed in filters.items() if key != "seeds"
    )
    inside = [
        whole and (str(seed) in filters["seeds"] if "seeds" in filters else True) for seed in cell.seeds
    ]
    chosen = np.flatnonzero([one is keep for one in inside])
    if not len(chosen):
        return None
    return replace(cell, seeds=tuple(cell.seeds[i] for i in chosen), values=cell.values[chosen])


def _refuse_unknown(filters: Filters, known: Mapping[str, set[str]], what: str) -> None:
    problems = [
        Problem(key, f"no {what} has {value!r}", f"there are: {', '.join(sorted(known[key]))}")
        for key, allowed in filters.items()
        for value in allowed
        if value not in known[key]
    ]
    if problems:
        raise BadInput(problems)


def _of_record(record: CellRecord, key: str) -> str:
    return str(getattr(record, {"methods": "label", "seeds": "seed"}.get(key, key)))


def _of_kept(group: Group, cell: Kept, key: str) -> tuple[str, ...]:
    if key == "methods":
        return (cell.label,)
    if key == "seeds":
        return tuple(map(str, cell.seeds))
    value: Any = group.setting[key]
    return (str(value),)
