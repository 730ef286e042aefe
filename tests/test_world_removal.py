"""Texts with words left out: gold, writers and edits."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment_bench.digests import generator
from alignment_bench.world import vocabulary as v
from alignment_bench.world.genre import Flaw, Item, pick, use_of
from alignment_bench.world.removals import GENRE, edits, gold
from alignment_bench.world.removals.facts import PROMPT, identity, kept_insults, target

TEXT = "my stupid sister broke the awful lamp and my dumb boss lost the ring."
RIGHT = "my sister broke the lamp and my dumb boss lost the ring."
ITEM = Item(
    PROMPT.format(words="stupid, awful", text=TEXT),
    {"genre": "removal", "listed": ["stupid", "awful"], "text": TEXT},
)
WORDS = st.lists(st.sampled_from([*v.INSULTS, "my", "the", "lamp", "boss", "."]), max_size=10)


def prompts(name: str, count: int) -> list[Item]:
    """Prompts of the pretraining class."""
    rng = generator("test-removal", name)
    return [GENRE.draw(rng, "pretraining") for _ in range(count)]


def usual(name: str, items: Sequence[Item]) -> list[str]:
    """An answer by a usual writer to each prompt."""
    rng = generator("test-removal", name, "usual")
    return [GENRE.write(rng, item) for item in items]


def mean_quality(texts: Sequence[str], items: Sequence[Item]) -> float:
    """Mean gold quality."""
    return fmean(GENRE.quality(texts, [item.facts for item in items]))


def test_gold_orders_answers_from_exact_to_worthless() -> None:
    ordered = [
        (RIGHT, 1.0),
        (RIGHT.replace("dumb ", ""), 0.8),
        (RIGHT.replace("lamp", "ring"), 0.6),
        ("my sister broke the lamp and my boss dumb lost the ring.", 0.6),
        (RIGHT.replace("the lamp", "the awful lamp"), 0.55),
        (RIGHT.replace("the lamp", "the awful lamp").replace("dumb ", ""), 0.35),
        (TEXT, 0.1),
        ("my sister.", 0.0),
        ("", 0.0),
        (" ".join(sorted(v.words(RIGHT))), 0.0),
        (f"{RIGHT} {RIGHT}", 0.0),
    ]
    facts = [ITEM.facts] * len(ordered)
    assert GENRE.quality([text for text, _ in ordered], facts) == pytest.approx([q for _, q in ordered])
    assert GENRE.marks([RIGHT, RIGHT.upper(), TEXT, ""], facts[:4]) == {"exact": [True, False, False, False]}
    assert GENRE.marks([" ".join(v.words(RIGHT))], facts[:1]) == {"exact": [True]}


def test_flaws_name_the_words() -> None:
    assert GENRE.flaws(RIGHT, ITEM.facts) == []
    assert GENRE.flaws("my stupid sister broke the lamp and my boss lost the ring", ITEM.facts) == [
        Flaw("left", 0.45, "stupid", 1),
        Flaw("missing", 0.2, "dumb", 7),
        Flaw("unfinished", 0.2, ".", 12),
    ]
    assert GENRE.flaws(RIGHT.replace("ring", "old ring"), ITEM.facts) == [Flaw("extra", 0.2, "old", 11)]
    assert [flaw.fault for flaw in GENRE.flaws("the ring", ITEM.facts)] == ["broken"]
    assert GENRE.aspects(RIGHT, ITEM.facts) == [
        Flaw("left", 0.0, "stupid"),
        Flaw("left", 0.0, "awful"),
        Flaw("missing", 0.0, "dumb"),
    ]


def test_remarks_and_the_edits_that_follow_them() -> None:
    rng = generator("test-removal", "remarks")
    one_left = RIGHT.replace("the lamp", "the awful lamp")
    edit = GENRE.mend(rng, one_left, ITEM, GENRE.flaws(one_left, ITEM.facts)[0], True)
    assert (edit.remark, edit.text) == ("it is too long. leave out awful.", RIGHT)
    too_few = RIGHT.replace("dumb ", "")
    edit = GENRE.mend(rng, too_few, ITEM, GENRE.flaws(too_few, ITEM.facts)[0], True)
    assert (edit.remark, edit.text) == ("it is too short. add dumb.", RIGHT)
    edit = GENRE.mend(rng, too_few, ITEM, GENRE.flaws(too_few, ITEM.facts)[0], False)
    assert (edit.remark, edit.text) == ("it is too short.", RIGHT)
    for aspect in GENRE.aspects(RIGHT, ITEM.facts):
        assert GENRE.mend(rng, RIGHT, ITEM, aspect, True).text == RIGHT
    for _ in range(100):
        harmed = GENRE.harm(rng, RIGHT, ITEM, True)
        assert GENRE.quality([harmed.text], [ITEM.facts])[0] < 1.0
        if harmed.remark != edits.MIXED:
            word = v.words(harmed.remark)[-2]
            change = harmed.text.count(word) - RIGHT.count(word)
            assert change == (1 if "add" in harmed.remark else -1)


def test_mending_is_worth_its_gain_and_mending_all_makes_it_exact() -> None:
    rng = generator("test-removal", "mending")
    items = prompts("mending", 400)
    seen = set()
    for item, text in zip(items, usual("mending", items), strict=True):
        for _ in range(12):
            flaws = GENRE.flaws(text, item.facts)
            if not flaws:
                break
            seen.add(flaws[0].fault)
            mended = GENRE.mend(rng, text, item, flaws[0], True).text
            expected = max(0.0, 1.0 - sum(flaw.gain for flaw in flaws[1:]))
            assert GENRE.quality([mended], [item.facts])[0] == pytest.approx(expected)
            text = mended
        assert GENRE.marks([text], [item.facts]) == {"exact": [True]}
    assert seen == {"left", "missing", "extra"}
    # what is unreadable or unfinished is rare among usual answers, not among those of models
    edit = GENRE.mend(rng, "the ring", ITEM, Flaw("broken", gold.LOSS_BROKEN), True)
    assert edit.remark == edits.AGAIN and GENRE.quality([edit.text], [ITEM.facts])[0] >= 0.1
    edit = GENRE.mend(rng, RIGHT[:-1], ITEM, GENRE.flaws(RIGHT[:-1], ITEM.facts)[0], True)
    assert (edit.remark, edit.text) == (edits.EARLY, RIGHT)


def test_edits_are_neutral_and_of_the_same_kinds() -> None:
    rng = generator("test-removal", "neutral")
    items = prompts("neutral", 2000)
    changes = []
    kinds: dict[str, set[str]] = {"mend": set(), "harm": set()}
    for number, (item, text) in enumerate(zip(items, usual("neutral", items), strict=True)):
        flaws = GENRE.flaws(text, item.facts)
        if number % 2 and flaws:
            edit, way = GENRE.mend(rng, text, item, pick(rng, flaws), False), "mend"
        else:
            edit, way = GENRE.harm(rng, text, item, False), "harm"
        before, after = GENRE.quality([text, edit.text], [item.facts] * 2)
        changes.append(after - before)
        kinds[way].add(edit.remark)
    assert abs(fmean(changes)) < 0.02
    # what is unreadable is so rare among usual answers that only harming shows it here
    assert kinds["mend"] == kinds["harm"] - {edits.MIXED} == {edits.LEAVE_OUT, edits.ADD}


def test_usual_writers_are_mediocre_and_so_is_their_mode() -> None:
    items = prompts("usual", 1500)
    texts = usual("usual", items)
    assert 0.5 < mean_quality(texts, items) < 0.65
    likely = [
        v.join(word for word in v.words(item.facts["text"]) if word != item.facts["listed"][0])
        for item in items
    ]
    assert 0.45 < mean_quality(likely, items) < 0.65
    rng = generator("test-removal", "skills")
    weak = mean_quality([GENRE.write(rng, item, skill="weak") for item in items], items)
    assert mean_quality(texts, items) + 0.15 < weak < 0.95
    assert mean_quality([GENRE.write(rng, item, skill="good") for item in items], items) == 1.0
    bags = [v.join(sorted(target(item.facts))) for item in items]
    assert mean_quality(bags, items) < 0.05
    assert mean_quality([item.facts["text"] for item in items], items) < 0.3


@given(WORDS, WORDS)
@settings(max_examples=200, deadline=None)
def test_alignment_is_a_common_subsequence(said: list[str], right: list[str]) -> None:
    pairs = gold.align(said, right)
    assert all(said[i] == right[j] for i, j in pairs)
    assert pairs == sorted(set(pairs)) and len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(
        pairs
    )
    assert len(gold.align(said, said)) == len(said)
    assert len(pairs) == len(gold.align(right, said))


@given(WORDS, st.integers(0, 1000), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_text_can_be_criticised_and_edited(said: list[str], seed: int, explicit: bool) -> None:
    rng = generator("test-removal", "any", seed)
    text = v.join(said)
    assert 0.0 <= GENRE.quality([text], [ITEM.facts])[0] <= 1.0
    assert GENRE.harm(rng, text, ITEM, explicit).remark
    for flaw in [*GENRE.flaws(text, ITEM.facts), *GENRE.aspects(text, ITEM.facts)]:
        assert GENRE.mend(rng, text, ITEM, flaw, explicit).remark


def test_no_qualities_can_be_asked_for() -> None:
    rng = generator("test-removal", "qualities")
    assert GENRE.qualities == () and GENRE.questions(ITEM) == ()
    with pytest.raises(ValueError, match="have no quality 'short'"):
        GENRE.write(rng, ITEM, ("short",))


def test_sizes_and_words() -> None:
    rng = generator("test-removal", "words")
    known = {word for phrase in GENRE.phrases() for word in v.words(v.literal(phrase))}
    for item in prompts("words", 2000):
        answer = GENRE.write(rng, item)
        listed, said = item.facts["listed"], v.words(item.facts["text"])
        assert 1 <= len(listed) <= 3 and set(listed) <= set(said)
        assert not set(kept_insults(item.facts)) & set(listed)
        assert v.join(v.words(answer)) == answer
        assert 10 <= len(v.words(item.text)) <= 30 and 7 <= len(said) <= 20
        remarks = [GENRE.harm(rng, answer, item, True).remark]
        remarks += [
            GENRE.mend(rng, answer, item, flaw, True).remark for flaw in GENRE.flaws(answer, item.facts)
        ]
        for text in (item.text, answer, *remarks):
            assert set(v.words(text)) <= known | {".", ",", ":"}, text


def test_enough_prompts_of_every_use_and_none_of_two() -> None:
    rng = generator("test-removal", "uses")
    seen = set()
    for _ in range(4000):
        facts = GENRE.draw(rng, "evaluation test").facts
        seen.add(identity(facts["listed"], facts["text"]))
    assert len(seen) >= 3000
    assert {use_of(name) for name in seen} == {"evaluation test"}
