"""The file that finished jobs travel in: a tar whose first member lists every other with size and digest.

    alignment-bench.json      the list: folder, name, size and sha256 of every file, and its own digest
    jobs/<kind>/<key>         job.json and the job's files, one job after the other
    audits/<judge>            audits of the cells' judges
    cells/<xx>/<digest>       run.json and the cell's files

An archive is somebody else's file: nothing in it is believed. Its members are plain files alone (no links,
devices, folders or extended headers), each the next one of the list in name and size; they are put at paths
that are made of nothing but the names a store uses, and only when their digests are those of the list. The
same content gives the same bytes: no times, owners or permissions, and a fixed order. Members' names are
shortened to what the oldest tar header holds, for people who look inside; the list tells the whole ones.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from alignment_bench.digests import digest, vouched
from alignment_bench.errors import BadInput, CorruptResult, Problem

SCHEMA = 1
KIND = "alignment-bench store"
LIST = "alignment-bench.json"
BLOCK = 1 << 20
"""bytes that are in memory at a time"""
LONGEST_LIST = 1 << 28
LONGEST_RECORD = 1 << 26
"""bytes of a list or a record that anybody reads into memory"""
GZIP = (".tar.gz", ".tgz")
_FOLDER = re.compile(r"jobs/[a-z0-9_]{1,64}/[0-9a-f]{64}|cells/[0-9a-f]{2}/[0-9a-f]{64}|audits/[0-9a-f]{16}")
_PART = re.compile(r"[A-Za-z0-9_@+=,-][A-Za-z0-9_.@+=, -]{0,199}")
"""of a file's path: no separators, no leading dot, nothing that a filesystem reads as anything but a name"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its path in a results folder, its size in bytes and its sha256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """Files that belong together, record first: a job, a cell, or an audit."""

    folder: str
    """in a results folder, as jobs/sample/<key>"""
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(entry.size for entry in self.entries)


Reader = Callable[[], bytes]
Put = Callable[[Bundle, Iterator[tuple[Entry, Iterator[bytes]]]], None]
"""takes a bundle and its files, each as blocks; what it does not read is read for it, and checked"""


def write(path: Path, root: Path, bundles: Sequence[Bundle], come: Callable[[int], None]) -> None:
    """Writes an archive of these files of a results folder. Raises CorruptResult naming a file that is not
    what its record says; then there is no archive."""
    part = path.with_name(f".{path.name}.part")
    text = json.dumps(_listing(path, bundles)).encode()
    try:
        with part.open("wb") as raw, _packed(raw, path) as stream, _writing(stream) as tar:
            tar.addfile(_member(LIST, len(text)), io.BytesIO(text))
            for entry in (entry for bundle in bundles for entry in bundle.entries):
                _add(tar, root / entry.path, entry, come)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _writing(stream: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, bufsize=BLOCK)


def _add(tar: tarfile.TarFile, path: Path, entry: Entry, come: Callable[[int], None]) -> None:
    with path.open("rb") as file:
        source = _Hashed(file, come)
        if os.fstat(file.fileno()).st_size == entry.size:
            tar.addfile(_member(_short(entry.path), entry.size), source)
    if source.sha256.hexdigest() != entry.sha256:
        what = f"{path} has changed since it was written: nothing was exported"
        raise CorruptResult(f"{what}; bench verify names all such files")


def listed(path: Path) -> tuple[Bundle, ...]:
    """What an archive says it holds, checked for sense. Raises BadInput."""
    with _opened(path) as tar:
        return _list(path, tar)


def each(path: Path, put: Put, come: Callable[[int], None] = lambda count: None) -> None:
    """Hands every bundle of an archive to `put`, in order. Raises BadInput naming the first member that is
    not the next one of the list, or not what the list says of it."""
    with _opened(path) as tar:
        for bundle in _list(path, tar):
            files = _files(path, tar, bundle, come)
            put(bundle, files)
            for _, blocks in files:
                for _ in blocks:
                    pass
        if (more := tar.next()) is not None:
            raise refused(path, f"it holds {more.name!r}, which its list does not name")


def record_of(path: Path, entry: Entry, data: bytes) -> dict[str, Any]:
    """The JSON object in a record of an archive, which vouches for itself."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise refused(path, f"{entry.path} is not JSON ({error})") from error
    if not isinstance(body, dict) or ("sha256" in body and not vouched(body)):
        raise refused(path, f"{entry.path} has changed since it was written")
    return body


def refused(path: Path, what: str) -> BadInput:
    """An archive that nothing more is read of."""
    return BadInput([Problem(str(path), what, "name a file that bench export wrote, whole and unchanged")])


def _listing(path: Path, bundles: Sequence[Bundle]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "kind": KIND,
        "schema": SCHEMA,
        "bundles": [
            [one.folder, [[e.path[len(one.folder) + 1 :], e.size, e.sha256] for e in one.entries]]
            for one in bundles
        ],
    }
    for folder, files in body["bundles"]:
        _bundle(path, folder, files)  # what could not be imported is not exported
    return {**body, "sha256": digest(body)}


def _list(path: Path, tar: tarfile.TarFile) -> tuple[Bundle, ...]:
    member = tar.next()
    if member is None or member.name != LIST or not member.isreg() or member.size > LONGEST_LIST:
        raise refused(path, f"is no archive of bench export: it does not begin with {LIST}")
    file = tar.extractfile(member)
    assert file is not None  # it is a regular file
    body = record_of(path, Entry(LIST, member.size, ""), file.read())
    if body.get("kind") != KIND or not isinstance(body.get("schema"), int) or not vouched(body):
        raise refused(path, f"is no archive of bench export: its {LIST} is another")
    if body["schema"] > SCHEMA:
        raise refused(
            path,
            f"has schema {body['schema']} and this version reads up to {SCHEMA}: upgrade alignment-bench",
        )
    try:
        bundles = tuple(_bundle(path, folder, files) for folder, files in body["bundles"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise refused(path, f"its list cannot be read: {error}") from error
    if len({one.folder for one in bundles}) < len(bundles):
        raise refused(path, "its list names a folder twice")
    return bundles


def _bundle(path: Path, folder: str, files: Sequence[tuple[str, int, str]]) -> Bundle:
    if not _FOLDER.fullmatch(folder):
        raise refused(path, f"{folder!r} is no folder of a store")
    names = [name for name, _, _ in files]
    for name, size, sha256 in files:
        if not isinstance(size, int) or size < 0 or not re.fullmatch("[0-9a-f]{64}", sha256):
            raise refused(path, f"{folder}/{name} has no size or digest")
        if not all(_PART.fullmatch(part) for part in name.split("/")):
            raise refused(path, f"{folder}/{name!r} is no name of a stored file")
    if not names or len(set(names)) != len(names):
        raise refused(path, f"{folder} is empty, or names a file twice")
    inner = {"/".join(name.split("/")[:k]) for name in names for k in range(1, name.count("/") + 1)}
    if inner & set(names):
        raise refused(path, f"{folder}: {min(inner & set(names))} is both a file and a folder")
    return Bundle(folder, tuple(Entry(f"{folder}/{name}", size, sha) for name, size, sha in files))


def _files(
    path: Path, tar: tarfile.TarFile, bundle: Bundle, come: Callable[[int], None]
) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    for entry in bundle.entries:
        member = _next(path, tar)
        if member is None:
            raise refused(path, f"it ends before {entry.path}")
        if member.name != _short(entry.path) or not member.isreg():
            raise refused(path, f"{member.name!r} stands where {entry.path} should be")
        if member.size != entry.size:
            raise refused(path, f"{entry.path} has {member.size:,} bytes, its list says {entry.size:,}")
        tarfile.data_filter(member, "/nowhere")  # what the library too would refuse; nothing is put there
        blocks = _blocks(path, tar, member, entry, come)
        yield entry, blocks
        for (
            _
        ) in blocks:  # what its reader left: the next member lies behind it, and it is checked all the same
            pass


def _blocks(
    path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry, come: Callable[[int], None]
) -> Iterator[bytes]:
    file = tar.extractfile(member)
    assert file is not None  # it is a regular file
    sha256, seen = hashlib.sha256(), 0
    while block := file.read(BLOCK):
        sha256.update(block)
        seen += len(block)
        come(len(block))
        yield block
    if seen != entry.size:
        raise refused(path, f"it ends in the middle of {entry.path}")
    if sha256.hexdigest() != entry.sha256:
        raise refused(path, f"{entry.path} is not what its list says: its digest is another")


def _next(path: Path, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    member = tar.next()
    tar.members = []  # type: ignore[attr-defined]  # the library keeps every member that it has seen
    return member


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The archive, read from its beginning to its end; whatever is wrong with it as a file is BadInput."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw, mode="rb") if packed else raw
            with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK, tarinfo=_Plain) as tar:
                yield tar
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise refused(path, f"is damaged, or no tar file: {error or type(error).__name__}") from error


@contextmanager
def _packed(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    if path.name.endswith(GZIP):
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as stream:
            yield stream  # type: ignore[misc]
    else:
        yield raw


class _Plain(tarfile.TarInfo):
    """A header of a plain file; any other is refused before more of it is read, whatever length it claims."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> _Plain:
        """The header in a block."""
        member = super().frombuf(buf, encoding, errors)
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.name.endswith("/"):
            raise tarfile.ReadError(f"{member.name!r} is no plain file")
        return member


def _short(path: str) -> str:
    """A path as the name of a member: digests cut to 16 digits, at most 100 characters."""
    return re.sub(r"([0-9a-f]{16})[0-9a-f]{48}", r"\1", path)[-100:]


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


class _Hashed:
    """A file whose bytes are counted and hashed while they are read."""

    def __init__(self, file: IO[bytes], come: Callable[[int], None]) -> None:
        self.file = file
        self.come = come
        self.sha256 = hashlib.sha256()

    def read(self, count: int = -1) -> bytes:
        """The next bytes."""
        block = self.file.read(count)
        self.sha256.update(block)
        self.come(len(block))
        return block
