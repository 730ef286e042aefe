"""Answers of an endpoint: complete whatever fails, paid once, the same in every order, never the key."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alignment_bench.errors import BadInput
from alignment_bench.hosting import Host
from alignment_bench.jobs import JobStore
from alignment_bench.llm.endpoint import Endpoint, EndpointFailed
from alignment_bench.llm.pacing import Pace, retry_after
from alignment_bench.llm.remote import Remote
from alignment_bench.llm.speaking import Question, Reply
from alignment_bench.prompts import Message
from alignment_bench.runtime import Runtime

openai = pytest.importorskip("openai", reason="the extra llm is not installed")

KEY = "sk-very-secret-0123456789abcdef"
HASTY = Endpoint(
    model="echo", concurrency=8, attempts=4, timeout=3.0, first_wait=0.001, longest_wait=0.05, unanswered=3
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def fake(fake_endpoint: ModuleType) -> ModuleType:
    return fake_endpoint


def host_at(folder: Path) -> Host:
    return Host(JobStore(folder / "jobs"), Runtime("cpu", "auto", 1))


def questions(n: int) -> list[Question]:
    return [Question((Message("user", f"question {i}"),), 16) for i in range(n)]


def echo(request: dict[str, Any]) -> str:
    """The answer that belongs to a request."""
    return "answer to " + request["messages"][-1]["content"]


def asked(
    endpoint: Any, folder: Path, n: int, settings: Endpoint = HASTY, backwards: bool = False
) -> list[Reply]:
    settings = replace(settings, base_url=endpoint.base_url)
    wanted = questions(n)[::-1] if backwards else questions(n)
    replies = Remote(settings, host_at(folder)).answer(wanted)
    return replies[::-1] if backwards else replies


def kept_answers(folder: Path) -> dict[str, str]:
    """The stored answers by question."""
    found = {}
    for path in (folder / "jobs" / "llm").glob("*/job.json"):
        question = json.loads(path.read_text())["inputs"]["messages"][-1]["content"]
        found[question] = json.loads((path.parent / "reply.json").read_text())["text"]
    return found


def check_complete_and_paid_once(fake: ModuleType, tmp_path: Path, n: int) -> None:
    """n calls with a tenth of the requests failing; all answered, all right, none twice."""
    with fake.FakeEndpoint(echo, fake.one_in(10), hold=3.5) as endpoint:
        started = time.monotonic()
        replies = asked(endpoint, tmp_path / "a", n)
        seconds = time.monotonic() - started
        assert [reply.text for reply in replies] == [f"answer to question {i}" for i in range(n)]
        assert not any(reply.reason for reply in replies)
        faults = sum(endpoint.failed.values())
        assert n / 20 < faults < n / 5 and set(endpoint.failed) <= set(fake.PASSING)
        assert len(endpoint.failed) >= (5 if n >= 1000 else 3)
        assert sum(endpoint.answered.values()) == n and max(endpoint.answered.values()) == 1
        assert len(endpoint.requests) == n + faults
        assert len(kept_answers(tmp_path / "a")) == n
        before = len(endpoint.requests)
        again = asked(endpoint, tmp_path / "a", n, backwards=True)
        assert again == replies and len(endpoint.requests) == before, "nothing is paid twice"
        print(f"\n{n} calls: {seconds:.1f} s, {before} requests, faults {dict(endpoint.failed)}")
    with fake.FakeEndpoint(echo, fake.one_in(10), hold=3.5) as endpoint:
        alone = asked(endpoint, tmp_path / "b", n, replace(HASTY, concurrency=3), backwards=True)
        assert alone == replies, "neither order nor concurrency changes an answer"


def test_a_hundred_calls_with_faults_end_complete(fake: ModuleType, tmp_path: Path) -> None:
    check_complete_and_paid_once(fake, tmp_path, 100)


@pytest.mark.slow
def test_a_thousand_calls_with_faults_end_complete(fake: ModuleType, tmp_path: Path) -> None:
    check_complete_and_paid_once(fake, tmp_path, 1000)


DRIVER = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_llm_endpoint import HASTY, host_at, questions
    from dataclasses import replace
    from alignment_bench.llm.remote import Remote
    settings = replace(HASTY, base_url={url!r}, concurrency={concurrency})
    Remote(settings, host_at(Path({folder!r}))).answer(questions({n}))
"""


def check_killed_and_resumed(fake: ModuleType, tmp_path: Path, n: int, concurrency: int) -> None:
    """The endpoint itself kills its client, by SIGKILL, when a third of the requests have come."""
    child: list[subprocess.Popen[bytes]] = []

    def killing(request: dict[str, Any]) -> str:
        if len(endpoint.requests) >= n // 3 and child and child[0].poll() is None:
            os.kill(child[0].pid, signal.SIGKILL)
            child[0].wait()
            raise ConnectionAbortedError
        return echo(request)

    with fake.FakeEndpoint(killing) as endpoint:
        code = textwrap.dedent(DRIVER).format(
            tests=str(Path(__file__).parent),
            url=endpoint.base_url,
            concurrency=concurrency,
            folder=str(tmp_path),
            n=n,
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        child.append(subprocess.Popen([sys.executable, "-c", code], env=environment))
        assert child[0].wait(timeout=60) == -signal.SIGKILL
        time.sleep(0.1)
        kept, paid = kept_answers(tmp_path), dict(endpoint.answered)
        assert 0 < len(kept) < n // 2
        assert len(paid) - len(kept) <= concurrency, "only what was on its way is lost"
        first = len(endpoint.requests)
        replies = asked(endpoint, tmp_path, n)
        later = [one["messages"][-1]["content"] for one in endpoint.requests[first:]]
        assert [reply.text for reply in replies] == [f"answer to question {i}" for i in range(n)]
        assert not set(later) & set(kept), "no answered call is repeated"
        assert len(later) == len(set(later)) == n - len(kept)
        if concurrency == 1:
            assert max(endpoint.answered.values()) == 1 and sum(endpoint.answered.values()) == n


@pytest.mark.parametrize("concurrency", [1, 6])
def test_a_killed_run_repeats_no_call(fake: ModuleType, tmp_path: Path, concurrency: int) -> None:
    check_killed_and_resumed(fake, tmp_path, 60, concurrency)


@pytest.mark.slow
def test_a_killed_run_of_a_thousand_repeats_no_call(fake: ModuleType, tmp_path: Path) -> None:
    check_killed_and_resumed(fake, tmp_path, 1000, 8)


def test_an_interrupted_run_keeps_what_was_on_its_way(fake: ModuleType, tmp_path: Path) -> None:
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with fake.FakeEndpoint(echo) as endpoint:
        settings = replace(HASTY, base_url=endpoint.base_url)
        host = replace(host_at(tmp_path), say=interrupt)
        with pytest.raises(KeyboardInterrupt):
            Remote(settings, host).answer(questions(300))
        kept = kept_answers(tmp_path)
        assert 100 <= len(kept) < 200 and len(kept) == sum(endpoint.answered.values())
        asked(endpoint, tmp_path, 300)
        assert max(endpoint.answered.values()) == 1 and len(endpoint.requests) == 300


def test_equal_questions_are_asked_once(fake: ModuleType, tmp_path: Path) -> None:
    with fake.FakeEndpoint(echo) as endpoint:
        remote = Remote(replace(HASTY, base_url=endpoint.base_url), host_at(tmp_path))
        replies = remote.answer([*questions(3), *questions(3)])
        assert replies[:3] == replies[3:] and len(endpoint.requests) == 3


def test_another_draw_is_another_call_and_the_address_is_none(fake: ModuleType, tmp_path: Path) -> None:
    (one,) = questions(1)
    with fake.FakeEndpoint(echo) as first, fake.FakeEndpoint(echo) as second:
        for endpoint, question in [(first, one), (second, one), (second, replace(one, attempt=1))]:
            Remote(replace(HASTY, base_url=endpoint.base_url), host_at(tmp_path)).answer([question])
        patient = replace(HASTY, base_url=second.base_url, attempts=9, concurrency=1, price_in=5.0)
        Remote(patient, host_at(tmp_path)).answer([one])
        assert (len(first.requests), len(second.requests)) == (1, 1)
        assert (first.requests[0]["seed"], second.requests[0]["seed"]) == (0, 1)
        assert first.requests[0]["temperature"] == 0 and first.requests[0]["max_tokens"] == 16


def test_draws_above_temperature_zero_are_apart_even_where_no_seed_is_sent(
    fake: ModuleType, tmp_path: Path
) -> None:
    (one,) = questions(1)
    with fake.FakeEndpoint(echo) as endpoint:
        remote = Remote(replace(HASTY, base_url=endpoint.base_url, send_seed=False), host_at(tmp_path))
        remote.answer([replace(one, temperature=1.0, seed=1), replace(one, temperature=1.0, seed=2)])
        assert len(endpoint.requests) == 2 and "seed" not in endpoint.requests[0]


@pytest.mark.parametrize("kind", ["timeout", "429", "500", "503", "short"])
def test_what_never_passes_is_of_no_use_and_asked_again_by_the_next_run(
    fake: ModuleType, tmp_path: Path, kind: str
) -> None:
    bad = {"on": True}

    def faults(name: str, times: int) -> str | None:
        return kind if bad["on"] and name == spoiled else None

    patience = 1.0 if kind == "timeout" else 20.0
    with fake.FakeEndpoint(echo, faults, hold=1.2) as endpoint:
        settings = replace(HASTY, base_url=endpoint.base_url, attempts=2, timeout=patience)
        body = {"messages": [{"role": "user", "content": "question 2"}], "model": "echo"}
        spoiled = fake.name_of({**body, "max_tokens": 16, "temperature": 0.0, "seed": 0})
        replies = Remote(settings, host_at(tmp_path)).answer(questions(5))
        assert [bool(reply.text) for reply in replies] == [True, True, False, True, True]
        assert replies[2].reason.startswith("no answer") and endpoint.failed[kind] == 2
        bad["on"] = False
        assert all(reply.text for reply in asked(endpoint, tmp_path, 5))
        assert endpoint.seen[spoiled] == 3 and endpoint.answered[spoiled] == 1


@pytest.mark.parametrize("kind", ["malformed", "cut"])
def test_a_reply_that_never_makes_sense_is_stored_as_of_no_use(
    fake: ModuleType, tmp_path: Path, kind: str
) -> None:
    with fake.FakeEndpoint(echo, lambda name, times: kind) as endpoint:
        (reply,) = asked(endpoint, tmp_path, 1)
        assert reply.text is None and reply.final and "4 times" in reply.reason
        asked(endpoint, tmp_path, 1)
        assert len(endpoint.requests) == 4


def test_an_endpoint_that_is_down_fails_soon_and_says_what_to_do(fake: ModuleType, tmp_path: Path) -> None:
    with fake.FakeEndpoint(echo, lambda name, times: "500") as endpoint:
        with pytest.raises(EndpointFailed, match="run the same command again"):
            asked(endpoint, tmp_path, 200)
        assert len(endpoint.requests) < 200, "it did not try them all"


@pytest.mark.parametrize("status", ["401", "403", "404"])
def test_a_wrong_key_or_model_fails_at_once(fake: ModuleType, tmp_path: Path, status: str) -> None:
    with fake.FakeEndpoint(echo, lambda name, times: status, refusal=f"bad key {KEY}") as endpoint:
        with pytest.raises(EndpointFailed, match="check model=") as caught:
            asked(endpoint, tmp_path, 50)
        assert len(endpoint.requests) <= 2 * HASTY.concurrency
        assert KEY not in str(caught.value) and KEY not in repr(caught.value.__context__)


def test_a_refused_request_is_of_no_use_and_the_others_go_on(fake: ModuleType, tmp_path: Path) -> None:
    with fake.FakeEndpoint(echo, fake.one_in(4, ("400",)), refusal=f"too long {KEY}") as endpoint:
        replies = asked(endpoint, tmp_path, 40)
        refused = [reply for reply in replies if not reply.text]
        assert refused and all("too long [key]" in reply.reason for reply in refused)
        assert len(refused) == endpoint.failed["400"] < 20


def test_an_endpoint_that_refuses_everything_fails(fake: ModuleType, tmp_path: Path) -> None:
    refusing = fake.FakeEndpoint(echo, lambda name, times: "400", refusal="no such parameter: seed")
    with refusing as endpoint, pytest.raises(EndpointFailed, match="no such parameter: seed"):
        asked(endpoint, tmp_path, 10)


def test_the_key_is_in_no_stored_byte(fake: ModuleType, tmp_path: Path) -> None:
    """Though the endpoint sends it back in a reply and in its refusals."""
    with fake.FakeEndpoint(lambda request: f"your key is {KEY}", fake.one_in(5, ("400", "500"))) as endpoint:
        endpoint.refusal = f"I know {KEY}"
        replies = asked(endpoint, tmp_path, 30)
        assert any("your key is [key]" in (reply.text or "") for reply in replies)
        assert set(endpoint.authorizations) == {f"Bearer {KEY}"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 40
    assert not [path for path in files if KEY.encode() in path.read_bytes() or KEY in path.name]
    assert KEY not in repr(replies) and KEY not in repr(HASTY)


def test_a_key_in_other_letters_is_cleared_too(fake: ModuleType, tmp_path: Path) -> None:
    """JSON may write any letter by its number; what is stored is what was meant."""

    class Escaping(fake.FakeEndpoint):  # type: ignore[name-defined,misc]
        def encoded(self, completion: dict[str, Any]) -> bytes:
            whole: bytes = super().encoded(completion)
            return whole.replace(b"sk-", b"\\u0073k-")

    with Escaping(lambda request: f"your key is {KEY}") as endpoint:
        (reply,) = asked(endpoint, tmp_path, 1)
        assert reply.text == "your key is [key]"
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and KEY[3:].encode() in p.read_bytes()]


@pytest.mark.parametrize("logprob", [math.nan, math.inf, 1e9])
def test_what_is_no_probability_counts_as_not_told(fake: ModuleType, tmp_path: Path, logprob: float) -> None:
    (one,) = questions(1)
    with fake.FakeEndpoint(echo, top=lambda request: {"A": logprob, "B": -1.0}) as endpoint:
        remote = Remote(replace(HASTY, base_url=endpoint.base_url), host_at(tmp_path), soft=True)
        (reply,) = remote.answer([replace(one, options=("A", "B"))])
        assert reply.weights is None and reply.text == "answer to question 0"


def test_retry_after_holds_everybody_back(fake: ModuleType, tmp_path: Path) -> None:
    first: list[str] = []

    def faults(name: str, times: int) -> str | None:
        first.append(name)
        return "429" if len(first) == 1 else None

    with fake.FakeEndpoint(echo, faults, retry_after="0.4") as endpoint:
        settings = replace(HASTY, concurrency=1, longest_wait=1.0)
        asked(endpoint, tmp_path, 4, settings)
        waits = [b - a for a, b in zip(endpoint.times, endpoint.times[1:], strict=False)]
        assert waits[0] >= 0.39, "not the thousandth of a second of first_wait"


def test_a_pause_that_one_request_is_told_to_make_is_everybodys() -> None:
    pace = Pace(0, 1.0, 10.0)
    pace.pause(0.3)
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        ends = [one.result() for one in [pool.submit(_turn, pace) for _ in range(4)]]
    assert min(ends) - started >= 0.29


def _turn(pace: Pace) -> float:
    pace.turn()
    return time.monotonic()


def test_a_wait_that_is_too_long_is_given_up(fake: ModuleType, tmp_path: Path) -> None:
    with fake.FakeEndpoint(echo, lambda name, times: "429", retry_after="3600") as endpoint:
        with pytest.raises(EndpointFailed, match="asks to wait 3,600 s"):
            asked(endpoint, tmp_path, 1)
        assert len(endpoint.requests) == 1


def test_requests_a_minute_and_at_once_are_limited(fake: ModuleType, tmp_path: Path) -> None:
    with fake.FakeEndpoint(echo) as endpoint:
        started = time.monotonic()
        asked(endpoint, tmp_path, 20, replace(HASTY, per_minute=1500, concurrency=4))
        assert endpoint.times[-1] - started >= 19 * 0.04
        assert endpoint.most_under_way <= 4


def test_waits_double_up_to_the_longest_and_keep_half_by_chance() -> None:
    pace = Pace(0, 1.0, 10.0)
    for failures, whole in [(1, 1.0), (2, 2.0), (3, 4.0), (9, 10.0), (5000, 10.0)]:
        waits = [pace.backoff(failures, str(i)) for i in range(50)]
        assert whole / 2 <= min(waits) < max(waits) <= whole and len(set(waits)) == 50


@pytest.mark.parametrize(
    ("header", "check"),
    [
        (None, lambda wait: wait is None),
        ("2.5", lambda wait: wait == 2.5),
        ("-3", lambda wait: wait == 0),
        ("soon", lambda wait: wait is None),
        ("nan", lambda wait: wait is None),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", lambda wait: wait is None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", lambda wait: wait == 0),
        ("Wed, 21 Oct 2065 07:28:00 GMT", lambda wait: wait > 1e6),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, check: Callable[[Any], bool]) -> None:
    assert check(retry_after(header))


def test_what_must_not_be_in_fields_is_refused_unrepeated() -> None:
    with pytest.raises(BadInput) as caught:
        Endpoint(model="m", key_variable=KEY, base_url=f"https://me:{KEY}@host/v1")
    assert len(caught.value.problems) == 2 and KEY not in str(caught.value)
    for address in ("localhost:8000", "http://[::1", "http://host:99999/v1", f"http://me:{KEY}@h\u2100st/v1"):
        with pytest.raises(BadInput, match="no address") as caught:
            Endpoint(model="m", base_url=address)
        assert KEY not in str(caught.value)


def test_what_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "model=NAME" in str(Endpoint().unready())
    assert HASTY.unready() is None
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "OPENAI_API_KEY is not set" in str(HASTY.unready())
    assert replace(HASTY, key_variable=None).unready() is None
    for broken in (f"{KEY}\n", f"{KEY} x", "sk-\u00e9"):
        # a header cannot hold it, and what says so quotes the header
        monkeypatch.setenv("OPENAI_API_KEY", broken)
        reason = str(HASTY.unready())
        assert "OPENAI_API_KEY holds what no key can" in reason and KEY not in reason
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://me:{KEY}@host/v1")
    reason = str(replace(HASTY, key_variable=None).unready())
    assert "OPENAI_BASE_URL" in reason and KEY not in reason
    monkeypatch.setattr("alignment_bench.llm.endpoint.PACKAGE", "no_such_package")
    assert "pip install 'alignment-bench[llm]'" in str(HASTY.unready())


def test_tokens_and_money_are_told(fake: ModuleType, tmp_path: Path) -> None:
    with fake.FakeEndpoint(echo) as endpoint:
        (reply,) = asked(endpoint, tmp_path, 1, replace(HASTY, price_in=2.0, price_out=10.0))
        assert (reply.usage.tokens_in, reply.usage.tokens_out) == (2, 4)
        assert reply.usage.money == pytest.approx((2 * 2.0 + 4 * 10.0) / 1e6)
