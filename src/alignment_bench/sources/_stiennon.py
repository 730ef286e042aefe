"""What the comparisons and the ratings of Stiennon et al. 2020 (arXiv 2009.01325) share: their posts, and
where they lie on the hub."""

from __future__ import annotations

from alignment_bench.prompts import Prompt
from alignment_bench.sources._rows import Fields, plain_prompt, post_text
from alignment_bench.sources.source import HubFiles, Row

REFERENCE = "ref"
"""the policy of summaries that the posts' authors wrote"""
LICENCE = "MIT, modified (openai/summarize-from-feedback); the posts are of Reddit's users"
CITATION = "Stiennon et al. 2020, arXiv 2009.01325"


def on_hub(config: str, *splits: str) -> HubFiles:
    """One of the data set's two configurations: a file for each of its parts."""
    return HubFiles(
        "openai/summarize_from_feedback",
        "195fc27ff714b2aff32ab8aba9bbee1d35663700",
        config=config,
        splits=splits,
        files=tuple(f"{config}/{split}/0000.parquet" for split in splits),
    )


def post_of(fields: Fields, number: int, row: Row, what: str) -> Prompt | None:
    """The forum post that a row is about; None for a bad row, and for a news article, which is counted under
    `what` rows hold ("ratings")."""
    info = fields.inner(number, row, "info", dict)
    if info is None:
        return None
    if not info.get("post"):
        fields.skip(f"{what} about news articles left out")
        return None
    post, name = (fields.text(number, info, column, "info.") for column in ("post", "id"))
    title, subreddit = (fields.maybe(number, info, column, "info.") for column in ("title", "subreddit"))
    if post is None or name is None:
        return None
    return plain_prompt(post_text(title, post), name, subreddit=subreddit)
