"""Ratings of single summaries of forum posts on several axes (Stiennon et al. 2020, arXiv 2009.01325).

One rating a row; the number on the axis "overall", from 1 to 7, is recorded as a score. The data set's parts,
`test` and `validation`, are both parts to judge on, so examples are split anew, by digest of the post.
"""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.prompts import Recorded
from alignment_bench.sources._rows import Fields, Gathering
from alignment_bench.sources._stiennon import CITATION, LICENCE, REFERENCE, on_hub, post_of
from alignment_bench.sources.source import Reading, Row, Source

WITHIN = "summary."


def make(rows: Sequence[Row]) -> Reading:
    """One example a post, with all of its ratings."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        prompt = post_of(fields, number, row, "ratings")
        summary = fields.inner(number, row, "summary", dict)
        if prompt is None or summary is None:
            continue
        axes, text = fields.inner(number, summary, "axes", dict), fields.text(number, summary, "text", WITHIN)
        if axes is None or text is None:
            continue
        if axes.get("overall") is None:
            fields.skip("ratings without an overall score left out")
            continue
        value = fields.number(number, axes, "overall", f"{WITHIN}axes.")
        if value is None:
            continue
        written = [text.strip()] if summary.get("policy") == REFERENCE else []
        gathering.add(prompt, None, written, [Recorded("score", (text.strip(),), value=value)])
    return fields.reading(gathering.made())


SOURCE = Source(
    name="summarize_from_feedback_axis",
    summary="People's ratings, 1 to 7, of a summary of a forum post",
    hub=on_hub("axis", "test", "validation"),
    licence=LICENCE,
    noncommercial=False,
    citation=CITATION,
    columns=("info", "summary", "worker"),
    make=make,
)
