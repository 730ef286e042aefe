"""Files of tuned values, one per task and model: `results/tuned/<task>-<model>.toml`, as `bench tune` writes.

The head says on what the values were searched, and holds for every entry; an entry is one label with its
chosen values, every trial, and what all of them cost together. Values shipped with the package are such
files, in `methods/tuned/`. Reading one checks every method, field and value that it names.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alignment_bench import registry
from alignment_bench.cells import Status
from alignment_bench.digests import digest_file
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import show_value, values
from alignment_bench.registry import suggest

SCHEMA = 1
AGAIN = "write it again with bench tune"
REMARK = "# Written by `bench tune`. bench run takes these values for fields that are not set, by tuned=."


@dataclass(frozen=True)
class Trial:
    """One configuration tried: the searched fields by `part.field`, and what came of it."""

    fields: Mapping[str, Any]
    status: Status
    score: float | None = None
    reason: str = ""
    spend: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One label's search. `fixed` and `values` are by `part.field`; the values are those of trial `best`."""

    label: str
    parts: tuple[str, ...]
    fixed: Mapping[str, Any]
    values: Mapping[str, Any]
    best: int | None
    """number of the best trial; 0: the defaults; None: no trial has a score"""
    trials: tuple[Trial, ...]
    spend: Mapping[str, float]
    """annotator_seconds, calls, tokens_generated, tokens_trained, flops and seconds of all trials"""
    code: Mapping[str, Any] = field(default_factory=dict)
    """version of this package and its core, commit, and digest of every part's source"""

    @property
    def key(self) -> tuple[Any, ...]:
        """What a later search of the same label replaces."""
        return self.parts, tuple(sorted((name, show(value)) for name, value in self.fixed.items()))


@dataclass(frozen=True)
class Head:
    """What every value of a file was searched on."""

    task: str
    task_version: str
    model: str
    model_digest: str
    world: str
    data_digest: str
    budget: str
    budget_amount: float
    currency: str
    seeds: tuple[int, ...]
    objective: str
    better: str
    teacher: str
    judge: str
    init: str


@dataclass(frozen=True)
class TunedFile:
    """A file as read: its name and digest, what it was searched on, and its entries."""

    path: Path
    digest: str
    head: Head
    entries: tuple[Entry, ...]


def read(path: Path) -> TunedFile:
    """The file, checked. Raises BadInput with everything in it that cannot be used, each naming the file."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadInput([_problem(path, "there is no such file", "shipped, none, or a file")]) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput([_problem(path, f"cannot be read: {error}", AGAIN)]) from None
    if table.get("schema") != SCHEMA:
        what = f"has schema {table.get('schema')!r}, this version reads {SCHEMA}"
        raise BadInput([_problem(path, what, AGAIN)])
    problems: list[Problem] = []
    wanted = {f.name for f in dataclasses.fields(Head)}
    for name in sorted(wanted - set(table)):
        problems.append(_problem(path, f"lacks {name!r}", AGAIN))
    for name in sorted(set(table) - wanted - {"schema", "method"}):
        problems.append(_problem(path, f"has no use for {name!r}", suggest(name, wanted)))
    problems += [_problem(path, what, AGAIN) for what in _mistyped(Head, table)]
    from alignment_bench.world.tasks import DEVELOPMENT

    world = table.get("world")
    if isinstance(world, str) and world.isdecimal() and int(world) < DEVELOPMENT:
        what = f"was searched on world {world}, which results are reported on"
        problems.append(_problem(path, what, f"search on a development world: {DEVELOPMENT} or above"))
    rows = table.get("method", [])
    if not _fits(rows, list[dict[str, Any]]):
        problems.append(_problem(path, "its entries are no [[method]] tables", AGAIN))
        rows = []
    entries = [_entry(path, row, problems) for row in rows]
    if problems:
        raise BadInput(problems)
    head = Head(**{**{name: table[name] for name in wanted}, "seeds": tuple(table["seeds"])})
    return TunedFile(path, digest_file(path), head, tuple(entry for entry in entries if entry))


def _entry(path: Path, row: Mapping[str, Any], problems: list[Problem]) -> Entry | None:
    """One entry, or None with problems appended."""
    before = len(problems)
    try:
        stored = dict(row)
        tried = stored.pop("trial")
        if wrong := [*_mistyped(Entry, stored), *(what for one in tried for what in _mistyped(Trial, one))]:
            raise TypeError("; ".join(wrong))
        trials = tuple(Trial(**trial) for trial in tried)
        entry = Entry(**{"best": None, **stored, "parts": tuple(stored["parts"]), "trials": trials})
    except (KeyError, TypeError) as error:
        what = f"an entry is not one ({error})"
        problems.append(_problem(path, what, AGAIN))
        return None
    known = []
    for name in entry.parts:
        try:
            registry.load("methods", name)
            known.append(name)
        except BadInput as error:
            problems += [_problem(path, one.message, one.fix) for one in error.problems]
    for where, given in (("fixed", entry.fixed), ("values", entry.values)):
        for key in given:
            if (name := key.partition(".")[0]) not in entry.parts:
                what = f"{where} of {entry.label!r}: {key!r} is no field of its parts"
                problems.append(_problem(path, what, suggest(name, entry.parts)))
        for name in known:
            own_fields(name, given, problems, path)
    return entry if len(problems) == before else None


def _mistyped(kind: type, stored: Any) -> list[str]:
    """What is stored for fields of a dataclass that cannot hold it."""
    if not isinstance(stored, Mapping):
        return [f"{show(stored)} is no table"]
    hints = typing.get_type_hints(kind)
    return [
        f"{name} cannot be {show(stored[name])}"
        for name, hint in hints.items()
        if name in stored and not _fits(stored[name], hint)
    ]


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value read from TOML is of a type."""
    origin, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (tuple, list):
        return isinstance(value, list | tuple) and all(_fits(one, inner[0]) for one in value)
    if origin is types.UnionType:
        return any(_fits(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if issubclass(origin if isinstance(origin, type) else object, Mapping):
        return isinstance(value, Mapping) and all(_fits(one, inner[1]) for one in value.values())
    return origin is Any or isinstance(value, origin)


def own_fields(part: str, given: Mapping[str, Any], problems: list[Problem], path: Path) -> dict[str, Any]:
    """The values among `part.field` ones that are of that part, converted; problems name the file."""
    found: list[Problem] = []
    texts = {
        key.partition(".")[2]: show(value) for key, value in given.items() if key.partition(".")[0] == part
    }
    converted = values(registry.load("methods", part), texts, f"{part}.", found, show=part)
    problems += [_problem(path, f"{one.field}: {one.message}", one.fix) for one in found]
    return converted


def write(path: Path, head: Head, entries: tuple[Entry, ...]) -> None:
    """Writes the file, whole or not at all."""
    lines = [REMARK, f"schema = {SCHEMA}"]
    lines += [f"{name} = {_toml(value)}" for name, value in dataclasses.asdict(head).items()]
    for entry in entries:
        lines += ["", "[[method]]"]
        stored = {f.name: getattr(entry, f.name) for f in dataclasses.fields(Entry) if f.name != "trials"}
        lines += [f"{name} = {_toml(value)}" for name, value in stored.items() if value is not None]
        for trial in entry.trials:
            lines += ["", "[[method.trial]]"]
            row = {f.name: getattr(trial, f.name) for f in dataclasses.fields(Trial)}
            lines += [f"{name} = {_toml(value)}" for name, value in row.items() if value not in (None, "")]
    path.parent.mkdir(parents=True, exist_ok=True)
    from alignment_bench.jobs import write_durably

    write_durably(path, "\n".join(lines) + "\n")


def show(value: Any) -> str:
    """A stored value as the command line takes it: TOML has no none, so that one is stored as text."""
    return show_value(tuple(value) if isinstance(value, list) else value)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_quoted(key)} = {_toml(one)}" for key, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return _quoted(str(value))


def _quoted(text: str) -> str:
    # JSON's strings are TOML's, but for one control character that TOML wants escaped too
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _problem(path: Path, what: str, fix: str) -> Problem:
    return Problem("tuned", f"{path}: {what}", fix)
