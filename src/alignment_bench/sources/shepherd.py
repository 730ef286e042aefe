"""Shepherd: people's critiques of models' answers to questions of many data sets (Wang et al. 2023, arXiv
2308.04592). There are no right answers in it, so nothing can be judged against a reference."""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.prompts import Recorded
from alignment_bench.sources._rows import Fields, Gathering, plain_prompt
from alignment_bench.sources.source import Reading, Row, Source


def make(rows: Sequence[Row]) -> Reading:
    """One example a question, with every critique of an answer to it."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        question, answer = fields.text(number, row, "question"), fields.text(number, row, "answer")
        feedback = fields.text(number, row, "feedback")
        if question is None or answer is None or feedback is None:
            continue
        prompt = plain_prompt(question.strip(), dataset=fields.maybe(number, row, "dataset"))
        gathering.add(prompt, None, (), [Recorded("critique", (answer.strip(),), text=feedback.strip())])
    return fields.reading(gathering.made())


SOURCE = Source(
    name="shepherd",
    summary="1,300 critiques that people wrote about models' answers",
    hub=None,
    licence="CC-BY-NC-4.0",
    noncommercial=True,
    citation="Wang et al. 2023, arXiv 2308.04592",
    columns=("question", "answer", "feedback"),
    make=make,
)
