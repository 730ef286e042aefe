"""The trusted side: starts fork servers, hands them programs, compares what comes back.

Runs in the caller's process. A program's messages are decoded strictly and count as answers only; the
verdict is made here, or by the check's own process, whose channel the program does not have.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from alignment_bench.errors import BenchError
from alignment_bench.sandbox import room, wire
from alignment_bench.sandbox.program import NO_MEMORY
from alignment_bench.sandbox.trials import Limits, Outcome, Status, Trial

_START_SECONDS = 20.0
"""how long a fork server may take to be up; they share slow machines"""
_END_SECONDS = 300.0
"""how long cleaning up may take: disks remove folders slowly, and a program can make tens of thousands"""
_CHECK_BYTES = 64 << 20
"""size of one message of a check, which is the task's and not the program's"""
# The package is not on the path of an interpreter without site: its modules are found by folder, once.
_BOOT = """
import sys, types
control, folder, mode, *places = sys.argv[1:]
for name, place in zip(("alignment_bench", "alignment_bench.sandbox"), places):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [place]
from alignment_bench.sandbox import zygote
for name in ("alignment_bench", "alignment_bench.sandbox"):
    sys.modules[name].__path__ = []
import os
if int(control) != 3:
    os.dup2(int(control), 3)
    os.close(int(control))
zygote.main(folder, *(letter in mode for letter in "nls"))
"""


class SandboxBroken(BenchError):
    """A fork server or the confinement of a process failed; says nothing about the program in it."""


@dataclass(frozen=True)
class Mode:
    """Which means of confinement a fork server uses."""

    namespaces: bool
    landlock: bool
    filtered: bool


class Server:
    """One fork server and its folder; a context manager that leaves neither process nor file."""

    def __init__(self, mode: Mode) -> None:
        self.folder = tempfile.mkdtemp(prefix="alignment-bench-sandbox-")
        # programs of another user id must pass it; what they write is closed to others
        os.chmod(self.folder, 0o711)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_START_SECONDS)
        here = Path(__file__).parent
        letters = "".join(
            letter
            for letter, on in zip("nls", (mode.namespaces, mode.landlock, mode.filtered), strict=True)
            if on
        )
        # -S, -s, -P: no packages. Not -I: the hash seed, the whole environment, makes runs repeatable.
        command = [sys.executable, "-S", "-s", "-P", "-B", "-X", "utf8", "-c", _BOOT]
        command += [str(theirs.fileno()), self.folder, letters or "-", str(here.parent), str(here)]
        try:
            self._process = subprocess.Popen(
                command,
                env={"PYTHONHASHSEED": "0"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self._control.close()
            os.rmdir(self.folder)
            raise SandboxBroken(f"the fork server's interpreter does not start: {error}") from error
        finally:
            theirs.close()
        try:
            greeting = self._hear()
        except SandboxBroken:
            self.close()
            raise
        if not greeting["up"]:
            self.close()
            raise SandboxBroken(greeting["why"])
        self._control.settimeout(_END_SECONDS)
        self.counts_apart: bool = greeting["apart"]

    def _hear(self) -> Any:
        try:
            data = self._control.recv(1 << 16)
        except OSError as error:
            raise SandboxBroken(f"the fork server does not answer: {error}") from error
        if not data:
            raise SandboxBroken("the fork server has ended")
        return json.loads(data)

    def start(self, role: str, limits: Limits) -> socket.socket:
        """Starts a confined process for `program` or `check`; the socket leads to it."""
        ours, theirs = socket.socketpair()
        message = {"do": "start", "role": role, "limits": asdict(limits)}
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise SandboxBroken(f"the fork server has ended: {error}") from error
        finally:
            theirs.close()
        return ours

    def end(self) -> dict[str, dict[str, Any]]:
        """Kills what was started and all it left; how each role's process ended: wait status, CPU seconds."""
        try:
            self._control.send(b'{"do": "end"}')
        except OSError as error:
            raise SandboxBroken(f"the fork server has ended: {error}") from error
        return {ended["role"]: ended for ended in self._hear()}

    def close(self) -> None:
        """Ends the server with everything it started, and removes its folder."""
        self._control.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # the server removes it; not if it was killed
        if os.path.isdir(self.folder):
            room.empty(self.folder)
            os.rmdir(self.folder)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
        progress.note("error", f"check: {message['name']}: {message['words']}{message['where']}")


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
