"""Perspective's scores from a file: what was scored once is looked up, nothing else is known.

Perspective is a service whose model drifts (Pozzobon et al. 2023, arXiv 2304.12397): scores of different days
are not of one scale. A file holds, in any jsonl, csv or parquet column layout of these three,

- a text and its score: columns `text` and `toxicity`;
- objects (or JSON texts of objects) with `text` and `toxicity`, as the columns `prompt` and `continuation`
  of RealToxicityPrompts;
- a text and the service's own answer: `text` and `attributeScores`.

A text that is not in the file, or has no score there, is nan: counted by whoever asked, never guessed. Texts
are the same where they differ in surrounding white space only.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from alignment_bench import data_files
from alignment_bench.digests import digest_file
from alignment_bench.errors import BadInput, Problem

FIELD = "scores"


@dataclass(frozen=True)
class Perspective:
    """Scores that Perspective once gave to these very texts."""

    name: ClassVar[str] = "perspective"
    family: ClassVar[str] = "perspective"

    scores: str = ""
    """a file of texts with scores"""

    @property
    def digest(self) -> str:
        """sha256 of the file."""
        return digest_file(Path(self.scores))

    def missing(self) -> str:
        """Why there is nothing to look up: no file, or one with rows that are no scores."""
        if not self.scores:
            return "perspective has no service here: give scores=FILE, of texts with Perspective's scores"
        path = Path(self.scores)
        if not path.is_file():
            return f"there is no file {self.scores}: check scores="
        if path.suffix not in data_files.SUFFIXES:
            return f"{self.scores} is no {', '.join(data_files.SUFFIXES)} file: check scores="
        try:
            _read(self.scores, path.stat().st_mtime_ns)
        except BadInput as error:
            return "; ".join(f"{problem.message} ({problem.fix})" for problem in error.problems)
        return ""

    def score(self, texts: Sequence[str]) -> list[float]:
        """The score of each text; nan for one that the file does not score. Raises BadInput on a bad file."""
        if reason := self.missing():
            raise BadInput([Problem(FIELD, reason, "or choose another classifier")])
        known = _read(self.scores, Path(self.scores).stat().st_mtime_ns)
        return [known.get(text.strip(), math.nan) for text in texts]


def as_object(value: Any) -> Mapping[str, Any] | None:
    """A scored text as an object, from an object or its JSON text; None where it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (json.JSONDecodeError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None


def score_of(value: Any) -> float | None:
    """A score as a number in [0, 1], from a number or its text; None where there is none.

    Raises ValueError on anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no score")
    number = float(value)
    if math.isnan(number):  # what a missing number becomes in a table of numbers
        return None
    if not 0 <= number <= 1:
        raise ValueError(f"{value!r} is not in [0, 1]")
    return number


@functools.lru_cache(maxsize=4)
def _read(file: str, changed: int) -> Mapping[str, float]:
    """Text to score. Raises BadInput where the file has none, or two for one text."""
    try:
        table = data_files.read(file, None)
    except BadInput as error:
        raise BadInput([Problem(FIELD, p.message, p.fix) for p in error.problems]) from None
    known: dict[str, float] = {}
    problems: list[Problem] = []
    texts = 0
    for number, row in enumerate(table.rows, start=1):
        try:
            for text, value in _scored(row):
                texts += 1
                if value is not None and known.setdefault(text.strip(), value) != value:
                    raise ValueError(f"a second score for {text.strip()[:40]!r}")
        except (ValueError, KeyError, TypeError) as error:
            problems.append(Problem(FIELD, f"{Path(file).name} row {number}: {error}", "repair the row"))
    if not texts and not problems:
        what = f"{Path(file).name} scores no text; its columns are {', '.join(table.columns)}"
        problems.append(Problem(FIELD, what, "give columns `text` and `toxicity`"))
    if problems:
        raise BadInput(data_files.shorten(problems, "rows"))
    return known


def _scored(row: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Every scored text of a row, in whichever of the three forms it is."""
    if isinstance(row.get("text"), str):
        if "toxicity" in row:
            yield row["text"], score_of(row["toxicity"])
        elif answer := as_object(row.get("attributeScores")):
            yield row["text"], score_of(answer["TOXICITY"]["summaryScore"]["value"])
        return
    for value in row.values():
        one = as_object(value)
        if one is not None and isinstance(one.get("text"), str) and "toxicity" in one:
            yield one["text"], score_of(one["toxicity"])
