"""A chat-completions endpoint in this process, on 127.0.0.1, whose faults and answers are functions.

    with FakeEndpoint(answer=lambda request: "A", faults=one_in(10)) as endpoint:
        ... base_url=endpoint.base_url ...
    endpoint.requests, endpoint.answered

`faults(name, times)` gives a fault or None for the request called `name` (the digest of its body) when it
comes for the `times`-th time, from 0: what fails does not depend on the order of requests. Faults are:
`timeout` (no reply until the client has gone), `429` (with Retry-After), `500`, `cut` (half of the JSON),
`short` (fewer bytes than announced), `malformed` (JSON, but no completion), `garbled` (a completion of
nonsense, which counts as answered), `length` (likewise, stopped by the limit), or any other HTTP status.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Fault = Callable[[str, int], str | None]
PASSING = ("timeout", "429", "500", "cut", "malformed")
"""faults after which the same request may be sent again"""
NONSENSE = "as an octopus\nI would rather not\nsay"


def name_of(request: dict[str, Any]) -> str:
    """What a request is called: the digest of its body."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def one_in(share: int, kinds: tuple[str, ...] = PASSING) -> Fault:
    """One request in `share`, by its digest, fails when it comes first, the kinds in turn by digest."""

    def fault(name: str, times: int) -> str | None:
        number = int(name[:12], 16)
        return kinds[number // share % len(kinds)] if times == 0 and number % share == 0 else None

    return fault


class FakeEndpoint:
    """Serves while the `with` block runs. Everything it counts is under one lock."""

    def __init__(
        self,
        answer: Callable[[dict[str, Any]], str] = lambda request: "A",
        faults: Fault = lambda name, times: None,
        hold: float = 1.0,
        retry_after: str = "0.01",
        top: Callable[[dict[str, Any]], dict[str, float]] | None = None,
        refusal: str = "no",
    ) -> None:
        """`hold`: seconds that a `timeout` lasts; `top`: log-probabilities told of first tokens."""
        self.answer = answer
        self.faults = faults
        self.hold = hold
        self.retry_after = retry_after
        self.top = top
        self.refusal = refusal
        self.lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        """bodies of all requests, in the order in which they came"""
        self.times: list[float] = []
        """when each came"""
        self.authorizations: list[str] = []
        self.seen: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        """completions that were sent, by name"""
        self.failed: Counter[str] = Counter()
        """faults, by kind"""
        self.under_way = self.most_under_way = 0
        self.errors: list[BaseException] = []
        """what went wrong in here, in `answer` too; the end of the `with` block raises the first"""

    @property
    def base_url(self) -> str:
        """What a client is told."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> FakeEndpoint:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                data = self.rfile.read(length)
                if (
                    len(data) < length
                ):  # its sender was killed in the middle of it: no fault of the endpoint's
                    self.close_connection = True
                    return
                body = json.loads(data)
                if self.path != "/v1/chat/completions":
                    self.reply(404, {"error": {"message": "no such path"}})
                    return
                endpoint.serve(self, body)

            def reply(
                self, status: int, body: Any, cut: int = 0, headers: dict[str, str] | None = None
            ) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data) + cut))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                self.close_connection = self.close_connection or bool(cut)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that has gone is no error; anything else is one of the test."""
                error = sys.exc_info()[1]
                if error is not None and not isinstance(error, ConnectionError):
                    endpoint.errors.append(error)

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        if error is None and self.errors:
            raise self.errors[0]

    def serve(self, handler: Any, request: dict[str, Any]) -> None:
        """One request: its fault, or its answer."""
        name = name_of(request)
        with self.lock:
            self.requests.append(request)
            self.times.append(time.monotonic())
            self.authorizations.append(handler.headers.get("Authorization", ""))
            fault = self.faults(name, self.seen[name])
            self.seen[name] += 1
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            if fault is not None:
                self.failed[fault] += 1
        try:
            self._respond(handler, request, name, fault)
        finally:
            with self.lock:
                self.under_way -= 1

    def _respond(self, handler: Any, request: dict[str, Any], name: str, fault: str | None) -> None:
        error = {"error": {"message": self.refusal, "code": None}}
        if fault == "timeout":
            time.sleep(self.hold)
            handler.close_connection = True
            return
        if fault == "429":
            handler.reply(429, error, headers={"Retry-After": self.retry_after})
            return
        if fault is not None and fault.isdigit():
            handler.reply(int(fault), error)
            return
        if fault == "malformed":
            handler.reply(200, {"object": "chat.completion", "choices": []})
            return
        whole = self.encoded(self.completion(request, fault))
        if fault == "cut":
            handler.reply(200, whole[: len(whole) // 2])
            return
        if fault == "short":
            handler.reply(200, whole[: len(whole) // 2], cut=len(whole) - len(whole) // 2)
            return
        with self.lock:
            self.answered[name] += 1
        handler.reply(200, whole)

    def encoded(self, completion: dict[str, Any]) -> bytes:
        """A completion as it is sent."""
        return json.dumps(completion).encode()

    def completion(self, request: dict[str, Any], fault: str | None) -> dict[str, Any]:
        """What a real endpoint would send, as far as a client may rely on it."""
        text = NONSENSE if fault == "garbled" else self.answer(request)
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "length" if fault == "length" else "stop",
        }
        if request.get("logprobs") and self.top is not None:
            top = [{"token": t, "logprob": p, "bytes": None} for t, p in self.top(request).items()]
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        asked = sum(len(one["content"].split()) for one in request["messages"])
        usage = {"prompt_tokens": asked, "completion_tokens": len(text.split())}
        return {
            "id": "chatcmpl-0",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [choice],
            "usage": {**usage, "total_tokens": sum(usage.values())},
        }
