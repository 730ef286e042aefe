"""MBPP, short Python programs to a sentence and three tests (Austin et al. 2021, arXiv 2108.07732).

Both schemas are read, the full one (974 tasks, column `text`) and the sanitized one (427, column `prompt`).
Prompts and splits are those of ILF for code (see `_mbpp`), whatever part of the hub's a row comes from.
Set-up code runs after the program: before it two references fail. `challenge_test_list` is not used, as the
released evaluation does not use it.
"""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.sources import _mbpp
from alignment_bench.sources._rows import Fields
from alignment_bench.sources.source import HubFiles, Made, Reading, Row, Source


def make(rows: Sequence[Row]) -> Reading:
    """One example a task."""
    fields = Fields()
    made: list[Made] = []
    seen: dict[int, int] = {}
    for number, row in enumerate(rows, start=1):
        task = _mbpp.task_of(fields, number, row)
        if task is None:
            continue
        if (other := seen.setdefault(task.number, number)) != number:
            fields.bad(number, "task_id", f"is that of row {other}", "keep one of them")
        elif task.part is None:
            fields.skip(_mbpp.UNUSED)
        else:
            made.append(task.made())
    return fields.reading(made)


SOURCE = Source(
    name="mbpp",
    summary="974 small Python tasks with three tests each, in the splits and prompts of ILF for code",
    hub=HubFiles(
        "google-research-datasets/mbpp",
        "4bb6404fdc6cacfda99d4ac4205087b89d32030c",
        config="full",
        splits=("train", "test", "validation", "prompt"),
    ),
    licence="CC-BY-4.0",
    noncommercial=False,
    citation="Austin et al. 2021, arXiv 2108.07732; splits and prompts of Chen et al. 2023, arXiv 2303.16749",
    columns=("task_id", "code", "test_list"),
    make=make,
    notes=(
        "split by task id as ILF for code does (test 11-110, refine 111-310, train 311-974), not as MBPP is",
        "the prompt shows the first of the tests that count",
    ),
    layouts=_mbpp.LAYOUTS,
)
