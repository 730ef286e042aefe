"""Forum posts with their authors' own summaries, as filtered by Stiennon et al. 2020 (arXiv 2009.01325).

The rows are those of the copy that Huang et al. 2024 (arXiv 2403.17031) trained on. Its `validation` part is
left out. No revision of that copy is pinned here: a run names its own (task.revision).
"""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.prompts import Recorded
from alignment_bench.sources._rows import Fields, Gathering, official, plain_prompt, post_text
from alignment_bench.sources._stiennon import LICENCE
from alignment_bench.sources.source import HubFiles, Reading, Row, Source


def make(rows: Sequence[Row]) -> Reading:
    """One example a post, its author's summary as reference and demonstration."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        if row.get("hub_split") == "validation":
            fields.skip("rows of the validation part left out")
            continue
        post, summary = fields.text(number, row, "post"), fields.text(number, row, "summary")
        if post is None or summary is None:
            continue
        name = fields.maybe(number, row, "id")
        text = post_text(fields.maybe(number, row, "title"), post)
        prompt = plain_prompt(text, name, subreddit=fields.maybe(number, row, "subreddit"))
        written = summary.strip()
        gathering.add(
            prompt, official(row, "hub_split", ("test",)), [written], [Recorded("demonstrate", text=written)]
        )
    return fields.reading(gathering.made())


SOURCE = Source(
    name="tldr_filtered",
    summary="117,000 forum posts with their authors' own summaries",
    hub=HubFiles(
        "vwxyzjn/summarize_from_feedback_tldr_3_filtered", "", splits=("train", "validation", "test")
    ),
    licence=LICENCE,
    noncommercial=False,
    citation="Stiennon et al. 2020, arXiv 2009.01325; Huang et al. 2024, arXiv 2403.17031",
    columns=("post", "summary", "subreddit"),
    make=make,
)
