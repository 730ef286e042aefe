"""What of a results folder may go: found without touching anything, and then taken away.

Every number is in a stored cell, and no stored cell ever goes, but for one that is not ok where the same was
asked again and came out. What else goes can be done again, with the same numbers, by whoever needs it. Some
of it always may; the rest only when told to, because it costs time to do again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alignment_bench import locks, results
from alignment_bench.jobs import ALL, LOCKS, JobStore
from alignment_bench.storekeeping import links
from alignment_bench.storekeeping.links import Name, Stored, StoredCell

DAY = 86400.0
SCRATCH = (".staging/[0-9a-f]*.*.*", "runs/[0-9]*T*.part", "bases/.policy-*", "audits/*/.*.json.*")
"""what writing something leaves where it is killed, when its maker cannot be told"""
_BASE = re.compile("[0-9a-f]{16}-[0-9a-f]{16}")
"""names of the folders that runs keep bases in; any other is somebody else's"""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that may go: its path, its size in bytes, and the job it is of, where it is of one."""

    path: Path
    size: int
    job: Name | None = None


@dataclass(frozen=True)
class Pile:
    """Things of one sort that may go. `key`: the setting that has to be given for it; "": none."""

    name: str
    what: str
    key: str
    items: tuple[Item, ...]
    seconds: float = 0.0
    """what doing all of it again would take"""

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(item.size for item in self.items)


@dataclass(frozen=True)
class Garbage:
    """All piles of a results folder; `doubts`: why jobs that nothing names may be needed all the same."""

    root: Path
    piles: tuple[Pile, ...]
    doubts: tuple[str, ...]
    damaged: tuple[Path, ...]
    """records that cannot be read: never taken away"""
    jobs: int
    cells: int

    def chosen(self, keys: Collection[str]) -> tuple[Pile, ...]:
        """The piles that go where these settings are given; whoever accepts doubts does so where none are."""
        given = {"", *keys, *(["unused"] if "doubtful" in keys else [])}
        return tuple(pile for pile in self.piles if pile.key in given)


def look(root: Path, older: float = 0.0, tell: Callable[[str], None] = lambda text: None) -> Garbage:
    """What may go. Of jobs and checkpoints that could still be of use, only what is `older` days old counts;
    runs that began before that are taken for given up."""
    stored = links.read(root, tell)
    tell("looking at sizes")
    before = time.time() - older * DAY
    since = (datetime.now(UTC) - timedelta(days=older)).isoformat(timespec="seconds") if older else ""
    superseded = _superseded(stored)
    kept = [cell for cell in stored.cells.values() if cell not in superseded]
    resting = stored.resting(kept)
    doubts = stored.doubts(kept, since)
    unused = [
        name for name, job in stored.jobs.items() if name not in resting and _changed(job.folder) <= before
    ]
    known = "doubtful" if doubts else "unused"
    about = "that no stored cell rests on"
    piles = (
        _pile("killed", "files of what was killed while it was written", "", _killed(root)),
        _pile("finished", "checkpoints of jobs that are done", "", _checkpoints(root, stored, True)),
        _pile("locks", "lock files that nobody holds", "", _locks(root)),
        _pile(
            "superseded",
            "cells that are not ok, of which the same was asked again and came out",
            "",
            ((cell.folder, None) for cell in superseded),
        ),
        _pile(
            known,
            f"jobs {'perhaps ' if doubts else ''}{about}",
            known,
            ((stored.jobs[name].folder, name) for name in unused),
            sum(stored.jobs[name].seconds for name in unused),
        ),
        _pile("bases", f"bases {about}", known, _bases(root, stored, kept, resting, before)),
        _pile(
            "checkpoints",
            "checkpoints of jobs that were not finished",
            "checkpoints",
            (
                (path, name)
                for path, name in _checkpoints(root, stored, False)
                if max(map(_changed, _within(path))) <= before
            ),
        ),
    )
    return Garbage(root, piles, doubts, tuple(stored.damaged), len(stored.jobs), len(stored.cells))


@dataclass(frozen=True)
class Freed:
    """What has gone, and what was left because somebody is at work."""

    count: int
    size: int
    left: int


def free(
    root: Path, keys: Collection[str], older: float = 0.0, tell: Callable[[str], None] = lambda text: None
) -> tuple[Garbage, Freed]:
    """Looks, and takes away the piles that go with these settings.

    Stored jobs, bases and cells go only while nobody works in the folder: a run that has found a job done
    reads its files later. One that starts meanwhile waits, and finds what is left.
    """
    count = size = left = 0
    with locks.exclusively(root / "jobs" / LOCKS / ALL) as alone:
        garbage = look(root, older, tell)  # not before: a run that has ended since would rest on other jobs
        store = JobStore(root / "jobs")  # which sweeps up what was killed: after the look, that it be counted
        for pile in garbage.chosen(keys):
            for number, item in enumerate(pile.items):
                if (alone or not _shared(pile)) and _take_away(store, pile, item):
                    count, size = count + 1, size + item.size
                elif item.path.exists():
                    left += 1
                if number % 1000 == 999:
                    tell(f"{pile.what}: {number + 1:,} of {len(pile.items):,}")
    return garbage, Freed(count, size, left)


def _shared(pile: Pile) -> bool:
    return pile.name in ("unused", "doubtful", "bases", "superseded")


def _take_away(store: JobStore, pile: Pile, item: Item) -> bool:
    """False where it is in use. What has gone by itself counts as taken away."""
    if pile.name in ("unused", "doubtful") and item.job:
        return store.remove(*item.job)
    if pile.name == "locks":
        try:
            with locks.held(item.path, wait=False):  # which removes it at the end
                return True
        except BlockingIOError:
            return False
    if item.job is None:
        _delete(item.path)
        return True
    try:
        with store.lock(*item.job, wait=False):
            _delete(item.path)
            return True
    except BlockingIOError:
        return False


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=not path.exists())
    else:
        path.unlink(missing_ok=True)


def _pile(
    name: str, what: str, key: str, found: Iterable[tuple[Path, Name | None]], seconds: float = 0.0
) -> Pile:
    items = tuple(Item(path, _size(path), job) for path, job in found)
    return Pile(name, what, key, items, seconds)


def _killed(root: Path) -> Iterator[tuple[Path, Name | None]]:
    """Left-overs of processes that are gone: of jobs by their locks, of others by their age or process."""
    for path in sorted(root.glob("jobs/.unfinished/*")):
        name = _name(path)
        if not _at_work(root, name):
            yield path, name
    for path in sorted(path for pattern in SCRATCH for path in root.glob(pattern)):
        parts = path.name.split(".")
        own = len(parts) > 2 and parts[1] == results.host() and parts[2].isdigit()
        if (not results.alive(int(parts[2]))) if own else _changed(path) < time.time() - DAY:
            yield path, None


def _checkpoints(root: Path, stored: Stored, done: bool) -> Iterator[tuple[Path, Name]]:
    """Checkpoints of jobs that are done, or of those that are not, and that nobody is at."""
    for path in sorted(root.glob("jobs/.partial/*")):
        name = _name(path)
        if (name in stored.jobs) is done and not _at_work(root, name):
            yield path, name


def _locks(root: Path) -> Iterator[tuple[Path, None]]:
    for path in sorted(root.glob(f"jobs/{LOCKS}/*")):
        if path.name != ALL and not locks.is_held(path):
            yield path, None


def _bases(
    root: Path, stored: Stored, kept: Iterable[StoredCell], resting: Iterable[Name], before: float
) -> Iterator[tuple[Path, None]]:
    """Stored bases of no kept cell's model and format, that no job of a kept cell names either."""
    places = {"-".join(cell.places) for cell in kept}
    named = {one for name in resting for one in stored.jobs[name].named}
    for folder in sorted(root.glob("bases/[!.]*")):
        if not _BASE.fullmatch(folder.name):
            continue
        if folder.name not in places and links.policy_of(folder) not in named and _changed(folder) <= before:
            yield folder, None


def _superseded(stored: Stored) -> list[StoredCell]:
    newest: dict[str, str] = {}
    for cell in stored.cells.values():
        if cell.status == "ok":
            newest[cell.question] = max(cell.started, newest.get(cell.question, ""))
    return [
        cell
        for cell in stored.cells.values()
        if cell.status != "ok" and cell.started < newest.get(cell.question, "")
    ]


def _name(path: Path) -> Name:
    """The job that a folder of unfinished files or checkpoints is of."""
    kind, _, key = path.name.partition(".")[0].rpartition("-")
    return kind, key


def _at_work(root: Path, name: Name) -> bool:
    return locks.is_held(root / "jobs" / LOCKS / "-".join(name))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()  # it is being changed right now


def _within(path: Path) -> list[Path]:
    """The path and everything in it, as far as it is still there: somebody may be at work."""
    return [path, *(Path(place, one) for place, inner, files in os.walk(path) for one in (*inner, *files))]


def _size(path: Path) -> int:
    total = 0
    for one in _within(path):
        with contextlib.suppress(FileNotFoundError):
            found = one.stat()
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total
