"""From a results folder to the text of a report: read, compare, judge, gather, fill the template."""

from __future__ import annotations

import contextlib
import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from alignment_bench import __version__
from alignment_bench.amounts import counted
from alignment_bench.cells import CellRecord
from alignment_bench.comparison import BASE, Block, compare, is_control, pick
from alignment_bench.errors import BadInput
from alignment_bench.report import made_of, samples, told
from alignment_bench.report.drawings import drawings
from alignment_bench.report.judged import judged
from alignment_bench.report.texts import LONGEST, Prompts
from alignment_bench.tables import html
from alignment_bench.tables.alarms import Alarm, alarms, tested
from alignment_bench.tables.judges import by_judge
from alignment_bench.tables.page import stored
from alignment_bench.tables.prices import DONE, priced
from alignment_bench.tables.sheets import Sheet, column_sheet, sheet
from alignment_bench.tables.spend import SPEND, spend_columns
from alignment_bench.tables.standing import Standing, standing
from alignment_bench.tables.tasks import across

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class Part:
    """One block as picked, its name in the page, and the verdict on all of its lines."""

    title: str
    block: Block
    found: Standing


FEW = 12
"""figures that need no index; answers to a prompt that need no folding"""


@dataclass(frozen=True)
class Made:
    """A finished report, and one line for each stored file that is in nothing of it."""

    text: str
    unreadable: tuple[str, ...]


def render(results: Path, filters: Mapping[str, tuple[str, ...]]) -> Made:
    """The report of a results folder. Raises BadInput where nothing is stored, or nothing passes the filters.

    `filters` are those of `bench table`: verdicts and alarms stay those of all methods, `methods` picks
    what is shown beside base.
    """
    from markupsafe import Markup

    records, unreadable = stored(results, filters)
    whole = compare(records)
    raised = alarms(whole)
    chosen = filters.get("methods")
    shown = whole if chosen is None else [pick(block, {*chosen, BASE}) for block in whole]
    titles = _titles(whole)
    parts = [
        Part(title, block, standing(every, raised, len(block.lines)))
        for title, block, every in zip(titles, shown, whole, strict=True)
        if block.lines
    ]
    blocks = [part.block for part in parts]
    cells = [cell for block in blocks for line in block.lines for cell in line.cells]
    prompts = Prompts(results)
    sides = [
        samples.side(one.block, one.title, one.found.column, results, prompts, len(parts)) for one in parts
    ]
    heard = [told.told(one.block, one.title, results, prompts) for one in parts]
    judges, broken = judged(results, cells)
    faults = (
        *(one.reason for one in unreadable),
        *broken,
        *dict.fromkeys(fault for one in heard for fault in one.faults),
    )
    script = _file("page.js")
    text = _template().render(
        version=__version__,
        policy=_policy(script),
        style=Markup(_file("page.css")),
        script=Markup(script),
        parts=parts,
        methods=list(dict.fromkeys(line.label for block in blocks for line in block.lines)),
        counts=_counts(cells),
        alarms=[_placed(alarm, titles, whole) for alarm in raised],
        controls=sorted({line.label for block in whole for line in block.lines if is_control(line.label)}),
        tested=tested(whole),
        unreadable=faults,
        tables=Markup(html.fragment(_tables(parts, records))),
        figures=drawings(blocks, results),
        judges=judges,
        sides=sides,
        told=heard,
        spend=Markup(html.fragment(_spend(parts))),
        configurations=[made_of.configuration(one.block, one.title) for one in parts],
        provenance=made_of.provenance(cells, results),
        cell_headers=made_of.CELL_HEADERS,
        longest=LONGEST,
        results=results.name or "results",
        few=FEW,
    )
    return Made(text, faults)


def _tables(parts: Sequence[Part], records: Sequence[CellRecord]) -> list[Sheet]:
    """Metrics alone: the verdict stands above them, the spend further down."""
    sheets = [one for one, _ in across([part.block for part in parts], html.WIDTH)]
    for part in parts:
        made = sheet(part.block, (), html.WIDTH, part.found)
        spend = len(_spend_sheet(part).grids)
        caption = tuple(line for line in made.caption if line != SPEND)
        sheets.append(
            replace(
                made,
                title=f"Table: {part.title}",
                grids=made.grids[: len(made.grids) - spend],
                caption=caption,
                verdict=(),
            )
        )
    with contextlib.suppress(BadInput):  # one judge alone: there is nothing to put side by side
        sheets += [one for one, _ in by_judge(records, html.WIDTH)]
    return sheets


def _spend(parts: Sequence[Part]) -> list[Sheet]:
    """What every method cost, and whether a verdict per annotator hour hangs on prices nobody measured."""
    sheets = []
    for part in parts:
        sheets.append(_spend_sheet(part))
        for prices, done in DONE.items():
            for made, _ in priced([part.block], prices, html.WIDTH):
                sheets.append(replace(made, title=f"Assumed prices {done}: {part.title}"))
    return sheets


def _spend_sheet(part: Part) -> Sheet:
    labels = [line.label for line in part.block.lines]
    return column_sheet(f"Spend: {part.title}", [SPEND], labels, spend_columns(part.block), html.WIDTH)


def _titles(blocks: Sequence[Block]) -> list[str]:
    """Task, model and budget; where two blocks share these, what else tells them apart."""
    names = ("data", "teacher", "judge", "init", "decoding", "evaluators", "task_version", "folds", "sources")
    base = [f"{one.setting.task}, {one.setting.model}, budget {one.setting.budget}" for one in blocks]
    titles = []
    for block, title in zip(blocks, base, strict=True):
        twins = [other.setting for other, same in zip(blocks, base, strict=True) if same == title]
        differ = [name for name in names if len({str(getattr(one, name)) for one in twins}) > 1]
        short = [name for name in differ if name not in ("decoding", "evaluators", "sources")]
        told = ", ".join(f"{name} {getattr(block.setting, name)}" for name in short)
        if len(twins) > 1 and not told:
            told = f"{' and '.join(differ) or 'setting'} number {twins.index(block.setting) + 1}"
        titles.append(f"{title}, {told}" if told else title)
    return titles


def _placed(alarm: Alarm, titles: Sequence[str], blocks: Sequence[Block]) -> str:
    where = next(title for title, block in zip(titles, blocks, strict=True) if block is alarm.block)
    return f"{where}: {alarm}" if len(blocks) > 1 else str(alarm)


def _counts(cells: Sequence[CellRecord]) -> str:
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    labels, seeds = {cell.label for cell in cells}, {cell.seed for cell in cells}
    bad = sum(cell.status != "ok" for cell in cells)
    said = [
        counted(len(labels), "method"),
        f"{counted(len(tasks), 'task')} ({', '.join(tasks)})",
        counted(len(seeds), "seed"),
        counted(len(cells), "cell"),
    ]
    return ", ".join(said) + (f", {bad} of them without a result" if bad else "")


def _policy(script: str) -> str:
    """The page's own rules for the browser: nothing is loaded (a heat map is an image
    inside its figure), and only this very script runs."""
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@cache
def _file(name: str) -> str:
    return resources.files("alignment_bench.report").joinpath(name).read_text("utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_file("page.html"))
