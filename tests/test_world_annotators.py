"""The simulated annotators and the gold judge."""

from __future__ import annotations

from statistics import fmean

from alignment_bench.digests import generator
from alignment_bench.feedback import CHANNELS, COMPLETIONS_SHOWN, Ask, Channel, Judge, Teacher
from alignment_bench.judges.gold import Gold, facts_of
from alignment_bench.prompts import Key
from alignment_bench.teachers.annotators import Annotators
from alignment_bench.world.facts import reread
from alignment_bench.world.gold import quality
from alignment_bench.world.tldr import tldr
from alignment_bench.world.writers import write

EXAMPLES = tldr(1000).train[:400]


def asks(channel: Channel) -> list[Ask]:
    """One ask an example, about texts of the usual writer."""
    rng = generator("test-asks", channel)
    return [
        Ask(
            e.prompt,
            e.key,
            tuple(
                write(rng, reread(e.prompt.text, facts_of(e.key.facts)))
                for _ in range(COMPLETIONS_SHOWN[channel])
            ),
        )
        for e in EXAMPLES
    ]


def test_they_keep_the_contracts() -> None:
    """Protocol members are there, and nothing was collected before."""
    assert isinstance(Annotators(), Teacher)
    assert isinstance(Gold(), Judge)
    assert Annotators().recorded(EXAMPLES) == []
    assert Annotators().family != Gold().family


def test_answers_depend_on_the_question_only_never_on_its_place() -> None:
    """Same ask, same answer, alone or in reverse order; another seed, other noise."""
    for channel in CHANNELS:
        questions = asks(channel)[:60]
        forward = Annotators().answer(channel, questions, seed=1)
        assert forward == Annotators().answer(channel, questions[::-1], seed=1)[::-1]
        assert forward[7] == Annotators().answer(channel, [questions[7]], seed=1)[0]
        assert forward != Annotators().answer(channel, questions, seed=2)
        assert all(record.ok and record.cost == 0 for record in forward)


def test_refinements_mend_and_distraction_is_as_rare_as_declared() -> None:
    """An attentive refinement gains whatever the biggest flaw costs; a distracted one gains less."""
    questions = asks("refine")

    def gains(critic_noise: float) -> list[float]:
        records = Annotators(critic_noise=critic_noise).answer("refine", questions, seed=0)
        return [
            quality(record.text or "", facts_of(ask.key.facts))
            - quality(ask.completions[0], facts_of(ask.key.facts))
            for ask, record in zip(questions, records, strict=True)
        ]

    assert min(gains(0.0)) >= 0
    assert fmean(gains(0.0)) > fmean(gains(0.5)) > fmean(gains(1.0))


def test_critiques_differ_from_attentive_ones_as_often_as_declared() -> None:
    """The declared rate is an upper bound: a random remark may hit the biggest flaw."""
    questions = asks("critique")
    attentive = Annotators(critic_noise=0.0, explicit=1.0)
    random = Annotators(critic_noise=1.0, explicit=1.0)
    texts = [{r.text for r in pool.answer("critique", questions, seed=0)} for pool in (attentive, random)]
    assert texts[0] != texts[1]
    named = sum(
        any(
            value in (record.text or "")
            for value in map(str, (ask.key.facts["wish"], ask.key.facts["feeling"]))
        )
        for ask, record in zip(questions, attentive.answer("critique", questions, seed=0), strict=True)
    )
    assert named > len(questions) / 4


def test_comparisons_follow_bradley_terry() -> None:
    """The better text wins as often as the declared sharpness says; identical texts tie."""
    questions = [ask for ask in asks("prefer") for _ in range(1)]
    wins, expected = [], []
    for seed in range(5):
        records = Annotators(sharpness=10.0).answer("prefer", questions, seed=seed)
        for ask, record in zip(questions, records, strict=True):
            first, second = ask.completions
            if first == second:
                assert record.preference == "tie"
                continue
            gap = quality(first, facts_of(ask.key.facts)) - quality(second, facts_of(ask.key.facts))
            wins.append((record.preference == "first") == (gap > 0))
            expected.append(1 / (1 + 2.718281828 ** (-10 * abs(gap))))
    assert abs(fmean(wins) - fmean(expected)) < 0.03


def test_scores_are_noisy_but_unbiased_in_the_middle() -> None:
    """Whole points from 1 to 7 that follow quality."""
    questions = asks("score")
    records = Annotators().answer("score", questions, seed=0)
    assert {record.value for record in records} <= {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0}
    errors = [
        (record.value or 0) - 1 - 6 * quality(ask.completions[0], facts_of(ask.key.facts))
        for ask, record in zip(questions, records, strict=True)
    ]
    assert abs(fmean(errors)) < 0.15
    assert 0.6 < fmean(error**2 for error in errors) ** 0.5 < 1.0


def test_good_writers_are_perfect_and_weak_ones_are_not() -> None:
    """The writer is a declared knob."""
    scores = {
        writer: fmean(
            quality(record.text or "", facts_of(ask.key.facts))
            for ask, record in zip(
                asks("demonstrate"),
                Annotators(writer=writer).answer("demonstrate", asks("demonstrate"), seed=0),
                strict=True,
            )
        )
        for writer in ("weak", "good")
    }
    assert scores["good"] == 1
    assert 0.6 < scores["weak"] < 0.85


def test_gold_compares_without_noise_and_says_when_it_cannot() -> None:
    """Better wins, equal ties, Keys without facts are refused."""
    example = EXAMPLES[0]
    good, bad = example.key.references[0], "something happened."
    verdicts = Gold().compare([example.prompt] * 3, [example.key] * 3, [good, bad, bad], [bad, good, bad])
    assert [verdict.value for verdict in verdicts] == [1, 0, 0.5]
    assert Gold().unfit([example.key]) is None
    assert "no facts" in (Gold().unfit([example.key, Key("other")]) or "")
