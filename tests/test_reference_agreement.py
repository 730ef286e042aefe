"""How often the reference panel, its two signals, and mere length agree with published human comparisons.

Each pair carries a reference that neither of its two texts is: on SQuALITY the human answer, compared are
the two systems; on the news set the summaries that other writers wrote of the same article.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from alignment_bench import embedding
from alignment_bench.judges.reference_panel import AGREEMENT, Agreement, ReferencePanel
from alignment_bench.overlap import rouge
from alignment_bench.prompts import Key, Message, Prompt


@dataclass(frozen=True)
class Pair:
    cluster: str
    first: str
    second: str
    references: tuple[str, ...]
    human: float


def news_pairs(folder: Path) -> list[Pair]:
    rows = _read(folder / "news_summ_pairwise_human.jsonl")
    written: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        written[row["article_id"]][row["writer_id"]] = row["writer_summary"]
    pairs = []
    for row in rows:
        others = [text for who, text in written[row["article_id"]].items() if who != row["writer_id"]]
        if isinstance(row["overall_writer_better"], bool):
            pairs.append(
                Pair(
                    row["article_id"],
                    row["writer_summary"],
                    row["text-davinci-002_summary"],
                    tuple(others),
                    float(row["overall_writer_better"]),
                )
            )
    return pairs


def autoj_pairs(folder: Path) -> list[Pair]:
    rows = _read(folder / "summ_pairwise_human_autoj.jsonl")
    return [
        Pair(row["prompt"], row["response 1"], row["response 2"], (), float(row["label"] == 0))
        for row in rows
        if row["label"] in (0, 1)
    ]


def squality_pairs(folder: Path) -> list[Pair]:
    reviews: dict[tuple[str, str, str], dict[str, dict]] = defaultdict(dict)
    for row in _read(folder / "squality_human_feedback.jsonl"):
        reviews[row["passage_id"], row["question"], row["worker_id"]][row["system"]] = row
    pairs = []
    for (passage, _, _), review in reviews.items():
        if len(review) < 3:
            continue
        one, other = review["bart"], review["bart-dpr"]
        if one["overall-rating"] != other["overall-rating"]:
            pairs.append(
                Pair(
                    passage,
                    one["response"],
                    other["response"],
                    (review["human"]["response"],),
                    float(one["overall-rating"] > other["overall-rating"]),
                )
            )
    return pairs


def judged(pairs: Sequence[Pair], rule: str) -> list[float]:
    """1 where the rule picks the human choice, .5 for a tie."""
    if rule == "length":
        sizes = [(len(pair.first.split()), len(pair.second.split())) for pair in pairs]
        values = [0.5 + 0.5 * np.sign(one - other) for one, other in sizes]
    elif rule == "rouge1":
        near = [[rouge(t, pair.references)["rouge1"] for t in (pair.first, pair.second)] for pair in pairs]
        values = [0.5 + 0.5 * np.sign(one - other) for one, other in near]
    else:
        verdicts = ReferencePanel().compare(
            [Prompt("", (Message("user", ""),)) for _ in pairs],
            [Key("", pair.references) for pair in pairs],
            [pair.first for pair in pairs],
            [pair.second for pair in pairs],
        )
        values = [verdict.value for verdict in verdicts]
    return [1 - abs(value - pair.human) for value, pair in zip(values, pairs, strict=True)]


def agreement(pairs: Sequence[Pair], rule: str) -> Agreement:
    right = np.array(judged(pairs, rule))
    sums: dict[str, float] = defaultdict(float)
    for pair, value in zip(pairs, right - right.mean(), strict=True):
        sums[pair.cluster] += value
    clusters = len(sums)
    error = np.sqrt(clusters / (clusters - 1) * sum(s * s for s in sums.values())) / len(pairs)
    half = float(stats.t.ppf(0.975, clusters - 1) * error)
    mean = float(right.mean())
    return Agreement(round(mean, 3), round(mean - half, 3), round(mean + half, 3), len(pairs), clusters)


def _read(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


SAMPLES = Path(__file__).parent / "data"
needs_embedding = pytest.mark.skipif(not embedding.available(), reason=embedding.MISSING)


@needs_embedding
def test_small_files_of_the_same_schemas() -> None:
    """Who wins on the made-up files; on the third news pair the two signals disagree, which is a tie."""
    news = [pair for pair in news_pairs(SAMPLES) if pair.references]
    assert [pair.human for pair in news] == [1.0, 1.0, 0.0]
    assert judged(news, "length") == [1.0, 1.0, 0.0]
    assert judged(news, "panel") == [1.0, 1.0, 0.5]
    autoj = autoj_pairs(SAMPLES)
    assert [pair.human for pair in autoj] == [1.0, 0.0, 1.0, 0.0]
    assert judged(autoj, "length") == [1.0, 0.0, 1.0, 0.0]
    (squality,) = squality_pairs(SAMPLES)
    assert squality.human == 0.0
    assert judged([squality], "panel") == judged([squality], "rouge1") == [1.0]


@pytest.mark.slow
@needs_embedding
@pytest.mark.skipif(
    "ALIGNMENT_BENCH_VALIDATION_DATA" not in os.environ,
    reason="ALIGNMENT_BENCH_VALIDATION_DATA does not name the folder of published comparisons",
)
def test_the_captions_numbers_are_what_the_published_data_give() -> None:
    folder = Path(os.environ["ALIGNMENT_BENCH_VALIDATION_DATA"])
    news = [pair for pair in news_pairs(folder) if pair.references]
    sources = {"SQuALITY": squality_pairs(folder), "news": news}
    measured = {
        source: {rule: agreement(pairs, rule) for rule in ("panel", "rouge1", "length")}
        for source, pairs in sources.items()
    }
    assert measured.keys() == AGREEMENT.keys()
    for source, rules in AGREEMENT.items():
        for rule, written in rules.items():
            found = measured[source][rule]
            assert (found.pairs, found.clusters) == (written.pairs, written.clusters)
            # One pair may flip where another build of torch rounds two equal cosines differently.
            assert (found.right, found.low, found.high) == pytest.approx(
                (written.right, written.low, written.high), abs=0.004
            )
    assert agreement(autoj_pairs(folder), "length").right == 0.787
