"""Where a task's examples come from: its built-in world, a published data set, a file, or a hub data set; and
how they are split.

Splits are made once, by digest of the group, never per seed: seeds repeat training, not the data. Rows are
numbered from 1, a csv header and blank lines not counted. Nothing is dropped or repaired silently: a bad
row stops the run before any work, with its number.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from alignment_bench import data_files, data_sources, sources
from alignment_bench.data_files import FIELD, Table
from alignment_bench.data_rows import Row, validate
from alignment_bench.data_splits import first, some, split
from alignment_bench.digests import digest
from alignment_bench.errors import BadInput, Problem
from alignment_bench.registry import suggest
from alignment_bench.sources.source import Source
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
        raise BadInput([_without_data(task)])
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
    source = data_sources.named(options)
    table = data_sources.table_of(source, options)
    if source is None and not options.columns and not data_files.is_hub_id(options.data):
        source = data_sources.recognised(task, table)
    if source is None:
        return _plain_folds(task, options, table)
    rows, notes = data_sources.rows_of(source, table)
    rows, limits = first(rows, options.limit) if source.subsets == "first" else some(rows, options.limit)
    chosen = {
        "content": table.digest or data_sources.content_of(rows),
        "source": [source.name, sources.digest(source.name)],
        "holdout": options.holdout,
        "folds": options.folds,
        "limit": options.limit,
    }
    called = f"{source.name}, {table.source}" if table.digest is None else f"{table.source} as {source.name}"
    return _folds(rows, options, called, digest(chosen), [*notes, *limits], source)


def _plain_folds(task: Task, options: TaskOptions, table: Table) -> tuple[TaskData, ...]:
    """The folds of a table with the task's plain columns."""
    if not task.columns:
        raise BadInput([data_sources.unrecognised(task, table)])
    names = _columns(task, options)
    rows, notes = some(validate(table, _existing(table, names, options)), options.limit)
    chosen = {
        "content": table.digest or data_sources.content_of(rows),
        "columns": names,
        "holdout": options.holdout,
        "folds": options.folds,
        "limit": options.limit,
    }
    return _folds(rows, options, table.source, digest(chosen), notes)


def _folds(
    rows: Sequence[Row],
    options: TaskOptions,
    source: str,
    content: str,
    notes: Sequence[str],
    schema: Source | None = None,
) -> tuple[TaskData, ...]:
    """One TaskData a fold."""
    parts, how = split(rows, options, schema)
    return tuple(
        TaskData(
            train=tuple(row.example for row in rows if row.example.prompt.id not in tested),
            test=tuple(row.example for row in rows if row.example.prompt.id in tested),
            source=source,
            digest=content,
            notes=(*notes, how),
            clusters="folds" if options.folds else "groups",
            layouts=None if schema is None else schema.layouts,
        )
        for tested in parts
    )


def check(options: TaskOptions, task: Task | None = None) -> list[Problem]:
    """What is wrong with the options, found without reading any data; an empty list where nothing is."""
    if task is not None and options.data is not None and not task.columns and not task.sources:
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
        for name in ("source", "revision", "columns", "holdout", "folds", "limit"):
            if getattr(options, name) != getattr(default, name):
                what = "is for data of your own, and task.data is not set"
                problems.append(Problem(f"task.{name}", what, f"give task.data=FILE or drop task.{name}"))
        if task is not None and task.builtin is None:
            problems.append(_without_data(task))
        return problems
    if options.world != TaskOptions().world:
        what = f"world {options.world} and task.data={options.data} cannot both be the examples"
        problems.append(Problem("task.world", what, "drop one of them"))
    chosen = data_sources.check(options, task)
    if data_sources.is_source(options.data):
        return problems + chosen
    return problems + chosen + _check_place(options, task)


def _without_data(task: Task) -> Problem:
    """That a task has no built-in world, and what to type instead."""
    ways = ["task.data=FILE"]
    obtainable = [sources.load(name) for name in task.sources]
    pinned = [s.name for s in obtainable if s.packaged is not None or (s.hub is not None and s.hub.revision)]
    if pinned:
        ways.insert(0, f"task.data={pinned[0]}")
    fix = f"write {' or '.join(ways)}, and model=smollm2 or another that reads plain English"
    return Problem(FIELD, f"task {task.name} has no data of its own", fix)


def _check_place(options: TaskOptions, task: Task | None) -> list[Problem]:
    """What is wrong with a file or hub data set."""
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
        fix = "convert the file or correct the name"
        if task is not None and task.sources and not path.suffix:
            what, fix = f"{what} nor a source of task {task.name}", suggest(data, task.sources)
        problems.append(Problem(FIELD, what, fix))
    elif not path.exists():
        problems.append(Problem(FIELD, f"{data} does not exist", "check the path"))
    elif not path.is_file():
        problems.append(Problem(FIELD, f"{data} is not a regular file", "give a plain file"))
    elif not os.access(path, os.R_OK):
        problems.append(Problem(FIELD, f"{data} is not readable", "check its permissions"))
    return problems


def _check_columns(options: TaskOptions, task: Task | None) -> list[Problem]:
    known = tuple(task.columns) if task else CANONICAL
    if options.columns and not known:
        what = f"task {task.name if task else ''} has no plain columns that could be renamed"
        return [Problem("task.columns", what, "drop task.columns, and give a file of a schema that it reads")]
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
