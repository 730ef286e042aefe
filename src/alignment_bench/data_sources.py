"""Which published schema the data has, and its rows as examples.

`task.data=slf5k` names a source, `task.source=slf5k` says that a file or another hub data set is of its
schema, and a file whose columns are those of exactly one of the task's sources is taken for it. Everything
that a source leaves out is in its notes, which go to the caption with its licence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from alignment_bench import data_files, licences, sources
from alignment_bench.data_files import FIELD, Table, shorten
from alignment_bench.data_rows import Row, conversation
from alignment_bench.digests import digest
from alignment_bench.errors import BadInput, Problem
from alignment_bench.prompts import Prompt
from alignment_bench.registry import suggest
from alignment_bench.sources.source import Source
from alignment_bench.task import Task, TaskOptions


def is_source(data: str) -> bool:
    """Whether `task.data` names a source: no file or folder of that name is in the way."""
    return data in sources.names() and not Path(data).exists()


def check(options: TaskOptions, task: Task | None) -> list[Problem]:
    """What is wrong with the choice of a source, found without reading any data."""
    problems = []
    asked: dict[str, str] = {}
    if options.data is not None and is_source(options.data):
        asked[FIELD] = options.data
    if options.source is not None:
        asked["task.source"] = options.source
    for key, name in asked.items():
        if name not in sources.names():
            known = task.sources if task else sources.names()
            problems.append(Problem(key, f"no source is called {name!r}", suggest(name, known)))
        elif task is not None and name not in task.sources:
            what = f"task {task.name} does not read {name}"
            fix = f"it reads {', '.join(task.sources)}" if task.sources else "leave it out"
            problems.append(Problem(key, what, fix))
    if len(set(asked.values())) > 1:
        what = f"{options.source} is not {options.data}"
        problems.append(Problem("task.source", what, "leave task.source out: task.data names the source"))
    if asked and options.columns:
        what = f"{next(iter(asked.values()))} knows its own columns"
        problems.append(Problem("task.columns", what, "drop task.columns, or read the plain columns instead"))
    if FIELD in asked and not problems:
        problems += _unobtainable(sources.load(asked[FIELD], FIELD), options.revision)
    return problems


def _unobtainable(source: Source, revision: str | None) -> list[Problem]:
    if source.hub is None:
        if source.packaged is None:
            fix = f"give its file: task.data=FILE task.source={source.name}"
            return [Problem(FIELD, f"{source.name} is not on the hub", fix)]
        if revision is not None:
            what = f"{source.name} comes from an installed package, which has no revision"
            return [Problem("task.revision", what, "drop task.revision")]
    elif not source.hub.revision and revision is None:
        what = f"no revision of {source.hub.id} is pinned"
        return [Problem("task.revision", what, "name one, so that the data stays what it is")]
    return []


def named(options: TaskOptions) -> Source | None:
    """The source that the options name, if they name one."""
    if options.source is not None:
        return sources.load(options.source)
    data = options.data or ""
    if is_source(data):
        return sources.load(data, FIELD)
    return None


def table_of(source: Source | None, options: TaskOptions) -> Table:
    """The table to read: the source's own data where task.data names it, else what task.data says."""
    data = str(options.data)
    if source is not None and is_source(data):
        return data_files.read_source(source, options.revision)
    if source is not None and data_files.is_hub_id(data):
        column = source.hub.split_column if source.hub else "hub_split"
        if source.hub is not None and source.hub.id == data:
            return data_files.read_source(source, options.revision)
        return data_files.read_parts(data, str(options.revision), column)
    return data_files.read(data, options.revision)


def recognised(task: Task, table: Table) -> Source | None:
    """The one source of the task's whose columns the table has; raises BadInput where there are several."""
    known = [sources.load(name) for name in task.sources]
    fitting = [source for source in known if set(source.columns) <= set(table.columns)]
    # A source whose columns are some of another's fits whatever that one fits, and says less.
    fitting = [s for s in fitting if not any(set(s.columns) < set(other.columns) for other in fitting)]
    if len(fitting) > 1:
        names = [source.name for source in fitting]
        what = f"the columns are those of {' and of '.join(names)}"
        raise BadInput([Problem("task.source", what, f"say which: task.source={names[0]}, for instance")])
    return fitting[0] if fitting else None


def unrecognised(task: Task, table: Table) -> Problem:
    """What to say of a table that a task without plain columns cannot read."""
    wanted = [f"{name} ({', '.join(sources.load(name).columns)})" for name in task.sources]
    what = f"the columns are {', '.join(table.columns)}: not those of a data set that task {task.name} reads"
    return Problem(FIELD, what, f"give a file of one of these: {'; '.join(wanted)}")


def rows_of(source: Source, table: Table) -> tuple[list[Row], list[str]]:
    """The source's examples, and notes on what they are. Raises BadInput for terms that were not accepted,
    missing columns and bad rows."""
    if problems := licences.unaccepted(source):
        raise BadInput(problems)
    called = table.name
    if lacking := [column for column in source.columns if column not in table.columns]:
        what = f"{called} has no column {', '.join(lacking)}, which every file of {source.name} has"
        fix = f"give such a file, or drop task.source; its columns are {', '.join(table.columns)}"
        raise BadInput([Problem("task.source", what, fix)])
    reading = source.make(table.rows)
    if reading.problems:
        named_ = [Problem(p.field, f"{called} {p.message}", p.fix) for p in reading.problems]
        raise BadInput(shorten(named_, "rows"))
    if not reading.made:
        what = f"{called} holds no example of {source.name}: {'; '.join(reading.notes) or 'no rows'}"
        raise BadInput([Problem(FIELD, what, "give the whole data set")])
    rows = [Row(number, one.example, one.split) for number, one in enumerate(reading.made, start=1)]
    rows, notes = _parted(rows)
    if problems := _repeated(rows):
        raise BadInput(shorten(problems, "examples"))
    return rows, [licence_line(source), *source.notes, *reading.notes, *notes]


def licence_line(source: Source) -> str:
    """One line for every caption: the data set, its licence, and that it is not for commerce if so."""
    return f"data set {source.name}: {source.licence}" + (
        ", not for commercial use" if source.noncommercial else ""
    )


def _parted(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """The rows with one official split for all or for none, and nothing to train on that is tested on."""
    splits = {row.split for row in rows}
    if splits != {"train", "test"}:
        if len(splits) == 1:
            alone = splits.pop()
            note = [f"only its {alone} part is here, so it is split anew"] if alone else []
            return [Row(row.number, row.example, None) for row in rows], note
        given = [row for row in rows if row.split is not None]
        if {row.split for row in given} != {"train", "test"}:
            return [Row(row.number, row.example, None) for row in rows], []
        kept, notes = _parted(given)
        return kept, [*notes, f"{len(rows) - len(given):,} examples outside train and test left out"]
    texts = {conversation(row.example.prompt) for row in rows if row.split == "test"}
    groups = {row.example.prompt.group for row in rows if row.split == "test"}
    ids = {row.example.prompt.id for row in rows if row.split == "test"}

    def tested(prompt: Prompt) -> bool:
        return prompt.id in ids or prompt.group in groups or conversation(prompt) in texts

    kept = [row for row in rows if row.split == "test" or not tested(row.example.prompt)]
    if lost := len(rows) - len(kept):
        return kept, [f"{lost:,} examples to train on left out: their prompt or group is tested on"]
    return kept, []


def _repeated(rows: Sequence[Row]) -> list[Problem]:
    """Ids that more than one example has, which only rows with and without a split of their own can bring."""
    counts = Counter(row.example.prompt.id for row in rows)
    fix = "give all rows about a prompt the same split"
    often = [(name, count) for name, count in counts.items() if count > 1]
    return [Problem(FIELD, f"{count} examples are called {name}", fix) for name, count in often]


def content_of(rows: Sequence[Row]) -> str:
    """Digest of everything about the examples, for data without bytes of its own to digest."""
    return digest([[asdict(row.example), row.split] for row in rows])
