"""Which files are behind a number, and whether each is still what was written.

Every file vouches for others or is vouched for: a cell's `run.json` holds the digest of its scores, its
samples and itself; a job's `job.json` that of its files and itself, and its key is the digest of its inputs;
a base's policy names its model by digest, as the cells do. JSON files are also compared byte for byte with
what this package writes for their content, so that not even a blank can change unseen. What a run asked for
(`runs/`), locks and logs are behind no number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alignment_bench import results
from alignment_bench.cells import CellRecord
from alignment_bench.digests import digest, digest_file, vouched
from alignment_bench.errors import CorruptResult
from alignment_bench.formatter import Formatter
from alignment_bench.judging import cards

RUN, JOB = "run.json", "job.json"
POLICY, FORMATTER, POLICY_SCHEMA = "policy.json", "formatter.json", 1
"""as alignment_bench.models.storage writes them; importing that would import torch"""


@dataclass
class Found:
    """What a look at a results folder brought to light."""

    records: list[CellRecord] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """one line each, with the file's name first"""
    unprotected: list[str] = field(default_factory=list)
    """files of older versions, parts of which nothing vouches for"""
    jobs: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """(kind, key) of every sound job, and what its job.json says"""
    checked: set[str] = field(default_factory=set)
    """files that were compared with their digest, relative to the folder"""

    def fault(self, path: Path, what: str) -> None:
        """Notes that a file is not what it should be."""
        self.faults.append(f"{path} {what}")


def look(root: Path) -> Found:
    """Every cell, job, base and audit under a results folder, checked; faults are noted, not raised."""
    found = Found()
    for folder in sorted((root / "cells").glob("*/*")):
        _cell(root, folder, found)
    for folder in sorted((root / "jobs").glob("[!.]*/*")):
        if folder.is_dir():
            _job(root, folder, found)
    for record in found.records:
        for kind, key in jobs_of(record):
            if (kind, key) not in found.jobs and not (root / "jobs" / kind / key).exists():
                name = f"{record.task} {record.label} seed {record.seed}"
                found.fault(root / "jobs" / kind / key, f"is missing: {name} was made of it")
    for folder in sorted((root / "bases").glob("*")):
        _base(root, folder, found)
    for path in sorted((root / "audits").glob("*/*.json")):
        _audit(root, path, found)
    return found


def jobs_of(record: CellRecord) -> list[tuple[str, str]]:
    """(kind, key) of the jobs that a cell's record names: charged for, sampled, and the policy's own."""
    code = record.code
    named = {(str(kind), str(key)): None for key, kind in code.get("jobs", {}).items()}
    named |= {("sample", str(key)): None for key in code.get("samples", {}).values()}
    place = Path(code.get("policy_folder") or "").parts
    if len(place) > 2 and place[0] == "jobs":
        named[place[1], place[2]] = None
    return list(named)


def score_jobs(record: CellRecord, jobs: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[str]:
    """Keys of the stored jobs that scored a cell: of its policy, its samples, seed and evaluators."""
    found = []
    for (kind, key), job in jobs.items():
        inputs = job["inputs"]
        if (
            kind == "score"
            and inputs.get("policy") == record.code.get("policy")
            and inputs.get("samples") == record.code.get("samples")
            and inputs.get("seed") == record.seed
            and inputs.get("name") in record.evaluators
        ):
            found.append(key)
    return found


def files_of(root: Path, record: CellRecord, found: Found) -> list[str]:
    """The files behind one cell's numbers, relative to the results folder."""
    folder = results.cell_folder(root, record.digest)
    paths = [folder / name for name in (RUN, "scores.json", "samples.jsonl")]
    scored = score_jobs(record, found.jobs)
    keys = {*jobs_of(record), *(("score", key) for key in scored)}
    for key in scored:  # what was compared with base rests on base's answers too
        keys |= {
            ("sample", one) for one in found.jobs["score", key]["inputs"].get("base_samples", {}).values()
        }
    ahead = list(keys)
    while ahead:  # and what those asked for while they ran, as a training its teacher
        asking = found.jobs.get(ahead.pop(), {})
        asked = {(kind, key) for kind, _, key in (one.partition("/") for one in asking.get("asked", ()))}
        ahead += asked - keys
        keys |= asked
    for kind, key in keys:
        if job := found.jobs.get((kind, key)):
            place = root / "jobs" / kind / key
            paths += [place / JOB, *(place / name for name in job["files"])]
    for base in (root / "bases").glob(f"{record.model_digest[:16]}-{record.format_digest[:16]}"):
        paths += [path for path in base.iterdir() if path.is_file()]
    paths += _audits_of(root, record)
    return sorted(str(path.relative_to(root)) for path in paths)


def _audits_of(root: Path, record: CellRecord) -> Iterable[Path]:
    return cards.folder_of(root, *cards.judge_of(record)).glob("*.json")


def _cell(root: Path, folder: Path, found: Found) -> None:
    try:
        record = results.read_cell(folder)
        results.read_samples(folder)
    except CorruptResult as error:
        found.faults.append(str(error))
        return
    if not _as_written(folder / RUN, indent=1):
        found.fault(folder / RUN, "has changed since it was written (in its spaces or number formats)")
        return
    known = (RUN, "scores.json", "samples.jsonl")
    _strangers(folder, known, found)
    found.checked |= {str((folder / name).relative_to(root)) for name in known}
    found.records.append(record)


def _job(root: Path, folder: Path, found: Found) -> None:
    path = folder / JOB
    job = _object(path, found)
    if job is None:
        return
    try:
        key = digest({"core": job["core"], "kind": job["kind"], **job["inputs"]})
        files = dict(job["files"])
    except (KeyError, TypeError, ValueError) as error:
        found.fault(path, f"does not describe a job: {error}")
        return
    if (job["kind"], key, job.get("key")) != (folder.parent.name, folder.name, folder.name):
        found.fault(path, "has changed since it was written: its inputs do not give its key")
        return
    if "sha256" not in job:
        found.unprotected.append(f"{path}: its spend, written by an older version")
    elif not vouched(job):
        found.fault(path, "has changed since it was written")
        return
    if not _as_written(path, indent=1):
        found.fault(path, "has changed since it was written (in its spaces or number formats)")
        return
    sound = True
    for name, stored in files.items():
        file = folder / name
        if not file.is_file():
            found.fault(file, "is missing")
        elif digest_file(file) != stored:
            found.fault(file, "has changed since it was written")
        else:
            found.checked.add(str(file.relative_to(root)))
            continue
        sound = False
    _strangers(folder, (JOB, *files), found)
    found.checked.add(str(path.relative_to(root)))
    if sound:
        found.jobs[folder.parent.name, folder.name] = job


def _base(root: Path, folder: Path, found: Found) -> None:
    """A stored base: its policy.json and formatter.json must give its digest, and its model be the cells'."""
    path = folder / POLICY
    stored = _object(path, found)
    if stored is None:
        return
    formatter = folder / FORMATTER
    try:
        text = formatter.read_bytes().decode("utf-8")
        read = Formatter.loads(text)
        written = read.dumps()
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        found.fault(formatter, f"is damaged: {type(error).__name__}: {error}")
        return
    try:
        base, stream = stored["base"], stored["stream"]
        identity = digest({"base": base["digest"], "weights": {}, "format": read.digest, "stream": stream})
        place = f"{base['digest'][:16]}-{read.digest[:16]}"
    except (KeyError, TypeError) as error:
        found.fault(path, f"is damaged: {type(error).__name__}: {error}")
        return
    if written != text or place.partition("-")[2] != folder.name.partition("-")[2]:
        found.fault(formatter, "has changed since it was written")
        return
    names = {record.model for record in found.records if record.model_digest == base["digest"]}
    expected = {
        "schema": POLICY_SCHEMA,
        "kind": "model",
        "base": base,
        "weights": "base",
        "digest": identity,
        "stream": "",
    }
    same = stored == expected and place == folder.name and set(base) == {"name", "digest"}
    if not same or not _as_written(path, indent=1, ascii_only=True) or (names and base["name"] not in names):
        found.fault(path, "has changed since it was written")
        return
    _strangers(folder, (POLICY, FORMATTER), found)
    found.checked |= {str(one.relative_to(root)) for one in (path, formatter)}


def _audit(root: Path, path: Path, found: Found) -> None:
    body = _object(path, found)
    if body is None:
        return
    if "sha256" not in body:
        found.unprotected.append(f"{path}: an audit written by an older version")
        return
    if not vouched(body) or not _as_written(path, indent=1):
        found.fault(path, "has changed since it was written")
        return
    found.checked.add(str(path.relative_to(root)))


def _object(path: Path, found: Found) -> dict[str, Any] | None:
    """The JSON object in a file; None, with the fault noted, where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        found.fault(path, f"is missing or cannot be read: {error.strerror}")
        return None
    except (ValueError, RecursionError) as error:
        found.fault(path, f"is not JSON ({error})")
        return None
    if not isinstance(value, dict):
        found.fault(path, "is not a JSON object")
        return None
    return value


def _as_written(path: Path, indent: int, ascii_only: bool = False) -> bool:
    """Whether a JSON file is byte for byte what writing its content again gives."""
    data = path.read_bytes()
    return json.dumps(json.loads(data), indent=indent, ensure_ascii=ascii_only).encode("utf-8") == data


def _strangers(folder: Path, known: Sequence[str], found: Found) -> None:
    for path in _inside(folder):
        if str(path.relative_to(folder)) not in known:
            found.fault(path, f"does not belong there: {folder.name[:12]} was written without it")


def _inside(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
