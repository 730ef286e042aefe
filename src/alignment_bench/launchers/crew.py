"""How many workers do the cells of a run on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alignment_bench.plan import Cell

LIBRARIES = 1.5e9
"""bytes that a process takes before it holds a model"""
COPIES = 8
"""float32 copies of the weights that training holds at most: model, reference, gradients, Adam, reward"""


def count(asked: int, cells: Sequence[Cell]) -> int:
    """How many workers do these cells: as many as asked for, by default as cores, threads and memory allow.

    Never more than one for every two cells, since each spends seconds on imports. 1: no process is started.
    """
    return min(asked or min((_fitting(cell) for cell in cells), default=1), most(cells))


def most(cells: Sequence[Cell]) -> int:
    """More workers than this would spend longer on imports than they save: one for every two cells."""
    return max(1, (len(cells) + 1) // 2)


def crowded(crew: int, cells: Sequence[Cell]) -> str:
    """A remark where so many workers were asked for that their threads wait for each other; else empty.

    Threads that spin for cores which others hold made two SmolLM2 workers of two threads several times
    slower on two cores than two of one thread.
    """
    on_cpu = [cell.setting.runtime for cell in cells if cell.setting.runtime.device == "cpu"]
    threads, processes = max(((one.threads, one.processes) for one in on_cpu), default=(1, 1))
    if threads == 1 or crew * threads * processes <= cores():
        return ""
    each = f"{threads} threads" if processes == 1 else f"{processes} processes of {threads} threads"
    return f"{crew} workers of {each} on {cores()} cores get in each other's way: add threads=1"


def needs(cells: Sequence[Cell]) -> tuple[int, int]:
    """CPUs and GPUs that one worker needs for any of these cells."""
    runtimes = [cell.setting.runtime for cell in cells]
    threads = max((runtime.threads * runtime.processes for runtime in runtimes), default=1)
    gpus = [runtime.processes for runtime in runtimes if runtime.device != "cpu"]
    return threads, max(gpus, default=0)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fitting(cell: Cell) -> int:
    """How many processes can run cells like this side by side on this machine."""
    runtime, source = cell.setting.runtime, cell.setting.source
    if runtime.device != "cpu":
        return 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    one = LIBRARIES + COPIES * 4 * source.parameters
    return max(1, min(cores() // runtime.threads, int(memory / one)) // runtime.processes)
