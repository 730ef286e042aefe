"""What sources share: reading fields of a row with a problem for every bad one, and gathering the rows about
one prompt into one example."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alignment_bench.data_files import FIELD
from alignment_bench.data_rows import conversation, same
from alignment_bench.digests import digest
from alignment_bench.errors import Problem
from alignment_bench.prompts import Example, Key, Message, Prompt, Recorded
from alignment_bench.sources.source import Made, Reading, Row, Split

_UNREADABLE = object()


class Fields:
    """The fields of rows, read one by one; what is wrong with them collects in `problems`, what is left out
    on purpose in `skipped`."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.skipped: Counter[str] = Counter()

    def bad(self, number: int, column: str, what: str, fix: str) -> None:
        """A problem with one column of row `number`."""
        self.problems.append(Problem(FIELD, f"row {number}: column {column!r} {what}", fix))

    def skip(self, why: str) -> None:
        """Counts a row, or an act in it, that is left out; `why` goes on after "N" in a note."""
        self.skipped[why] += 1

    def text(self, number: int, row: Mapping[str, Any], column: str, within: str = "") -> str | None:
        """Words that must be there; None, and a problem, where they are not. `within` names outer columns."""
        value, name = row.get(column), f"{within}{column}"
        if column not in row:
            self.bad(number, name, "is missing", "fill it in or drop the row")
        elif value is None or (isinstance(value, str) and not value.strip()):
            self.bad(number, name, "is empty", "fill it in or drop the row")
        elif not isinstance(value, str):
            self.bad(number, name, f"is a {type(value).__name__}, not text", "write it as text")
        elif not _encodable(value):
            self.bad(number, name, "holds half a surrogate pair, which no UTF-8 text can", "repair the text")
        else:
            return value
        return None

    def maybe(self, number: int, row: Mapping[str, Any], column: str, within: str = "") -> str:
        """Words that may be missing or empty, stripped; a problem where they are not text."""
        value = row.get(column)
        if value is None or value == "":
            return ""
        found = self.text(number, row, column, within) if not isinstance(value, str) or value.strip() else ""
        return (found or "").strip()

    def number(self, number: int, row: Mapping[str, Any], column: str, within: str = "") -> float | None:
        """A finite number, which csv files hold as text; None, and a problem, where there is none."""
        value = row.get(column)
        try:
            if isinstance(value, bool) or value is None:
                raise ValueError
            found = float(value)
            if found - found != 0:
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            self.bad(number, f"{within}{column}", f"says {str(value)[:40]!r}, not a number", "write a number")
            return None
        return found

    def inner(self, number: int, row: Mapping[str, Any], column: str, kind: type) -> Any:
        """A nested column, a list or an object, which csv files hold as JSON text; None where it is bad."""
        value = row.get(column)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (
                ValueError,
                RecursionError,
            ):  # not JSON, a number of too many digits, or nested too deeply
                value = _UNREADABLE
        if not isinstance(value, kind):
            what = "a list" if kind is list else "an object"
            self.bad(number, column, f"is not {what}", f"write {what} as the data set has it")
            return None
        return value

    def reading(self, made: Sequence[Made]) -> Reading:
        """What the rows came to."""
        notes = tuple(f"{count:,} {why}" for why, count in self.skipped.items())
        return Reading(tuple(made), tuple(self.problems), notes)


@dataclass
class _Gathered:
    prompt: Prompt
    split: Split | None
    references: dict[str, None] = field(default_factory=dict)
    recorded: list[Recorded] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Gathering:
    """Examples in the order of their first row; rows about the same prompt and split become one."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._found: dict[tuple[str, Split | None], _Gathered] = {}

    def add(
        self,
        prompt: Prompt,
        split: Split | None = None,
        references: Sequence[str] = (),
        recorded: Sequence[Recorded] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """One row's share of an example; a reference that is there already is not repeated. A row that gives
        an earlier row's id to other words is left out: what it says is not about that prompt."""
        one = self._found.setdefault((prompt.id, split), _Gathered(prompt, split))
        if conversation(one.prompt) != conversation(prompt):
            self._fields.skip("rows left out: their id is that of an earlier row about something else")
            return
        one.references.update(dict.fromkeys(references))
        one.recorded += recorded
        one.facts.update(facts or {})

    def made(self) -> list[Made]:
        """The examples so far."""
        return [
            Made(
                Example(
                    one.prompt,
                    Key(one.prompt.id, tuple(one.references), (), one.facts, tuple(one.recorded)),
                ),
                one.split,
            )
            for one in self._found.values()
        ]


def plain_prompt(text: str, name: str = "", group: str = "", **metadata: str) -> Prompt:
    """A prompt of one message; id and group are digests of its words unless they are given."""
    own = digest(same(text))[:16]
    return Prompt(name or own, (Message("user", text),), group or own, tuple(sorted(metadata.items())))


def post_text(title: str, post: str) -> str:
    """A forum post as it is put to a policy: its title, where it has one, on a line of its own."""
    return f"Title: {title.strip()}\n\n{post.strip()}" if title.strip() else post.strip()


def official(row: Row, column: str, test: Sequence[str]) -> Split | None:
    """The row's own word on its split: the parts in `test` test, `train` trains; None where it has none."""
    part = row.get(column)
    if part is None:
        return None
    return "test" if part in test else "train" if part == "train" else None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
