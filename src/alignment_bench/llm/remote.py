"""A speaker behind an endpoint. Every answer is a job: paid once in money, whoever asks, however often.

A job's key is the model's name, the messages, the decoding, and the seed and number of the draw; not the
address, the key, the prices, or how patiently it was asked. Threads carry requests; which comes first changes
nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cached_property, partial
from typing import Any

from alignment_bench.digests import digest
from alignment_bench.errors import CorruptResult
from alignment_bench.hosting import Host
from alignment_bench.jobs import JobResult, Workplace
from alignment_bench.llm.endpoint import Endpoint, EndpointFailed, Line, Passing, Refused
from alignment_bench.llm.pacing import Pace
from alignment_bench.llm.speaking import Question, Reply, Usage

KIND = "llm"
"""of the jobs"""
ALTERNATIVES = 10
"""first tokens whose probability is asked for where a question has options"""
LARGEST_SEED = 2**31
"""seeds are sent below this: some endpoints read them as 32-bit numbers"""


class Remote:
    """Answers of one endpoint, kept in the host's store."""

    draws = True
    """few endpoints answer alike twice, even at temperature 0"""

    def __init__(self, endpoint: Endpoint, host: Host, *, soft: bool = False) -> None:
        """`soft`: ask for the probabilities of options, for which not every endpoint has an answer."""
        self._endpoint = endpoint
        self._host = host
        self._soft = soft
        self._pace = self._new_pace()

    def answer(self, questions: Sequence[Question], *, kept: bool = False) -> list[Reply]:
        """One reply a question. Raises EndpointFailed where too many got no answer; those that came are
        kept, and the same call goes on from them. With `kept` nothing is sent."""
        requests = [self._request(one) for one in questions]
        names = [digest(one) for one in requests]
        distinct = dict(zip(names, requests, strict=True))
        found = {n: self._kept(r) for n, r in distinct.items()} if kept else self._all(distinct)
        return [self._reply(question, found[name]) for question, name in zip(questions, names, strict=True)]

    def _all(self, requests: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """What came of each request: a stored completion, or a reason."""
        found: dict[str, dict[str, Any]] = {}
        unanswered: list[str] = []
        refused: list[str] = []
        if self._pace.stopped:
            self._pace = self._new_pace()
        # Out of the pace by an exception: nothing new goes out, what is on its way is still stored.
        with ThreadPoolExecutor(min(self._endpoint.concurrency, max(1, len(requests)))) as pool, self._pace:
            for name, future in _ended(pool, self._one, requests, 2 * self._endpoint.concurrency):
                try:
                    found[name] = future.result()
                except Refused as refusal:
                    refused.append(str(refusal))
                    found[name] = {"reason": f"refused: {refusal}"}
                except Passing as failure:
                    unanswered.append(str(failure))
                    found[name] = {"reason": f"no answer: {failure}"}
                if len(unanswered) > self._endpoint.unanswered or len(unanswered) == len(requests):
                    raise self._failed(unanswered, len(requests))
                if len(found) % 100 == 0:
                    self._host.say(f"{self._endpoint.model}: {len(found)} of {len(requests)} answers")
            if len(refused) == len(requests) > self._endpoint.unanswered:
                raise EndpointFailed(f"{self._endpoint.model} refuses everything: {refused[-1]}")
        return found

    def _failed(self, reasons: Sequence[str], asked: int) -> EndpointFailed:
        return EndpointFailed(
            f"{self._endpoint.model}: no answer to {len(reasons)} of {asked} requests after "
            f"{self._endpoint.attempts} attempts each, at last: {reasons[-1]}; what was answered is kept: "
            "run the same command again"
        )

    def _kept(self, request: dict[str, Any]) -> dict[str, Any]:
        def nothing(place: Workplace) -> None:
            raise Refused("it was never answered")

        try:
            return self._read(self._host.store.run(KIND, request, nothing))
        except Refused as refusal:
            return {"reason": str(refusal)}

    def _one(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        return self._read(self._host.store.run(KIND, request, partial(self._call, name, request)))

    def _read(self, job: JobResult) -> dict[str, Any]:
        path = job.folder / "reply.json"
        try:
            stored: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CorruptResult(f"{path} cannot be read ({error}): delete {job.folder}") from error
        return stored

    def _call(self, name: str, request: Mapping[str, Any], place: Workplace) -> None:
        """Sends the request until a completion comes, and stores it. Raises Passing or Refused, and
        Stopped where the work ends meanwhile."""
        body = {"model": request["model"], "messages": request["messages"], **request["decoding"]}
        if "max_tokens" in body:
            body[self._endpoint.length_field] = body.pop("max_tokens")
        for failures in range(1, self._endpoint.attempts + 1):
            self._pace.turn()
            try:
                stored = self._line.post(body)
                break
            except Passing as failure:
                if failures == self._endpoint.attempts:
                    if not failure.broken:
                        raise
                    # The endpoint answered, and was perhaps paid; it just never made sense.
                    stored = {"reason": f"{failure}, {failures} times", "tokens": [None, None]}
                    break
                self._hold_back(failure, failures, name)
        (place.folder / "reply.json").write_text(json.dumps(stored, ensure_ascii=False), "utf-8")

    def _hold_back(self, failure: Passing, failures: int, name: str) -> None:
        """Waits as long as the endpoint asks, everybody; or ever longer, this request alone."""
        if failure.wait is None:
            self._pace.wait(self._pace.backoff(failures, name))
        elif failure.wait > self._endpoint.longest_wait:
            raise Passing(f"{failure}, and it asks to wait {failure.wait:,.0f} s")
        else:
            self._pace.pause(failure.wait)

    def _request(self, question: Question) -> dict[str, Any]:
        """Everything that can change the answer; the inputs of its job."""
        decoding: dict[str, Any] = {"max_tokens": question.max_tokens}
        if question.temperature is not None:
            decoding["temperature"] = question.temperature
        if self._endpoint.send_seed:
            decoding["seed"] = (question.seed + question.attempt) % LARGEST_SEED
        if question.options and self._soft:
            decoding |= {"logprobs": True, "top_logprobs": ALTERNATIVES}
        return {
            "model": self._endpoint.model,
            "messages": [{"role": one.role, "content": one.content} for one in question.messages],
            "decoding": decoding,
            "draw": [question.seed, question.attempt],
        }

    def _reply(self, question: Question, stored: Mapping[str, Any]) -> Reply:
        usage = self._usage(stored)
        if reason := stored.get("reason"):
            return Reply(None, reason, usage=usage, final=True)
        text, finish = stored["text"], stored["finish"]
        weights = weights_of(question.options, stored["first"]) if question.options else None
        if finish == "length" and weights is None:  # the first word's probabilities need no last word
            return Reply(text, "cut off at the longest answer allowed", usage=usage)
        if text is None or finish == "content_filter":
            return Reply(
                None, f"the endpoint gave no text ({finish or 'it does not say why'})", weights, usage
            )
        return Reply(text, "", weights, usage)

    def _usage(self, stored: Mapping[str, Any]) -> Usage:
        if "tokens" not in stored:
            return Usage()
        read, written = stored["tokens"]
        money = (read or 0) * self._endpoint.price_in + (written or 0) * self._endpoint.price_out
        return Usage(read or 0, written or 0, money / 1e6, int(read is None or written is None))

    def _new_pace(self) -> Pace:
        end = self._endpoint
        return Pace(end.per_minute, end.first_wait, end.longest_wait)

    @cached_property
    def _line(self) -> Line:
        return Line(self._endpoint)


def weights_of(options: Sequence[str], first: Mapping[str, float] | None) -> tuple[float, ...] | None:
    """Probability of each option among the first token's alternatives: every token that is the option but
    for white space and case counts. None where the endpoint told nothing."""
    if first is None:
        return None
    known: dict[str, float] = {}
    for token, logprob in first.items():
        word = token.strip().casefold()
        known[word] = known.get(word, 0.0) + math.exp(logprob)
    return tuple(min(1.0, known.get(option.casefold(), 0.0)) for option in options)


def _ended(
    pool: ThreadPoolExecutor, work: Any, requests: Mapping[str, dict[str, Any]], ahead: int
) -> Iterator[tuple[str, Future[dict[str, Any]]]]:
    """Every request with its future, as they end; `ahead` of them are handed to the pool at a time."""
    waiting = iter(requests.items())
    running: dict[Future[dict[str, Any]], str] = {}
    while True:
        for name, request in waiting:
            # in a copy of the context, so that the job that asks is known to name what it asked for
            running[pool.submit(copy_context().run, work, name, request)] = name
            if len(running) >= ahead:
                break
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield running.pop(future), future
