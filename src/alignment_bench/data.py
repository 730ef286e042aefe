"""Where a task's examples come from: its built-in world, a file, or a hub data set; and how they are split.

Splits are made once, by digest of the group, never per seed: seeds repeat training, not the data. Rows are
numbered from 1, a csv header and blank lines not counted. Nothing is dropped or repaired silently: a bad
row stops the run before any work, with its number.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alignment_bench import data_files
from alignment_bench.data_files import FIELD, Table, shorten
from alignment_bench.data_rows import Row, same, validate
from alignment_bench.digests import by_digest, digest
from alignment_bench.errors import BadInput, Problem
from alignment_bench.prompts import Example
from alignment_bench.task import Task, TaskData, TaskOptions

CANONICAL = ("id", "prompt", "reference", "group", "split")
REQUIRED = ("prompt", "reference")
"""canonical columns that must exist, unless a task has no such column or `reference:` switches it off"""


def task_data(task: Task, options: TaskOptions) -> tuple[TaskData, ...]:
    """The examples a run works on: one TaskData, or one a fold. Raises BadInput with every problem found."""
    if problems := check(options, task):
        raise BadInput(problems)
    return load_folds(task, options) if options.data else (builtin(task, options.world),)


def builtin(task: Task, world: int) -> TaskData:
    """The task's built-in world with that seed; its module is imported here and not before."""
    if task.builtin is None:
        fix = "give task.data=FILE or a hub data set"
        raise BadInput([Problem(FIELD, f"task {task.name} has no data of its own", fix)])
    module, _, function = task.builtin.partition(":")
    made = getattr(importlib.import_module(module), function)(world)
    if not isinstance(made, TaskData):
        raise TypeError(f"{task.builtin} returned {type(made).__name__}, not TaskData")
    return made


def load(task: Task, options: TaskOptions) -> TaskData:
    """The examples of `task.data`, split once. Raises BadInput with every problem found."""
    if options.folds:
        raise BadInput([Problem("task.folds", "one split was asked for, not folds", "use load_folds")])
    return load_folds(task, options)[0]


def load_folds(task: Task, options: TaskOptions) -> tuple[TaskData, ...]:
    """One TaskData without folds; else fold k tests on part k, trains on the rest, and scores each row once.

    `digest` covers the file's bytes and everything that chose and split the rows. It and `source` are the
    same for all folds: which fold a cell is of is kept beside it, so that the folds of a seed can be joined.
    Raises BadInput with every problem found.
    """
    if problems := check(options, task):
        raise BadInput(problems)
    assert options.data is not None
    table = data_files.read(options.data, options.revision)
    names = _columns(task, options)
    rows = validate(table, _existing(table, names, options))
    notes: list[str] = []
    if options.limit and options.limit < len(rows):
        wanted = set(by_digest((row.example.prompt.id for row in rows), "limit")[: options.limit])
        notes.append(f"limited to the first {options.limit} of {len(rows)} examples by digest")
        rows = [row for row in rows if row.example.prompt.id in wanted]
    parts, how = _split(rows, options)
    content = table.digest or digest([_plain(row.example) for row in rows])
    chosen = {
        "content": content,
        "columns": names,
        "holdout": options.holdout,
        "folds": options.folds,
        "limit": options.limit,
    }
    return tuple(
        TaskData(
            train=tuple(row.example for row in rows if row.example.prompt.id not in tested),
            test=tuple(row.example for row in rows if row.example.prompt.id in tested),
            source=table.source,
            digest=digest(chosen),
            notes=(*notes, how),
            clusters="folds" if options.folds else "groups",
        )
        for tested in parts
    )


def check(options: TaskOptions, task: Task | None = None) -> list[Problem]:
    """What is wrong with the options, found without reading any data; an empty list where nothing is."""
    if task is not None and options.data is not None and not task.columns:
        what = f"task {task.name} has built-in prompts only, it cannot read {options.data}"
        return [Problem(FIELD, what, "drop task.data")]
    problems = []
    if not 0 < options.holdout < 1:
        problems.append(Problem("task.holdout", f"{options.holdout} is not a share", "give 0 < holdout < 1"))
    if options.folds < 0 or options.folds == 1:
        fix = "give 2 or more, or 0 for one held-out part"
        problems.append(Problem("task.folds", f"{options.folds} folds cannot be made", fix))
    if options.limit < 0:
        problems.append(Problem("task.limit", f"{options.limit} is negative", "give 0 for all examples"))
    problems += _check_columns(options, task)
    if options.data is None:
        default = TaskOptions()
        for name in ("revision", "columns", "holdout", "folds", "limit"):
            if getattr(options, name) != getattr(default, name):
                what = "is for data of your own, and task.data is not set"
                problems.append(Problem(f"task.{name}", what, f"give task.data=FILE or drop task.{name}"))
        if task is not None and task.builtin is None:
            fix = "give task.data=FILE or a hub data set"
            problems.append(Problem(FIELD, f"task {task.name} has no data of its own", fix))
        return problems
    if options.world != TaskOptions().world:
        what = f"world {options.world} and task.data={options.data} cannot both be the examples"
        problems.append(Problem("task.world", what, "drop one of them"))
    return problems + _check_source(options)


def _check_source(options: TaskOptions) -> list[Problem]:
    data = options.data or ""
    path = Path(data)
    kinds = ", ".join(data_files.SUFFIXES)
    if data_files.is_hub_id(data):
        if options.revision is None:
            what = f"{data} is no file here, so it is taken for a hub data set, and no revision is named"
            return [Problem("task.revision", what, "name a revision to pin it, or correct the path")]
        return []
    problems = []
    if options.revision is not None:
        what = f"{data} is a file, and files have no revision"
        problems.append(Problem("task.revision", what, "drop task.revision"))
    if path.is_dir():
        problems.append(Problem(FIELD, f"{data} is a folder", f"give one file ({kinds}) in it"))
    elif path.suffix not in data_files.SUFFIXES:
        what = f"{data} is neither a {kinds} file nor a hub id (org/name)"
        problems.append(Problem(FIELD, what, "convert the file or correct the name"))
    elif not path.exists():
        problems.append(Problem(FIELD, f"{data} does not exist", "check the path"))
    elif not path.is_file():
        problems.append(Problem(FIELD, f"{data} is not a regular file", "give a plain file"))
    elif not os.access(path, os.R_OK):
        problems.append(Problem(FIELD, f"{data} is not readable", "check its permissions"))
    return problems


def _check_columns(options: TaskOptions, task: Task | None) -> list[Problem]:
    known = tuple(task.columns) if task else CANONICAL
    problems, seen = [], set()
    for item in options.columns:
        canonical, colon, actual = item.partition(":")
        if not colon:
            problems.append(
                Problem("task.columns", f"{item!r} renames nothing", "write [prompt:post,reference:summary]")
            )
        elif canonical not in known:
            fix = f"the columns are {', '.join(known)}; write canonical:actual"
            problems.append(Problem("task.columns", f"there is no column {canonical!r} to rename", fix))
        elif canonical in seen:
            problems.append(Problem("task.columns", f"{canonical} is renamed twice", "keep one of them"))
        elif canonical == "prompt" and not actual:
            problems.append(Problem("task.columns", "the prompt cannot be left out", "name its column"))
        seen.add(canonical)
    return problems


def _columns(task: Task, options: TaskOptions) -> dict[str, str]:
    """Canonical to actual names; a column renamed to nothing is left out."""
    names = dict(task.columns)
    for item in options.columns:
        canonical, _, actual = item.partition(":")
        names[canonical] = actual
    return {canonical: actual for canonical, actual in names.items() if actual}


def _existing(table: Table, names: Mapping[str, str], options: TaskOptions) -> dict[str, str]:
    """The columns to read. Raises BadInput where a required or explicitly named one does not exist."""
    asked = {item.partition(":")[0] for item in options.columns}
    problems = []
    for canonical, actual in names.items():
        if actual not in table.columns and (canonical in REQUIRED or canonical in asked):
            what = f"there is no column {actual!r}; there are: {', '.join(table.columns)}"
            fix = f"name it with task.columns=[{canonical}:COLUMN]"
            if canonical == "reference":
                fix += ", or task.columns=[reference:] for data without references"
            problems.append(Problem("task.columns", what, fix))
    if problems:
        raise BadInput(problems)
    return {canonical: actual for canonical, actual in names.items() if actual in table.columns}


def _split(rows: Sequence[Row], options: TaskOptions) -> tuple[list[set[str]], str]:
    """The ids tested in each fold (one without cross-fitting), and a note that says how they came about."""
    if rows[0].split is not None:
        if options.folds:
            what = "the data has its own split column"
            fix = "drop task.folds, or leave the column out with task.columns=[split:]"
            raise BadInput([Problem("task.folds", what, fix)])
        parts = [{row.example.prompt.id for row in rows if row.split == "test"}]
        note = f"split by the data's own column: {len(rows) - len(parts[0])} train, {len(parts[0])} test"
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
    texts = {same(row.example.prompt.text): row.number for row in train}
    groups = {row.example.prompt.group: row.number for row in train}
    for row in test:
        prompt = row.example.prompt
        if (other := texts.get(same(prompt.text))) is not None:
            what = f"row {row.number} (test) has the prompt of row {other} (train)"
            problems.append(Problem(FIELD, what, "keep it on one side, or give both rows one group"))
        elif (other := groups.get(prompt.group)) is not None:
            what = f"row {row.number} (test) has the group of row {other} (train)"
            problems.append(Problem(FIELD, what, "keep a group on one side"))
    if problems:
        raise BadInput(shorten(problems, "rows"))


def _plain(example: Example) -> list[Any]:
    return [example.prompt.id, example.prompt.text, list(example.key.references), example.prompt.group]
