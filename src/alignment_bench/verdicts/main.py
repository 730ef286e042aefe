"""Which metric a verdict is about: the one that the task declares, fixed before any run."""

from __future__ import annotations

from alignment_bench import registry
from alignment_bench.comparison import Block, Column
from alignment_bench.errors import BadInput


def main_column(block: Block) -> Column | None:
    """The task's declared main metric where anything was scored in it.

    Otherwise, and for a task that is not installed here, the first scored metric with a better side; None
    where there is none.
    """
    scored = [column for column in block.columns if block.scores.get(column.name)]
    declared = _declared(block.setting.task)
    first = next((column for column in scored if column.better != "neither"), None)
    return next((column for column in scored if column.name == declared), first)


def _declared(task: str) -> str | None:
    try:
        metric: str = registry.load("tasks", task).main_metric
    except BadInput:  # stored by somebody else's plugin: its scores can still be read
        return None
    return metric
