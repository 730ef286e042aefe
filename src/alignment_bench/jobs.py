"""Heavy work, done once: a job is a function from content-keyed inputs to files plus a Spend.

The key is the digest of everything that can change a number. Asking for a key that is in the store gives
the stored files back and the same Spend; that one rule is what lets methods share stages, runs resume
after a kill, and costs stay honest. A job's folder appears whole or not at all (it is renamed into place),
and two processes never do the same job at once (an advisory lock that dies with its holder).

A job that asks for other jobs while it runs (a training whose teacher scores rollouts, an evaluator whose
judge is a model) names them in its record: what rests on what can be told from the store alone. Whoever
works in a store shares one lock on all of it, which `bench gc` must have alone before it takes a job away.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alignment_bench import locks
from alignment_bench.digests import digest, digest_file, vouched
from alignment_bench.errors import CorruptResult
from alignment_bench.ledger import Spend, metering

_log = logging.getLogger(__name__)

CORE_VERSION = "1"
"""part of every key; bumped by hand whenever the core's numbers change (golden tests fail until it is)"""
READ_ONLY = (errno.EROFS, errno.EACCES)
"""what the system says where nothing may be written"""
LOCKS, ALL = ".locks", "all"
"""the folder of a store's locks, and the one among them that all who work in the store share"""


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


@dataclass
class _Asked:
    """The jobs that a running job asks for, as `kind/key`; kept beside its checkpoints, so that one that goes
    on after a kill still knows what it asked for before."""

    path: Path
    names: set[str] = field(default_factory=set)

    @staticmethod
    def within(partial: Path) -> _Asked:
        """With those that were noted there before; the end of a line that a kill cut off is no name."""
        path = partial / ".asked"
        text = path.read_text("utf-8") if path.exists() else ""
        return _Asked(path, set(re.findall(r"^\w+/[0-9a-f]{64}$", text, re.MULTILINE)))

    def add(self, name: str) -> None:
        """Notes one, before it is done."""
        if name not in self.names:
            self.names.add(name)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{name}\n")


_ASKED: ContextVar[_Asked | None] = ContextVar("asked", default=None)
"""of the innermost job that runs"""


def key_of(kind: str, inputs: Mapping[str, Any]) -> str:
    """The key of a job: the digest of everything that can change what it leaves."""
    return digest({"core": CORE_VERSION, "kind": kind, **inputs})


class JobStore:
    """Finished jobs under one folder: `jobs/<kind>/<key>/` with `job.json` and the job's own files."""

    def __init__(self, root: Path, say: Callable[[str], None] = _log.warning) -> None:
        """`say` is told when another process has to be waited for."""
        self.root = root
        self.say = say
        self._entering = threading.Lock()
        self._entered = False
        self._sweep()

    def enter(self) -> None:
        """Keeps what is stored from being cleared away for as long as this object lives; every run does it.

        Raises BenchError where files cannot be locked: jobs would be done twice, and at once.
        """
        if self._entered:
            return
        with self._entering:
            if self._entered:
                return
            try:
                locks.check(self.root / LOCKS)
                handle = locks.share(self.root / LOCKS / ALL, f"clearing {self.root}", self.say)
            except OSError as error:
                if error.errno not in READ_ONLY:
                    raise
                # Nothing can be done here, only read; what is then missing is named.
            else:
                weakref.finalize(self, os.close, handle)
            self._entered = True

    def run(
        self, kind: str, inputs: Mapping[str, Any], work: Callable[[Workplace], Spend | None]
    ) -> JobResult:
        """The job's stored result, or that of doing it now.

        `work` writes files into its workplace; what the engine reports while it runs, plus the Spend it
        returns, is the job's Spend. An exception leaves nothing behind but checkpoints.
        """
        self.enter()
        key = key_of(kind, inputs)
        if outer := _ASKED.get():
            outer.add(f"{kind}/{key}")
        folder = self.root / kind / key
        if (folder / "job.json").exists():
            return self._read(key, folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self.lock(kind, key):
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
        fresh = self._fresh(kind, key)
        partial = self.root / ".partial" / f"{kind}-{key}"
        partial.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        asked = _Asked.within(partial)
        outer = _ASKED.set(asked)
        try:
            with metering() as meter:
                returned = work(Workplace(fresh, partial))
            seconds = time.perf_counter() - started
            spend = meter.total + (returned or Spend()) + Spend(seconds=seconds)
            files = _files(fresh)
            record = {
                "key": key,
                "kind": kind,
                "core": CORE_VERSION,
                "inputs": inputs,
                "spend": spend.to_json(),
                "asked": sorted(asked.names),
                "files": {name: digest_file(file) for name, file in files.items()},
                "sizes": {name: file.stat().st_size for name, file in files.items()},
            }
            record["sha256"] = digest(record)  # covers the inputs and the spend; the files have their own
            write_durably(fresh / "job.json", json.dumps(record, indent=1, ensure_ascii=False))
            _settle(fresh, folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        finally:
            _ASKED.reset(outer)
        shutil.rmtree(partial, ignore_errors=True)
        self._log(kind, key, seconds)
        return JobResult(key, folder, spend, stored=False)

    def _read(self, key: str, folder: Path) -> JobResult:
        """The stored job: its record is checked and its files are there in their sizes, but not read."""
        path = folder / "job.json"
        try:
            record = json.loads(path.read_text("utf-8"))
            spend = Spend.from_json(record["spend"])
            files, sizes = dict(record["files"]), dict(record.get("sizes", {}))
            sound = record["key"] == key and (
                "sha256" not in record or vouched(record)
            )  # older ones have none
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CorruptResult(f"{path} is damaged ({error}): delete {folder}") from error
        if not sound:
            raise CorruptResult(
                f"{path} has changed since it was written: delete {folder} to do the job again"
            )
        for name in files:
            try:
                size = (folder / name).stat().st_size
            except FileNotFoundError:
                what = f"{folder / name} is missing: delete {folder} to do the job again"
                raise CorruptResult(what) from None
            if size != sizes.get(name, size):
                what = f"{folder / name} has {size:,} bytes, {sizes[name]:,} were written"
                raise CorruptResult(f"{what}: delete {folder} to do the job again")
        return JobResult(key, folder, spend, stored=True)

    def put(self, kind: str, key: str, fill: Callable[[Path], None]) -> bool:
        """Stores a job that was done elsewhere: `fill` writes its folder, record and all, which appears whole
        or not at all. False, with nothing called, where the job is here."""
        self.enter()
        folder = self.root / kind / key
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self.lock(kind, key):
            if (folder / "job.json").exists():
                return False
            fresh = self._fresh(kind, key)
            try:
                fill(fresh)
                _settle(fresh, folder)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
            shutil.rmtree(self.root / ".partial" / f"{kind}-{key}", ignore_errors=True)
            return True

    def remove(self, kind: str, key: str) -> bool:
        """Takes a stored job away, at once for all who look; False where somebody is at it."""
        with contextlib.suppress(BlockingIOError), self.lock(kind, key, wait=False):
            gone = self._fresh(kind, key)
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.root / kind / key, gone)
            shutil.rmtree(gone)
            return True
        return False

    def _fresh(self, kind: str, key: str) -> Path:
        """An empty folder for the files of a job that is locked; swept away where its maker is killed."""
        fresh = self.root / ".unfinished" / f"{kind}-{key}.{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        return fresh

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
            try:
                with self.lock(kind, key, wait=False):
                    if left.parent.name == ".unfinished" or (self.root / kind / key / "job.json").exists():
                        shutil.rmtree(left, ignore_errors=True)
            except BlockingIOError:
                continue  # somebody is at it
            except OSError as error:
                if error.errno not in READ_ONLY:
                    raise
                return  # a store to read from: nothing of it can be taken away

    @contextmanager
    def lock(self, kind: str, key: str, wait: bool = True) -> Iterator[None]:
        """Holds the job's lock; raises BlockingIOError where another holds it and `wait` is False."""
        what = f"it does the job {kind} {key[:12]}"
        with locks.held(self.root / LOCKS / f"{kind}-{key}", wait=wait, what=what, say=self.say):
            yield


def write_durably(path: Path, text: str) -> None:
    """Writes a file so that after a crash it is there whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def _settle(fresh: Path, folder: Path) -> None:
    """Puts the files of a job that is locked into place. What is there without a record, as where somebody
    was interrupted while deleting it, is no job, and would be in the way."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    os.replace(fresh, folder)


def _files(folder: Path) -> dict[str, Path]:
    """The files in a folder, by name."""
    return {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
