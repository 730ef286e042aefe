"""The sandbox for generated programs: `run` tests programs that nobody has read.

**The idea.** A program is never believed. It runs in a process of its own that is told what to compute and
never what is expected; what it prints and how it ends prove nothing. For `Call`s the caller compares the
returned values; a `check` runs in a second confined process, and its calls reach the program as plain data
(`wire`), so that an answer has no methods of its own. Every program's process is forked afresh from a small
interpreter (`zygote`), which never reads programs, checks or expected values; its environment is empty, it
has one file descriptor, a scratch folder that is deleted afterwards, and the standard library.

**Levels**, each claim tried by a program that attempts the opposite (`probes`):

- `full`: namespaces for users (or an unprivileged user id where the caller is root), mounts, network,
  process ids and IPC; a root of the standard library alone, read-only; the program is the first of its
  process ids, so that whatever it started dies with it; the scratch folder is a tmpfs of limited size; on
  top of it seccomp and, where there is one, Landlock.
- `partial`: no namespaces. Landlock (version 3 on) refuses files outside the scratch folder and the library,
  seccomp refuses everything else, among it leaving the process group by which all is killed. Names and sizes
  of files outside can be seen, and a scratch folder is limited by file only. Also namespaces without seccomp.
- `none`: limits of time, memory and file size, and a group that is killed. It protects from accidents only.

Limits: processor and wall time, memory, processes and threads, file size, size of answers (`Limits`).

**Repeatable.** The hash seed is 0, `random` starts from seed 0, and equal trials of a batch are run once and
share their outcome. Programs that ask for the time or for `os.urandom` differ all the same.

Linux on x86-64 and arm64. Calls from a process that holds torch are fine: it is never forked.
"""

from alignment_bench.sandbox.pool import accept, run, unprotected
from alignment_bench.sandbox.probes import Protection, protection
from alignment_bench.sandbox.server import SandboxBroken
from alignment_bench.sandbox.trials import Call, Limits, Outcome, Trial

__all__ = [
    "Call",
    "Limits",
    "Outcome",
    "Protection",
    "SandboxBroken",
    "Trial",
    "accept",
    "protection",
    "run",
    "unprotected",
]
