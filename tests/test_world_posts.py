"""Posts and summaries: language, facts, gold, writers and edits."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

import pytest

from alignment_bench.digests import generator
from alignment_bench.world import remarks
from alignment_bench.world.genre import pick, use_of
from alignment_bench.world.posts import GENRE, gold, writers
from alignment_bench.world.posts.facts import FEWEST, MOST, SLOTS, identity, reread
from alignment_bench.world.posts.language import parse, render

FACTS = {
    "who": "boss",
    "action": "broke",
    "object": "laptop",
    "wish": "move out",
    "feeling": "angry",
    "lead": "event",
    "post": "today my boss broke the laptop. i feel angry about it. i want to move out. my aunt is sad.",
}
GOOD = "my boss broke the laptop. i feel angry and i want to move out."


def test_gold_orders_summaries_from_perfect_to_worthless() -> None:
    """Every fault costs, and more faults cost more."""
    worse_and_worse = [
        GOOD,
        "to be honest, my boss broke the laptop. i feel angry and i want to move out.",
        "my boss broke the laptop. my aunt is sad. i feel angry and i want to move out.",
        "my stupid boss broke the laptop. i feel angry and i plan to move out.",
        "my boss broke the laptop. i feel sad and i want to move out.",
        "my boss broke the laptop. what an idiot.",
        "someone broke something.",
        "something happened.",
    ]
    scores = [gold.quality(text, FACTS) for text in worse_and_worse]
    assert scores[0] == 1
    assert scores[-1] == 0
    assert all(a > b for a, b in pairwise(scores)), scores


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "boss broke laptop angry move out",
        "my my my boss laptop. feel angry i. move out.",
        "boss. broke. laptop. angry. move out.",
    ],
)
def test_bags_of_words_are_worth_nothing(text: str) -> None:
    """Words without grammar earn no credit."""
    assert gold.quality(text, FACTS) == 0


def test_saying_more_than_once_or_too_much_costs() -> None:
    """Neither repetition nor hedging over values pays."""
    assert gold.quality(f"{GOOD} i am angry.", FACTS) == pytest.approx(0.9)
    hedged = "my boss broke the laptop. i feel angry and i feel sad and i want to move out."
    assert gold.quality(hedged, FACTS) < gold.quality("my boss broke the laptop. i want to move out.", FACTS)
    assert gold.quality(GOOD[:-1], FACTS) == pytest.approx(0.9)


def test_posts_have_forty_to_ninety_words() -> None:
    """Long enough to need a summary; and easy ones for the beginning are shorter."""
    rng = generator("test-length")
    lengths = [len(GENRE.draw(rng, "pretraining").text.split()) for _ in range(500)]
    assert min(lengths) >= FEWEST and max(lengths) <= MOST
    assert max(len(GENRE.draw(rng, "pretraining", 0).text.split()) for _ in range(100)) < fmean(lengths)


def test_parser_reads_back_what_the_renderer_wrote() -> None:
    """Round trip over the usual writer's summaries, unreadable ones included."""
    rng = generator("test-round-trip")
    for _ in range(500):
        summary = writers.draw_summary(rng, reread(GENRE.draw(rng, "pretraining")))
        assert parse(render(summary)) == summary


def test_a_post_holds_its_facts_and_its_distractors_are_found_again() -> None:
    """Every fact is said, and what `reread` calls another's value is in the post and not a fact."""
    rng = generator("test-reread")
    found = 0
    for _ in range(100):
        item = GENRE.draw(rng, "pretraining")
        story = reread(item)
        assert all(f" {item.facts[slot]}" in item.text for slot in SLOTS)
        for slot in SLOTS:
            assert item.facts[slot] not in story.others[slot]
            assert all(f" {value}" in item.text for value in story.others[slot])
            found += len(story.others[slot])
        assert use_of(identity(item.facts)) == "pretraining"
    assert found > 150


def test_the_lead_is_the_key_sentence_that_comes_first() -> None:
    """Usual writers lean on it, so it has to be right."""
    rng = generator("test-lead")
    for _ in range(100):
        item = GENRE.draw(rng, "pretraining", 0)  # no distractors: each value is said once
        said = {"event": "object", "feeling": "feeling", "wish": "wish"}
        first = min(said, key=lambda kind: item.text.index(f" {item.facts[said[kind]]}"))
        assert item.facts["lead"] == first


def test_mending_takes_a_flaw_away_for_what_it_is_worth_until_nothing_is_wrong() -> None:
    """Each edit gains at least its flaw's worth, cut-offs apart, and adds no flaw."""
    rng = generator("test-mend")
    for _ in range(300):
        item = GENRE.draw(rng, "pretraining")
        text = GENRE.write(rng, item)
        for _ in range(12):
            if not (flaws := GENRE.flaws(text, item.facts)):
                break
            (before,) = GENRE.quality([text], [item.facts])
            text = GENRE.mend(rng, text, item, flaws[0], explicit=True).text
            (after,) = GENRE.quality([text], [item.facts])
            assert after - before >= min(flaws[0].gain, after) - 1e-6 or before == 0
        assert GENRE.quality([text], [item.facts]) == [1.0]


def test_edits_in_both_directions_use_the_same_kinds_of_remark() -> None:
    """Otherwise the wording of feedback would tell what is good."""
    rng, better, worse = generator("test-kinds"), set(), set()

    def kind(remark: str) -> str:
        return remark.split(".")[0]

    for _ in range(3000):
        item = GENRE.draw(rng, "pretraining")
        text = GENRE.write(rng, item)
        if flaws := GENRE.flaws(text, item.facts):
            better.add(kind(GENRE.mend(rng, text, item, pick(rng, flaws), True).remark))
        worse.add(kind(GENRE.harm(rng, text, item, True).remark))
    shared = {kind(text) for table in (remarks.WRONG, remarks.MISSING) for text in table.values()}
    shared -= {kind(remarks.MISSING[what]) for what in ("event", "advice")}
    assert shared <= better & worse


def test_an_empty_summary_can_be_harmed() -> None:
    """Every kind of edit that is drawn for it puts something in, padding among them."""
    rng, put_in = generator("test-harm-nothing"), set()
    for _ in range(400):
        item = GENRE.draw(rng, "pretraining", 0)
        (clause,) = parse(GENRE.harm(rng, "", item, True).text).clauses
        put_in.add(clause.kind)
    assert put_in == {"event", "wish", "feeling", "insult", "aside", "padding"}


def test_writers_have_the_qualities_that_were_asked_for() -> None:
    """Described summaries show their property; undescribed ones leave room."""
    rng = generator("test-qualities")
    items = [GENRE.draw(rng, "pretraining") for _ in range(400)]
    usual = [GENRE.write(rng, item) for item in items]
    room = {}
    for quality in GENRE.qualities:
        asked = fmean(GENRE.has(quality, GENRE.write(rng, i, (quality,)), i.facts) for i in items)
        room[quality] = asked - fmean(
            GENRE.has(quality, text, i.facts) for i, text in zip(items, usual, strict=True)
        )
        assert asked > 0.85, quality
    assert sum(gap > 0.4 for gap in room.values()) >= 10, room


def test_the_usual_writer_is_mediocre_and_the_good_one_perfect() -> None:
    """Mean and mode lie between .35 and .65; weak references lie between usual and good ones."""
    rng = generator("test-writers")
    items = [GENRE.draw(rng, "pretraining") for _ in range(500)]
    facts = [item.facts for item in items]
    means = {
        skill: fmean(GENRE.quality([GENRE.write(rng, item, (), skill) for item in items], facts))
        for skill in ("usual", "weak", "good")
    }
    assert 0.35 < means["usual"] < means["weak"] - 0.1 < means["weak"] < means["good"] == 1
    likely = [
        sum(writers.USUAL.chance(slot, one["lead"]) > 0.5 for slot in SLOTS) * gold.WORTH for one in facts
    ]
    assert 0.35 < fmean(likely) < 0.65
    assert len(set(likely)) > 1
