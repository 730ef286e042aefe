"""WritingPrompts (Fan et al. 2018), prompts only: what Quark and ALT use out of domain.

A row's `prompt` is an object (or the JSON text of one) with `text`, as in their files. The same words come up
many times there: the first stays, the others are counted. Plain texts are refused: they are somebody's own.
Nothing else tells this data set from other files of such objects, and a table says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.continuation_layouts import CONTINUATIONS
from alignment_bench.sources._rows import Fields, Gathering, plain_prompt
from alignment_bench.sources.source import Reading, Row, Source


def make(rows: Sequence[Row]) -> Reading:
    """Every different prompt as an example without a reference."""
    fields = Fields()
    gathering = Gathering(fields)
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        if isinstance(row.get("prompt"), str) and not str(row["prompt"]).lstrip().startswith("{"):
            fields.bad(
                number, "prompt", "is plain text", 'write {"prompt": {"text": ...}} to have it continued'
            )
            continue
        held = fields.inner(number, row, "prompt", dict)
        text = None if held is None else fields.text(number, held, "text", "prompt.")
        if text is None:
            continue
        prompt = plain_prompt(text.strip())
        if prompt.id in seen:
            fields.skip("rows repeat an earlier prompt: left out")
            continue
        seen.add(prompt.id)
        gathering.add(prompt)
    return fields.reading(gathering.made())


SOURCE = Source(
    name="writingprompts",
    summary="Beginnings of stories, without the stories: out of domain for RealToxicityPrompts",
    hub=None,
    licence="MIT (as released with ALT)",
    noncommercial=False,
    citation="Fan, Lewis and Dauphin 2018, arXiv 1805.04833; Lu et al. 2022, arXiv 2205.13636 (this use)",
    columns=("prompt",),
    make=make,
    notes=("known by its shape alone: a prompt with a text a row, whoever wrote it",),
    layouts=CONTINUATIONS,
)
