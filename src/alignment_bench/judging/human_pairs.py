"""Pairs of texts that people have compared, read from our own schema and from published files.

A file of pairs has JSON lines with `prompt`, `first`, `second` and `label` (1 the first is better, 2 the
second, 0 a tie), and may have `id`, `group` (pairs of one group share a source; intervals cluster on it),
`first_model`, `second_model` (who wrote the texts) and `references` (a list; never one of the two texts).
Published files are recognised by their columns and read as their authors released them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alignment_bench.errors import BadInput, Problem

Label = Literal[0, 1, 2]
Row = Mapping[str, Any]
REPORTED = 5
"""bad rows named in full; the others are counted"""


@dataclass(frozen=True, slots=True)
class HumanPair:
    """Two answers to a prompt and which of them people called better."""

    id: str
    prompt: str
    first: str
    second: str
    label: Label
    """1 the first, 2 the second, 0 neither"""
    group: str = ""
    first_model: str = ""
    second_model: str = ""
    references: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The label as a verdict has it: 1 the first won, 0 the second, .5 a tie."""
        return {1: 1.0, 2: 0.0, 0: 0.5}[self.label]


@dataclass(frozen=True)
class Schema:
    """One form that a file of pairs can have."""

    name: str
    columns: tuple[str, ...]
    """columns by which a file is recognised"""
    make: Callable[[Sequence[Row]], list[HumanPair]]
    about: str


def read_pairs(path: Path) -> tuple[Schema, list[HumanPair]]:
    """The pairs of a file and the schema it has. Raises BadInput with everything that is wrong with it."""
    rows = _rows(path)
    schema = next((one for one in SCHEMAS if set(one.columns) <= set(rows[0])), None)
    if schema is None:
        known = "; ".join(f"{one.name}: {', '.join(one.columns)}" for one in SCHEMAS)
        what = f"has columns {', '.join(rows[0])}, which is no schema known here"
        raise BadInput([Problem(str(path), what, known)])
    problems = _faults(path, schema, rows)
    if problems:
        raise BadInput(problems)
    try:
        pairs = schema.make(rows)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        what = f"is not the {schema.name} file it looks like: {type(error).__name__}: {error}"
        raise BadInput([Problem(str(path), what, schema.about)]) from error
    if not pairs:
        raise BadInput([Problem(str(path), f"holds no pairs of schema {schema.name}", schema.about)])
    return schema, _numbered(pairs)


def _rows(path: Path) -> list[Row]:
    if not path.is_file():
        raise BadInput([Problem(str(path), "there is no such file", "name a JSONL file of pairs")])
    rows: list[Row] = []
    problems: list[Problem] = []
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput([Problem(str(path), f"is no UTF-8 text ({error})", "save it as UTF-8")]) from None
    # Not splitlines: JSON strings may hold separators of lines other than the newline.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(Problem(f"{path} line {number}", f"is not JSON ({error})", "one object a line"))
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            problems.append(Problem(f"{path} line {number}", "is no JSON object", "one object a line"))
    if not rows and not problems:
        problems.append(Problem(str(path), "is empty", "one JSON object a line"))
    if problems:
        raise BadInput(_few(path, problems))
    return rows


def _faults(path: Path, schema: Schema, rows: Sequence[Row]) -> list[Problem]:
    """Rows that lack a column; of our own schema, those with a wrong value too."""
    problems = []
    for number, row in enumerate(rows, 1):
        where = f"{path} row {number}"
        lacking = [name for name in schema.columns if name not in row]
        if lacking:
            problems.append(Problem(where, f"lacks {', '.join(lacking)}", schema.about))
        elif schema is OWN:
            texts = [name for name in ("prompt", "first", "second") if not isinstance(row[name], str)]
            if texts:
                problems.append(Problem(where, f"{', '.join(texts)}: no text", "write it as a string"))
            if isinstance(row["label"], bool) or row["label"] not in (0, 1, 2):
                problems.append(Problem(where, f"label is {row['label']!r}", "1, 2, or 0 for a tie"))
            if fault := _reference_fault(row):
                problems.append(Problem(where, *fault))
    return _few(path, problems)


def _reference_fault(row: Row) -> tuple[str, str] | None:
    """What is wrong with the references of a row of our own schema, and what to do about it."""
    references = row.get("references") or []
    if not isinstance(references, list) or not all(isinstance(one, str) for one in references):
        return "references: no list of texts", 'write ["a reference"]'
    if {row["first"], row["second"]} & set(references):
        return "one of its two texts is its reference too", "leave it out of references"
    return None


def _few(path: Path, problems: list[Problem]) -> list[Problem]:
    if len(problems) <= REPORTED:
        return problems
    more = Problem(str(path), f"has {len(problems) - REPORTED} more bad rows", "mend them likewise")
    return [*problems[:REPORTED], more]


def _numbered(pairs: Sequence[HumanPair]) -> list[HumanPair]:
    """The same pairs; an id that occurs twice is an error of the file."""
    twice = [one for one, count in Counter(pair.id for pair in pairs).items() if count > 1]
    if twice:
        raise BadInput(
            [Problem("id", f"{twice[0]!r} names several pairs", "give every pair an id of its own")]
        )
    return list(pairs)


def _own(rows: Sequence[Row]) -> list[HumanPair]:
    return [
        HumanPair(
            id=str(row.get("id", number)),
            prompt=row["prompt"],
            first=row["first"],
            second=row["second"],
            label=row["label"],
            group=str(row.get("group") or row["prompt"]),
            first_model=str(row.get("first_model") or ""),
            second_model=str(row.get("second_model") or ""),
            references=tuple(row.get("references") or ()),
        )
        for number, row in enumerate(rows, 1)
    ]


def _llmbar(rows: Sequence[Row]) -> list[HumanPair]:
    return [
        HumanPair(
            f"llmbar-{number}",
            row["input"],
            row["output_1"],
            row["output_2"],
            _one_or_two(row["label"]),
            row["input"],
        )
        for number, row in enumerate(rows, 1)
    ]


def _pandalm(rows: Sequence[Row]) -> list[HumanPair]:
    """What two of the three annotators say; three different answers are a tie."""
    pairs = []
    for row in rows:
        votes = Counter(int(row[f"annotator{k}"]) for k in (1, 2, 3))
        label, count = votes.most_common(1)[0]
        models = row["cmp_key"].split("_")
        prompt = "\n\n".join(filter(None, (row["instruction"], row["input"])))
        pairs.append(
            HumanPair(
                f"pandalm-{row['idx']}",
                prompt,
                row["response1"],
                row["response2"],
                _label(label if count > 1 else 0),
                prompt,
                *(models if len(models) == 2 else ("", "")),
            )
        )
    return pairs


def _autoj(rows: Sequence[Row]) -> list[HumanPair]:
    """auto-j: 0 the first response, 1 the second, 2 a tie."""
    return [
        HumanPair(
            f"autoj-{number}",
            row["prompt"],
            row["response 1"],
            row["response 2"],
            _label({0: 1, 1: 2, 2: 0}[int(row["label"])]),
            row["prompt"],
        )
        for number, row in enumerate(rows, 1)
    ]


def _news(rows: Sequence[Row]) -> list[HumanPair]:
    """A writer's summary of an article and a model's, each judged overall by one of several evaluators.

    References are the summaries that other writers wrote of the article.
    """
    written: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        written[row["article_id"]][row["writer_id"]] = row["writer_summary"]
    labels: dict[Any, Label] = {True: 1, False: 2, "Equally Good": 0}
    return [
        HumanPair(
            f"news-{number}",
            f"Summarize the article.\n\n{row['article_text']}",
            row["writer_summary"],
            row["text-davinci-002_summary"],
            labels[row["overall_writer_better"]],
            row["article_id"],
            "writer",
            "text-davinci-002",
            tuple(t for who, t in written[row["article_id"]].items() if who != row["writer_id"]),
        )
        for number, row in enumerate(rows, 1)
    ]


def _squality(rows: Sequence[Row]) -> list[HumanPair]:
    """Two systems' answers, ranked by one reader beside a person's answer, which is the reference.

    Ranks leave no ties; where the reader rated both alike it is one. The stories themselves are not in the
    file: a judge that reads the prompt has nothing to read.
    """
    reviews: dict[tuple[str, str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        reviews[str(row["passage_id"]), str(row["question"]), str(row["worker_id"])][row["system"]] = row
    pairs = []
    for (passage, question, worker), review in reviews.items():
        if not {"bart", "bart-dpr", "human"} <= set(review):
            continue
        one, other = review["bart"], review["bart-dpr"]
        ranks = int(one["overall-rank"]), int(other["overall-rank"])
        alike = one["overall-rating"] == other["overall-rating"]
        pairs.append(
            HumanPair(
                f"squality-{passage}-{question}-{worker}",
                f"Question {question} about story {passage}",
                one["response"],
                other["response"],
                0 if alike else 1 if ranks[0] < ranks[1] else 2,
                passage,
                "bart",
                "bart-dpr",
                (review["human"]["response"],),
            )
        )
    return pairs


def _one_or_two(value: Any) -> Label:
    if int(value) not in (1, 2):
        raise ValueError(f"label {value!r} is neither 1 nor 2")
    return _label(int(value))


def _label(value: int) -> Label:
    labels: dict[int, Label] = {0: 0, 1: 1, 2: 2}
    return labels[value]


OWN = Schema("pairs", ("prompt", "first", "second", "label"), _own, "prompt, first, second, label (1, 2, 0)")
SCHEMAS: tuple[Schema, ...] = (
    OWN,
    Schema("llmbar", ("input", "output_1", "output_2", "label"), _llmbar, "princeton-nlp/LLMBar"),
    Schema(
        "pandalm",
        ("cmp_key", "instruction", "response1", "response2", "annotator1", "annotator2", "annotator3"),
        _pandalm,
        "WeOpenML/PandaLM, testset-v1",
    ),
    Schema(
        "autoj", ("prompt", "response 1", "response 2", "label"), _autoj, "GAIR-NLP/auto-j, pairwise test"
    ),
    Schema(
        "news",
        ("article_id", "writer_id", "writer_summary", "text-davinci-002_summary", "overall_writer_better"),
        _news,
        "Tiiiger/benchmark_llm_summarization, pairwise evaluation",
    ),
    Schema(
        "squality",
        ("passage_id", "question", "system", "response", "worker_id", "overall-rating", "overall-rank"),
        _squality,
        "nyu-mll/SQuALITY, human evaluation",
    ),
)
"""in this order a file is recognised"""
