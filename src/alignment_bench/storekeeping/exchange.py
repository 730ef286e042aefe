"""Finished jobs, and the cells that rest on them, out of one results folder and into another.

What comes in is checked wholly before anything is put into place: first the archive from its beginning to its
end, then every job once more as it is written beside its place, under its lock. A job that is here already
stays. An import that was killed goes on with the next one, as it were a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alignment_bench import results
from alignment_bench.cells import CellRecord
from alignment_bench.comparison import BASE
from alignment_bench.digests import digest
from alignment_bench.errors import BenchError, CorruptResult
from alignment_bench.jobs import CORE_VERSION, JobStore
from alignment_bench.judging import cards
from alignment_bench.ledger import Spend
from alignment_bench.storekeeping import archive, links
from alignment_bench.storekeeping.archive import LONGEST_RECORD, Bundle, Entry, refused

Say = Callable[[str], None]
Blocks = Iterator[tuple[Entry, Iterator[bytes]]]


@dataclass(frozen=True)
class Choice:
    """What is to be exported."""

    bundles: tuple[Bundle, ...]
    jobs: int
    cells: int
    doubts: tuple[str, ...]
    """why jobs may be missing that the chosen cells rest on"""
    damaged: tuple[Path, ...]
    """records that cannot be read, which are left out"""


def choose(root: Path, filters: Mapping[str, tuple[str, ...]], cells: bool, tell: Say) -> Choice:
    """All finished jobs, or with filters those that the cells that pass rest on; with `cells` the cells as
    well, and the audits of their judges. Raises BadInput where no cell passes."""
    stored = links.read(root, tell)
    records: Sequence[CellRecord] = ()
    if filters or cells:
        records = _passing(root, filters)
    chosen = [stored.cells[one.digest] for one in records if one.digest in stored.cells]
    names = stored.resting(chosen) if filters else set(stored.jobs)
    tell("looking at records")
    bundles = [_job(root, stored.jobs[name]) for name in sorted(names)]
    if cells:
        bundles += [_audits(root, folder) for folder in sorted(_judged(root, records))]
        bundles += [_cell(root, cell.folder) for cell in chosen]
    doubts = stored.doubts(chosen) if filters else ()
    return Choice(tuple(bundles), len(names), len(chosen) if cells else 0, doubts, tuple(stored.damaged))


def _passing(root: Path, filters: Mapping[str, tuple[str, ...]]) -> list[CellRecord]:
    """The cells that pass, as a table takes them: base is there whatever methods are named."""
    from alignment_bench.tables.page import stored

    records, unreadable = stored(root, filters)
    if unreadable:
        raise CorruptResult(f"{unreadable[0].reason}; nothing was exported")
    labels = filters.get("methods")
    return [one for one in records if labels is None or one.label in (BASE, *labels)]


def _judged(root: Path, records: Iterable[CellRecord]) -> set[Path]:
    judges = {cards.judge_of(one) for one in records}
    return {folder for one in judges if any((folder := cards.folder_of(root, *one)).glob("*.json"))}


def _job(root: Path, job: links.StoredJob) -> Bundle:
    record, body = _record(root, job.folder / links.JOB)
    return Bundle(_under(root, job.folder), (record, *_rest(root, job.folder, body["files"])))


def _cell(root: Path, folder: Path) -> Bundle:
    record, body = _record(root, folder / links.RUN)
    return Bundle(_under(root, folder), (record, *_rest(root, folder, body["files"])))


def _audits(root: Path, folder: Path) -> Bundle:
    return Bundle(
        _under(root, folder), tuple(_record(root, path)[0] for path in sorted(folder.glob("*.json")))
    )


def _record(root: Path, path: Path) -> tuple[Entry, dict[str, Any]]:
    data = path.read_bytes()
    return Entry(_under(root, path), len(data), hashlib.sha256(data).hexdigest()), json.loads(data)


def _rest(root: Path, folder: Path, files: Mapping[str, str]) -> Iterator[Entry]:
    for name, sha256 in sorted(files.items()):
        try:
            yield Entry(_under(root, folder / name), (folder / name).stat().st_size, sha256)
        except FileNotFoundError:
            raise CorruptResult(
                f"{folder / name} is missing: delete {folder}; nothing was exported"
            ) from None


def _under(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


@dataclass
class Taken:
    """What an import has done: how many of what, by what became of them."""

    new: Counter[str] = field(default_factory=Counter)
    """jobs, cells and audits that were put into place"""
    here: Counter[str] = field(default_factory=Counter)
    """those that were here already, the same"""
    other: list[str] = field(default_factory=list)
    """folders of those that are here with another outcome, which stay"""
    cores: Counter[str] = field(default_factory=Counter)
    """jobs of other core versions, by version: kept, and never asked for by this one"""


def take(path: Path, root: Path, come: Callable[[int], None], tell: Say) -> Taken:
    """Puts what an archive holds into a results folder. Raises BadInput where anything about the archive is
    wrong, and then nothing has been put into place."""
    bundles = archive.listed(path)
    _room(root, bundles)
    tell(f"checking {path.name}")
    archive.each(path, lambda bundle, files: _check(path, bundle, files), come)
    tell(f"importing {path.name}")
    taken = Taken()
    store = JobStore(root / "jobs")
    store.enter()  # nothing of it is cleared away before the cells that rest on it are here

    def put(bundle: Bundle, files: Blocks) -> None:
        sort = bundle.folder.partition("/")[0]
        {"jobs": _put_job, "cells": _put_cell, "audits": _put_audits}[sort](
            path, root, store, bundle, files, taken
        )

    archive.each(path, put, come)
    return taken


def _room(root: Path, bundles: Iterable[Bundle]) -> None:
    nearest = root.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    needed = sum(one.size for one in bundles if not (root / one.folder).exists())
    if needed > (free := shutil.disk_usage(nearest).free):
        raise BenchError(f"the import takes {needed:,} bytes and {root} has {free:,} left: free some space")


def _check(path: Path, bundle: Bundle, files: Blocks) -> None:
    """Reads a bundle's records, and of a cell everything; the archive's reader compares all with the list."""
    if bundle.folder.startswith("cells/"):
        _check_cell(path, bundle, files)
        return
    for number, (entry, blocks) in enumerate(files):
        if number == 0 or bundle.folder.startswith("audits/"):
            _short_enough(path, entry)
            _agree(path, bundle, entry, b"".join(blocks))


def _check_cell(path: Path, bundle: Bundle, files: Blocks) -> None:
    """Reads a cell as it will be read here: that its record vouches for itself does not make it one."""
    for entry in bundle.entries:
        if not entry.path.endswith("/samples.jsonl"):
            _short_enough(path, entry)
    with tempfile.TemporaryDirectory(prefix="bench-import-") as place:
        folder = Path(place, bundle.folder.rpartition("/")[2])
        folder.mkdir()
        _fill(path, bundle, files, folder)
        try:
            results.read_cell(folder)
            results.read_samples(folder)
        except CorruptResult as error:
            raise refused(path, f"{bundle.folder} is no cell that can be read") from error


def _short_enough(path: Path, entry: Entry) -> None:
    if entry.size > LONGEST_RECORD:
        raise refused(path, f"{entry.path} is too long for a record: {entry.size:,} bytes")


def _agree(path: Path, bundle: Bundle, entry: Entry, data: bytes) -> None:
    """Raises BadInput where a record does not agree with itself, its place or the list."""
    body = archive.record_of(path, entry, data)
    sort, *place = bundle.folder.split("/")
    rest = {one.path[len(bundle.folder) + 1 :]: one for one in bundle.entries[1:]}
    name = entry.path[len(bundle.folder) + 1 :]
    try:
        if sort == "jobs":
            Spend.from_json(body["spend"])
            key = digest({"core": body["core"], "kind": body["kind"], **body["inputs"]})
            sizes = body.get("sizes", {one: rest[one].size for one in body["files"] if one in rest})
            fits = [body["kind"], key, body["key"], name] == [place[0], place[1], place[1], links.JOB]
            fits = fits and sizes == {one: entry.size for one, entry in rest.items()}
        elif sort == "cells":
            if body["schema"] > results.SCHEMA:
                raise refused(path, f"{entry.path} has schema {body['schema']}: upgrade alignment-bench")
            fits = [body["digest"][:2], body["digest"], name] == [*place, links.RUN] and "sha256" in body
        else:
            fits, body["files"], rest = name.endswith(".json"), {}, {}  # older ones vouch for nothing
        fits = fits and body["files"] == {one: entry.sha256 for one, entry in rest.items()}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise refused(path, f"{entry.path} is no record: {type(error).__name__}: {error}") from error
    if not fits:
        raise refused(path, f"{entry.path} does not fit its place, or the files beside it")


def _put_job(path: Path, root: Path, store: JobStore, bundle: Bundle, files: Blocks, taken: Taken) -> None:
    _, kind, key = bundle.folder.split("/")
    new = store.put(kind, key, lambda folder: _fill(path, bundle, files, folder))
    body = _stored(root / bundle.folder)
    if new:
        taken.new["jobs"] += 1
    elif body.get("files") == {one.path[len(bundle.folder) + 1 :]: one.sha256 for one in bundle.entries[1:]}:
        taken.here["jobs"] += 1
    else:
        taken.other.append(bundle.folder)
    core = body.get("core")
    if core != CORE_VERSION:
        taken.cores[str(core)] += 1


def _stored(folder: Path) -> dict[str, Any]:
    """The record of a job that is here."""
    body = links.record_in(folder / links.JOB)
    if body is None:
        what = f"{folder / links.JOB} is damaged: delete {folder}, then import again"
        raise CorruptResult(f"{what}; what was imported before it stays")
    return body


def _put_cell(path: Path, root: Path, store: JobStore, bundle: Bundle, files: Blocks, taken: Taken) -> None:
    folder = root / bundle.folder
    if _holds(folder, bundle.entries[0]):
        taken.here["cells"] += 1
        return
    staging = root / ".staging" / f"{folder.name}.{results.host()}.{os.getpid()}.in"
    try:
        inner = staging / folder.name
        inner.mkdir(parents=True)
        _fill(path, bundle, files, inner)
        results.write_cell(root, results.read_cell(inner), results.read_samples(inner))
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    if _holds(folder, bundle.entries[0]):
        taken.new["cells"] += 1
    else:
        taken.other.append(bundle.folder)


def _put_audits(path: Path, root: Path, store: JobStore, bundle: Bundle, files: Blocks, taken: Taken) -> None:
    for entry, blocks in files:
        place = root / entry.path
        if _holds(place.parent, entry):
            taken.here["audits"] += 1
        elif place.exists():
            taken.other.append(entry.path)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            scratch = place.with_name(f".{place.name}.{os.getpid()}")
            _write(scratch, blocks, durably=True)
            scratch.replace(place)
            taken.new["audits"] += 1


def _holds(folder: Path, entry: Entry) -> bool:
    path = folder / entry.path.rpartition("/")[2]
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256


def _fill(path: Path, bundle: Bundle, files: Blocks, folder: Path) -> None:
    """Writes a bundle's files; its record, which makes the folder count, is on the disk at the end."""
    for entry, blocks in files:
        place = folder / entry.path[len(bundle.folder) + 1 :]
        place.parent.mkdir(parents=True, exist_ok=True)
        record = entry is bundle.entries[0]
        _write(place, blocks, durably=record)
        if record:
            _agree(path, bundle, entry, place.read_bytes())


def _write(path: Path, blocks: Iterator[bytes], durably: bool) -> None:
    with path.open("xb") as file:
        for block in blocks:
            file.write(block)
        if durably:
            file.flush()
            os.fsync(file.fileno())
