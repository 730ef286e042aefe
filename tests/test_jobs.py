"""Jobs: done once, charged always, and whole or absent, whatever happens to those who do them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import jobs
from alignment_bench.errors import CorruptResult
from alignment_bench.jobs import JobStore, Workplace
from alignment_bench.ledger import Spend, report

SPEND = Spend(acts={"critique": 2}, words=7, annotator_seconds=365.0)


class Counted:
    """A job's work that counts how often it is done."""

    def __init__(self, text: str = "done") -> None:
        self.times = 0
        self.text = text

    def __call__(self, place: Workplace) -> Spend:
        self.times += 1
        (place.folder / "sub").mkdir()
        (place.folder / "sub" / "out.txt").write_text(self.text)
        report(Spend(tokens_generated=5, flops=2.0))
        report(Spend(tokens_trained=3))
        return SPEND


def hidden(root: Path) -> list[str]:
    """What unfinished work has left under a store."""
    return sorted(f"{f.parent.name}/{f.name}" for f in root.glob(".*/*") if f.parent.name != ".locks")


def done(root: Path) -> list[dict[str, Any]]:
    """The store's log."""
    return [json.loads(line) for line in (root / "done.jsonl").read_text().splitlines()]


def test_same_key_is_done_once_and_charged_the_same(tmp_path: Path) -> None:
    """In the same process, and by another store on the same folder."""
    work = Counted()
    first = JobStore(tmp_path).run("sample", {"n": 1, "seed": 0}, work)
    again = JobStore(tmp_path).run("sample", {"seed": 0, "n": 1}, work)
    assert work.times == 1
    assert (first.stored, again.stored) == (False, True)
    assert (first.key, first.folder, first.spend) == (again.key, again.folder, again.spend)
    assert (again.folder / "sub" / "out.txt").read_text() == "done"
    expected = SPEND + Spend(tokens_generated=5, tokens_trained=3, flops=2.0, seconds=again.spend.seconds)
    assert again.spend == expected and again.spend.seconds > 0
    assert [row["key"] for row in done(tmp_path)] == [first.key]
    assert hidden(tmp_path) == []


def test_other_inputs_are_another_job(tmp_path: Path) -> None:
    """So is another kind with the same inputs."""
    work, store = Counted(), JobStore(tmp_path)
    inputs: list[tuple[str, dict[str, Any]]] = [
        ("sample", {"n": 1}),
        ("sample", {"n": 2}),
        ("sample", {"n": 1, "seed": 0}),
        ("sample", {"n": "1"}),
        ("score", {"n": 1}),
    ]
    keys = {store.run(kind, given, work).key for kind, given in inputs}
    assert len(keys) == work.times == len(inputs)


def test_core_version_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bump makes every stored job another one."""
    work, store = Counted(), JobStore(tmp_path)
    before = store.run("sample", {"n": 1}, work).key
    monkeypatch.setattr(jobs, "CORE_VERSION", jobs.CORE_VERSION + "x")
    assert store.run("sample", {"n": 1}, work).key != before
    assert work.times == 2


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(28, "No space left")])
def test_an_exception_leaves_nothing_but_checkpoints(tmp_path: Path, error: BaseException) -> None:
    """And the job can be done afterwards, with its checkpoint there."""
    store = JobStore(tmp_path)

    def fail(place: Workplace) -> None:
        (place.folder / "half.txt").write_text("half")
        (place.partial / "checkpoint").write_text("3")
        raise error

    def resume(place: Workplace) -> None:
        assert (place.partial / "checkpoint").read_text() == "3"
        assert list(place.folder.iterdir()) == []

    with pytest.raises(type(error)):
        store.run("ppo", {"n": 1}, fail)
    assert [left.partition("/")[0] for left in hidden(tmp_path)] == [".partial"]
    assert not list(tmp_path.glob("ppo/*")) and not (tmp_path / "done.jsonl").exists()
    assert not store.run("ppo", {"n": 1}, resume).stored
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[1, 2]",
        lambda text: "\0" * len(text),
        lambda text: text.replace('"spend"', '"spent"'),
        lambda text: text.replace('"words"', '"wards"'),
    ],
    ids=["cut off", "empty", "not a record", "zeros", "no spend", "unknown spend"],
)
def test_a_damaged_job_is_named(tmp_path: Path, damage: Any) -> None:
    """With the file and what to delete; nothing is done in its place, nothing is removed."""
    work = Counted()
    result = JobStore(tmp_path).run("sample", {"n": 1}, work)
    file = result.folder / "job.json"
    text = damage(file.read_text())
    file.write_text(text)
    with pytest.raises(CorruptResult) as caught:
        JobStore(tmp_path).run("sample", {"n": 1}, work)
    assert str(file) in str(caught.value) and f"delete {result.folder}" in str(caught.value)
    assert work.times == 1 and file.read_text() == text


def test_a_lost_file_is_named(tmp_path: Path) -> None:
    """A job's own files belong to its record."""
    work = Counted()
    result = JobStore(tmp_path).run("sample", {"n": 1}, work)
    lost = result.folder / "sub" / "out.txt"
    lost.unlink()
    with pytest.raises(CorruptResult, match="is missing") as caught:
        JobStore(tmp_path).run("sample", {"n": 1}, work)
    assert str(lost) in str(caught.value)


DOER = """
import sys, time
from pathlib import Path
from alignment_bench.jobs import JobStore
root, seconds, name = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
def work(place):
    with (root.parent / "started").open("a") as file:
        file.write(name + "\\n")
    (place.partial / "checkpoint").write_text(name)
    time.sleep(seconds)
    (place.folder / "who").write_text(name)
store = JobStore(root)
(root.parent / f"ready-{name}").touch()
while not (root.parent / "go").exists():
    time.sleep(0.001)
result = store.run("sample", {"n": 1}, work)
print((result.folder / "who").read_text(), result.stored)
"""


def doer(root: Path, seconds: float, name: str) -> subprocess.Popen[str]:
    """A process of its own that asks for the one job, and takes `seconds` where it has to do it."""
    command = [sys.executable, "-c", textwrap.dedent(DOER), str(root), str(seconds), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Any) -> None:
    """Until it holds, at most half a minute."""
    for _ in range(30_000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("it never came")


def test_two_processes_do_one_job_once(tmp_path: Path) -> None:
    """The second waits and gets the first one's result."""
    root = tmp_path / "jobs"
    both = [doer(root, 0.3, name) for name in ("a", "b")]
    wait_for(lambda: len(list(tmp_path.glob("ready-*"))) == 2)
    (tmp_path / "go").touch()
    answers = sorted(process.communicate(timeout=60)[0].split() for process in both)
    started = (tmp_path / "started").read_text().split()
    assert len(started) == 1
    assert answers == [[started[0], "False"], [started[0], "True"]]
    assert len(done(root)) == 1


def test_a_killed_process_loses_the_lock_and_its_leftovers(tmp_path: Path) -> None:
    """Its files are swept away by the next store, except while it lives, and except checkpoints."""
    root = tmp_path / "jobs"
    (tmp_path / "go").touch()
    killed = doer(root, 600, "killed")
    wait_for(lambda: list(root.glob(".partial/*/checkpoint")) and list(root.glob(".unfinished/*")))
    JobStore(root)
    assert len(hidden(root)) == 2, "a living process's files must be left alone"
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    JobStore(root)
    assert [left.partition("/")[0] for left in hidden(root)] == [".partial"]

    work = Counted()
    assert not JobStore(root).run("sample", {"n": 1}, work).stored
    assert work.times == 1 and hidden(root) == [] and len(done(root)) == 1


def test_checkpoints_of_a_finished_job_are_swept(tmp_path: Path) -> None:
    """A process killed after its result is in place, and before it has tidied up, left them."""
    store = JobStore(tmp_path)
    result = store.run("ppo", {"n": 1}, Counted())
    left = tmp_path / ".partial" / f"ppo-{result.key}"
    left.mkdir()
    (left / "ppo.pt").write_text("state")
    other = tmp_path / ".partial" / f"ppo-{'0' * 64}"
    other.mkdir()
    (other / "ppo.pt").write_text("state")
    JobStore(tmp_path)
    assert not left.exists() and (other / "ppo.pt").exists()
    assert store.run("ppo", {"n": 1}, Counted()).stored
