"""What the engine did otherwise than planned (smaller batches after running out of memory), on its way to a
footnote: told deep inside a job, collected around it, stored with its result, told again when that is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_OPEN: ContextVar[list[str] | None] = ContextVar("incidents", default=None)


def tell(*texts: str) -> None:
    """Adds to what the innermost collector has heard, each text once; without one, dropped."""
    heard = _OPEN.get()
    if heard is not None:
        heard += [text for text in dict.fromkeys(texts) if text not in heard]


@contextmanager
def collecting() -> Iterator[list[str]]:
    """Collects everything told inside the block; an outer collector does not hear it."""
    heard: list[str] = []
    token = _OPEN.set(heard)
    try:
        yield heard
    finally:
        _OPEN.reset(token)
