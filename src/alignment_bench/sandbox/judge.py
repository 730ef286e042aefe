"""The trusted side of a trial: hands a program its calls, and compares what comes back.

Runs in the caller's process. A program's messages are decoded strictly and count as answers only; the
verdict is made here, or by the check's own process, whose channel the program does not have.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import time
from dataclasses import dataclass, replace
from typing import Any

from alignment_bench.sandbox import wire
from alignment_bench.sandbox.program import NO_MEMORY
from alignment_bench.sandbox.server import SandboxBroken, Server
from alignment_bench.sandbox.trials import Limits, Outcome, Status, Trial

_CHECK_BYTES = 64 << 20
"""size of one message of a check, which is the task's and not the program's"""


class _Stop(Exception):
    """The trial is over: what it comes to."""

    def __init__(self, status: Status, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(detail)


class _Ended(Exception):
    """A role's process closed its channel."""


class _Channel:
    """Messages to and from one confined process, until the trial's deadline."""

    def __init__(self, role: str, sock: socket.socket, limits: Limits, deadline: float) -> None:
        self.role = role
        self._sock = sock
        self._deadline = deadline
        self._limit = limits.output_kb << 10 if role == "program" else _CHECK_BYTES
        self._wall = limits.wall_seconds

    def _remaining(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _Stop("timeout", f"not done within {self._wall:g} s")
        return left

    def _part(self, size: int) -> bytes:
        self._sock.settimeout(self._remaining())
        return self._sock.recv(size)

    def receive(self) -> dict[str, Any]:
        """The next message, a dict."""
        try:
            message = wire.loads(wire.read_with(self._part, self._limit))
        except TimeoutError:
            raise _Stop("timeout", f"not done within {self._wall:g} s") from None
        except wire.Refused as error:
            large = "allowed" in str(error)
            raise _Stop("output" if large else "error", f"an answer was refused: {error}") from error
        except (EOFError, ConnectionError) as error:
            raise _Ended(self.role) from error
        if not isinstance(message, dict):
            raise _Stop("error", "an answer was refused: no message")
        return message

    def send(self, message: bytes) -> None:
        """Sends one encoded message."""
        try:
            self._sock.settimeout(self._remaining())
            self._sock.sendall(wire.framed(message))
        except TimeoutError:
            raise _Stop("timeout", f"not done within {self._wall:g} s") from None
        except ConnectionError as error:
            raise _Ended(self.role) from error

    def ready(self) -> None:
        """Waits for the word that the process is confined, which it sends before it reads anything."""
        try:
            greeting = self.receive()
        except _Ended as error:
            raise SandboxBroken(f"the confined process ({self.role}) ended before it was ready") from error
        if greeting.get("ready") is not True:
            raise SandboxBroken(f"a process cannot be confined: {greeting.get('why')}")


@dataclass
class _Answer:
    """A program's reply to a call: a value, or the text of an error and the message that carries it on."""

    value: Any = None
    error: str = ""
    message: bytes = b""
    memory: bool = False


def _answer(message: dict[str, Any]) -> _Answer:
    if set(message) == {"value"}:
        return _Answer(value=message["value"], message=wire.dumps(message))
    parts = [message.get(key) for key in ("error", "name", "words", "where")]
    if len(message) != 4 or not all(isinstance(part, str) and len(part) < 1000 for part in parts):
        raise _Stop("error", "an answer was refused: neither a value nor an error")
    error, name, words, where = parts
    # printable: it may end in a terminal
    text = "".join(c if c.isprintable() else "?" for c in f"{name}: {words}{where}")
    return _Answer(error=text, message=wire.dumps(message), memory=error == "MemoryError")


@dataclass
class _Progress:
    """What is known of a trial so far."""

    passed: list[bool]
    status: Status = "passed"
    detail: str = ""

    def note(self, status: Status, detail: str) -> None:
        """Keeps the first thing that went wrong."""
        if self.status == "passed":
            self.status, self.detail = status, detail


def _calls(trial: Trial, channel: _Channel, progress: _Progress) -> None:
    for number, call in enumerate(trial.calls):
        channel.send(wire.dumps({"args": list(call.args), "named": {}}))
        answer = _answer(channel.receive())
        if answer.error:
            progress.note("memory" if answer.memory else "error", f"call {number + 1}: {answer.error}")
        elif answer.value == wire.loads(wire.dumps(call.expected)):
            progress.passed[number] = True
        else:
            shown = repr(answer.value)
            shown = shown if len(shown) <= 200 else shown[:200] + "..."
            progress.note("failed", f"call {number + 1} returned {shown}")


def _check(trial: Trial, channel: _Channel, checker: _Channel, progress: _Progress) -> None:
    checker.ready()
    checker.send(wire.dumps({"check": trial.check, "entry": trial.entry}))
    last = _Answer()
    while True:
        message = checker.receive()
        if "verdict" in message:
            break
        channel.send(wire.dumps({"args": message["args"], "named": message["named"]}))
        last = _answer(channel.receive())
        checker.send(last.message)
    if message["verdict"] is True:
        progress.passed[-1] = True
        return
    if last.error:
        progress.note("memory" if last.memory else "error", f"check: {last.error}")
    elif message["error"] == "AssertionError":
        progress.note("failed", f"check: assertion failed{message['where']}: {message['words']}".rstrip(": "))
    else:
        # without the line: it is the check's, and lines in an error's words are the program's
        progress.note("error", f"check: {message['name']}: {message['words']}")


def _how_it_ended(role: str, ended: dict[str, Any], limits: Limits) -> tuple[Status, str]:
    who = "the program" if role == "program" else "the check"
    code = os.waitstatus_to_exitcode(ended["status"])
    # the kernel counts by ticks: a little less than the limit may be on record
    if code in (-signal.SIGXCPU, -signal.SIGKILL) and ended["cpu"] >= 0.85 * limits.cpu_seconds:
        return "timeout", f"{who} used more than {limits.cpu_seconds} s of processor time"
    if code == NO_MEMORY:
        return "memory", f"{who} had no memory left"
    if code < 0 and code != -signal.SIGKILL:
        return "crashed", f"{who} died of {signal.Signals(-code).name}"
    return "crashed", f"{who} ended itself with status {code}" if code >= 0 else f"{who} closed its channel"


def judge(server: Server, trial: Trial, limits: Limits) -> Outcome:
    """Runs one trial from start to clean-up. SandboxBroken if it could not be run as promised."""
    began = time.monotonic()
    deadline = began + limits.wall_seconds
    progress = _Progress([False] * (len(trial.calls) + bool(trial.check)))
    sockets = [server.start("program", limits)]
    gone = ""
    try:
        if trial.check:
            # no files, and time for all that the program may take
            more = replace(limits, cpu_seconds=math.ceil(limits.wall_seconds), processes=1)
            sockets.append(server.start("check", more))
        channel = _Channel("program", sockets[0], limits, deadline)
        channel.ready()
        channel.send(wire.dumps({"code": trial.code, "entry": trial.entry}))
        loaded = channel.receive()
        if loaded != {"loaded": True}:
            answer = _answer(loaded)
            raise _Stop("memory" if answer.memory else "error", answer.error or "it did not load")
        _calls(trial, channel, progress)
        if trial.check:
            _check(trial, channel, _Channel("check", sockets[1], limits, deadline), progress)
    except _Stop as stop:
        progress.note(stop.status, stop.detail)
    except _Ended as ended:
        gone = str(ended)
    finally:
        # close first: a program that waits for us then ends by itself
        for sock in sockets:
            sock.close()
        how = server.end()
    if gone:
        progress.note(*_how_it_ended(gone, how[gone], limits))
    return Outcome(progress.status, tuple(progress.passed), progress.detail, time.monotonic() - began)
