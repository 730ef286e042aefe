"""What goes into the sandbox and what comes out: trials, limits, outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["passed", "failed", "error", "timeout", "memory", "crashed", "output"]
Level = Literal["full", "partial", "none"]


@dataclass(frozen=True)
class Limits:
    """What one program may use. The check of a trial runs under the same limits, in a process of its own."""

    cpu_seconds: int = 2
    """processor time of one process, in whole seconds; the kernel kills it there"""
    wall_seconds: float = 3.0
    """time for one trial, its check included; everything of the trial is killed there"""
    memory_mb: int = 512
    """address space of one process"""
    processes: int = 1
    """processes and threads alive at once; 1 refuses every fork and thread"""
    file_mb: int = 8
    """size of one file; at full protection also of the whole scratch folder"""
    output_kb: int = 256
    """size of one returned value, encoded; whatever is printed is thrown away"""


@dataclass(frozen=True)
class Call:
    """One call of the program and the value it must return, compared by `==`: plain data (see `wire`)."""

    args: tuple[Any, ...]
    """positional arguments"""
    expected: Any
    """never shown to the program"""


@dataclass(frozen=True)
class Trial:
    """A program and how to test it: by calls, by a check, or by both."""

    code: str
    """Python source of the program; only the standard library can be imported"""
    entry: str
    """name of the function under test"""
    calls: tuple[Call, ...] = ()
    """calls made in this order in one process"""
    check: str = ""
    """Python source that defines `check(candidate)`, in the style of HumanEval; an assertion that fails is a
    failed check. It runs apart from the program: helpers it needs must be in it, taken from the task's
    prompt, never from the program."""


@dataclass(frozen=True)
class Outcome:
    """What came of a trial."""

    status: Status
    """`passed` only if every call and the check passed; otherwise what went wrong first"""
    passed: tuple[bool, ...]
    """one for each call, then one for the check where there is one"""
    detail: str
    """what went wrong, for people; parts of it may be the program's own words"""
    seconds: float
    """wall time"""
