"""Many trials over several fork servers, in order, each distinct trial once."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from alignment_bench.errors import BadInput, Problem
from alignment_bench.sandbox import wire
from alignment_bench.sandbox.judge import judge
from alignment_bench.sandbox.probes import Protection, protection
from alignment_bench.sandbox.server import Mode, SandboxBroken, Server
from alignment_bench.sandbox.trials import Level, Limits, Outcome, Trial

_ORDER: tuple[Level, ...] = ("none", "partial", "full")
_DEFAULT = Limits()
_SMALLEST_MB = 64
"""the interpreter itself needs about half of it"""


def _encoded(trial: Trial) -> bytes:
    calls = [[list(call.args), call.expected] for call in trial.calls]
    return wire.dumps([trial.code, trial.entry, calls, trial.check])


class _Accepted:
    """What this process accepts where a caller does not say."""

    least: Level = "partial"


def accept(least: Level) -> None:
    """Sets the least protection under which `run` runs programs in this process; it begins as partial."""
    _Accepted.least = least


def unprotected(least: Level) -> list[Problem]:
    """Why generated programs must not run here, if the protection is below `least`."""
    found = protection()
    if _ORDER.index(found.level) >= _ORDER.index(least):
        return []
    fix = "run where user namespaces or Landlock and seccomp are allowed"
    if found.level == "partial":
        fix += ", or accept partial protection with sandbox=partial"
    else:
        fix += ", or, on a machine that may be lost, accept running without protection with sandbox=none"
    message = f"generated programs must not run at protection {found.level}: {'; '.join(found.reasons)}"
    return [Problem("sandbox", message, fix)]


def _problems(trials: Sequence[Trial], limits: Limits, found: Protection) -> list[Problem]:
    problems = []
    if limits.processes > 1 and not found.counts_processes:
        message = f"a limit of {limits.processes} processes cannot be kept here"
        problems.append(Problem("limits.processes", message, "processes=1, which refuses every fork"))
    for name, least_value in (
        *(("cpu_seconds", 1), ("processes", 1), ("file_mb", 1), ("output_kb", 1)),
        ("memory_mb", _SMALLEST_MB),
    ):
        value = getattr(limits, name)
        if type(value) is not int or value < least_value:
            problems.append(
                Problem(f"limits.{name}", f"{value!r} is too little", f"a whole number from {least_value} on")
            )
    if not 0 < limits.wall_seconds < float("inf"):
        problems.append(Problem("limits.wall_seconds", f"{limits.wall_seconds!r}", "seconds above 0"))
    for number, trial in enumerate(trials):
        if not trial.calls and not trial.check:
            problems.append(Problem(f"trials[{number}]", "nothing to test", "give calls, or a check"))
        try:
            _encoded(trial)
        except wire.Refused as error:
            problems.append(Problem(f"trials[{number}]", str(error), "plain data as arguments and expected"))
    return problems


class _Batch:
    """Trials that several threads take one by one."""

    def __init__(self, trials: Sequence[Trial], limits: Limits, mode: Mode) -> None:
        self.trials = trials
        self.limits = limits
        self.mode = mode
        self.outcomes: dict[int, Outcome] = {}
        self.error: BaseException | None = None
        self.stopped = threading.Event()
        self._next = iter(range(len(trials)))
        self._lock = threading.Lock()

    def _take(self) -> int | None:
        with self._lock:
            return None if self.stopped.is_set() else next(self._next, None)

    def work(self) -> None:
        """Takes trials until none is left, with a fork server of its own."""
        number = self._take()
        try:
            while number is not None:
                with Server(self.mode) as server:
                    while number is not None:
                        try:
                            self.outcomes[number] = judge(server, self.trials[number], self.limits)
                        except SandboxBroken:
                            break
                        number = self._take()
                if number is not None:
                    # a second time on a fresh server: what breaks it again is reported
                    with Server(self.mode) as server:
                        self.outcomes[number] = judge(server, self.trials[number], self.limits)
                    number = self._take()
        except BaseException as error:
            self.error = self.error or error
            self.stopped.set()


def run(
    trials: Sequence[Trial],
    limits: Limits = _DEFAULT,
    *,
    workers: int | None = None,
    least: Level | None = None,
) -> list[Outcome]:
    """The outcomes of the trials, in their order; equal trials are run once and share their outcome.

    `workers`: fork servers at a time, by default one for each processor this process may use. BadInput where
    the protection is below `least` (None: what `accept` set, else partial), and for trials or limits that
    cannot be run; SandboxBroken if the sandbox itself fails.
    """
    found = protection()
    wanted = _Accepted.least if least is None else least
    if problems := [*unprotected(wanted), *_problems(trials, limits, found)]:
        raise BadInput(problems)
    distinct: dict[bytes, Trial] = {}
    keys = [_encoded(trial) for trial in trials]
    for key, trial in zip(keys, trials, strict=True):
        distinct.setdefault(key, trial)
    batch = _Batch(list(distinct.values()), limits, found.mode)
    if workers is not None and workers < 1:
        raise BadInput([Problem("workers", f"{workers} is too few", "at least 1")])
    count = min(workers or len(os.sched_getaffinity(0)), len(distinct))
    threads = [threading.Thread(target=batch.work, name=f"sandbox-{n}", daemon=True) for n in range(count)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        # also when interrupted: nothing outlives this call
        batch.stopped.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    if batch.error is not None:
        raise batch.error
    by_key = {key: batch.outcomes[number] for number, key in enumerate(distinct)}
    return [by_key[key] for key in keys]
