"""GSM8K: grade-school word problems with worked solutions (Cobbe et al. 2021, arXiv 2110.14168).

The solution, without the calculator's annotations in double angle brackets, is reference and demonstration;
the number after "####" is what an answer must come to (`facts["answer"]`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from alignment_bench.prompts import Recorded
from alignment_bench.sources._rows import Fields, Gathering, official, plain_prompt
from alignment_bench.sources.source import HubFiles, Reading, Row, Source

FINAL = re.compile(r"####\s*(-?[\d,]*\.?\d+)\s*$")
CALCULATOR = re.compile(r"<<[^<>]*>>")


def make(rows: Sequence[Row]) -> Reading:
    """One example a problem."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        question, answer = fields.text(number, row, "question"), fields.text(number, row, "answer")
        if question is None or answer is None:
            continue
        final = FINAL.search(answer)
        if final is None:
            fields.bad(number, "answer", "does not end in '#### ' and a number", "add it, or drop the row")
            continue
        solution = CALCULATOR.sub("", answer).strip()
        gathering.add(
            plain_prompt(question.strip()),
            official(row, "hub_split", ("test",)),
            [solution],
            [Recorded("demonstrate", text=solution)],
            {"answer": final[1].replace(",", "")},
        )
    return fields.reading(gathering.made())


SOURCE = Source(
    name="gsm8k",
    summary="8,800 grade-school word problems with worked solutions",
    hub=HubFiles(
        "openai/gsm8k",
        "740312add88f781978c0658806c59bc2815b9866",
        config="main",
        splits=("train", "test"),
    ),
    licence="MIT",
    noncommercial=False,
    citation="Cobbe et al. 2021, arXiv 2110.14168",
    columns=("question", "answer"),
    make=make,
)
