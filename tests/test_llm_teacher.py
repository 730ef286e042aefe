"""A language model as teacher: what it is shown, what its replies fill, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alignment_bench.controller import Controller
from alignment_bench.errors import BadInput, BenchError
from alignment_bench.feedback import Ask, Channel, FeedbackRecord
from alignment_bench.hosting import Host, host_of
from alignment_bench.jobs import JobStore
from alignment_bench.layouts import Layout
from alignment_bench.ledger import Ledger
from alignment_bench.llm.speaking import Question, Reply, Usage
from alignment_bench.prompts import Example, Key, Message, Prompt
from alignment_bench.runtime import Runtime
from alignment_bench.teachers.llm import CATEGORIES, LLM, MODE_CHANNELS, PRINCIPLES
from alignment_bench.testing import check_teacher
from alignment_bench.tiers import tier_of
from alignment_bench.work import Work

LAYOUTS = {"answer": Layout("{prompt}\n\nWrite a TL;DR.", "TL;DR:")}
HASTY = {"model": "m", "first_wait": 0.001, "longest_wait": 0.05, "attempts": 3, "timeout": 5.0}
REVIEW = (
    "Weaknesses: It is vague.\nAdvice: Name the seller.\nOverall Score: [[4]]\n"
    "### Improved Response\nMy neighbour sold my bike."
)


def asks(n: int, shown: int = 1) -> list[Ask]:
    texts = ("a bike was sold", "nobody talks")[:shown]
    return [Ask(Prompt(f"p{i}", (Message("user", f"Post {i}."),)), Key(f"p{i}"), texts) for i in range(n)]


class Scripted:
    """Answers by a function of what it is shown, and remembers it."""

    draws = True

    def __init__(self, answer: Any) -> None:
        self.answer_to = answer
        self.asked: list[Question] = []

    def answer(self, questions: Any, *, kept: bool = False) -> list[Reply]:
        self.asked += questions
        return [Reply(self.answer_to(q), usage=Usage(10, 1)) for q in questions]

    def shown(self) -> str:
        return self.asked[-1].messages[-1].content


def said(
    mode: str, channel: Channel, answer: Any, review: bool = False, seed: int = 1, **fields: Any
) -> tuple[FeedbackRecord, Scripted]:
    """The record of one ask, and who answered it."""
    speaker = Scripted(answer if callable(answer) else lambda question: answer)
    teacher = LLM(model="m", mode=mode, **fields).speaking(speaker, LAYOUTS)  # type: ignore[arg-type]
    shown = {"prefer": 2, "demonstrate": 0}.get(channel, 1)
    (record,) = (teacher.in_review if review else teacher.answer)(channel, asks(1, shown), seed=seed)
    return record, speaker


def full_answer(request: dict[str, Any]) -> str:
    """What a good model writes, whatever it is asked."""
    text = request["messages"][-1]["content"]
    if "four parts" in text:
        return REVIEW
    if "double brackets" in text:
        return "[[7]]"
    if "A, B or tie" in text:
        return "B"
    if "two lines" in text:
        return "Feedback: Names nobody.\nScore: 2"
    if CATEGORIES[3] in text:
        return CATEGORIES[2]
    return "Name the seller."


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")


def host_at(folder: Path) -> Host:
    return Host(JobStore(folder / "jobs"), Runtime("cpu", "auto", 1), layouts=LAYOUTS)


@pytest.mark.parametrize("mode", list(MODE_CHANNELS))
def test_every_mode_keeps_the_contract(fake_endpoint: ModuleType, tmp_path: Path, mode: str) -> None:
    """Order, records and fields; `check_teacher` asks on every channel of the mode."""
    pytest.importorskip("openai")
    with fake_endpoint.FakeEndpoint(full_answer) as endpoint:
        fields = {**HASTY, "mode": mode, "base_url": endpoint.base_url}
        check_teacher("llm", host=host_at(tmp_path), fields=fields)
        assert endpoint.requests


@pytest.mark.parametrize(
    ("mode", "channel", "reply", "field", "value"),
    [
        ("critic", "critique", "Name the seller.", "text", "Name the seller."),
        ("critic", "score", "[[10]]", "value", 7.0),
        ("critic", "score", "[[4]]", "value", 3.0),
        ("critic", "prefer", "B", "preference", "second"),
        ("critic", "refine", "Better.", "text", "Better."),
        ("critic", "demonstrate", "Written.", "text", "Written."),
        ("constitution", "prefer", "tie", "preference", "tie"),
        ("alt_lmc", "critique", "harmless and helpful", "text", "Harmless and helpful"),
        ("alt_lmc", "score", "Harmful", "value", 1.0),
        ("alt_lmc", "score", "Harmless and very helpful", "value", 7.0),
        ("alt_lmu", "critique", "Feedback: Vague.\nScore: 3", "text", "Vague."),
        ("alt_lmu", "score", "Feedback: Vague.\nScore: 1", "value", 3.0),
        ("srt", "critique", REVIEW, "text", "It is vague. Name the seller."),
        ("srt", "refine", REVIEW, "text", "My neighbour sold my bike."),
    ],
)
def test_replies_become_records(mode: str, channel: Channel, reply: str, field: str, value: object) -> None:
    record, _ = said(mode, channel, reply)
    assert record.ok and getattr(record, field) == value


def test_what_cannot_be_read_is_of_no_use_with_its_reason() -> None:
    record, speaker = said("critic", "score", "seven", tries=2)
    assert not record.ok and record.value is None and "0 scores" in record.reason
    assert [question.attempt for question in speaker.asked] == [0, 1]


def test_the_whole_conversation_is_shown_with_the_request() -> None:
    """Not the last turn alone, as ALT's released annotator had it."""
    speaker = Scripted(lambda question: CATEGORIES[0])
    teacher = LLM(model="m", mode="alt_lmc").speaking(speaker, LAYOUTS)
    turns = (Message("user", "How do I"), Message("assistant", "Do what?"), Message("user", "sleep"))
    teacher.answer("score", [Ask(Prompt("p", turns), Key("p"), ("Count sheep.",))], seed=0)
    for part in ("How do I", "Do what?", "sleep\n\nWrite a TL;DR.", "Count sheep.", *CATEGORIES):
        assert part in speaker.shown()


def test_a_demonstration_goes_on_with_the_conversation() -> None:
    _, speaker = said("critic", "demonstrate", "Written.")
    assert speaker.asked[0].messages == (Message("user", "Post 0.\n\nWrite a TL;DR."),)


@pytest.mark.parametrize("mode", ["srt", "alt_lmc", "alt_lmu"])
def test_one_reply_fills_all_channels_of_a_review(
    fake_endpoint: ModuleType, tmp_path: Path, mode: str
) -> None:
    pytest.importorskip("openai")
    with fake_endpoint.FakeEndpoint(full_answer) as endpoint:
        given = LLM(**HASTY, mode=mode, base_url=endpoint.base_url)  # type: ignore[arg-type]
        teacher = host_of(given, host_at(tmp_path))
        channels: tuple[Channel, ...] = ("critique", "score", "refine")
        for channel in [c for c in channels if c in teacher.channels and (mode == "srt" or c != "refine")]:
            assert all(r.ok for r in teacher.in_review(channel, asks(5), seed=1))
        assert len(endpoint.requests) == 5


def test_a_score_bought_alone_is_independent_of_the_review() -> None:
    """SRT's second filter: a critic that sees its own feedback is biased."""
    in_review, _ = said("srt", "score", REVIEW, review=True)
    assert in_review.value == 3.0
    alone, speaker = said("srt", "score", "[[9]]")
    assert alone.value == pytest.approx(1 + 6 * 8 / 9)
    assert "Weaknesses" not in speaker.shown() and "feedback" not in speaker.shown().casefold()


@pytest.mark.parametrize("mode", ["critic", "constitution"])
def test_in_a_review_the_rewriting_heeds_the_critique(mode: str) -> None:
    def answer(question: Question) -> str:
        return "Better." if "takes up the feedback" in question.messages[0].content else "Name the seller."

    record, speaker = said(mode, "refine", answer, review=True)
    assert record.text == "Better." and "### Feedback on it\nName the seller." in speaker.shown()
    alone, speaker = said(mode, "refine", answer)
    assert alone.text == "Name the seller." and "Feedback on it" not in speaker.shown()


def test_without_a_critique_there_is_no_rewriting_that_heeds_it() -> None:
    record, speaker = said("critic", "refine", "Two\nlines.", review=True, tries=1)
    assert not record.ok and record.reason.startswith("no critique") and len(speaker.asked) == 1


def test_principles_are_drawn_by_seed_and_prompt() -> None:
    teacher = LLM(model="m", mode="constitution")
    drawn = {(seed, i): teacher.principle(f"p{i}", seed) for seed in range(4) for i in range(40)}
    assert set(drawn.values()) == set(PRINCIPLES)
    assert len({tuple(drawn[seed, i] for i in range(40)) for seed in range(4)}) == 4
    _, speaker = said("constitution", "critique", "Better so.", seed=3)
    assert teacher.principle("p0", 3) in speaker.shown()


def test_principles_come_from_a_file_and_are_part_of_what_the_teacher_is(tmp_path: Path) -> None:
    path = tmp_path / "principles.txt"
    path.write_text("# ours\nBe kind.\n\nBe brief, and true.\n")
    assert LLM(model="m", mode="constitution", principles_file=path).principles == (
        "Be kind.",
        "Be brief, and true.",
    )
    path.write_text("# none\n")
    for fields in [
        {"mode": "constitution", "principles_file": path},
        {"mode": "constitution", "principles_file": tmp_path / "absent"},
        {"mode": "critic", "principles": ("Be kind.",)},
        {"mode": "constitution", "principles": ("Be kind.",), "principles_file": path},
    ]:
        with pytest.raises(BadInput):
            LLM(model="m", **fields)  # type: ignore[arg-type]


def test_seeds_share_greedy_answers_and_nothing_else() -> None:
    numbers = {}
    for temperature in (0.0, 1.0, None):
        runs = [said("critic", "critique", "x", seed=s, temperature=temperature)[1] for s in (1, 2)]
        numbers[temperature] = [speaker.asked[0].seed for speaker in runs]
    assert len(set(numbers[0.0])) == 1
    assert len(set(numbers[1.0])) == len(set(numbers[None])) == 2


def test_what_it_is_and_is_not_ready_for() -> None:
    assert LLM(model="a").family == LLM(model="a", via="local").family != LLM(model="b").family
    assert "write model=" in str(LLM().unfit([])) and LLM(model="m").unfit([]) is None
    assert "did you mean smollm2" in str(LLM(model="smolm2", via="local").unfit([]))
    assert LLM(model="m").channels == MODE_CHANNELS["critic"]
    with pytest.raises(BenchError, match="hosted"):
        LLM(model="m").answer("critique", asks(1), seed=0)


def controller(teacher: LLM, folder: Path, budget: float = 100.0) -> Controller:
    host = host_at(folder)
    examples = [Example(a.prompt, a.key) for a in asks(20)]
    return Controller(
        work=Work(host.store, host.runtime, 0),
        teacher=host_of(teacher, host),  # type: ignore[arg-type]
        teacher_digest="t",
        examples=examples,
        data_digest="d",
        ledger=Ledger("calls", budget),
        seed=0,
        tier=tier_of(0),
        rollout_decoding=None,  # type: ignore[arg-type]
    )


def test_calls_are_charged_once_each_and_tokens_and_money_beside_them(
    fake_endpoint: ModuleType, tmp_path: Path
) -> None:
    """To every method that asks, though the answers are paid once; a review's reply counts once."""
    pytest.importorskip("openai")
    prompts = [a.prompt for a in asks(20)]
    with fake_endpoint.FakeEndpoint(full_answer, fake_endpoint.one_in(10, ("429", "cut"))) as endpoint:
        given = LLM(**HASTY, mode="srt", base_url=endpoint.base_url, price_in=1.0, price_out=3.0)  # type: ignore[arg-type]
        spent = []
        for channels in (("critique", "score", "refine"), ("score", "refine"), ("refine",)):
            one = controller(given, tmp_path)
            found = one.asking.review(channels, prompts, [("a bike was sold",)] * 20)
            assert all(r.ok for row in found for r in row.values())
            one.asking.tell()
            spent.append(one.ledger.spent)
            assert one.ledger.spent.calls == 20 and one.ledger.spent.acts == dict.fromkeys(channels, 20)
            assert any("tokens read" in note and "in money" in note for note in one.notes)
        assert sum(endpoint.answered.values()) == 20, "three methods, one reply an answer"
        assert len({s.money for s in spent}) == len({s.tokens_read for s in spent}) == 1
        written = 20 * len(REVIEW.split())
        assert spent[0].tokens_written == written
        assert spent[0].money == pytest.approx((spent[0].tokens_read + 3 * written) / 1e6)
        resumed = controller(given, tmp_path)
        resumed.asking.review(("critique", "score", "refine"), prompts, [("a bike was sold",)] * 20)
        assert resumed.ledger.spent.money == spent[0].money
        assert resumed.asking.ask("critique", prompts, [("a bike was sold",)] * 20)[0].ok
        assert resumed.ledger.spent.money == pytest.approx(2 * spent[0].money)
        assert sum(endpoint.answered.values()) == 20


def test_a_bill_asks_nobody(fake_endpoint: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("openai")
    with fake_endpoint.FakeEndpoint(full_answer) as endpoint:
        teacher = host_of(LLM(**HASTY, base_url=endpoint.base_url), host_at(tmp_path))  # type: ignore[arg-type]
        nothing = teacher.bill(["critique"], asks(3), seed=0, in_review=False)
        assert nothing.tokens_read == 0 and not endpoint.requests
        teacher.answer("critique", asks(3), seed=0)
        assert teacher.bill(["critique"], asks(3), seed=0, in_review=False).tokens_read > 0
        assert len(endpoint.requests) == 3


def test_the_rate_of_useless_answers_is_noted(fake_endpoint: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("openai")

    def answer(request: Mapping[str, Any]) -> str:
        return "[[7]]" if "Post 1" in request["messages"][-1]["content"] else "good"

    with fake_endpoint.FakeEndpoint(answer) as endpoint:
        one = controller(LLM(**HASTY, base_url=endpoint.base_url, tries=2), tmp_path)  # type: ignore[arg-type]
        records = one.asking.ask("score", [a.prompt for a in asks(20)], [("a bike was sold",)] * 20)
        one.asking.tell()
        useful = [f"Post {i}." for i in (1, *range(10, 20))]
        assert [r.ok for r in records] == [f"Post {i}." in useful for i in range(20)]
        assert "teacher llm: 9 of 20 answers on score of no use, most often: 0 scores" in one.notes[0]
        assert len(endpoint.requests) == 11 + 2 * 9 and one.ledger.spent.calls == 20


def test_a_local_model_teaches_by_the_same_interface(random_base: Path, tmp_path: Path) -> None:
    """It writes nonsense, which is found unusable, or a line, and costs tokens but no money."""
    given = LLM(via="local", model=str(random_base), max_tokens=12, short_tokens=4)
    assert given.unfit([]) is None
    teacher = host_of(given, host_at(tmp_path))
    texts = ("the dog", "a cat")
    shown = [replace(one, completions=texts[:1]) for one in asks(3)]
    critiques = teacher.answer("critique", shown, seed=1)
    assert all(r.ok or "cut off" in r.reason or "empty" in r.reason for r in critiques)
    assert teacher.answer("critique", shown[::-1], seed=1)[::-1] == critiques
    scores = teacher.answer("score", shown, seed=1)
    assert not any(r.ok for r in scores)
    bill = teacher.bill(["critique", "score"], shown, seed=1, in_review=False)
    assert bill.tokens_read > 0 and bill.money == 0 and not bill.calls
    kinds = {json.loads(p.read_text())["kind"] for p in (tmp_path / "jobs").glob("*/*/job.json")}
    assert kinds == {"sample"}


def test_what_is_too_long_for_a_local_model_is_of_no_use(random_base: Path, tmp_path: Path) -> None:
    teacher = host_of(LLM(via="local", model=str(random_base), max_tokens=12), host_at(tmp_path))
    long, short = Ask(asks(1)[0].prompt, Key("p0"), ("the dog ran . " * 100,)), asks(1)[0]
    refused, fine = teacher.answer("critique", [long, short], seed=0)
    assert not refused.ok and "exceed the model's 256" in refused.reason
    assert "exceed" not in fine.reason
