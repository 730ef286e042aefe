"""What protection there is on this machine, found by trying to break it.

Every claim is the result of a program that tried the opposite inside the sandbox, with targets set up for
it: a file, a listening socket, this process. A kernel that accepts a limit and does not keep it is found out.
"""

from __future__ import annotations

import functools
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_bench.sandbox import kernel, seccomp, wire
from alignment_bench.sandbox.attempts import ATTEMPTS
from alignment_bench.sandbox.server import Mode, SandboxBroken, Server
from alignment_bench.sandbox.trials import Level, Limits

AT_MOST = "ALIGNMENT_BENCH_SANDBOX"
"""environment variable for tests: `partial` or `none` pretends that nothing better starts"""
_LIMITS = Limits(cpu_seconds=1, wall_seconds=5.0, memory_mb=128, file_mb=1)
_FORKS = 40
_FEW = 8
_PATIENCE = 60.0
"""seconds to wait for a limit on processor time to bite: on a busy machine a second of it takes many"""


@dataclass(frozen=True)
class Protection:
    """How well programs are confined here."""

    level: Level
    """`full`, `partial` or `none`; what they mean is said in the package's docstring"""
    reasons: tuple[str, ...]
    """what is missing, or weaker than it could be"""
    mode: Mode
    """the means that were found to work"""
    counts_processes: bool
    """whether a limit of more than one process is kept"""

    def describe(self) -> str:
        """The level and the reasons in one line."""
        return f"sandbox protection: {self.level}" + (f" ({'; '.join(self.reasons)})" if self.reasons else "")


@contextmanager
def _targets() -> Iterator[dict[str, Any]]:
    """Things that a program must not reach."""
    with (
        tempfile.TemporaryDirectory(prefix="alignment-bench-probe-") as folder,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as local,
    ):
        # open to everybody: the sandbox must refuse it, not the file's mode
        os.chmod(folder, 0o777)
        canary = Path(folder, "canary")
        canary.write_text("canary", "utf-8")
        canary.chmod(0o666)
        # the kernel chooses an abstract name
        local.bind("")
        local.listen()
        yield {
            "folder": folder,
            "canary": str(canary),
            "port": server.getsockname()[1],
            "local": local.getsockname()[1:].decode("ascii"),
        }


def _ask(sock: socket.socket, what: str, *more: Any) -> Any:
    sock.sendall(wire.framed(wire.dumps({"args": [what, *more], "named": {}})))
    return _hear(sock).get("value")


def _hear(sock: socket.socket) -> Any:
    return wire.loads(wire.read_with(sock.recv, 1 << 20))


def _started(server: Server, limits: Limits) -> socket.socket:
    """A confined process that has loaded the attempts."""
    sock = server.start("program", limits)
    sock.settimeout(20)
    try:
        if not (greeting := _hear(sock)).get("ready"):
            raise SandboxBroken(f"a process cannot be confined: {greeting.get('why')}")
        sock.sendall(wire.framed(wire.dumps({"code": ATTEMPTS, "entry": "attempt"})))
        if _hear(sock) != {"loaded": True}:
            raise SandboxBroken("a confined process cannot import the standard library")
    except (EOFError, OSError) as error:
        sock.close()
        raise SandboxBroken(f"a confined process does not answer: {error!r}") from error
    except SandboxBroken:
        sock.close()
        raise
    return sock


def _reached(server: Server) -> list[str]:
    """What a single program could do that it must not; empty if it is confined."""
    with _targets() as targets, _started(server, _LIMITS) as sock:
        canary = targets["canary"]
        attempts: list[tuple[Any, ...]] = [
            ("connect", targets["port"]),
            ("local", targets["local"]),
            ("read", canary),
            ("listing", targets["folder"]),
            ("write", canary),
            ("truncate", canary),
            ("mode", canary),
            ("create", os.path.join(targets["folder"], "made")),
            ("remove", canary),
            ("signal", os.getpid()),
            ("environment", os.getpid()),
            ("memory", 2 * _LIMITS.memory_mb),
            ("size", 2 * _LIMITS.file_mb),
        ]
        found = [text for attempt in attempts if (text := _ask(sock, *attempt))]
        if _ask(sock, "scratch") != "works":
            found.append("the scratch folder cannot be written")
        if _ask(sock, "forks", _FORKS) or _ask(sock, "threads", _FORKS):
            found.append("a program limited to one process starts more")
        server.end()
    return found


def _counts_processes(server: Server) -> bool:
    """Whether 40 forks under a limit of eight processes leave eight at most, and none after the end."""
    limits = Limits(processes=_FEW, cpu_seconds=1, wall_seconds=5.0, memory_mb=128)
    with _started(server, limits) as sock:
        forked = _ask(sock, "forks", _FORKS)
        server.end()
    return type(forked) is int and 0 < forked < _FEW


def _outlived(server: Server) -> list[str]:
    """Whether a process in a session of its own survives the end. It holds the socket: its end is seen."""
    with _started(server, Limits(processes=_FEW)) as sock:
        _ask(sock, "leave")
        server.end()
        sock.settimeout(1.0)
        try:
            while sock.recv(1024):
                pass
        except ConnectionError:
            return []
        except TimeoutError:
            return ["a process outlived its program"]
    return []


def _spins_on(server: Server) -> list[str]:
    """Whether processor time beyond the limit is granted."""
    with _started(server, _LIMITS) as sock:
        sock.settimeout(_PATIENCE)
        try:
            _ask(sock, "spin")
        except TimeoutError:
            return ["processor time is not limited"]
        except (EOFError, ConnectionError):
            return []
        finally:
            server.end()
    return ["processor time is not limited"]


@dataclass
class _Findings:
    """What the probes of one mode found."""

    broken: list[str]
    counts_processes: bool = False


def _probe(mode: Mode) -> _Findings:
    """Tries everything in one mode; what is broken, empty if nothing is."""
    spinning: list[str] = []

    def spin() -> None:
        try:
            with Server(mode) as server:
                spinning.extend(_spins_on(server))
        except (SandboxBroken, OSError) as error:
            spinning.append(str(error))

    # a second of processor time: beside the rest
    thread = threading.Thread(target=spin, name="sandbox-probe")
    thread.start()
    findings = _Findings([])
    try:
        with Server(mode) as server:
            findings.broken = _reached(server) + _outlived(server)
            findings.counts_processes = server.counts_apart and _counts_processes(server)
    except (SandboxBroken, OSError, EOFError) as error:
        findings.broken = [str(error) or type(error).__name__]
    finally:
        thread.join()
    findings.broken += [text for text in spinning if text not in findings.broken]
    return findings


def protection() -> Protection:
    """The protection on this machine, probed once in a process (about two seconds)."""
    return _protection(os.environ.get(AT_MOST, "full"))


def _modes(at_most: str) -> Iterator[tuple[Level, str, Mode]]:
    """What to try, best first: the level it gives, its name, the means."""
    landlock = kernel.landlock_version()
    filters = seccomp.supported()
    if at_most == "full":
        if filters:
            yield "full", "namespaces and seccomp", Mode(True, landlock > 0, True)
        yield "partial", "namespaces", Mode(True, landlock > 0, False)
    # before version 3 Landlock lets files be emptied
    if filters and landlock >= 3 and at_most != "none":
        yield "partial", "Landlock and seccomp", Mode(False, True, True)


@functools.cache
def _protection(at_most: str) -> Protection:
    reasons = [] if at_most == "full" else [f"{AT_MOST}={at_most}"]
    for level, name, mode in _modes(at_most):
        found = _probe(mode)
        if found.broken:
            reasons.append(f"{name} do not confine: {', '.join(found.broken)}")
            continue
        if not mode.landlock:
            reasons.append("no Landlock as a second layer")
        if not mode.namespaces:
            reasons.append("names, sizes and dates of files outside can be seen")
            reasons.append("the scratch folder is limited by file, not as a whole")
        if not found.counts_processes:
            reasons.append("a limit of more than one process cannot be kept")
        return Protection(level, tuple(reasons), mode, found.counts_processes)
    if kernel.landlock_version() < 3:
        reasons.append("no Landlock of version 3 or later")
    return Protection("none", tuple(reasons), Mode(False, False, False), False)
