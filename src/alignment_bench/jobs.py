"""Heavy work, done once: a job is a function from content-keyed inputs to files plus a Spend.

The key is the digest of everything that can change a number. Asking for a key that is in the store gives
the stored files back and the same Spend; that one rule is what lets methods share stages, runs resume
after a kill, and costs stay honest. A job's folder appears whole or not at all (it is renamed into place),
and two processes never do the same job at once (an advisory lock that dies with its holder).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_bench.digests import digest, digest_file
from alignment_bench.errors import CorruptResult
from alignment_bench.ledger import Spend, metering

CORE_VERSION = "1"
"""part of every key; bumped by hand whenever the core's numbers change (golden tests fail until it is)"""


@dataclass(frozen=True, slots=True)
class JobResult:
    """Where a job's files are, what it cost when it was done, and whether it was done just now."""

    key: str
    folder: Path
    spend: Spend
    stored: bool


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a job's function is given: `folder` for its output files, `partial` for checkpoints.

    `partial` survives a kill and is removed when the job is done.
    """

    folder: Path
    partial: Path


class JobStore:
    """Finished jobs under one folder: `jobs/<kind>/<key>/` with `job.json` and the job's own files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._sweep()

    def run(
        self, kind: str, inputs: Mapping[str, Any], work: Callable[[Workplace], Spend | None]
    ) -> JobResult:
        """The job's stored result, or that of doing it now.

        `work` writes files into its workplace; what the engine reports while it runs, plus the Spend it
        returns, is the job's Spend. An exception leaves nothing behind but checkpoints.
        """
        key = digest({"core": CORE_VERSION, "kind": kind, **inputs})
        folder = self.root / kind / key
        if (folder / "job.json").exists():
            return self._read(key, folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._lock(kind, key):
            if (folder / "job.json").exists():
                return self._read(key, folder)
            return self._do(kind, key, inputs, folder, work)

    def _do(
        self,
        kind: str,
        key: str,
        inputs: Mapping[str, Any],
        folder: Path,
        work: Callable[[Workplace], Spend | None],
    ) -> JobResult:
        fresh = self.root / ".unfinished" / f"{kind}-{key}.{os.getpid()}"
        partial = self.root / ".partial" / f"{kind}-{key}"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        partial.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        try:
            with metering() as meter:
                returned = work(Workplace(fresh, partial))
            seconds = time.perf_counter() - started
            spend = meter.total + (returned or Spend()) + Spend(seconds=seconds)
            record = {
                "key": key,
                "kind": kind,
                "core": CORE_VERSION,
                "inputs": inputs,
                "spend": spend.to_json(),
                "files": {str(f.relative_to(fresh)): digest_file(f) for f in _files(fresh)},
            }
            record["sha256"] = digest(record)  # covers the inputs and the spend; the files have their own
            write_durably(fresh / "job.json", json.dumps(record, indent=1, ensure_ascii=False))
            os.replace(fresh, folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        shutil.rmtree(partial, ignore_errors=True)
        self._log(kind, key, seconds)
        return JobResult(key, folder, spend, stored=False)

    def _read(self, key: str, folder: Path) -> JobResult:
        try:
            record = json.loads((folder / "job.json").read_text("utf-8"))
            spend = Spend.from_json(record["spend"])
            files = record["files"]
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptResult(f"{folder / 'job.json'} is damaged ({error}): delete {folder}") from error
        for name in files:
            if not (folder / name).exists():
                raise CorruptResult(f"{folder / name} is missing: delete {folder} to do the job again")
        return JobResult(key, folder, spend, stored=True)

    def _log(self, kind: str, key: str, seconds: float) -> None:
        """One line per job done, so that repeated work would show."""
        line = json.dumps({"kind": kind, "key": key, "seconds": round(seconds, 3), "pid": os.getpid()})
        with (self.root / "done.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _sweep(self) -> None:
        """Removes what killed processes left behind: files of a job that nobody is doing, and checkpoints
        of one that is done. Whether a job is being done is told by its lock, which dies with its holder;
        process ids are used again, and mean nothing on another machine."""
        for left in [*self.root.glob(".unfinished/*"), *self.root.glob(".partial/*")]:
            kind, _, key = left.name.partition(".")[0].rpartition("-")
            with contextlib.suppress(BlockingIOError), self._lock(kind, key, wait=False):
                if left.parent.name == ".unfinished" or (self.root / kind / key / "job.json").exists():
                    shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def _lock(self, kind: str, key: str, wait: bool = True) -> Iterator[None]:
        """Holds the job's lock; raises BlockingIOError where another holds it and `wait` is False."""
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{kind}-{key}").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield


def write_durably(path: Path, text: str) -> None:
    """Writes a file so that after a crash it is there whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file())
