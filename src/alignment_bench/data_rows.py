"""From rows as read to examples: every bad row is found, and named by its number and column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alignment_bench.data_files import FIELD, Table, shorten
from alignment_bench.digests import digest
from alignment_bench.errors import BadInput, Problem
from alignment_bench.prompts import Example, Key, Message, Prompt

SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class Row:
    """One good row: its number, counted from 1, its example, and its own word on the split."""

    number: int
    example: Example
    split: str | None


def validate(table: Table, names: Mapping[str, str]) -> list[Row]:
    """Every row as an example. Raises BadInput naming the bad rows by number and column."""
    problems: list[Problem] = []
    rows: list[Row] = []

    def bad(number: int, what: str, fix: str) -> None:
        problems.append(Problem(FIELD, f"{table.name} row {number}: {what}", fix))

    seen: dict[str, int] = {}
    for number, row in enumerate(table.rows, start=1):
        faults = [
            (what, fix)
            for canonical, actual in names.items()
            if (fault := _fault(canonical, row.get(actual), actual in row))
            for what, fix in [(f"column {actual!r} {fault[0]}", fault[1])]
        ]
        if faults:
            bad(number, "; ".join(what for what, _ in faults), faults[0][1])
            continue
        made = make_row(number, row, names)
        first = seen.setdefault(made.example.prompt.id, number)
        if first != number:
            if "id" in names:
                bad(number, f"id {made.example.prompt.id!r} is that of row {first}", "make ids unique")
            else:
                bad(number, f"repeats the prompt of row {first}", "drop the repeat, or add an id column")
            continue
        rows.append(made)
    if problems:
        raise BadInput(shorten(problems, "rows"))
    return rows


def _fault(canonical: str, value: Any, present: bool) -> tuple[str, str] | None:
    """What is wrong with one value, and the fix; None for a good one."""
    if not present:
        return "is missing", "fill it in or drop the row"
    if canonical == "reference" and isinstance(value, list):
        if not value:
            return "is an empty list", "give one reference or more, or drop the row"
        return next((fault for item in value if (fault := _fault("prompt", item, True))), None)
    if canonical in ("id", "group") and isinstance(value, int) and not isinstance(value, bool):
        return None
    if value is None:
        return "is empty", "fill it in or drop the row"
    if not isinstance(value, str):
        return f"is a {type(value).__name__}, not text", "write it as text"
    if not value.strip():
        return "is empty", "fill it in or drop the row"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half a surrogate pair, which no UTF-8 text can", "repair the text"
    if canonical == "split" and value not in SPLITS:
        fix = "write train or test, or leave the column out with task.columns=[split:]"
        return f"says {value[:40]!r}", fix
    return None


def make_row(number: int, row: Mapping[str, Any], names: Mapping[str, str]) -> Row:
    text = row[names["prompt"]]
    references = row[names["reference"]] if "reference" in names else []
    name = str(row[names["id"]]) if "id" in names else digest(text)[:16]
    group = str(row[names["group"]]) if "group" in names else digest(same(text))[:16]
    prompt = Prompt(name, (Message("user", text),), group)
    key = Key(name, (references,) if isinstance(references, str) else tuple(references))
    return Row(number, Example(prompt, key), row[names["split"]] if "split" in names else None)


def same(text: str) -> str:
    """The text without its differences in case and white space: what "the same prompt" means here."""
    return " ".join(text.split()).casefold()


def conversation(prompt: Prompt) -> str:
    """All turns of a prompt as `same` sees them: what must not lie on both sides of a split."""
    return "\n\n".join(same(message.content) for message in prompt.messages)
