"""A budget sweep in one sheet: the budget becomes part of a row's name.

Cells of two budgets are never paired: every difference stays the one to the base of its own budget, and
every tied set one of methods that had the same budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alignment_bench.comparison import BASE, Block, Column, Estimate, Line, is_control
from alignment_bench.tables.sheets import AT
from alignment_bench.tables.standing import Standing

LEGEND = (
    "methods at several budgets: each row is compared with base at its own budget, and tied sets are of "
    "methods at one budget"
)
Judged = tuple[Block, Standing, tuple[str, ...]]
"""a block, the verdict on it, and its alarms"""


def swept(blocks: Sequence[Judged]) -> list[Judged]:
    """The blocks, those that differ in nothing but the budget made into one, rows by method and budget."""
    groups: dict[object, list[Judged]] = {}
    for one in blocks:
        groups.setdefault(replace(one[0].setting, budget_amount=0.0), []).append(one)
    return [_merged(group) if len(group) > 1 else group[0] for group in groups.values()]


def _merged(group: Sequence[Judged]) -> Judged:
    blocks = [block for block, _, _ in group]
    columns: dict[str, Column] = {}
    for block in blocks:
        for column in block.columns:
            columns.setdefault(column.name, column)
    order = {label: place for place, label in enumerate(dict.fromkeys(_labels(blocks)))}
    lines = [
        (order[line.label], block.setting.budget_amount, _line(line, block.setting.budget, columns))
        for block in blocks
        for line in block.lines
    ]
    lines.sort(key=lambda one: one[:2])
    names = [block.setting.budget for block in blocks]
    setting = replace(blocks[0].setting, budget=", ".join(names))
    whole = Block(setting, tuple(columns.values()), tuple(line for *_, line in lines))
    return whole, _standing(group), tuple(alarm for *_, alarms in group for alarm in alarms)


def _labels(blocks: Sequence[Block]) -> list[str]:
    labels = [line.label for block in blocks for line in block.lines]
    return sorted(labels, key=lambda label: (label != BASE, not is_control(label)))


def _line(line: Line, budget: str, columns: dict[str, Column]) -> Line:
    absent = Estimate(None, None, "not_applicable", "not measured at this budget")
    estimates = {name: line.estimates.get(name, absent) for name in columns}
    return replace(line, label=f"{line.label}{AT}{budget}", estimates=estimates)


def _standing(group: Sequence[Judged]) -> Standing:
    """One for the sheet: letters within each budget, sentences under the name of their budget."""
    main = {found.column.name: found.column for _, found, _ in group if found.column}
    letters: dict[str, str] = {}
    sentences: list[str] = []
    warnings: list[str] = []
    mdes: list[float] = []
    legends: list[str] = []
    for block, found, _ in group:
        budget = block.setting.budget
        letters |= {f"{label}{AT}{budget}": text for label, text in found.letters.items()}
        sentences += [f"at {budget}: {text}" for text in found.sentences]
        warnings += [f"at {budget}: {text}" for text in found.warnings]
        mdes += [found.mde] if found.mde is not None else []
        legends += [found.legend] if found.legend else []
    if len(main) != 1:  # budgets at which other things were measured: no letters that could be compared
        return Standing(sentences=tuple(sentences), warnings=tuple(warnings))
    (column,) = main.values()
    legend = "; ".join([LEGEND, *dict.fromkeys(legends)])
    return Standing(column, letters, tuple(sentences), tuple(warnings), max(mdes, default=None), (), legend)
