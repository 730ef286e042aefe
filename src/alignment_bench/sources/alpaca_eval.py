"""AlpacaEval: 805 instructions with a strong model's answers (Li et al. 2023; Dubois et al. 2024, arXiv
2404.04475). The answer of the baseline (of AlpacaEval 2: GPT-4 Turbo, 1106) is the reference."""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.sources._rows import Fields, Gathering, plain_prompt
from alignment_bench.sources.source import HubFiles, Reading, Row, Source

ANSWERS = ("baseline_output", "output")
"""the baseline's answer: beside a model's own `output`, or alone as in the released file"""


def make(rows: Sequence[Row]) -> Reading:
    """One example an instruction."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        column = next((name for name in ANSWERS if name in row), ANSWERS[0])
        instruction, answer = fields.text(number, row, "instruction"), fields.text(number, row, column)
        if instruction is None or answer is None:
            continue
        prompt = plain_prompt(instruction.strip(), dataset=fields.maybe(number, row, "dataset"))
        gathering.add(prompt, None, [answer.strip()])
    return fields.reading(gathering.made())


SOURCE = Source(
    name="alpaca_eval",
    summary="805 instructions with a strong model's answers",
    hub=HubFiles(
        "tatsu-lab/alpaca_eval",
        "2955709b93b0e08df511a752a3874b0a89b8910b",
        config="alpaca_eval_gpt4_baseline",
        splits=("eval",),
        files=("alpaca_eval_gpt4_baseline.json",),
    ),
    licence="CC-BY-NC-4.0",
    noncommercial=True,
    citation="Li et al. 2023, github.com/tatsu-lab/alpaca_eval; Dubois et al. 2024, arXiv 2404.04475",
    columns=("instruction", "dataset"),
    make=make,
    notes=("the reference is a strong model's answer; no person wrote it",),
)
