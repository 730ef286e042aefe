"""Content digests: the same value gives the same hex digest on every machine and in every process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def canonical(value: Any) -> str:
    """JSON text that is equal exactly when the values are; raises TypeError on what JSON cannot say."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of `value`, 64 hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def vouched(body: Mapping[str, Any]) -> bool:
    """Whether the `sha256` in a JSON object that was read is the digest of the rest of it.

    What no digest can have been taken of (nan, half a character, endless nesting) is not.
    """
    try:
        return digest({name: value for name, value in body.items() if name != "sha256"}) == body.get("sha256")
    except (ValueError, RecursionError):
        return False


def digest_file(path: Path) -> str:
    """sha256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_files(folder: Path, names: Iterable[str]) -> str:
    """One digest over several files of a folder, names included."""
    return digest({name: digest_file(folder / name) for name in sorted(names)})


def derive_seed(*parts: str | int) -> int:
    """A 63-bit seed from any mixture of names and numbers; different parts give independent streams."""
    return int(digest(list(parts))[:16], 16) >> 1


def generator(*parts: str | int) -> np.random.Generator:
    """A numpy generator for the stream that `parts` name."""
    return np.random.Generator(np.random.Philox(derive_seed(*parts)))


def by_digest(items: Mapping[str, Any] | Iterable[str], salt: str = "") -> list[str]:
    """The strings ordered by digest: a shuffle that never depends on their order or on other items."""
    return sorted(items, key=lambda item: digest([salt, item]))
