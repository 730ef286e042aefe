"""SQuALITY's human evaluation: comments, ratings and ranks of answers about stories, one review a row.

Wang et al. 2022 (arXiv 2205.11465). Every review is a critique (its comments, each after the words it is
about) and a score (the overall rating, 1 to 100); one worker's reviews about one question are comparisons by
overall rank. The person's answer is the reference. The stories and questions themselves are in another file:
a prompt names them only, so this is for training critics and reward models and for checking judges, not for
answering.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from alignment_bench.prompts import Prompt, Recorded
from alignment_bench.sources._rows import Fields, Gathering, plain_prompt
from alignment_bench.sources.source import Reading, Row, Source

PERSON = "human"
"""the system that is no system"""


@dataclass(frozen=True)
class _Review:
    response: str
    rating: float
    rank: float


def make(rows: Sequence[Row]) -> Reading:
    """One example a question, with all that was said about its answers."""
    fields = Fields()
    gathering = Gathering(fields)
    by_worker: defaultdict[tuple[str, str, str], list[_Review]] = defaultdict(list)
    for number, row in enumerate(rows, start=1):
        story, question = _name(fields, number, row, "passage_id"), _name(fields, number, row, "question")
        response, system = fields.text(number, row, "response"), fields.text(number, row, "system")
        rating, rank = (fields.number(number, row, f"overall-{what}") for what in ("rating", "rank"))
        comments = fields.inner(number, row, "feedback", list)
        if None in (story, question, response, system, rating, rank, comments):
            continue
        assert story and question and response and rating is not None and rank is not None
        answer = response.strip()
        acts = [Recorded("score", (answer,), value=rating)]
        if said := _critique(fields, number, comments):
            acts.append(Recorded("critique", (answer,), text=said))
        else:
            fields.skip("reviews without a comment give no critique")
        written = [answer] if system == PERSON else []
        gathering.add(_prompt(story, question), None, written, acts)
        by_worker[story, question, str(row.get("worker_id", ""))].append(_Review(answer, rating, rank))
    for (story, question, _), reviews in by_worker.items():
        gathering.add(_prompt(story, question), recorded=_comparisons(reviews))
    return fields.reading(gathering.made())


def _name(fields: Fields, number: int, row: Row, column: str) -> str | None:
    value = row.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return fields.text(number, row, column)


def _prompt(story: str, question: str) -> Prompt:
    return plain_prompt(f"Story {story}, question {question}.", f"{story}-{question}", story)


def _critique(fields: Fields, number: int, comments: Sequence[Any]) -> str:
    """The comments of a review as one text; highlights that nothing is said about are left out."""
    said = []
    for one in comments:
        if not isinstance(one, Mapping):
            fields.bad(
                number, "feedback", "holds something else than comments", "write selection and annotation"
            )
            return ""
        words, about = (
            fields.maybe(number, one, column, "feedback.") for column in ("annotation", "selection")
        )
        if words:
            said.append(f'"{about}": {words}' if about else words)
    return "\n".join(said)


def _comparisons(reviews: Sequence[_Review]) -> list[Recorded]:
    """One worker's order of the answers as comparisons of two; 1 is the best rank, equal ranks tie."""
    return [
        Recorded(
            "prefer",
            (a.response, b.response),
            preference="tie" if a.rank == b.rank else "first" if a.rank < b.rank else "second",
        )
        for a, b in combinations(reviews, 2)
        if a.response != b.response
    ]


SOURCE = Source(
    name="squality",
    summary="People's comments, ratings and ranks of answers about stories; the stories are not in it",
    hub=None,
    licence="CC-BY-4.0",
    noncommercial=False,
    citation="Wang et al. 2022, arXiv 2205.11465",
    columns=("passage_id", "question", "system", "response", "feedback", "overall-rating", "overall-rank"),
    make=make,
    notes=("prompts name a story and a question, whose texts this data set does not hold",),
)
