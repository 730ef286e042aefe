"""Plain data between processes that do not trust each other: frames of JSON with a strict decoder.

Values are None, bool, int, float, str, bytes, complex, list, tuple, dict, set and frozenset, nested to a
depth of 100; nothing else exists. Subclasses are sent as what they derive from, and whoever decodes makes
new values of exactly these types, so an answer has no methods of its own: no `__eq__` that lies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

DEPTH = 100
"""how deep values may be nested"""
HASHED = 5_000
"""set members and dict keys in one value: chosen keys can make hashing quadratic for whoever decodes"""
_EXACT = 2**53


class Refused(ValueError):
    """A value that is not plain data, or too deep or too large."""


def _pack(value: Any, depth: int) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        plain = int.__index__(value)
        return plain if -_EXACT < plain < _EXACT else {"i": hex(plain)}
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes | bytearray):
        return {"b": bytes(value).hex()}
    if isinstance(value, complex):
        return {"c": [value.real, value.imag]}
    if depth <= 0:
        raise Refused(f"nested more than {DEPTH} deep")
    if isinstance(value, list):
        return [_pack(item, depth - 1) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return {"t": [_pack(item, depth - 1) for item in tuple.__iter__(value)]}
    if isinstance(value, dict):
        return {"d": [[_pack(k, depth - 1), _pack(v, depth - 1)] for k, v in dict.items(value)]}
    if isinstance(value, set):
        return {"s": [_pack(item, depth - 1) for item in set.__iter__(value)]}
    if isinstance(value, frozenset):
        return {"z": [_pack(item, depth - 1) for item in frozenset.__iter__(value)]}
    raise Refused(f"{type(value).__name__} is not plain data")


class _Unpacker:
    """Rebuilds one value; counts what has to be hashed."""

    def __init__(self) -> None:
        self.hashed = 0

    def value(self, packed: Any, depth: int = DEPTH) -> Any:
        if not isinstance(packed, list | dict):
            return packed
        if depth < 0:
            raise Refused(f"nested more than {DEPTH} deep")
        if isinstance(packed, list):
            return [self.value(item, depth - 1) for item in packed]
        if len(packed) != 1:
            raise Refused("not an encoded value")
        ((tag, inner),) = packed.items()
        if tag in ("i", "b"):
            if not isinstance(inner, str):
                raise Refused("not an encoded value")
            return int(inner, 16) if tag == "i" else bytes.fromhex(inner)
        if tag not in ("c", "t", "d", "s", "z") or not isinstance(inner, list):
            raise Refused("not an encoded value")
        if tag == "c":
            if [type(part) for part in inner] != [float, float]:
                raise Refused("not an encoded value")
            return complex(*inner)
        if tag == "t":
            return tuple(self.value(item, depth - 1) for item in inner)
        self.hashed += len(inner)
        if self.hashed > HASHED:
            raise Refused(f"more than {HASHED} set members and dict keys")
        if tag == "d":
            if any(not isinstance(pair, list) or len(pair) != 2 for pair in inner):
                raise Refused("not an encoded value")
            return {self.value(k, depth - 1): self.value(v, depth - 1) for k, v in inner}
        made = {self.value(item, depth - 1) for item in inner}
        return made if tag == "s" else frozenset(made)


def dumps(value: Any) -> bytes:
    """The value's encoding; Refused if it is not plain data."""
    try:
        return json.dumps(_pack(value, DEPTH), separators=(",", ":")).encode("ascii")
    except RecursionError as error:
        raise Refused(f"nested more than {DEPTH} deep") from error


def loads(data: bytes) -> Any:
    """The value of an encoding from an untrusted source, of exact types; Refused if it is none."""
    try:
        return _Unpacker().value(json.loads(data.decode("ascii")))
    except Refused:
        raise
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        # not JSON, unhashable keys, a number too long, nested without end
        raise Refused(f"not an encoded value: {type(error).__name__}") from error


def framed(data: bytes) -> bytes:
    """The data behind its length in four bytes."""
    return len(data).to_bytes(4, "big") + data


def write(fd: int, data: bytes) -> None:
    """Writes one frame to a blocking file descriptor."""
    view = memoryview(framed(data))
    while view:
        view = view[os.write(fd, view) :]


def read_with(receive: Callable[[int], bytes], limit: int) -> bytes:
    """Reads one frame by `receive(at most n bytes)`. EOFError at the end, Refused beyond `limit` bytes."""

    def exactly(size: int) -> bytes:
        parts = []
        while size:
            part = receive(min(size, 1 << 16))
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    size = int.from_bytes(exactly(4), "big")
    if size > limit:
        raise Refused(f"{size} bytes where {limit} are allowed")
    return exactly(size)


def read(fd: int, limit: int = 1 << 30) -> bytes:
    """Reads one frame from a blocking file descriptor."""
    return read_with(lambda size: os.read(fd, size), limit)
