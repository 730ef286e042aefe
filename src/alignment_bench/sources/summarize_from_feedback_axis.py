"""Ratings of single summaries of forum posts on several axes (Stiennon et al. 2020, arXiv 2009.01325).

One rating a row; the number on the axis "overall", from 1 to 7, is recorded as a score. The data set's parts,
`test` and `validation`, are both parts to judge on, so examples are split anew, by digest of the post.
"""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.prompts import Recorded
from alignment_bench.sources._rows import Fields, Gathering, plain_prompt, post_text
from alignment_bench.sources.source import HubFiles, Reading, Row, Source

REFERENCE = "ref"


def make(rows: Sequence[Row]) -> Reading:
    """One example a post, with all of its ratings."""
    fields, gathering = Fields(), Gathering()
    for number, row in enumerate(rows, start=1):
        info = fields.inner(number, row, "info", dict)
        summary = fields.inner(number, row, "summary", dict)
        if info is None or summary is None:
            continue
        if not info.get("post"):
            fields.skip("ratings about news articles left out")
            continue
        axes = fields.inner(number, summary, "axes", dict)
        post, text = (
            fields.text(number, info, "post", "info."),
            fields.text(number, summary, "text", "summary."),
        )
        name = fields.text(number, info, "id", "info.")
        if axes is None or post is None or text is None or name is None:
            continue
        if axes.get("overall") is None:
            fields.skip("ratings without an overall score left out")
            continue
        value = fields.number(number, axes, "overall")
        if value is None:
            continue
        prompt = plain_prompt(
            post_text(str(info.get("title") or ""), post),
            name,
            name,
            subreddit=str(info.get("subreddit") or ""),
        )
        written = [text.strip()] if summary.get("policy") == REFERENCE else []
        gathering.add(prompt, None, written, [Recorded("score", (text.strip(),), value=value)])
    return fields.reading(gathering.made())


SOURCE = Source(
    name="summarize_from_feedback_axis",
    summary="People's ratings, 1 to 7, of a summary of a forum post",
    hub=HubFiles(
        "openai/summarize_from_feedback",
        "195fc27ff714b2aff32ab8aba9bbee1d35663700",
        config="axis",
        splits=("test", "validation"),
        files=("axis/test/0000.parquet", "axis/validation/0000.parquet"),
    ),
    licence="MIT, modified (openai/summarize-from-feedback); the posts are of Reddit's users",
    noncommercial=False,
    citation="Stiennon et al. 2020, arXiv 2009.01325",
    columns=("info", "summary", "worker"),
    make=make,
)
