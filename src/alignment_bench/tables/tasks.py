"""Several tasks in one grid: each method's main metric task by task, and over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from alignment_bench.comparison import BASE, Block, Setting
from alignment_bench.tables.sheets import ARROWS, Sheet, column_sheet, written_column
from alignment_bench.tables.spend import Columns

LEGEND = (
    "IQM: mean of the middle half of a method's runs over all tasks, every run counting alike; P(better than "
    "base): chance that a run of the method beats one of base on a task, ties half, mean over tasks; [95 % "
    "stratified bootstrap over runs], after Agarwal et al. 2021. Single tasks have tables of their own"
)


def across(blocks: Sequence[Block], width: int) -> list[tuple[Sheet, dict[str, Any]]]:
    """A summary for every set of blocks that differ by task, with its numbers for machines.

    Blocks of one set share the model, the budget and what training starts from; teacher and judge may be
    each task's own. A task that has several such blocks is left out, and said.
    """
    groups: dict[tuple[object, ...], list[Block]] = {}
    for block in blocks:
        groups.setdefault(_key(block.setting), []).append(block)
    found = []
    for group in groups.values():
        tasks = [block.setting.task for block in group]
        single = [block for block in group if tasks.count(block.setting.task) == 1]
        shared = (
            [label for label in _labels(single[0]) if all(label in _labels(one) for one in single)]
            if single
            else []
        )
        if len(single) > 1 and shared:
            left = sorted({task for task in tasks if tasks.count(task) > 1})
            found.append(_summary(single, shared, left, width))
    return found


def _summary(
    blocks: Sequence[Block], labels: Sequence[str], left: Sequence[str], width: int
) -> tuple[Sheet, dict[str, Any]]:
    from alignment_bench.verdicts import Aggregate, NoCommonMean, iqm, main_column, probability_of_improvement

    columns: Columns = []
    for block in blocks:
        main = main_column(block)
        if main is None:
            continue
        lines = {line.label: line for line in block.lines}
        values = written_column([lines[label].estimates[main.name].value for label in labels])
        columns.append((f"{block.setting.task}: {main.name}{ARROWS[main.better]}", values))
    middle: list[Aggregate | None] = []
    mixed: dict[str, None] = {}
    for label in labels:
        try:
            middle.append(iqm(blocks, label))
        except NoCommonMean as error:
            middle.append(None)
            mixed[f"no IQM: {error}"] = None
    better = [None if label == BASE else probability_of_improvement(blocks, label, BASE) for label in labels]
    for name, numbers in (("IQM", middle), ("P(better than base)", better)):
        if any(numbers):
            columns.append((name, [_bounds(one.value, one.low, one.high) if one else "" for one in numbers]))
    setting = blocks[0].setting
    names = ", ".join(block.setting.task for block in blocks)
    notes = dict.fromkeys(one.note for one in (*middle, *better) if one and one.note)
    caption = [
        f"methods with a result in every one of {len(blocks)} tasks: {names}; model {setting.model}, "
        f"budget {setting.budget}; teachers and judges as in each task's own table",
        LEGEND,
        *notes,
        *mixed,
        *([f"left out, compared in several ways: {', '.join(left)}"] if left else []),
    ]
    sheet = column_sheet(f"{len(blocks)} tasks: {names}", caption, labels, columns, width)
    body = {
        "tasks": [block.setting.task for block in blocks],
        "left_out": list(left),
        "iqm": [asdict(one) for one in middle if one],
        "probability_of_improvement": [asdict(one) for one in better if one],
    }
    return sheet, body


def _key(setting: Setting) -> tuple[object, ...]:
    return setting.model_digest, setting.budget_amount, setting.currency, setting.init


def _labels(block: Block) -> list[str]:
    return [line.label for line in block.lines if line.seeds]


def _bounds(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f} [n/a]" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
