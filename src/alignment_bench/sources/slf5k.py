"""SLF5K, summaries with language feedback (Scheurer et al. 2023, arXiv 2303.16755).

A post, a model's summary with one person's free-form feedback on it, two more summaries with a comparison,
and a summary written by a person. Train and test are the authors'; `development` and `validation`, on which
they chose settings, are left out. Their training subsets are first rows, and so is what task.limit=N keeps:
the first N posts to train on, and the first N to test on, where the authors always test on all 698. Only the
columns below are read: other copies bring a model's later answers, which may belong to other rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from alignment_bench.prompts import Recorded
from alignment_bench.sources._rows import Fields, Gathering, official, plain_prompt, post_text
from alignment_bench.sources.source import HubFiles, Reading, Row, Source

ASKED = re.compile(
    r"Write an excellent summary of the given text\.\s*"
    r"Title:\s*(?P<title>.*?)\s+Text:\s*(?P<post>.*?)\s*TL;DR:\s*",
    re.DOTALL,
)
"""the authors' prompt, from which title and post are read in copies that hold nothing else of them"""
PREFERENCES = {"Summary A": "first", "Summary B": "second"}
HELD_APART = ("development", "validation")
FIRST, SECOND = "generated_summary_for_comparison_A", "generated_summary_for_comparison_B"


def make(rows: Sequence[Row]) -> Reading:
    """One example a row: the written summary as reference and demonstration, the feedback, the comparison."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        if row.get("hub_split") in HELD_APART:
            fields.skip("rows of the authors' development and validation parts left out")
            continue
        text, ideal = _post(fields, number, row), fields.text(number, row, "ideal_human_summary")
        if text is None or ideal is None:
            continue
        name = fields.maybe(number, row, "id")
        prompt = plain_prompt(text, name, subreddit=fields.maybe(number, row, "subreddit"))
        acts = [Recorded("demonstrate", text=ideal.strip()), *_acts(fields, number, row)]
        gathering.add(prompt, official(row, "hub_split", ("test",)), [ideal.strip()], acts)
    return fields.reading(gathering.made())


def _post(fields: Fields, number: int, row: Row) -> str | None:
    if row.get("post"):
        post = fields.text(number, row, "post")
        return None if post is None else post_text(fields.maybe(number, row, "title"), post)
    asked = fields.text(number, row, "summary_prompt")
    if asked is None:
        return None
    found = ASKED.fullmatch(asked.strip())
    if found is None or not found["post"]:
        fields.bad(number, "summary_prompt", "is not the authors' prompt", "give the column 'post'")
        return None
    return post_text(found["title"], found["post"])


def _acts(fields: Fields, number: int, row: Row) -> list[Recorded]:
    """Feedback and comparison, as far as the row has them: the test part has neither."""
    acts = []
    shown, said = (
        fields.maybe(number, row, column) for column in ("generated_summary_for_feedback", "feedback")
    )
    if shown and said:
        acts.append(Recorded("critique", (shown,), text=said))
    first, second = (fields.maybe(number, row, column) for column in (FIRST, SECOND))
    choice = fields.maybe(number, row, "comparison_preference")
    if first and second and choice in PREFERENCES:
        acts.append(Recorded("prefer", (first, second), preference=PREFERENCES[choice]))
    elif choice:
        fields.skip("comparisons that prefer neither summary by name left out")
    return acts


SOURCE = Source(
    name="slf5k",
    summary="5,000 posts with people's feedback on a summary, a comparison and a summary written by a person",
    hub=HubFiles(
        "JeremyAlain/SLF5K",
        "837cbf43f126704bda094ab7649c5bcbef8c5320",
        splits=("train", "development", "validation", "test"),
        files=("train.jsonl", "development.jsonl", "validation.jsonl", "test.jsonl"),
    ),
    licence="Apache-2.0",
    noncommercial=False,
    citation="Scheurer et al. 2023, arXiv 2303.16755",
    columns=("summary_prompt", "ideal_human_summary"),
    make=make,
    subsets="first",
)
