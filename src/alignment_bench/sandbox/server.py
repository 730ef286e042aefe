"""A fork server as its owner sees it: started, told to fork a confined process, and ended with all it made.

What the processes that it forks are asked, and what is made of their answers, is `judge`'s affair.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from alignment_bench.errors import BenchError
from alignment_bench.sandbox import room
from alignment_bench.sandbox.trials import Limits

_START_SECONDS = 20.0
"""how long a fork server may take to be up; they share slow machines"""
_END_SECONDS = 300.0
"""how long cleaning up may take: disks remove folders slowly, and a program can make tens of thousands"""
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
