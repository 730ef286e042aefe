"""One question to the Hugging Face hub: is it there? Asked once a process, answered within three seconds."""

from __future__ import annotations

import functools
import os
import threading
import urllib.error
import urllib.request

PROBE_SECONDS = 3.0


def offline() -> bool:
    """Whether the user has forbidden the hub (HF_HUB_OFFLINE); a cached copy may still serve."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}


def endpoint() -> str:
    """The hub's address; HF_ENDPOINT names a mirror."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


@functools.cache
def reachable(address: str | None = None, seconds: float = PROBE_SECONDS) -> bool:
    """Whether the hub answers at all; any HTTP answer counts. False at once where HF_HUB_OFFLINE is set.

    The libraries' own retries take 23 seconds and six lines to say the same.
    """
    if offline():
        return False
    answered = threading.Event()

    def probe() -> None:
        try:
            request = urllib.request.Request(address or endpoint(), method="HEAD")
            with urllib.request.urlopen(request, timeout=seconds):
                answered.set()
        except urllib.error.HTTPError:
            answered.set()
        except (OSError, ValueError):
            return

    # A thread, because a name server that never answers is not covered by the socket's time limit.
    worker = threading.Thread(target=probe, daemon=True)
    worker.start()
    worker.join(seconds)
    return answered.is_set()
