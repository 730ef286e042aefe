"""Many processes at one job store: every job once, whoever is killed, and a word to whoever waits."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import locks
from alignment_bench.errors import BenchError, CorruptResult
from alignment_bench.jobs import JobStore, Workplace

WRITERS, KEYS = 8, 50
CROWD = """
import os, sys
from pathlib import Path
from alignment_bench.jobs import JobStore
root, writers, keys = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
def work(n):
    def write(place):
        (place.folder / "out").write_text(str(n))
    return write
children = []
for writer in range(writers):
    if child := os.fork():
        children.append(child)
        continue
    store = JobStore(root)
    for step in range(keys):
        n = (step * (writer % 3 + 1) + writer) % keys  # in orders of their own, that meet again and again
        result = store.run("sample", {"n": n}, work(n))
        assert (result.folder / "out").read_text() == str(n)
    os._exit(0)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
sys.exit(max(map(abs, codes)))
"""
HOLDER = """
import sys, time
from pathlib import Path
from alignment_bench.jobs import JobStore
def work(place):
    (place.partial / "checkpoint").write_text("half")
    Path(sys.argv[2]).touch()
    time.sleep(600)
JobStore(Path(sys.argv[1])).run("ppo", {"n": 1}, work)
"""


def wrote(text: str = "done") -> Any:
    """A job's work that writes one file."""
    return lambda place: (place.folder / "out").write_text(text) and None


def lock_files(root: Path) -> list[str]:
    """Names of the lock files of jobs."""
    return sorted(path.name for path in root.glob(".locks/*") if path.name != "all")


def test_of_many_writers_one_does_each_job(tmp_path: Path) -> None:
    """Eight processes that ask for the same fifty jobs in different orders; no lock file is left."""
    root = tmp_path / "jobs"
    subprocess.run([sys.executable, "-c", CROWD, str(root), str(WRITERS), str(KEYS)], check=True, timeout=300)
    lines = [json.loads(line) for line in (root / "done.jsonl").read_text().splitlines()]
    assert len(lines) == KEYS and len({line["key"] for line in lines}) == KEYS
    assert len(list(root.glob("sample/*/job.json"))) == KEYS
    assert lock_files(root) == [] and not list(root.glob(".unfinished/*"))


def test_who_waits_for_a_killed_process_does_its_job(tmp_path: Path) -> None:
    """The lock dies with its holder; the job goes on from the checkpoint."""
    root, started = tmp_path / "jobs", tmp_path / "started"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(root), str(started)])
    while not started.exists():
        assert holder.poll() is None
        time.sleep(0.01)
    said: list[str] = []
    told = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        told.set()

    def resume(place: Workplace) -> None:
        assert (place.partial / "checkpoint").read_text() == "half"

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(locks, "PATIENCE", 0.01)
        waiting = pool.submit(JobStore(root, say).run, "ppo", {"n": 1}, resume)
        assert told.wait(60) and not waiting.done()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert not waiting.result(60).stored
    assert f"process {holder.pid} on " in said[0] and "ppo" in said[0]
    assert lock_files(root) == []


def test_a_removed_lock_file_is_nobodys_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder removes it at the end: who has waited for it gets the lock of the path, not of that file."""
    monkeypatch.setattr(locks, "PATIENCE", 0.01)
    path = tmp_path / "lock"
    waits, inside, over = threading.Event(), threading.Event(), threading.Event()

    def second() -> None:
        with locks.held(path, say=lambda text: waits.set()):
            inside.set()
            assert over.wait(60)

    with ThreadPoolExecutor(1) as pool:
        with locks.held(path):
            done = pool.submit(second)
            assert waits.wait(60)
        assert inside.wait(60)
        with pytest.raises(BlockingIOError), locks.held(path, wait=False):
            pass
        over.set()
        done.result(60)
    assert not path.exists() and not locks.is_held(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_filesystem_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Before any job is done there."""

    def none(handle: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(BenchError, match="no file locks") as caught:
        JobStore(tmp_path / "jobs").run("sample", {"n": 1}, wrote())
    assert str(tmp_path / "jobs") in str(caught.value) and "results=" in str(caught.value)
    assert not list(tmp_path.glob("jobs/sample/*"))


def test_locks_that_keep_nobody_out_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some filesystems grant every lock."""
    monkeypatch.setattr(fcntl, "flock", lambda handle, how: None)
    with pytest.raises(BenchError, match="granted to two at once"):
        JobStore(tmp_path / "jobs").run("sample", {"n": 1}, wrote())


def test_a_changed_record_is_named_on_resume(tmp_path: Path) -> None:
    """What vouches for the record does so whenever the job is asked for, not only in bench verify."""
    result = JobStore(tmp_path).run("sample", {"n": 1}, wrote())
    record = result.folder / "job.json"
    record.write_text(record.read_text().replace('"words": 0', '"words": 1'))
    with pytest.raises(CorruptResult, match="has changed") as caught:
        JobStore(tmp_path).run("sample", {"n": 1}, wrote())
    assert str(record) in str(caught.value)


def test_a_cut_file_is_named_on_resume(tmp_path: Path) -> None:
    """By its size: files are not read again."""
    result = JobStore(tmp_path).run("sample", {"n": 1}, wrote("whole"))
    (result.folder / "out").write_text("who")
    with pytest.raises(CorruptResult, match="3 bytes, 5 were written") as caught:
        JobStore(tmp_path).run("sample", {"n": 1}, wrote())
    assert str(result.folder / "out") in str(caught.value)


def test_half_a_folder_is_in_nobodys_way(tmp_path: Path) -> None:
    """Somebody deletes a job and is interrupted: without its record it is done again."""
    result = JobStore(tmp_path).run("sample", {"n": 1}, wrote())
    (result.folder / "job.json").unlink()
    (result.folder / "other").touch()
    again = JobStore(tmp_path).run("sample", {"n": 1}, wrote())
    assert not again.stored and {one.name for one in again.folder.iterdir()} == {"job.json", "out"}
    (result.folder / "job.json").unlink()
    assert JobStore(tmp_path).put("sample", result.key, lambda folder: (folder / "job.json").touch())
    assert [one.name for one in result.folder.iterdir()] == ["job.json"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_store_to_read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """What is stored can be had, and what killed processes left there stays."""
    JobStore(tmp_path).run("sample", {"n": 1}, wrote())
    (tmp_path / ".unfinished" / f"ppo-{'0' * 64}.4711").mkdir(parents=True)

    def refused(*arguments: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks, "_take", refused)
    assert JobStore(tmp_path).run("sample", {"n": 1}, wrote()).stored
    assert list(tmp_path.glob(".unfinished/*"))
    with pytest.raises(OSError, match=os.strerror(number)):
        JobStore(tmp_path).run("sample", {"n": 2}, wrote())


def test_a_job_of_another_key_is_refused(tmp_path: Path) -> None:
    """A folder that was copied to another key's place."""
    store = JobStore(tmp_path)
    one, other = (store.run("sample", {"n": n}, wrote()) for n in (1, 2))
    (other.folder / "job.json").write_bytes((one.folder / "job.json").read_bytes())
    with pytest.raises(CorruptResult, match="has changed"):
        store.run("sample", {"n": 2}, wrote())


def test_a_job_names_what_it_asked_for(tmp_path: Path) -> None:
    """Done or stored, by threads too, and also what it asked for before it was killed."""
    store = JobStore(tmp_path)
    store.run("ask", {"n": 0}, wrote())

    def killed(place: Workplace) -> None:
        store.run("ask", {"n": 1}, wrote())
        raise KeyboardInterrupt

    def resumed(place: Workplace) -> None:
        store.run("ask", {"n": 0}, wrote())
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, store.run, "ask", {"n": 2}, asks).result()

    def asks(place: Workplace) -> None:
        store.run("ask", {"n": 3}, wrote())

    with pytest.raises(KeyboardInterrupt):
        store.run("ppo", {}, killed)
    outer = store.run("ppo", {}, resumed)
    keys = {n: store.run("ask", {"n": n}, wrote()).key for n in range(4)}
    record = json.loads((outer.folder / "job.json").read_text())
    assert record["asked"] == sorted(f"ask/{keys[n]}" for n in (0, 1, 2))
    inner = json.loads((tmp_path / "ask" / keys[2] / "job.json").read_text())
    assert inner["asked"] == [f"ask/{keys[3]}"]
