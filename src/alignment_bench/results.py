"""The results store: one folder per cell, written whole or not at all, and checked when it is read.

    results/cells/<digest[:2]>/<digest>/run.json       everything about the cell but its arrays
                                        scores.json    prompt ids, clusters and per-prompt values
                                        samples.jsonl  one completion a line
    results/runs/<time>-<digest>.json                  which cells one command asked for

A folder appears by one rename, so a killed process leaves either no cell or a whole one. `run.json` holds
the sha256 of the other two files and of itself: a truncated or hand-edited file is refused by name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from alignment_bench import score_files
from alignment_bench.cells import SCHEMA, CellRecord, MetricScores, Status, StoredSample
from alignment_bench.digests import canonical, digest, digest_file, vouched
from alignment_bench.errors import CorruptResult

__all__ = [
    "SCHEMA",
    "CellRecord",
    "MetricScores",
    "Status",
    "StoredSample",
    "Unreadable",
    "cell_folder",
    "find_cell",
    "read_all",
    "read_cell",
    "read_samples",
    "record_run",
    "write_cell",
]


@dataclass(frozen=True)
class Unreadable:
    """A stored file that was refused, and why; shown under every table that leaves it out."""

    path: Path
    reason: str


def cell_folder(root: Path, cell_digest: str) -> Path:
    """Where the cell of this digest lies under a results folder, stored or not."""
    return root / "cells" / cell_digest[:2] / cell_digest


def write_cell(root: Path, record: CellRecord, samples: Iterable[StoredSample]) -> Path:
    """Store a cell and return its folder. A stored ok cell is left as it is; any other one is replaced."""
    folder = cell_folder(root, record.digest)
    if _is_ok(folder):
        return folder
    staging = _staging(root, record.digest)
    try:
        _write(staging / "scores.json", [_scores_text(record)])
        _write(staging / "samples.jsonl", (_sample_line(row) for row in samples))
        _write(staging / "run.json", [_run_text(record, staging)])
        _sync_folder(staging)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _put_in_place(staging, folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return folder


def find_cell(root: Path, cell_digest: str) -> CellRecord | None:
    """The stored cell of this digest, or None; raises CorruptResult where a file of it is damaged."""
    folder = cell_folder(root, cell_digest)
    return read_cell(folder) if folder.exists() else None


def read_cell(folder: Path, shared: score_files.Shared | None = None) -> CellRecord:
    """A cell read back and checked; raises CorruptResult naming the file that is missing or damaged.

    Cells that are read with the same `shared` have the same prompt ids once in memory.
    """
    try:
        return _read_cell(folder, {} if shared is None else shared)
    except FileNotFoundError as error:  # another process replaced the cell while it was read
        raise _corrupt(Path(error.filename or folder), "vanished") from error
    except (IsADirectoryError, PermissionError) as error:
        raise _corrupt(Path(error.filename or folder), f"cannot be read: {error.strerror}") from error


def _read_cell(folder: Path, shared: score_files.Shared) -> CellRecord:
    path = folder / "run.json"
    run = _checked_run(path)
    for name, stored in run.pop("files").items():
        file = folder / name
        if not file.is_file():
            raise _corrupt(file, "is missing")
        if digest_file(file) != stored:
            raise _corrupt(file, "has changed since it was written")
    scores = folder / "scores.json"
    try:
        (prompt_ids, clusters), metrics = score_files.parse(scores.read_bytes(), shared)
    except (KeyError, TypeError, ValueError) as error:
        raise _corrupt(scores, f"does not hold scores: {error}") from error
    try:
        names = {one.name for one in fields(CellRecord)}
        known: dict[str, Any] = {key: run[key] for key in run if key in names}
        known |= {key: tuple(known[key]) for key in _TUPLES}
        if len(known) != len(run):
            raise ValueError(f"unknown fields {', '.join(sorted(set(run) - names))}")
        record = CellRecord(
            **known,
            prompt_ids=prompt_ids,
            clusters=clusters,
            scores=metrics,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _corrupt(path, f"does not describe a cell: {error}") from error
    if record.digest != folder.name:
        raise _corrupt(path, f"belongs to cell {record.digest[:12]}, not to this folder")
    return record


def read_samples(folder: Path) -> list[StoredSample]:
    """The stored completions of a cell, in the order written; raises CorruptResult like `read_cell`."""
    path = folder / "samples.jsonl"
    stored = _checked_run(folder / "run.json")["files"]["samples.jsonl"]
    if not path.is_file():
        raise _corrupt(path, "is missing")
    if digest_file(path) != stored:
        raise _corrupt(path, "has changed since it was written")
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
        return [StoredSample(**{**row, "tokens": tuple(row["tokens"])}) for row in rows]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _corrupt(path, f"does not hold samples: {error}") from error


def read_all(root: Path) -> tuple[list[CellRecord], list[Unreadable]]:
    """Every cell under a results folder, ordered by digest, and every file that could not be read."""
    records: list[CellRecord] = []
    unreadable: list[Unreadable] = []
    shared: score_files.Shared = {}
    for folder in sorted((root / "cells").glob("*/*")):
        try:
            records.append(read_cell(folder, shared))
        except CorruptResult as error:
            unreadable.append(Unreadable(folder, str(error)))
    return records, unreadable


def record_run(root: Path, request: Mapping[str, Any], cell_digests: Sequence[str]) -> Path:
    """Note which cells one command asked for, and return the file; listing a cell does not store it."""
    started = datetime.now(UTC)
    body = {
        "schema": SCHEMA,
        "started": started.isoformat(timespec="seconds"),
        "request": dict(request),
        "cells": list(cell_digests),
    }
    path = root / "runs" / f"{started:%Y%m%dT%H%M%S.%f}-{digest(body)[:12]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    _write(part, [json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False)])
    part.rename(path)
    _sync_folder(path.parent)
    return path


class _NewerSchema(CorruptResult):
    """Not damaged, only unknown here: never replaced."""


_ARRAYS = ("prompt_ids", "clusters", "scores")
_SAMPLE = tuple(one.name for one in fields(StoredSample))
_TUPLES = ("evaluators", "notes", "flags", "captions")


def _sample_line(row: StoredSample) -> str:
    # by hand: `asdict` copies token by token
    return json.dumps({name: getattr(row, name) for name in _SAMPLE}, ensure_ascii=False) + "\n"


def _scores_text(record: CellRecord) -> str:
    def plain(metric: MetricScores) -> dict[str, Any]:
        # JSON has no nan, and an infinite score is an evaluator's bug that must not become one
        bad = [value for value in metric.values if not isfinite(value) and value == value]
        if bad:
            raise ValueError(f"{metric.name}: {bad[0]} is no score; return nan for a prompt without one")
        return {
            "name": metric.name,
            "unit": metric.unit,
            "better": metric.better,
            "values": [float(value) if value == value else None for value in metric.values],
            "missing": metric.missing,
            "note": metric.note,
        }

    return canonical(
        {
            "prompt_ids": record.prompt_ids,
            "clusters": record.clusters,
            "scores": [plain(metric) for metric in record.scores],
        }
    )


def _run_text(record: CellRecord, staging: Path) -> str:
    # by hand: `asdict` would copy every per-prompt value only to drop it
    run = {one.name: getattr(record, one.name) for one in fields(record) if one.name not in _ARRAYS}
    run["files"] = {name: digest_file(staging / name) for name in ("scores.json", "samples.jsonl")}
    run = json.loads(canonical(run))  # what a reader will see: lists for tuples, text for every key
    run["sha256"] = digest(run)
    return json.dumps(run, indent=1, ensure_ascii=False, allow_nan=False)


def _checked_run(path: Path) -> dict[str, Any]:
    run = _parse(path)
    schema = run.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise _corrupt(path, f"has schema {schema!r}")
    if schema > SCHEMA:
        raise _NewerSchema(
            f"{path} has schema {schema} and this version reads up to {SCHEMA}: upgrade alignment-bench"
        )
    if not vouched(run):
        raise _corrupt(path, "has changed since it was written")
    if not isinstance(run.get("files"), dict) or set(run["files"]) != {"scores.json", "samples.jsonl"}:
        raise _corrupt(path, "does not name the files of its cell")
    del run["sha256"]
    return run


def _parse(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _corrupt(path, "is missing") from error
    except NotADirectoryError as error:
        raise _corrupt(path, "is not in a cell's folder") from error
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, f"is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise _corrupt(path, "is not a JSON object")
    return value


def _corrupt(path: Path, what: str) -> CorruptResult:
    return CorruptResult(f"{path} {what}: delete its folder and run the same command again")


def _put_in_place(staging: Path, folder: Path) -> None:
    """Makes the staged cell the stored one. Of processes that did the same cell, the first to be ok stays."""
    retired = staging.with_name(staging.name + ".old")
    while True:
        try:
            staging.rename(folder)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if _is_ok(folder):
            shutil.rmtree(staging)
            return
        with contextlib.suppress(FileNotFoundError):  # another process has retired it just now
            folder.rename(retired)
            shutil.rmtree(retired)


def _is_ok(folder: Path) -> bool:
    # a damaged cell has nothing left to protect: running it again replaces it
    try:
        return folder.exists() and read_cell(folder).status == "ok"
    except _NewerSchema:
        raise
    except CorruptResult:
        return False


def _staging(root: Path, cell_digest: str) -> Path:
    """An empty folder on the results' own filesystem; what dead processes left for this cell is removed."""
    parent = root / ".staging"
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(f"{cell_digest}.{host()}.*"):
        owner = int(old.name.split(".")[2])
        if owner == os.getpid() or not alive(owner):
            shutil.rmtree(old)
    staging = parent / f"{cell_digest}.{host()}.{os.getpid()}"
    staging.mkdir()
    return staging


def host() -> str:
    """This machine, in the names of what is being written: process ids mean nothing on another."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def alive(process: int) -> bool:
    """Whether a process of this machine still runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write(path: Path, chunks: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
