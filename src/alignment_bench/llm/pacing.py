"""When the next request may go out: so many a minute, not before the endpoint said, later after each failure.

Own code beside the openai package's retries, which are switched off: those wait for fixed times, make no
other request wait when one is told to, and cannot see a reply that came whole but is no completion.
"""

from __future__ import annotations

import math
import threading
import time
from email.utils import parsedate_to_datetime
from random import Random
from types import TracebackType


class Stopped(Exception):
    """Waiting was cut short because the work ends."""


class Pace:
    """Shared by all threads that call one endpoint."""

    def __init__(self, per_minute: float, first_wait: float, longest_wait: float) -> None:
        """`per_minute` requests at most (0: any number); waits in seconds."""
        self._interval = 60 / per_minute if per_minute else 0.0
        self._first = first_wait
        self._longest = longest_wait
        self._lock = threading.Lock()
        self._next = self._resume = 0.0
        self._over = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether nobody waits here any more."""
        return self._over.is_set()

    def __enter__(self) -> Pace:
        """Work of several threads that keep this pace."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Work that ends by an exception ends for all who wait."""
        if kind is not None:
            self.stop()

    def turn(self) -> None:
        """Returns when the next request may go out. Raises Stopped where none may any more."""
        while True:
            with self._lock:
                now = time.monotonic()
                start = max(now, self._next, self._resume)
                self._next = start + self._interval
            self.wait(start - now)
            if time.monotonic() >= self._resume:
                return

    def pause(self, seconds: float) -> None:
        """No request goes out for so long."""
        with self._lock:
            self._resume = max(self._resume, time.monotonic() + seconds)

    def backoff(self, failures: int, stream: str) -> float:
        """Seconds to wait after so many failures in a row: doubling, half of it by chance (of `stream`)."""
        whole = min(self._longest, self._first * 2.0 ** min(failures - 1, 60))
        return whole * (0.5 + Random(f"{stream} {failures}").random() / 2)

    def wait(self, seconds: float) -> None:
        """Sleeps. Raises Stopped where the work ends meanwhile."""
        if self._over.wait(seconds) if seconds > 0 else self._over.is_set():
            raise Stopped

    def stop(self) -> None:
        """Whoever waits gives up."""
        self._over.set()


def retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, a number or a date; None where it says nothing usable."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
