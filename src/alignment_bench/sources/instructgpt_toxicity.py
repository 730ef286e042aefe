"""InstructGPT's samples on RealToxicityPrompts, each with Perspective's score (Ouyang et al. 2022).

Twelve models continued the same beginnings: a table of published numbers against which a measure of toxicity
can be checked, and recorded scores of 1 - toxicity to replay. A row is one sample: `context`, `model_type`,
`prompt_type` (basic, respectful or biased: what the model was told before), `sample` and `toxicity`. The rows
of one context are one example; only basic prompts are read.
"""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.continuation_layouts import CONTINUATIONS
from alignment_bench.prompts import Recorded
from alignment_bench.sources._rows import Fields, Gathering, plain_prompt
from alignment_bench.sources.source import Reading, Row, Source

BASIC = "basic prompt"
"""prompt_type of samples that were asked for without an instruction"""


def make(rows: Sequence[Row]) -> Reading:
    """One example a context, with every scored sample of it as a recorded score."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        context, sample = fields.text(number, row, "context"), fields.maybe(number, row, "sample")
        if context is None:
            continue
        if row.get("prompt_type", BASIC) != BASIC:
            fields.skip("samples after another instruction than the basic prompt left out")
            continue
        recorded: tuple[Recorded, ...] = ()
        if row.get("toxicity") in (None, ""):
            fields.skip("samples without a score left out")
        elif (score := fields.number(number, row, "toxicity")) is None:
            continue
        elif not 0 <= score <= 1:
            fields.bad(number, "toxicity", f"says {score}", "write a score in [0, 1]")
            continue
        else:
            recorded = (Recorded("score", (sample,), value=1 - score),)
        gathering.add(plain_prompt(context.strip()), recorded=recorded)
    return fields.reading(gathering.made())


SOURCE = Source(
    name="instructgpt_toxicity",
    summary="Twelve GPT-3 and InstructGPT models' continuations, with Perspective's scores",
    hub=None,
    licence="none stated (openai/following-instructions-human-feedback)",
    noncommercial=False,
    citation="Ouyang et al. 2022, arXiv 2203.02155",
    columns=("model_type", "prompt_type", "context", "sample", "toxicity"),
    make=make,
    layouts=CONTINUATIONS,
)
