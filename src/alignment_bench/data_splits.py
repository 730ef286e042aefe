"""Which examples are used, and which of them are tested on.

Splits are made once: the data's own, else by digest of the group. Nothing here depends on a seed.
"""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.data_files import FIELD, shorten
from alignment_bench.data_rows import Row, conversation
from alignment_bench.digests import by_digest
from alignment_bench.errors import BadInput, Problem
from alignment_bench.sources.source import Source
from alignment_bench.task import TaskOptions


def some(rows: list[Row], limit: int) -> tuple[list[Row], list[str]]:
    """The first `limit` examples by digest (0: all), and a note where that leaves some out."""
    if not limit or limit >= len(rows):
        return rows, []
    wanted = set(by_digest((row.example.prompt.id for row in rows), "limit")[:limit])
    note = f"limited to the first {limit} of {len(rows)} examples by digest"
    return [row for row in rows if row.example.prompt.id in wanted], [note]


def first(rows: list[Row], limit: int) -> tuple[list[Row], list[str]]:
    """The first `limit` examples of each official part, in the data set's own order (0: all), and a note."""
    kept: list[Row] = []
    notes = []
    for split in dict.fromkeys(row.split for row in rows):
        part = [row for row in rows if row.split == split]
        kept += part[:limit] if limit else part
        if limit and limit < len(part):
            notes.append(f"limited to the first {limit} of {len(part)} {split or ''} examples in their order")
    return kept, [" ".join(note.split()) for note in notes]


def split(rows: Sequence[Row], options: TaskOptions, schema: Source | None) -> tuple[list[set[str]], str]:
    """The ids tested in each fold (one without cross-fitting), and a note that says how they came about."""
    if rows[0].split is not None:
        if options.folds:
            what = "the data has its own split column"
            fix = "drop task.folds, or leave the column out with task.columns=[split:]"
            if schema is not None:
                what, fix = f"{schema.name} has its own split", "drop task.folds"
            raise BadInput([Problem("task.folds", what, fix)])
        parts = [{row.example.prompt.id for row in rows if row.split == "test"}]
        whose = "by the data's own column" if schema is None else f"as {schema.name} is"
        note = f"split {whose}: {len(rows) - len(parts[0])} train, {len(parts[0])} test"
    else:
        groups = by_digest({row.example.prompt.group for row in rows}, "split")
        if options.folds > len(groups):
            what = f"{options.folds} folds of {len(groups)} groups"
            raise BadInput([Problem("task.folds", what, f"give at most {len(groups)}")])
        if options.folds:
            held = [set(groups[fold :: options.folds]) for fold in range(options.folds)]
            note = f"cross-fitted over {options.folds} folds of {len(groups)} groups, by digest"
        else:
            held = [set(groups[: int(options.holdout * len(groups) + 0.5)])]
            note = (
                f"{len(held[0])} of {len(groups)} groups held out by digest (holdout={options.holdout:g}), "
                "the same for every seed"
            )
        parts = [{r.example.prompt.id for r in rows if r.example.prompt.group in part} for part in held]
    for tested in parts:
        _check_split(rows, tested)
    return parts, note


def _check_split(rows: Sequence[Row], tested: set[str]) -> None:
    """Raises BadInput where a part is empty, or a prompt or group lies in both parts."""
    test = [row for row in rows if row.example.prompt.id in tested]
    train = [row for row in rows if row.example.prompt.id not in tested]
    for part, name in ((train, "train"), (test, "test")):
        if not part:
            fix = "give more rows, or change the split column, task.holdout or task.limit"
            raise BadInput([Problem(FIELD, f"of {len(rows)} examples none is left to {name} on", fix)])
    problems = []
    texts = {conversation(row.example.prompt): row.number for row in train}
    groups = {row.example.prompt.group: row.number for row in train}
    for row in test:
        prompt = row.example.prompt
        if (other := texts.get(conversation(prompt))) is not None:
            what = f"row {row.number} (test) has the prompt of row {other} (train)"
            problems.append(Problem(FIELD, what, "keep it on one side, or give both rows one group"))
        elif (other := groups.get(prompt.group)) is not None:
            what = f"row {row.number} (test) has the group of row {other} (train)"
            problems.append(Problem(FIELD, what, "keep a group on one side"))
    if problems:
        raise BadInput(shorten(problems, "rows"))
