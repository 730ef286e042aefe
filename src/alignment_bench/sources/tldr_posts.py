"""Plain forum posts with a summary each: columns prompt, post and reference.

`prompt` is the post with "TL;DR:" after it, as a model that only continues text needs it; what is put to a
policy is `post`, because the task's own layout asks for the summary.
"""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.prompts import Recorded
from alignment_bench.sources._rows import Fields, Gathering, plain_prompt
from alignment_bench.sources.source import Reading, Row, Source


def make(rows: Sequence[Row]) -> Reading:
    """One example a post, its summary as reference and demonstration."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        post, reference = fields.text(number, row, "post"), fields.text(number, row, "reference")
        if post is None or reference is None:
            continue
        written = reference.strip()
        gathering.add(plain_prompt(post.strip()), None, [written], [Recorded("demonstrate", text=written)])
    return fields.reading(gathering.made())


SOURCE = Source(
    name="tldr_posts",
    summary="Forum posts with a summary each, in a file with the columns prompt, post and reference",
    hub=None,
    licence="that of the file; none is stated for the posts of openai/following-instructions-human-feedback",
    noncommercial=False,
    citation="Ouyang et al. 2022, arXiv 2203.02155 (its 100 posts in this form)",
    columns=("prompt", "post", "reference"),
    make=make,
)
