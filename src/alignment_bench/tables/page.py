"""From a results folder to a table in one of the formats: read, compare, judge, write, set."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alignment_bench.comparison import Block, compare, pick
from alignment_bench.errors import BadInput, Problem
from alignment_bench.judging import cards
from alignment_bench.results import CellRecord, Unreadable, read_all
from alignment_bench.tables import formats, machines
from alignment_bench.tables.alarms import Alarm, alarms
from alignment_bench.tables.judges import by_judge
from alignment_bench.tables.prices import priced
from alignment_bench.tables.rows import block_rows
from alignment_bench.tables.sheets import Sheet, sheet
from alignment_bench.tables.spend import spend_rows
from alignment_bench.tables.standing import Standing, as_json, standing
from alignment_bench.tables.sweep import swept
from alignment_bench.tables.tasks import across

UNREADABLE = "stored but not readable, and not in any table"


@dataclass(frozen=True)
class Options:
    """What a table is asked for besides its blocks."""

    labels: Collection[str] | None = None
    """methods to show; verdicts and alarms stay those of all that are stored"""
    sweep: bool = False
    prices: Literal["half", "double"] | None = None
    judges: Literal["each"] | None = None


@dataclass(frozen=True)
class _Part:
    """One block: whole, as picked, and the verdict on the whole."""

    whole: Block
    shown: Block
    found: Standing

    def told(self, raised: Sequence[Alarm]) -> tuple[str, ...]:
        """Its own alarms."""
        return tuple(str(alarm) for alarm in raised if alarm.block is self.whole)


Made = list[tuple[Sheet, dict[str, Any]]]
"""sheets with the same for machines"""


@dataclass(frozen=True)
class _More:
    """What stands beside the blocks' own tables."""

    tasks: Made
    judges: Made
    prices: Made

    def named(self) -> dict[str, Made]:
        return {"tasks": self.tasks, "prices": self.prices, "judges": self.judges}


def render(
    results: Path,
    format: str,
    filters: Mapping[str, tuple[str, ...]],
    *,
    sweep: bool = False,
    prices: Literal["half", "double"] | None = None,
    judges: Literal["each"] | None = None,
) -> str:
    """The table of a results folder. Raises BadInput where nothing is stored, or nothing passes the filters.

    `filters` keep cells by task, model, data, world, budget, teacher, judge and seeds; `methods` picks
    lines, base still being what they are compared with.
    """
    formats.check(format)
    records, unreadable = stored(results, filters)
    options = Options(filters.get("methods"), sweep, prices, judges)
    return render_records(records, format, unreadable, options)


def stored(
    results: Path, filters: Mapping[str, tuple[str, ...]]
) -> tuple[list[CellRecord], list[Unreadable]]:
    """The cells of a results folder that pass the filters (`methods` picks lines later), and what is broken.

    Raises BadInput where nothing is stored, or nothing passes.
    """
    records, unreadable = read_all(results)
    records = cards.marked(records, results)
    # stored by digest: an order that means something to a reader, and is the same after every run
    records.sort(key=lambda cell: (cell.label, cell.seed, cell.fold))
    if not records and not unreadable:
        raise BadInput([Problem("results", f"no cells are stored in {results}", "run bench run first")])
    problems = []
    for key, allowed in filters.items():
        present = {_filtered(cell, key) for cell in records}
        problems += [
            Problem(key, f"no stored cell has {value!r}", f"stored: {', '.join(sorted(present))}")
            for value in allowed
            if value not in present
        ]
    if problems:
        raise BadInput(problems)
    cells = [
        cell
        for cell in records
        if all(_filtered(cell, key) in allowed for key, allowed in filters.items() if key != "methods")
    ]
    if not cells and records:
        raise BadInput([Problem("filters", "no stored cell passes all of them", "leave one out")])
    return cells, unreadable


def render_records(
    records: Sequence[CellRecord],
    format: str,
    unreadable: Sequence[Unreadable] = (),
    options: Options | None = None,
) -> str:
    """The table of these cells, lines in their order; what `bench run` prints at its end.

    CSV has no place for remarks: there unreadable files and alarms go to stderr as well.
    """
    formats.check(format)
    options = options or Options()
    terminal = format == "text" and sys.stdout.isatty()
    width = formats.width_of(format, shutil.get_terminal_size().columns if terminal else formats.WIDTH)
    whole = compare(records)
    shown = whole if options.labels is None else [pick(block, options.labels) for block in whole]
    kept = [one for one in zip(whole, shown, strict=True) if one[1].lines]
    raised = alarms([block for block, _ in kept])
    parts = [_Part(*one, standing(one[0], raised, len(one[1].lines))) for one in kept]
    blocks = [part.shown for part in parts]
    more = _More(
        across(blocks, width),
        by_judge(records, width) if options.judges else [],
        priced(blocks, options.prices, width) if options.prices else [],
    )
    if format == "json":
        return machines.as_json(_content(parts, raised, more, unreadable))
    if format == "csv":
        for remark in [*map(str, raised), *(f"not in the table: {one.reason}" for one in unreadable)]:
            print(remark, file=sys.stderr)
        return machines.as_csv(_content(parts, raised, more, unreadable))
    judged = [(part.shown, part.found, part.told(raised)) for part in parts]
    judged = swept(judged) if options.sweep else judged
    many = len(judged) > 1
    sheets = [one for one, _ in more.tasks]
    sheets += [sheet(block, told if many else (), width, found) for block, found, told in judged]
    sheets += [one for one, _ in (*more.prices, *more.judges)]
    if unreadable:
        sheets.append(Sheet(UNREADABLE, (), (), tuple(one.reason for one in unreadable)))
    return formats.set_sheets(sheets, format, width, [_placed(alarm, many) for alarm in raised])


def _content(
    parts: Sequence[_Part], raised: Sequence[Alarm], more: _More, unreadable: Sequence[Unreadable]
) -> machines.Content:
    blocks = [part.shown for part in parts]
    letters = [part.found.by_metric() for part in parts]
    told = ["; ".join(part.told(raised)) for part in parts]
    place = {id(part.whole): place for place, part in enumerate(parts)}
    return machines.Content(
        block_rows(blocks, letters, told),
        spend_rows(blocks),
        [as_json(place, part.found) for place, part in enumerate(parts)],
        [(place[id(alarm.block)], alarm) for alarm in raised],
        unreadable,
        {name: [body for _, body in made] for name, made in more.named().items() if made},
    )


def _placed(alarm: Alarm, many: bool) -> str:
    setting = alarm.block.setting
    where = f"{setting.task}, model {setting.model}, budget {setting.budget}: " if many else ""
    return where + str(alarm)


def _filtered(cell: CellRecord, key: str) -> str:
    names = {"methods": "label", "seeds": "seed"}
    return str(getattr(cell, names.get(key, key)))
