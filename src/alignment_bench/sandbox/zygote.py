"""The fork server: a small fresh interpreter that confines itself and forks one process per program.

It never reads a program, a check or an expected value: it is handed the file descriptor that leads to them
and passes it on, so what it forks inherits nothing worth stealing. It obeys two messages on its control
socket, `start` (with a descriptor) and `end` (kill everything, clean up, report), and ends with everything
it started when that socket closes.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import socket
import sys
import time
from typing import Any

from alignment_bench.sandbox import kernel, program, room, seccomp, wire

_CONTROL = 3
# imported by many programs: once here instead of once in each
PRELOADED = (
    *("bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "hashlib", "heapq"),
    *("itertools", "json", "math", "operator", "random", "re", "statistics", "string", "typing"),
)


def _own_uid(role: int) -> int | None:
    """An unprivileged user id that nobody else uses, or None where this process is no root or has one id."""
    if os.getuid() != 0:
        return None
    with open("/proc/self/uid_map", encoding="ascii") as lines:
        inside, _, count = max((tuple(map(int, line.split())) for line in lines), key=lambda row: row[2])
    first, last = max(inside, 1000), inside + count - 1
    # one pair for each living process of this machine, as far as there are ids
    pairs = min((last - first - 1000) // 2, 1 << 22)
    if pairs < 1:
        return None
    return min(last - 2 * pairs, 1_000_000_000) + 2 * (os.getpid() % pairs) + role


class Zygote:
    """The confinement that programs are forked into, and those that run now."""

    def __init__(self, folder: str, *, namespaces: bool, landlock: bool, filtered: bool) -> None:
        self.folder = folder
        self.namespaces = namespaces
        self.filtered = filtered
        self.uids = {"program": _own_uid(0), "check": _own_uid(1)}
        # root that cannot become somebody else needs a user namespace like everybody
        self.user_namespace = namespaces and self.uids["program"] is None
        self.null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self.running: dict[int, str] = {}
        self.scratch = os.path.join(folder, room.SCRATCH)
        self.readable = [] if namespaces else room.library()
        if namespaces:
            self._enter_namespaces()
        self.rules: dict[str, kernel.Landlock] = {}
        self.open_to = ["/"]
        if landlock and not namespaces:
            left_out = room.packages(self.readable)
            self.open_to = [p for path in self.readable for p in room.without(path, left_out)]
            self.open_to += room.DEVICES
            # rules name folders, not paths: the scratch folders come and go in this one
            self.rules["program"] = kernel.Landlock(self.open_to, (folder,))
        if landlock:
            self.rules["check"] = kernel.Landlock(self.open_to, ())
        self.closed = self._closed_to_others()

    def _closed_to_others(self) -> bool:
        """Whether the library or the scratch folder lies behind a folder that our own user id cannot pass."""
        uid = self.uids["program"]
        if uid is None or self.namespaces:
            return False
        os.seteuid(uid)
        try:
            return not all(map(os.path.exists, [*self.readable, self.folder]))
        finally:
            os.seteuid(0)

    def _enter_namespaces(self) -> None:
        """New namespaces of all kinds, a root of our own, and this process the first in its process ids."""
        uid, gid = os.getuid(), os.getgid()
        kinds = kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS | kernel.NEWPID
        kernel.unshare(kinds | (kernel.NEWUSER if self.user_namespace else 0))
        if self.user_namespace:
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", f"{uid} {uid} 1"),
                ("gid_map", f"{gid} {gid} 1"),
            ):
                with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                    file.write(text)
        child = os.fork()
        if child:
            _wait_and_leave(child, self.folder)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        # for children to come: mounts in a private copy, process ids of their own
        self.own_pids = os.open("/proc/self/ns/pid_for_children", os.O_RDONLY | os.O_CLOEXEC)
        # not before the fork: who waits outside removes the folder
        kernel.unshare(kernel.NEWNS)
        room.build(self.folder)
        self.scratch = "/" + room.SCRATCH

    def start(self, message: dict[str, Any], channel: int) -> None:
        """Forks a process for one role; first it says `ready`, or what failed, on the channel."""
        role = message["role"]
        if self.namespaces:
            kernel.unshare(kernel.NEWPID)
        elif role == "program":
            os.mkdir(self.scratch, 0o700)
        pid = os.fork()
        if pid == 0:
            try:
                self._confine(role, message["limits"], channel)
                wire.write(program.CHANNEL, wire.dumps({"ready": True}))
            except BaseException as error:
                wire.write(program.CHANNEL, wire.dumps({"ready": False, "why": str(error)}))
                os._exit(1)
            program.main(role)
        if self.namespaces:
            kernel.setns(self.own_pids, kernel.NEWPID)
        else:
            with contextlib.suppress(OSError):
                # it does the same; whoever comes first
                os.setpgid(pid, pid)
        self.running[pid] = role

    def _confine(self, role: str, limits: dict[str, Any], channel: int) -> None:
        """Takes everything away from this process that a program must not have."""
        os.dup2(channel, program.CHANNEL)
        os.setpgid(0, 0)
        for fd in (0, 1, 2):
            os.dup2(self.null, fd)
        if self.namespaces:
            kernel.unshare(kernel.NEWNS)
            size = f"size={limits['file_mb']}m,nr_inodes=4096,mode=700"
            flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
            kernel.mount("tmpfs", self.scratch, "tmpfs", flags, size if role == "program" else "size=4k")
        has_scratch = role == "program" or self.namespaces
        os.chdir(self.scratch if has_scratch else "/")
        rules = self.rules.get(role)
        if self.rules and rules is None:
            rules = kernel.Landlock(self.open_to, (self.scratch,))
        uid = self.uids[role]
        if uid is not None:
            if has_scratch:
                os.chown(".", uid, uid)
            self._become(uid)
        elif self.user_namespace:
            # one more, so that processes are counted for this program alone
            kernel.unshare(kernel.NEWUSER)
        self._limit(limits)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        if rules is not None:
            rules.enter()
        if uid is None:
            kernel.keep_capabilities()
        kernel.close_from(program.CHANNEL + 1)
        os.environ.clear()
        if self.filtered:
            own = None if self.namespaces else os.getpid()
            seccomp.enter(seccomp.program(own_pid=own, alone=limits["processes"] == 1))

    def _become(self, uid: int) -> None:
        """Drops root. Without namespaces the right to pass closed folders is kept if the library lies behind
        one; Landlock, where there is one, limits it to the library."""
        kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        kernel.keep_capabilities(*([kernel.CAP_DAC_READ_SEARCH] if self.closed else []))

    def _limit(self, limits: dict[str, Any]) -> None:
        for kind, most in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_CPU, limits["cpu_seconds"]),
            (resource.RLIMIT_FSIZE, limits["file_mb"] << 20),
            (resource.RLIMIT_NOFILE, 64),
            (resource.RLIMIT_NPROC, limits["processes"]),
            (resource.RLIMIT_MEMLOCK, 0),
            (resource.RLIMIT_MSGQUEUE, 0),
            (resource.RLIMIT_AS, limits["memory_mb"] << 20),
        ):
            hard = resource.getrlimit(kind)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, most))

    def end(self) -> list[dict[str, Any]]:
        """Kills all that runs and whatever it left, empties the scratch folder, and says how each ended."""
        for pid in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if not self.namespaces:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        ended = []
        while True:
            try:
                pid, status, usage = os.wait4(-1, 0 if self.namespaces else os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                # adopted ones that left the group; each look kills one generation
                _kill_children()
                time.sleep(0.001)
            elif pid in self.running:
                role = self.running.pop(pid)
                ended.append({"role": role, "status": status, "cpu": usage.ru_utime + usage.ru_stime})
        if not self.namespaces and os.path.isdir(self.scratch):
            room.empty(self.scratch)
            os.rmdir(self.scratch)
        return ended


def _kill_children() -> None:
    """Kills every process whose parent this is."""
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # the name in brackets may hold anything
                parent = int(file.read().rpartition(b")")[2].split()[1])
                if parent == own:
                    os.kill(int(name), signal.SIGKILL)


def _wait_and_leave(child: int, folder: str) -> None:
    """The process outside the namespaces: ends with the one inside."""
    os.close(_CONTROL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _obey(zygote: Zygote, control: socket.socket) -> None:
    while True:
        data, fds, _, _ = socket.recv_fds(control, 4096, 1)
        if not data:
            zygote.end()
            return
        message = json.loads(data)
        if message["do"] == "start":
            zygote.start(message, fds[0])
            os.close(fds[0])
        else:
            control.send(json.dumps(zygote.end()).encode())


def main(folder: str, namespaces: bool, landlock: bool, filtered: bool) -> None:
    """Serves the control socket, descriptor 3, until it closes; says first whether all is set up."""
    control = socket.socket(fileno=_CONTROL)
    # out of memory: this one first, not the caller
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    for name in PRELOADED:
        __import__(name)
    os.environ.clear()
    try:
        _serve(control, folder, namespaces=namespaces, landlock=landlock, filtered=filtered)
    finally:
        if not namespaces:
            # also where the caller was killed
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def _serve(control: socket.socket, folder: str, *, namespaces: bool, landlock: bool, filtered: bool) -> None:
    try:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        zygote = Zygote(folder, namespaces=namespaces, landlock=landlock, filtered=filtered)
    except OSError as error:
        control.send(json.dumps({"up": False, "why": str(error)}).encode())
        sys.exit(1)
    gc.collect()
    gc.freeze()
    # whether a program's processes are counted apart from those of the caller's user
    apart = namespaces or zygote.uids["program"] is not None
    control.send(json.dumps({"up": True, "apart": apart}).encode())
    _obey(zygote, control)
