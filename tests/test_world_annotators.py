"""The simulated annotators and the gold judge, on every genre of the built-in world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp
from statistics import fmean, stdev
from typing import Any

import pytest

from alignment_bench.digests import generator
from alignment_bench.feedback import (
    CHANNELS,
    COMPLETIONS_SHOWN,
    Ask,
    Channel,
    Judge,
    Marking,
    Teacher,
)
from alignment_bench.judges import gold
from alignment_bench.judges.gold import Gold, quality
from alignment_bench.prompts import Key, Message, Prompt
from alignment_bench.teachers import annotators
from alignment_bench.teachers.annotators import Annotators
from alignment_bench.world.corpus import FINE
from alignment_bench.world.genre import Facts, Item
from alignment_bench.world.genres import GENRES
from alignment_bench.world.tasks import TASKS

COUNT = 300
QUIET = Annotators(
    critic_noise=0,
    score_noise=0,
    sharpness=10,
    indifference=0,
    length_bias=0,
    position_bias=0,
    inconsistency=0,
)
"""annotators without any fault but Bradley-Terry's"""


def asks(channel: Channel, task: str = "tldr", count: int = COUNT) -> list[Ask]:
    """One ask an example, about texts of the usual writer."""
    rng = generator("test-asks", channel, task)
    found = []
    for example in TASKS[task](1000).train[:count]:
        facts = example.key.facts
        item = Item(example.prompt.text, facts)
        texts = (GENRES[facts["genre"]].write(rng, item) for _ in range(COMPLETIONS_SHOWN[channel]))
        found.append(Ask(example.prompt, example.key, tuple(texts)))
    return found


def values(questions: Sequence[Ask], texts: Sequence[str | None]) -> list[float]:
    """Gold quality of one text for each question."""
    return quality([text or "" for text in texts], [ask.key.facts for ask in questions])


def shown(questions: Sequence[Ask], place: int = 0) -> list[float]:
    """Gold quality of the text shown at that place."""
    return values(questions, [ask.completions[place] for ask in questions])


@dataclass
class Counting:
    """A genre whose quality is the number before a text's first word, and that notes each call."""

    name: str = "counting"
    qualities: tuple[str, ...] = ()
    calls: list[int] = field(default_factory=list)
    known: tuple[str, ...] = ("rude",)

    def quality(self, texts: Sequence[str], facts: Sequence[Facts]) -> list[float]:
        self.calls.append(len(texts))
        assert all(one["genre"] == self.name for one in facts)
        return [float(text.split()[0]) for text in texts]

    def marks(self, texts: Sequence[str], facts: Sequence[Facts]) -> dict[str, list[bool]]:
        return {mark: [mark in text for text in texts] for mark in self.known}


def counted(text: str, other: str = "", genre: str = "counting", number: int = 0) -> Ask:
    """A question about texts that say their own quality."""
    prompt = Prompt(f"{genre}-{number}", (Message("user", "hello"),))
    return Ask(prompt, Key(prompt.id, facts={"genre": genre}), (text, other) if other else (text,))


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """The world with one more genre."""
    genre: Any = Counting()
    for module in (gold, annotators):
        monkeypatch.setattr(module, "GENRES", {**GENRES, "counting": genre})
    return genre  # type: ignore[no-any-return]


def test_they_keep_the_contracts() -> None:
    """Protocol members are there, and nothing was collected before."""
    assert isinstance(Annotators(), Teacher)
    assert isinstance(Gold(), Judge) and isinstance(Gold(), Marking)
    assert Annotators().recorded(TASKS["tldr"](1000).train) == []
    assert Annotators().family != Gold().family


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_answers_depend_on_the_question_only_never_on_its_place(channel: Channel, task: str) -> None:
    """Same ask, same answer, alone or in reverse order; another seed, other noise."""
    questions = asks(channel, task, 40)
    forward = Annotators().answer(channel, questions, seed=1)
    assert forward == Annotators().answer(channel, questions[::-1], seed=1)[::-1]
    assert forward[7] == Annotators().answer(channel, [questions[7]], seed=1)[0]
    assert all(record.ok and record.cost == 0 for record in forward)
    if not (channel == "demonstrate" and task in ("code", "word_removal")):  # one right answer
        assert forward != Annotators().answer(channel, questions, seed=2)


@pytest.mark.parametrize("task", TASKS)
def test_revisions_mend_and_distraction_is_as_rare_as_declared(task: str) -> None:
    """An attentive revision gains whatever the biggest flaw costs; a distracted one gains less."""
    questions = asks("refine", task)
    before = shown(questions)

    def gain(critic_noise: float) -> list[float]:
        records = Annotators(critic_noise=critic_noise).answer("refine", questions, seed=0)
        after = values(questions, [record.text for record in records])
        return [b - a for a, b in zip(before, after, strict=True)]

    assert fmean(gain(0)) > fmean(gain(1)) + 0.03
    assert fmean(g > 0 for g in gain(0)) > 0.9 * fmean(b < 1 for b in before)
    if task != "code":  # where flaws interact, mending the biggest may break a call that passed by chance
        assert min(gain(0)) >= 0


def test_the_critic_says_what_the_reviser_would_do() -> None:
    """A remark and its edit are of one mind; a perfect answer is called fine and left alone."""
    questions = asks("critique")
    found = QUIET.edits("critique", questions, seed=3)
    assert [r.text for r in QUIET.answer("critique", questions, seed=3)] == [e.remark for e in found]
    perfect = [
        Ask(q.prompt, q.key, (e.key.references[0],))
        for q, e in zip(questions, TASKS["tldr"](1000).train, strict=False)
    ]
    assert {r.text for r in QUIET.answer("critique", perfect, seed=0)} == {FINE}
    revised = QUIET.answer("refine", perfect, seed=0)
    assert [r.text for r in revised] == [q.completions[0] for q in perfect]


@pytest.mark.parametrize("task", sorted(TASKS))
def test_in_a_review_the_refinement_is_what_the_critique_asks_for(task: str) -> None:
    """One act, one edit: asked apart, critique and refinement are often about different flaws."""
    teacher, questions = Annotators(), asks("critique", task)
    edits = teacher.edits("critique", questions, seed=0)
    critiques = [r.text for r in teacher.in_review("critique", questions, seed=0)]
    refinements = [r.text for r in teacher.in_review("refine", questions, seed=0)]
    assert critiques == [edit.remark for edit in edits]
    assert refinements == [edit.text for edit in edits]
    assert refinements != [r.text for r in teacher.answer("refine", questions, seed=0)]
    scores = [r.value for r in teacher.in_review("score", questions, seed=0)]
    assert scores == [r.value for r in teacher.answer("score", questions, seed=0)]


def test_explicit_critiques_are_as_frequent_as_declared() -> None:
    """The knob moves the share of remarks that name a value of the facts."""
    questions = [q for q, v in zip(asks("critique"), shown(asks("critique")), strict=True) if v < 1]

    def named(explicit: float) -> float:
        pool = Annotators(critic_noise=0, explicit=explicit)
        records = pool.answer("critique", questions, seed=0)
        return fmean(
            any(
                str(q.key.facts[slot]) in (r.text or "")
                for slot in ("who", "action", "object", "wish", "feeling")
            )
            for q, r in zip(questions, records, strict=True)
        )

    assert named(1.0) - named(0.0) > 0.5
    assert named(0.0) < named(0.5) < named(1.0)


def test_comparisons_follow_bradley_terry(counting: Counting) -> None:
    """The better text wins as often as the declared sharpness says."""
    for better in (0.55, 0.6, 0.7):
        questions = [counted(f"{better} a", "0.5 a", number=i) for i in range(2000)]
        records = QUIET.answer("prefer", questions, seed=0)
        expected = 1 / (1 + exp(-10 * (better - 0.5)))
        assert fmean(r.preference == "first" for r in records) == pytest.approx(expected, abs=0.04)


def test_the_first_answer_shown_has_the_declared_advantage(counting: Counting) -> None:
    """At equal quality the odds are exp(position_bias)."""
    pool = Annotators(position_bias=1.0, inconsistency=0, indifference=0)
    records = pool.answer("prefer", [counted("0.5 a", "0.5 b", number=i) for i in range(2000)], seed=0)
    assert fmean(r.preference == "first" for r in records) == pytest.approx(exp(1) / (1 + exp(1)), abs=0.04)


def test_longer_answers_look_better_by_the_declared_amount(counting: Counting) -> None:
    """Ten more words are worth length_bias of quality, to comparers and raters; to gold nothing."""
    longer = "0.5 " + " ".join(["a"] * 12)
    pool = Annotators(sharpness=10, length_bias=0.1, position_bias=0, inconsistency=0, score_noise=0)
    records = pool.answer("prefer", [counted(longer, "0.5 b c", number=i) for i in range(2000)], seed=0)
    assert fmean(r.preference == "first" for r in records) == pytest.approx(1 / (1 + exp(-1)), abs=0.04)
    scores = Annotators(length_bias=0.5, score_noise=0, inconsistency=0).answer(
        "score", [counted("0.5 b"), counted(longer)], seed=0
    )
    assert [r.value for r in scores] == [round(1 + 6 * 0.6), 7.0]
    assert Gold().compare([], [counted("0").key], [longer], ["0.5 b"])[0].value == 0.5


def test_small_differences_and_equal_texts_are_ties(counting: Counting) -> None:
    """Below the declared indifference; equal texts always."""
    pool = Annotators(indifference=0.1, position_bias=5, inconsistency=0, length_bias=0)
    questions = [counted("0.55 a", "0.5 a"), counted("0.65 a", "0.5 a"), counted("0.5 a", "0.5 a")]
    assert [r.preference for r in pool.answer("prefer", questions, seed=0)] == ["tie", "first", "tie"]
    careless = Annotators(indifference=0, inconsistency=1)
    assert careless.answer("prefer", [counted("0.5 a", "0.5 a")], seed=0)[0].preference == "tie"


def test_answers_given_without_looking_are_as_frequent_as_declared(counting: Counting) -> None:
    """Half of them happen to be right in a comparison; scores spread over the scale."""
    pool = Annotators(inconsistency=0.4, sharpness=1000, position_bias=0, score_noise=0, length_bias=0)
    compared = pool.answer("prefer", [counted("0.9 a", "0.1 a", number=i) for i in range(2000)], seed=0)
    assert fmean(r.preference == "second" for r in compared) == pytest.approx(0.2, abs=0.03)
    rated = pool.answer("score", [counted("0.5 a", number=i) for i in range(2000)], seed=0)
    assert fmean(r.value != 4 for r in rated) == pytest.approx(0.4 * 6 / 7, abs=0.04)
    assert {r.value for r in rated} == {1, 2, 3, 4, 5, 6, 7}


def test_scores_have_the_declared_noise(counting: Counting) -> None:
    """Whole points around 1 + 6 * quality; rounding adds a twelfth to the variance."""
    pool = Annotators(inconsistency=0, length_bias=0)
    rated = pool.answer("score", [counted("0.5 a", number=i) for i in range(2000)], seed=0)
    points = [r.value or 0.0 for r in rated]
    assert fmean(points) == pytest.approx(4, abs=0.1)
    assert stdev(points) == pytest.approx((0.8**2 + 1 / 12) ** 0.5, abs=0.05)


@pytest.mark.parametrize("task", TASKS)
def test_good_writers_are_perfect_and_weak_ones_are_not(task: str) -> None:
    """The writer is a declared knob."""
    questions = asks("demonstrate", task)
    means = [
        fmean(
            values(
                questions,
                [r.text for r in Annotators(writer=writer).answer("demonstrate", questions, seed=0)],
            )
        )
        for writer in ("weak", "good")
    ]
    assert means[1] == 1
    assert 0.5 < means[0] < 0.93


def test_quality_is_asked_once_for_each_genre(counting: Counting) -> None:
    """Programs are executed: one call for all answers of a kind, in any order of the questions."""
    tldr = asks("score", count=3)
    mixed = [counted("0.5 a"), tldr[0], counted("1.0 a", number=1), tldr[1], tldr[2]]
    facts = [ask.key.facts for ask in mixed]
    found = quality([ask.completions[0] for ask in mixed], facts)
    assert [found[0], found[2]] == [0.5, 1.0]
    assert [found[1], found[3], found[4]] == shown(tldr)
    assert counting.calls == [2]
    Annotators().answer("prefer", [counted("0.5 a", "1.0 b", number=i) for i in range(20)], seed=0)
    assert counting.calls == [2, 40]


def test_gold_gives_the_marks_that_all_the_genres_have(counting: Counting) -> None:
    """Summaries can be rude and so can this genre's answers; nothing else is common to both."""
    tldr = asks("score", count=1)[0]
    counting.known = ("rude", "passed")
    keys = [counted("0").key, tldr.key, counted("0").key]
    texts = ["0 rude", "my boss broke the lamp.", "0 passed"]
    assert Gold().marks([], keys, texts) == {"rude": [True, False, False]}
    assert Gold().marks([], keys[::2], texts[::2]) == {"passed": [False, True], "rude": [True, False]}
    counting.known = ("passed",)
    assert Gold().marks([], keys, texts) == {}
    assert Gold().marks([], [], []) == {}


def test_gold_compares_without_noise_and_says_when_it_cannot() -> None:
    """Better wins, equal ties, Keys without facts or of an unknown genre are refused."""
    example = TASKS["tldr"](1000).train[0]
    good, bad = example.key.references[0], "something happened."
    verdicts = Gold().compare([example.prompt] * 3, [example.key] * 3, [good, bad, bad], [bad, good, bad])
    assert [verdict.value for verdict in verdicts] == [1, 0, 0.5]
    assert Gold().unfit([example.key]) is None
    for stranger in (Key("other"), Key("other", facts={"genre": "sonnet"})):
        assert "1 of 2 examples carry no facts" in (Gold().unfit([example.key, stranger]) or "")
        assert Annotators().unfit([stranger]) == Gold().unfit([stranger])
