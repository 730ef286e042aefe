"""What rests on which jobs, told from what is stored.

Everything here is named by a digest, so one rule finds nearly all of it: whatever a record names, it rests
on. A cell names the jobs that it was charged for, its samples and its policy; a job names the policy or the
reward model that it started from, the samples that it scored, and the jobs that it asked for while it ran.
What scored a cell names the cell's samples instead. Records of older versions do not name all of that: then
`doubts` says so, and nothing may be taken for unused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alignment_bench.amounts import counted
from alignment_bench.digests import digest, vouched

Name = tuple[str, str]
"""of a job: its kind and key"""
RUN, JOB = "run.json", "job.json"
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job in the store, as far as its record tells."""

    name: Name
    folder: Path
    core: str
    files: tuple[str, ...]
    outcomes: tuple[str, ...]
    """digests by which others may name what it made, its key first"""
    named: frozenset[str]
    """every digest in its record"""
    scored: tuple[str, int] | None
    """the policy and seed of the cell that it scored, where it scored one"""
    seconds: float
    """what doing it has taken"""
    knows: bool
    """whether its record names the jobs that it asked for: older ones do not"""


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A cell in the store, as far as its record tells."""

    digest: str
    folder: Path
    status: str
    started: str
    question: str
    """digest of what was asked of it, code aside: of two that agree the younger counts"""
    named: frozenset[str]
    scored_as: tuple[str, int]
    """its policy and seed, by which the jobs that scored it name it"""
    knows: bool
    """whether its record names its jobs: older ones do not"""
    places: tuple[str, str]
    """first digits of its model's and of its format's digest, which name its base"""


@dataclass
class Stored:
    """Everything under one results folder that names something else."""

    root: Path
    jobs: dict[Name, StoredJob] = field(default_factory=dict)
    cells: dict[str, StoredCell] = field(default_factory=dict)
    damaged: list[Path] = field(default_factory=list)
    """records that cannot be read, or have changed since they were written"""
    asked: dict[str, str] = field(default_factory=dict)
    """digests of the cells that runs asked for, and when the last one did"""

    def resting(self, cells: Iterable[StoredCell]) -> set[Name]:
        """The jobs that these cells rest on, as far as records tell."""
        by_outcome: dict[str, list[Name]] = {}
        by_scored: dict[tuple[str, int], list[Name]] = {}
        for name, job in self.jobs.items():
            for one in job.outcomes:
                by_outcome.setdefault(one, []).append(name)
            if job.scored:
                by_scored.setdefault(job.scored, []).append(name)
        found: set[Name] = set()
        ahead: list[Name] = []
        for cell in cells:
            ahead += [name for one in cell.named for name in by_outcome.get(one, ())]
            ahead += by_scored.get(cell.scored_as, ())
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += [
                    n for one in self.jobs[name].named for n in by_outcome.get(one, ()) if n not in found
                ]
        return found

    def doubts(self, cells: Iterable[StoredCell], since: str = "") -> tuple[str, ...]:
        """Why jobs that nothing names may be needed all the same; `since`: runs before that are given up."""
        cells = list(cells)
        resting = self.resting(cells)
        mute = sum(not cell.knows for cell in cells)
        quiet = sum(not self.jobs[name].knows for name in resting)
        open_ = sum(cell not in self.cells and when >= since for cell, when in self.asked.items())
        reasons = (
            (mute, "cell", " of an older version, which did not note the jobs of a cell"),
            (quiet, "job", " of an older version, which did not note what a job asked for while it ran"),
            (len(self.damaged), "record", f" that cannot be read, as {next(iter(self.damaged), '')}"),
            (open_, "cell", " that a run asked for, not stored: going on with that run takes its jobs"),
        )
        return tuple(counted(count, noun) + what for count, noun, what in reasons if count)


def read(root: Path, tell: Callable[[str], None] = lambda text: None) -> Stored:
    """Everything under a results folder that names something else; records alone, no other file's bytes."""
    stored = Stored(root)
    for path in sorted(root.glob(f"cells/*/*/{RUN}")):
        if (cell := _cell(path)) is None:
            stored.damaged.append(path)
        else:
            stored.cells[cell.digest] = cell
    for number, folder in enumerate(job_folders(root)):
        if (job := _job(folder)) is None:
            stored.damaged.append(folder / JOB)
        else:
            stored.jobs[job.name] = job
        if number % 1000 == 999:
            tell(f"{number + 1:,} jobs read")
    for path in sorted(root.glob("runs/*.json")):
        if body := record_in(path):
            cells, when = body.get("cells"), str(body.get("started", ""))
            stored.asked |= {str(one): when for one in (cells if isinstance(cells, list) else ())}
    return stored


def job_folders(root: Path) -> Iterator[Path]:
    """The folder of every stored job, in order."""
    return (folder for folder in sorted((root / "jobs").glob("[!.]*/*")) if folder.is_dir())


def _job(folder: Path) -> StoredJob | None:
    body = record_in(folder / JOB)
    if body is None or ("sha256" in body and not vouched(body)):
        return None
    try:
        inputs, files = body["inputs"], body["files"]
        named = _digests(json.dumps([inputs, body.get("asked", [])]))
        scores = body["kind"] == "score" and isinstance(inputs.get("policy"), str)
        job = StoredJob(
            name=(str(body["kind"]), str(body["key"])),
            folder=folder,
            core=str(body["core"]),
            files=tuple(files),
            outcomes=(str(body["key"]), *_outcomes(folder, files)),
            named=named,
            scored=(inputs["policy"], int(inputs["seed"])) if scores else None,
            seconds=float(body["spend"]["seconds"]),
            knows="asked" in body,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return job if job.name == (folder.parent.name, folder.name) else None


def _outcomes(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Digests of the policy and of the reward model that a job has left, as their readers work them out."""
    policy, reference = (policy_of(folder / part) for part in ("policy", "reference"))
    found = [policy] if policy else []
    if "reward.json" in files and policy:
        other = reference or files.get("head.safetensors")
        found.append(digest([record_in(folder / "reward.json"), policy, other]))
    return found


def policy_of(folder: Path) -> str | None:
    """The digest of the policy with weights, or the base, that lies in a folder; None where none does."""
    body = record_in(folder / "policy.json")
    return str(body["digest"]) if body and "digest" in body else None


def _cell(path: Path) -> StoredCell | None:
    body = record_in(path)
    if body is None or not vouched(body) or body.get("digest") != path.parent.name:
        return None
    code = body.get("code", {})
    aside = ("method", "task", "model_digest", "data_digest", "budget_amount", "currency", "teacher", "judge")
    about = [*aside, "init", "format_digest", "decoding", "evaluators", "seed", "fold", "folds"]
    return StoredCell(
        digest=str(body["digest"]),
        folder=path.parent,
        status=str(body["status"]),
        started=str(body["started"]),
        question=digest([body.get(key) for key in about]),
        named=_digests(json.dumps(body)),
        scored_as=(str(code.get("policy", "")), int(body["seed"])),
        knows="jobs" in code,
        places=(str(body["model_digest"])[:16], str(body["format_digest"])[:16]),
    )


def _digests(text: str) -> frozenset[str]:
    return frozenset(_DIGEST.findall(text))


def record_in(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, or None where there is none that can be read."""
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
