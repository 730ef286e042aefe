"""Language models as judges: both orders, strict or soft verdicts, captions that warn, whole runs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import results
from alignment_bench.errors import BadInput, BenchError
from alignment_bench.feedback import Verdict
from alignment_bench.hosting import Host, host_of
from alignment_bench.jobs import JobStore
from alignment_bench.judges.llm import LLM
from alignment_bench.judges.lm import LM
from alignment_bench.judges.panel import Panel
from alignment_bench.layouts import Layout
from alignment_bench.ledger import metering
from alignment_bench.prompts import Key, Message, Prompt
from alignment_bench.runtime import Runtime
from alignment_bench.teachers.llm import LLM as Teacher
from alignment_bench.testing import check_judge

LAYOUTS = {"answer": Layout("{prompt}\n\nWrite a TL;DR.", "TL;DR:")}
HASTY: dict[str, Any] = {"model": "m", "first_wait": 0.001, "longest_wait": 0.05, "timeout": 5.0}
LONG, SHORT = "My neighbour sold my bike last week.", "A bike."


def shown(request: dict[str, Any]) -> tuple[str, str]:
    """The two answers that a judge is shown."""
    text = request["messages"][-1]["content"]
    first, _, rest = text.partition("### Answer A\n")[2].partition("\n\n### Answer B\n")
    return first, rest.partition("\n\nWhich is")[0]


def longer(request: dict[str, Any]) -> str:
    first, second = shown(request)
    return "tie" if len(first) == len(second) else "A" if len(first) > len(second) else "B"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")


def host_at(folder: Path) -> Host:
    return Host(JobStore(folder / "jobs"), Runtime("cpu", "auto", 1), layouts=LAYOUTS)


def compared(judge: Any, first: list[str], second: list[str]) -> list[Verdict]:
    prompts = [Prompt(f"p{i}", (Message("user", f"Post {i}."),)) for i in range(len(first))]
    found: list[Verdict] = judge.compare(prompts, [Key(p.id) for p in prompts], first, second)
    return found


def by_endpoint(fake: ModuleType, folder: Path, answer: Any, top: Any = None, **fields: Any) -> Any:
    """Verdicts on longer-shorter, shorter-longer and equal, and the endpoint."""
    pytest.importorskip("openai")
    with fake.FakeEndpoint(answer, top=top) as endpoint:
        judge = host_of(LLM(**{**HASTY, "base_url": endpoint.base_url, **fields}), host_at(folder))
        return compared(judge, [LONG, SHORT, LONG], [SHORT, LONG, LONG]), endpoint


@pytest.mark.parametrize("fields", [{}, {"soft": True}, {"explain": True}])
def test_the_endpoint_judge_keeps_the_contract(
    fake_endpoint: ModuleType, tmp_path: Path, fields: dict[str, Any]
) -> None:
    pytest.importorskip("openai")

    def answer(request: dict[str, Any]) -> str:
        return ("Longer is better.\nVerdict: " if "Verdict:" in str(request) else "") + longer(request)

    with fake_endpoint.FakeEndpoint(answer) as endpoint:
        given = {**HASTY, **fields, "base_url": endpoint.base_url}
        check_judge("llm", host=host_at(tmp_path), fields=given)
        assert endpoint.requests


def test_both_orders_are_asked_and_a_win_needs_agreement(fake_endpoint: ModuleType, tmp_path: Path) -> None:
    verdicts, endpoint = by_endpoint(fake_endpoint, tmp_path / "a", longer)
    assert [v.value for v in verdicts] == [1.0, 0.0, 0.5]
    assert len(endpoint.requests) == 4, "equal texts are not asked about"
    assert {shown(r) for r in endpoint.requests} == {(LONG, SHORT), (SHORT, LONG)}
    requests = [one["messages"][0]["content"] for one in endpoint.requests]
    assert sum("### Request\nPost 0.\n\nWrite a TL;DR.\n" in one for one in requests) == 2
    placed, _ = by_endpoint(fake_endpoint, tmp_path / "b", lambda request: "A")
    assert [v.value for v in placed] == [0.5] * 3, "whoever prefers a place prefers nothing"
    assert all(v.parsed for v in placed)


def test_unparsable_verdicts_are_counted_not_guessed(fake_endpoint: ModuleType, tmp_path: Path) -> None:
    verdicts, endpoint = by_endpoint(fake_endpoint, tmp_path, lambda request: "Answer A", tries=2)
    assert [(v.value, v.parsed) for v in verdicts] == [(0.5, False), (0.5, False), (0.5, True)]
    assert len(endpoint.requests) == 8 and {r["seed"] for r in endpoint.requests} == {0, 1}


def test_soft_verdicts_come_from_the_endpoints_probabilities(
    fake_endpoint: ModuleType, tmp_path: Path
) -> None:
    def top(request: dict[str, Any]) -> dict[str, float]:
        weights = {"A": 0.7, " a": 0.1, "B": 0.1, "Well": 0.1}
        if longer(request) == "B":
            weights = {"B": 0.6, "A": 0.2, "tie": 0.2}
        return {token: math.log(p) for token, p in weights.items()}

    verdicts, endpoint = by_endpoint(fake_endpoint, tmp_path / "a", longer, top, soft=True)
    first, second = 0.8 / 0.9, 0.3
    assert [v.value for v in verdicts] == pytest.approx(
        [(first + 1 - second) / 2, (second + 1 - first) / 2, 0.5]
    )
    assert endpoint.requests[0]["logprobs"] and endpoint.requests[0]["top_logprobs"] >= 5
    plain, _ = by_endpoint(fake_endpoint, tmp_path / "b", longer, None, soft=True)
    assert [v.value for v in plain] == [1.0, 0.0, 0.5], "an endpoint that tells none"


def test_soft_verdicts_need_no_more_than_the_first_word(fake_endpoint: ModuleType, tmp_path: Path) -> None:
    """Of a model that rambles until it is cut off the probabilities are known all the same."""
    pytest.importorskip("openai")
    told: list[dict[str, float] | None] = [{"A": math.log(0.6), "B": math.log(0.4)}, None]
    values = []
    for i, known in enumerate(told):
        top = None if known is None else lambda request, known=known: known
        with fake_endpoint.FakeEndpoint(longer, lambda name, times: "length", top=top) as endpoint:
            judge = LLM(**HASTY, base_url=endpoint.base_url, soft=True, tries=2)
            (verdict,) = compared(host_of(judge, host_at(tmp_path / str(i))), [LONG], [SHORT])
            values.append((verdict.parsed, len(endpoint.requests)))
    assert values == [(True, 2), (False, 4)]


def test_what_judging_took_is_reported_to_the_open_meter(fake_endpoint: ModuleType, tmp_path: Path) -> None:
    for _ in range(2):
        with metering() as meter:
            by_endpoint(fake_endpoint, tmp_path, longer, price_in=2.0, price_out=4.0)
        took = meter.total
        assert took.tokens_written == 4 and took.tokens_read > 100
        assert took.money == pytest.approx((2 * took.tokens_read + 4 * 4) / 1e6)
        assert took.calls == 0, "calls are a teacher's"


def test_an_answer_that_is_looked_at_twice_is_paid_once(fake_endpoint: ModuleType, tmp_path: Path) -> None:
    with metering() as once:
        by_endpoint(fake_endpoint, tmp_path, longer, price_in=2.0)
    with metering() as twice:
        for answer in (longer, longer):
            by_endpoint(fake_endpoint, tmp_path, answer, price_in=2.0)
        by_endpoint(fake_endpoint, tmp_path / "b", longer, model="n", price_in=2.0)
    assert twice.total.tokens_read == 2 * once.total.tokens_read, "another model's answers are others"
    assert twice.total.money == pytest.approx(2 * once.total.money)


def test_another_model_under_the_same_name_is_another_judge(judging_model: Path) -> None:
    """Its files are part of every key: through its own caption, a panel's, or a teacher's identity."""
    named = str(judging_model)
    panel = Panel(members=(f"lm:model={named}",))
    teacher = Teacher(model=named, via="local")
    before = LM(model=named).caption(), panel.caption(), teacher.identity
    assert before[2] and before[2] in before[0] and before[2] in before[1]
    path = judging_model / "tokenizer.json"
    path.write_text(path.read_text() + " ")
    after = LM(model=named).caption(), panel.caption(), teacher.identity
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert Teacher(model="m").identity == ""


def test_captions_name_model_and_prompt_and_warn() -> None:
    plain, explained = LLM(model="m").caption(), LLM(model="m", explain=True).caption()
    assert "m" in plain and plain != explained and "no audit" in plain
    small, other = LM().caption(), LM(model="org/large").caption()
    assert "smollm2" in small and ".16" in small and "not usable" in small
    assert "no audit" in other and "not usable" not in other
    with pytest.raises(BadInput, match="soft"):
        LLM(model="m", soft=True, explain=True)


def test_teacher_and_judge_of_one_model_are_one_family() -> None:
    assert LLM(model="m").family == Teacher(model="m").family != LLM(model="n").family
    assert LM(model="m").family == Teacher(model="m", via="local").family


def test_without_a_host_nothing_is_judged() -> None:
    for judge in (LLM(model="m"), LM()):
        assert judge.score([], [], []) is None and judge.against_reference
        with pytest.raises(BenchError, match="hosted"):
            compared(judge, ["a"], ["b"])


@pytest.fixture
def judging_model(random_base: Path, tmp_path: Path) -> Path:
    """The random model, with a vocabulary that holds the letters A and B."""
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(random_base, folder)
    path = folder / "tokenizer.json"
    stored = json.loads(path.read_text())
    words = stored["model"]["vocab"]
    words["A"], words["B"] = words.pop("yes"), words.pop("no")
    path.write_text(json.dumps(stored))
    return folder


def test_the_local_judge_keeps_the_contract(judging_model: Path, tmp_path: Path) -> None:
    check_judge("lm", host=host_at(tmp_path), fields={"model": str(judging_model), "least": 0.0})


def test_local_verdicts_are_the_letters_probabilities(judging_model: Path, tmp_path: Path) -> None:
    """Recomputed from the model's own next-token distribution."""
    from alignment_bench.llm.local import Local
    from alignment_bench.llm.speaking import Question

    host = host_at(tmp_path)
    judge = host_of(LM(model=str(judging_model), least=0.0), host)
    (verdict, sure) = compared(judge, ["the dog ran .", "x"], ["a cat sat .", "x"])
    local = Local(str(judging_model), host)
    sides = []
    for one, other in [("the dog ran .", "a cat sat ."), ("a cat sat .", "the dog ran .")]:
        from alignment_bench.llm.comparing import LETTER

        text = LETTER.format(request="Post 0.\n\nWrite a TL;DR.", first=one, second=other)
        (reply,) = local.answer([Question((Message("user", text),), 1, options=("A", "B"))])
        assert reply.weights is not None
        sides.append(reply.weights[0] / sum(reply.weights))
    assert verdict.value == pytest.approx((sides[0] + 1 - sides[1]) / 2) and verdict.value != 0.5
    assert (sure.value, sure.parsed) == (0.5, True)
    strict = host_of(LM(model=str(judging_model), least=1.0), host)
    assert [v.parsed for v in compared(strict, ["the dog ran ."], ["a cat sat ."])] == [False]


BOTH_RATES = "evaluators=win_rate,lc_win_rate"


def spoken_of(who: str, notes: Sequence[str]) -> tuple[int, int]:
    """Tokens read and written, as a cell's footnote has them."""
    (note,) = [one for one in notes if one.startswith(f"{who}:")]
    read, written = re.findall(r"([\d,]+) (?:tokens )?(?:read|written)", note)
    return int(read.replace(",", "")), int(written.replace(",", ""))


def test_where_and_how_fast_an_endpoint_is_asked_is_no_part_of_a_cell(
    fake_endpoint: ModuleType, small_tldr: Any
) -> None:
    """The same cells, under the same names, from another address; other prices are other spends."""
    pytest.importorskip("openai")
    pace = "concurrency=2:per_minute=90000:first_wait=.002"

    def cells(endpoint: Any, more: str) -> set[str]:
        small_tldr.run("base_copy", f"judge=llm:model=m:base_url={endpoint.base_url}:{more}", BOTH_RATES)
        found, _ = results.read_all(small_tldr.results)
        prices = {"llm:model=m:price_in=1.0", "llm:model=m:price_in=2.0"}
        assert {record.judge for record in found} <= prices
        return {record.digest for record in found}

    with fake_endpoint.FakeEndpoint(longer) as one, fake_endpoint.FakeEndpoint(longer) as other:
        first = cells(one, "price_in=1")
        asked = len(one.requests)
        assert asked and cells(other, f"price_in=1:{pace}:key_variable=none") == first
        assert (len(one.requests), len(other.requests)) == (asked, 0)
        assert cells(other, "price_in=2") > first and not other.requests, "paid once, told anew"


def reply_of_a_person(request: dict[str, Any]) -> str:
    if "A, B or tie" in str(request):
        return longer(request)
    return "she sold the bike ."


def test_a_run_with_an_endpoint_as_teacher_and_judge(fake_endpoint: ModuleType, small_tldr: Any) -> None:
    """Told apart in the table, paid in calls; a second run asks nothing, and no key is stored."""
    pytest.importorskip("openai")
    with fake_endpoint.FakeEndpoint(reply_of_a_person, fake_endpoint.one_in(10, ("429", "500"))) as endpoint:
        reach = f"model=m:base_url={endpoint.base_url}:first_wait=.001:longest_wait=.1:price_in=1"
        options = [f"teacher=llm:{reach}", f"judge=llm:{reach}", "budget=10calls", BOTH_RATES]
        small_tldr.run("sft", *options)
        records = small_tldr.records()
        asked = len(endpoint.requests)
        sft = records["sft"]
        assert sft.spend["calls"] == 10 and sft.spend["money"] > 0 and "self-judged" in sft.flags
        assert any(note.startswith("teacher llm:") and "tokens read" in note for note in sft.notes)
        assert any(note.startswith("judge llm:") and "tokens read" in note for note in sft.notes)
        assert any("llm: m" in line and "no audit" in line for line in sft.captions)
        assert max(endpoint.answered.values()) == 1
        small_tldr.run("sft", *options)
        assert len(endpoint.requests) == asked
        alone = small_tldr.results.parent / "alone"
        small_tldr.run("sft", *options[:-1], "evaluators=win_rate", f"results={alone}")
        once = spoken_of("judge llm", small_tldr.records(alone)["sft"].notes)
        assert spoken_of("judge llm", sft.notes) == once, "both win rates look at the same answers"
        everything = [path for path in small_tldr.results.rglob("*") if path.is_file()]
        assert not [path for path in everything if b"sk-0123456789abcdef" in path.read_bytes()]


@pytest.mark.slow
def test_smollm2_judges_and_teaches_as_its_caption_says(tmp_path: Path) -> None:
    """Its choices follow the place: where it names an answer, it mostly names another one when swapped."""
    import os

    from alignment_bench.judging.pairwise import watched
    from alignment_bench.llm.local import unready

    if reason := unready("smollm2"):
        pytest.skip(reason)
    if not (folder := os.environ.get("ALIGNMENT_BENCH_VALIDATION_DATA")):
        pytest.skip("ALIGNMENT_BENCH_VALIDATION_DATA is not set")
    rows = [json.loads(line) for line in (Path(folder) / "llmbar.jsonl").read_text("utf-8").splitlines()]
    rows = [row for row in rows if len(row["input"] + row["output_1"] + row["output_2"]) < 500][:24]
    judge = host_of(LM(), Host(JobStore(tmp_path / "jobs"), Runtime("cpu", "auto", 1)))
    prompts = [Prompt(str(i), (Message("user", row["input"]),)) for i, row in enumerate(rows)]
    with watched() as seen:
        verdicts = judge.compare(
            prompts,
            [Key(p.id) for p in prompts],
            [r["output_1"] for r in rows],
            [r["output_2"] for r in rows],
        )
    named = [(one.straight.probability_first, one.swapped.probability_first) for one in seen]
    parsed = [(a, b) for a, b in named if a is not None and b is not None]
    consistent = sum((a > 0.5) == (b < 0.5) for a, b in parsed) / len(parsed)
    right = sum((v.value > 0.5) == (row["label"] == 1) for v, row in zip(verdicts, rows, strict=True)) / len(
        rows
    )
    print(f"\n{len(rows)} pairs, {len(parsed)} parsed, consistent {consistent:.2f}, right {right:.2f}")
    assert len(parsed) > len(rows) / 2 and consistent < 0.6
