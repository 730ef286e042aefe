"""What time a plan counts in: processor time on a CPU, which others may share; else that of the clock."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Took:
    """How long a block took."""

    seconds: float = 0.0


class Clock:
    """Times blocks in the seconds that count on this device, and adds up both kinds."""

    def __init__(self, device: str) -> None:
        self.on_cpu = device == "cpu"
        self.processor = 0.0
        self.wall = 0.0

    @contextmanager
    def timing(self) -> Iterator[Took]:
        """The block's seconds: of this process and its ended children on a CPU, else of the wall clock."""
        took = Took()
        processor, wall = processor_seconds(), time.perf_counter()
        yield took
        used, passed = processor_seconds() - processor, time.perf_counter() - wall
        self.processor += used
        self.wall += passed
        took.seconds = used if self.on_cpu else passed


def peak_bytes() -> float:
    """The most memory that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def processor_seconds() -> float:
    """CPU seconds of this process, all its threads, and of its children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime
