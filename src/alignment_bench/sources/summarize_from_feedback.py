"""Comparisons of summaries of forum posts (Stiennon et al. 2020, arXiv 2009.01325).

One comparison a row, several a post; they are gathered by post. The written summary of a post is known only
where one of its comparisons shows it (its policy is then called "ref"). Posts to test on without one are left
out: nothing here could judge an answer to them. So are news articles, of which `validation` has some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alignment_bench.prompts import Recorded
from alignment_bench.sources._rows import Fields, Gathering
from alignment_bench.sources._stiennon import CITATION, LICENCE, REFERENCE, on_hub, post_of
from alignment_bench.sources.source import Reading, Row, Source, Split

PARTS: Mapping[Any, Split] = {"train": "train", "valid1": "test", "valid2": "test", "validation": "test"}


def make(rows: Sequence[Row]) -> Reading:
    """One example a post, with all of its comparisons."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        prompt = post_of(fields, number, row, "comparisons")
        shown = fields.inner(number, row, "summaries", list)
        if prompt is None or shown is None:
            continue
        chosen, texts = _choice(fields, number, row), _texts(fields, number, shown)
        if chosen is None or texts is None:
            continue
        written = [text for text, one in zip(texts, shown, strict=True) if one.get("policy") == REFERENCE]
        act = Recorded("prefer", texts, preference="first" if chosen == 0 else "second")
        gathering.add(prompt, PARTS.get(row.get("hub_split", row.get("split"))), written, [act])
    made = gathering.made()
    judged = [one for one in made if one.split != "test" or one.example.key.references]
    for _ in range(len(made) - len(judged)):
        fields.skip("posts to test on left out: no comparison of theirs shows the written summary")
    return fields.reading(judged)


def _choice(fields: Fields, number: int, row: Row) -> int | None:
    choice = row.get("choice")
    if str(choice) not in ("0", "1"):
        fields.bad(number, "choice", f"says {str(choice)[:40]!r}", "write 0 or 1")
        return None
    return int(str(choice))


def _texts(fields: Fields, number: int, shown: Sequence[Any]) -> tuple[str, str] | None:
    if len(shown) != 2 or not all(isinstance(one, dict) for one in shown):
        fields.bad(
            number, "summaries", "does not hold two summaries", "write two objects with text and policy"
        )
        return None
    first, second = (fields.text(number, one, "text", "summaries.") for one in shown)
    return None if first is None or second is None else (first.strip(), second.strip())


SOURCE = Source(
    name="summarize_from_feedback",
    summary="People's comparisons of two summaries of a forum post: 93,000 to train on",
    hub=on_hub("comparisons", "train", "validation"),
    licence=LICENCE,
    noncommercial=False,
    citation=CITATION,
    columns=("info", "summaries", "choice"),
    make=make,
)
