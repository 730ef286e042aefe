"""The reference teacher: what it says by hand-made examples, its noise, and its independence of order."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from alignment_bench.feedback import CHANNELS, Ask, Channel, Teacher
from alignment_bench.prompts import Key, Message, Prompt
from alignment_bench.reference_points import points, quality, worth
from alignment_bench.teachers.reference import FINE, Reference
from alignment_bench.words import content_stems, sentences, words

POST = (
    "My cat Biscuit climbed onto the roof of the neighbour's garage on Sunday and refuses to come down. "
    "I tried tuna and a ladder. The neighbour wants me to call the fire brigade."
)
REFERENCE = "Cat is stuck on the garage roof.|Should I call the fire brigade?"
EXACT = Reference(critic_noise=0.0, score_noise=0.0, sharpness=1000.0)


def ask(*texts: str, name: str = "p", references: tuple[str, ...] = (REFERENCE,)) -> Ask:
    return Ask(Prompt(name, (Message("user", POST),)), Key(name, references), texts)


def one(channel: Channel, *texts: str, teacher: Reference = EXACT, seed: int = 0):  # type: ignore[no-untyped-def]
    (record,) = teacher.answer(channel, [ask(*texts)], seed=seed)
    return record


def test_contract() -> None:
    assert isinstance(Reference(), Teacher)
    assert Reference().channels == CHANNELS
    assert (Reference.family, Reference.paid_in) == ("reference", "seconds")


def test_it_names_what_is_missing() -> None:
    record = one("critique", "My cat is on the garage roof.")
    assert record.ok
    assert record.text == 'Mention "call the fire brigade".'
    assert record.spans == ()


def test_it_names_what_is_invented_and_where() -> None:
    text = "My cat is stuck on the garage roof, call the fire brigade. A helicopter rescued it quickly."
    record = one("critique", text)
    assert record.text == 'Remove "helicopter rescued it quickly", which is not in the text.'
    ((start, end),) = record.spans
    assert text[start:end] == "helicopter rescued it quickly"


def test_a_good_summary_is_left_alone() -> None:
    assert one("critique", REFERENCE).text == FINE
    refused = one("refine", REFERENCE)
    assert (refused.ok, refused.reason) == (False, "there is nothing to improve")


def test_what_the_reference_makes_up_is_not_asked_for() -> None:
    """ "stuck" is in the reference and not in the post: nobody could have known."""
    assert all("stuck" not in point.phrase for point in points("", POST, REFERENCE))


def test_refining_appends_what_is_missing_or_drops_what_is_invented() -> None:
    added = one("refine", "My cat is on the garage roof")
    assert added.text == "My cat is on the garage roof. Should I call the fire brigade?"
    text = "My cat is stuck on the garage roof, call the fire brigade. A helicopter rescued it quickly."
    dropped = one("refine", text)
    assert dropped.text == "My cat is stuck on the garage roof, call the fire brigade."
    alone = one("refine", "Cat stuck garage roof call fire brigade helicopter rescued quickly")
    assert (alone.ok, alone.reason) == (False, "nothing would be left without the invented sentence")


def test_in_a_review_the_refinement_heeds_the_critique() -> None:
    """Also where the critic picks at random among several points."""
    teacher = replace(EXACT, critic_noise=1.0)
    text = "My dog is at the beach with a red balloon."
    for seed in range(8):
        (critique,) = teacher.in_review("critique", [ask(text)], seed=seed)
        (refinement,) = teacher.in_review("refine", [ask(text)], seed=seed)
        quoted = (critique.text or "").split('"')[1]
        assert (quoted in (refinement.text or "")) == (critique.text or "").startswith("Mention"), seed


def test_refining_raises_quality() -> None:
    for text in (
        "My cat is on the garage roof",
        "Cat on roof, call the fire brigade. Elephants sang loudly.",
    ):
        record = one("refine", text)
        assert quality(record.text, POST, REFERENCE) > quality(text, POST, REFERENCE)


def test_quality_by_hand() -> None:
    # Post without "stuck": the reference's 7 content stems hold one unsupported.
    assert content_stems(REFERENCE) == ("cat", "stuck", "garag", "roof", "call", "fire", "brigad")
    assert quality(REFERENCE, POST, REFERENCE) == 1.0
    # 3 of 3 and of 7; nothing invented.
    assert quality("Cat on garage roof", POST, REFERENCE) == pytest.approx(math.sqrt(6 / 10))
    # 2 of 4 and of 7, so F = 4/11; half invented against the reference's own 1/7.
    expected = math.sqrt(4 / 11) - 0.5 * (1 / 2 - 1 / 7)
    assert quality("Cat roof elephant song", POST, REFERENCE) == pytest.approx(expected)
    # Saying it twice loses precision: 3 of 6 and of 7.
    assert quality("Cat garage roof cat garage roof", POST, REFERENCE) == pytest.approx(math.sqrt(6 / 13))
    assert quality("", POST, REFERENCE) == quality("the of and", POST, REFERENCE) == 0.0


def test_scores_are_on_seven_points() -> None:
    assert one("score", REFERENCE).value == 7.0
    assert one("score", "").value == 1.0
    assert one("score", "Cat on garage roof").value == round(1 + 6 * math.sqrt(0.6))


def test_comparisons_follow_quality_and_call_ties() -> None:
    good, bad = "Cat on garage roof, call the fire brigade?", "I like tuna."
    assert one("prefer", good, bad).preference == "first"
    assert one("prefer", bad, good).preference == "second"
    assert one("prefer", good, good).preference == "tie"


def test_of_two_bad_summaries_the_one_that_invents_less_is_preferred() -> None:
    """Both have quality 0, as most answers of a weak model; they are no tie."""
    half, whole = "Elephants sing, dance, paint tuna.", "Elephants sing, dance, paint."
    assert quality(half, POST, REFERENCE) == quality(whole, POST, REFERENCE) == 0.0
    found = [worth(text, POST, REFERENCE) for text in ("", whole, half)]
    assert -0.5 == found[0] < found[1] < found[2] < 0
    assert one("prefer", half, whole).preference == "first"
    assert one("prefer", whole, half).preference == "second"


def test_demonstrations_are_the_reference() -> None:
    assert one("demonstrate").text == REFERENCE


def test_bradley_terry_noise_has_the_declared_rate() -> None:
    first, second = "Cat on garage roof", "Cat on the garage"
    gap = quality(first, POST, REFERENCE) - quality(second, POST, REFERENCE)
    asks = [ask(first, second, name=f"p{i}") for i in range(2000)]
    records = Reference(sharpness=4.0).answer("prefer", asks, seed=1)
    share = sum(record.preference == "first" for record in records) / len(records)
    expected = 1 / (1 + math.exp(-4 * gap))
    assert 0.55 < expected < 0.9
    assert share == pytest.approx(expected, abs=0.03)


def test_critic_and_score_noise_have_the_declared_size() -> None:
    text = "A helicopter."
    asks = [ask(text, name=f"p{i}") for i in range(1000)]
    found = points(text, POST, REFERENCE)
    assert len(found) == 4
    said = [record.text for record in Reference(critic_noise=0.6).answer("critique", asks, seed=0)]
    best = one("critique", text).text
    # A random point is the best one in a quarter of the cases.
    assert said.count(best) / len(said) == pytest.approx(1 - 0.6 * 3 / 4, abs=0.05)
    middle = [ask("Cat roof", name=f"p{i}") for i in range(1000)]
    values = [record.value for record in Reference(score_noise=0.8).answer("score", middle, seed=0)]
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    assert spread == pytest.approx(math.sqrt(0.8**2 + 1 / 12), abs=0.06)


@pytest.mark.parametrize("channel", CHANNELS)
def test_order_and_company_do_not_matter(channel: Channel) -> None:
    shown = {"prefer": 2, "demonstrate": 0}.get(channel, 1)
    asks = [
        ask(*(f"Cat {word} roof", "Fire brigade and tuna")[:shown], name=word)
        for word in ("sat", "on", "garage", "ladder", "singing")
    ]
    asks = [replace(a, key=replace(a.key, references=(REFERENCE, "Cat on roof."))) for a in asks]
    teacher = Reference(critic_noise=0.5)
    together = teacher.answer(channel, asks, seed=3)
    assert teacher.answer(channel, asks[::-1], seed=3) == together[::-1]
    assert [teacher.answer(channel, [a], seed=3)[0] for a in asks] == together
    if channel != "refine":
        other = [teacher.answer(channel, asks, seed=seed) for seed in range(4, 12)]
        assert any(records != together for records in other)


@pytest.mark.parametrize("channel", CHANNELS)
def test_without_a_reference_there_is_no_usable_answer(channel: Channel) -> None:
    texts = ("a b", "c d")[: {"prefer": 2, "demonstrate": 0}.get(channel, 1)]
    (record,) = EXACT.answer(channel, [ask(*texts, references=())], seed=0)
    assert (record.ok, record.reason) == (False, "this example has no reference")


@pytest.mark.parametrize(
    "text", ["", " \n", "...", "\u00e9t\u00e9 \u4e2d\u6587 \U0001f600", "|" * 50, "no " * 500]
)
def test_odd_texts_are_answered(text: str) -> None:
    for channel in ("critique", "score", "refine"):
        record = one(channel, text)
        assert record.ok or record.reason
    assert one("prefer", text, text).preference == "tie"


def test_words_and_sentences() -> None:
    assert [w.text for w in words("It\u2019s Anna's 3rd-best cat_walk!")] == [
        "It\u2019s", "Anna's", "3rd", "best", "cat", "walk",
    ]  # fmt: skip
    assert content_stems("The neighbours' running dogs") == ("neighbour", "run", "dog")
    text = "One. Two?|three \n\n . four"
    assert [text[a:b] for a, b in sentences(text)] == ["One.", "Two?", "three", "four"]
