"""Rows of samples from a JSONL file: every bad one is found, and named by its number.

    {"prompt_id": "7", "prompt": "...", "completion": "...", "sample": 0, "method": "ilf", "reference": "..."}

`method`, `reference` (a text or a list), `tokens`, `spec`, `end` and `group` are optional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from alignment_bench.completions import Completion, End
from alignment_bench.data_files import read, shorten
from alignment_bench.errors import BadInput, Problem
from alignment_bench.prompts import Key, Message, Prompt

Spec = Literal["task", "t1", "greedy"]
SPECS: tuple[Spec, ...] = get_args(Spec)
UNNAMED = "samples"
"""the method of rows that name none"""
BASE = "base"
COLUMNS = (
    "prompt_id", "prompt", "completion", "sample", "method", "reference", "tokens", "spec", "end", "group",
)  # fmt: skip
Place = tuple[str, str, str, int]
"""method, spec, prompt id and number of a sample"""


@dataclass
class Samples:
    """What files of samples say, gathered: prompts in the order in which they first occur."""

    prompts: dict[str, Prompt] = field(default_factory=dict)
    references: dict[str, tuple[str, ...]] = field(default_factory=dict)
    drawn: dict[str, dict[str, dict[str, dict[int, Completion]]]] = field(default_factory=dict)
    """by method, spec, prompt id and sample number"""
    ends: bool = True
    """whether every row says how its completion ended"""
    unread: dict[str, None] = field(default_factory=dict)
    """columns that nothing reads"""
    sources: list[str] = field(default_factory=list)
    """the files with their digests"""

    @property
    def methods(self) -> list[str]:
        """All methods, base first."""
        return sorted(self.drawn, key=lambda name: name != BASE)

    def key(self, prompt_id: str) -> Key:
        """What is known of a right answer."""
        return Key(prompt_id, self.references.get(prompt_id, ()))

    def of(self, method: str, spec: str, prompts: Sequence[Prompt]) -> list[list[Completion]] | str:
        """The method's samples of each prompt, by their numbers; or how many prompts have none."""
        rows = self.drawn.get(method, {}).get(spec, {})
        if lacking := sum(prompt.id not in rows for prompt in prompts):
            return f"method {method!r} has no samples of specification {spec!r} for {lacking} prompts"
        return [[rows[prompt.id][number] for number in sorted(rows[prompt.id])] for prompt in prompts]

    def answered(self, method: str) -> list[Prompt]:
        """The prompts that the method answers, in order."""
        ids = {name for rows in self.drawn[method].values() for name in rows}
        return [prompt for name, prompt in self.prompts.items() if name in ids]


def read_samples(path: Path, spec: Spec, base: Path | None = None, references: Path | None = None) -> Samples:
    """The samples of `path`, those of `base` as method base, and `references` (prompt_id, reference).

    `spec` is what rows stand for that do not say. Raises BadInput with every bad row of all files.
    """
    found, problems = Samples(), list[Problem]()
    for key, file, method in (("samples", path, None), ("base", base, BASE)):
        if file is not None:
            rows = _rows(key, file, found, problems)
            if method is not None and method in found.drawn:
                what = f"{path.name} has rows of method {BASE} already"
                problems.append(Problem("base", what, "leave base= out, or rename the method"))
            problems += shorten(_Reader(key, file.name, found, spec, method).read(rows), "rows")
    if references is not None:
        problems += shorten(
            _read_references(references, _rows("references", references, found, problems), found), "rows"
        )
    if problems:
        raise BadInput(problems)
    return found


def _rows(key: str, file: Path, found: Samples, problems: list[Problem]) -> Sequence[Mapping[str, Any]]:
    """The file's rows, or none with problems appended."""
    try:
        table = read(str(file), None)
    except BadInput as error:
        problems += [Problem(key, one.message, one.fix) for one in error.problems]
        return ()
    found.sources.append(table.source)
    if key != "references":
        found.unread.update(dict.fromkeys(name for name in table.columns if name not in COLUMNS))
    return table.rows


@dataclass
class _Reader:
    """Puts the rows of one file where they belong; `where` remembers the row of each fact."""

    key: str
    name: str
    found: Samples
    spec: str
    method: str | None
    places: dict[Place, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)

    def read(self, rows: Sequence[Mapping[str, Any]]) -> list[Problem]:
        """Takes up the good rows; the problems of the others, one a row."""
        problems = []
        for number, row in enumerate(rows, start=1):
            fault = next((fault for fault in (_fault(column, row) for column in COLUMNS) if fault), None)
            what, fix = fault or self._take(number, row) or ("", "")
            if what:
                problems.append(Problem(self.key, f"{self.name} row {number}: {what}", fix))
        return problems

    def _take(self, number: int, row: Mapping[str, Any]) -> tuple[str, str] | None:
        """Takes up a row that is well formed by itself; or says what it contradicts."""
        name, text = str(row["prompt_id"]), row["prompt"]
        method, spec = self.method or row.get("method") or UNNAMED, row.get("spec") or self.spec
        known = self.found.prompts.get(name)
        if known is not None and known.text != text:
            return (
                f"prompt {name!r} has other words than in {self._row(self.texts, name)}",
                "give it its own id",
            )
        group = row.get("group") or ""
        if known is not None and group and known.group not in ("", group):
            return f"prompt {name!r} is of group {known.group!r} already", "give a prompt one group"
        place = (method, spec, name, row["sample"])
        if place in self.places:
            fix = "number the samples of a prompt 0, 1, 2, or drop the repeat"
            return f"is sample {row['sample']} of prompt {name!r} once more, as row {self.places[place]}", fix
        if (reference := row.get("reference")) is not None:
            references = (reference,) if isinstance(reference, str) else tuple(reference)
            if self.found.references.setdefault(name, references) != references:
                what = f"prompt {name!r} has another reference than in {self._row(self.written, name)}"
                return what, "write all references of a prompt as one list, in every row"
            self.written.setdefault(name, number)
        self.places[place] = number
        self.texts.setdefault(name, number)
        if known is None or not known.group:
            self.found.prompts[name] = Prompt(name, (Message("user", text),), group)
        end: End = row.get("end") or "eos"
        self.found.ends &= row.get("end") is not None
        by_prompt = self.found.drawn.setdefault(method, {}).setdefault(spec, {})
        by_prompt.setdefault(name, {})[row["sample"]] = Completion(
            row["completion"], tuple(row.get("tokens") or ()), end
        )
        return None

    def _row(self, where: Mapping[str, int], name: str) -> str:
        return f"row {where[name]}" if name in where else "the other file"


def _read_references(file: Path, rows: Sequence[Mapping[str, Any]], found: Samples) -> list[Problem]:
    problems = []
    for number, row in enumerate(rows, start=1):
        fault = next((f for f in (_fault(column, row) for column in ("prompt_id", "reference")) if f), None)
        if fault is None and row.get("reference") is None:
            fault = "has no reference", "fill it in or drop the row"
        if fault is None:
            written = row["reference"]
            references = (written,) if isinstance(written, str) else tuple(written)
            name = str(row["prompt_id"])
            if found.references.setdefault(name, references) != references:
                fault = f"prompt {name!r} has another reference already", "keep one of the two"
        if fault is not None:
            problems.append(Problem("references", f"{file.name} row {number}: {fault[0]}", fault[1]))
    return problems


def _fault(column: str, row: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with one value by itself, and the fix."""
    value = row.get(column)
    optional = column not in ("prompt_id", "prompt", "completion", "sample")
    if value is None:
        return None if optional else (f"has no {column}", "fill it in or drop the row")
    if column == "prompt_id" and isinstance(value, int) and not isinstance(value, bool):
        return None
    if column == "sample":
        good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return (
            None if good else (f"sample is {value!r}, no number from 0", "number a prompt's samples 0, 1, 2")
        )
    if column == "tokens":
        good = isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)
        return (
            None
            if good
            else ("tokens is no list of token ids", "write them as [5, 17, 2], or leave them out")
        )
    if column == "reference" and isinstance(value, list):
        good = bool(value) and all(isinstance(one, str) and one.strip() for one in value)
        if not good:
            return "reference is no list of texts", "write a text, or a list of them"
        return next((fault for one in value if (fault := _text_fault(column, one))), None)
    if not isinstance(value, str):
        return f"{column} is a {type(value).__name__}, not text", "write it as text"
    return _text_fault(column, value)


def _text_fault(column: str, value: str) -> tuple[str, str] | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{column} holds half a surrogate pair, which no UTF-8 text can", "repair the text"
    if column == "method" and not value.isprintable():
        return "method holds what no table can print in its row", "name the method in one line of letters"
    if not value.strip() and column != "completion":
        return f"{column} is empty", "fill it in or drop the row"
    allowed = {"spec": SPECS, "end": get_args(End)}.get(column)
    if allowed and value not in allowed:
        return f"{column} says {value[:40]!r}", f"write one of {', '.join(allowed)}"
    return None
