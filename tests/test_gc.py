"""bench gc: takes nothing that a number needs, says before it takes, and what it took comes back the same."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import cli, locks, results
from alignment_bench.digests import digest
from alignment_bench.jobs import JobStore, Workplace
from alignment_bench.provenance import files
from alignment_bench.provenance.verify import verify
from alignment_bench.storekeeping import garbage, links

METHODS = "sft,ppo:iterations=2:rollouts=8:reward=teacher"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, small_world: ModuleType) -> Path:
    """A small run, with a training that asks its teacher while it goes on."""
    root: Path = tmp_path_factory.mktemp("gc") / "results"
    with pytest.MonkeyPatch.context() as patch:
        small_world.shrink(patch.setattr)
        small_world.SmallWorld(root).run(METHODS, "sft.epochs=1", "evaluators=quality,length")
    return root


@pytest.fixture
def root(ran: Path, tmp_path: Path) -> Path:
    """A copy of it to take from."""
    return Path(shutil.copytree(ran, tmp_path / "results"))


def gc(root: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `bench gc` says, as a program reads it."""
    capsys.readouterr()
    assert cli.main(["gc", f"results={root}", "format=json", *options]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    said["counts"] = {pile["name"]: pile["count"] for pile in said["piles"] if pile["count"]}
    return said


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder, with what changes where it is written anew."""
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(root.rglob("*"))}


def table(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The whole table."""
    capsys.readouterr()
    assert cli.main(["table", f"results={root}", "format=json"]) == 0
    return capsys.readouterr().out


def job(root: Path, n: int = 0) -> tuple[str, str]:
    """A job more, that nothing names; it has written three bytes."""
    store = JobStore(root / "jobs")
    return "sample", store.run("sample", {"nobody": n}, lambda place: write(place, "abc")).key


def write(place: Workplace, text: str) -> None:
    """One file of a job."""
    (place.folder / "out").write_text(text)


def litter(root: Path) -> None:
    """What killed processes and older versions leave, and a cell that failed before it came out."""
    done = next(name for name in links.read(root).jobs if name[0] == "finetune")
    for place, kind, key in [
        (".unfinished", "ppo", "0" * 64 + ".4711"),
        (".partial", *done),
        (".partial", "ppo", "1" * 64),
    ]:
        folder = root / "jobs" / place / f"{kind}-{key}"
        folder.mkdir(parents=True)
        (folder / "file").write_text("12345")
    (root / "jobs" / ".locks" / f"ppo-{'2' * 64}").touch()
    (root / "bases" / f"{'3' * 16}-{'4' * 16}").mkdir()
    cell = next(one for one in results.read_all(root)[0] if one.label == "sft")
    failed = {"status": "failed", "reason": "x", "scores": (), "prompt_ids": (), "clusters": ()}
    earlier = {"started": "2000-01-01T00:00:00+00:00", "digest": digest("earlier")}
    results.write_cell(root, replace(cell, **failed, **earlier), [])


@contextmanager
def at_work(root: Path) -> Iterator[None]:
    """Somebody works in the store while the block runs."""
    handle = locks.share(root / "jobs" / ".locks" / "all")
    yield
    os.close(handle)


def test_everything_that_was_stored_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what a training asked for while it ran: nothing goes, whatever is allowed to."""
    said = gc(root, "delete=true", "unused=true", "doubtful=true", "checkpoints=true", capsys=capsys)
    assert (said["counts"], said["doubts"]) == ({}, [])
    stored = links.read(root)
    assert len(stored.jobs) == said["jobs"] >= 20 and len(stored.cells) == 3
    named = {key for one in stored.cells.values() for key in one.named}
    inside = [key for kind, key in stored.jobs if kind == "ask" and key not in named]
    assert inside, "the training's own questions are behind no cell's list"
    found = files.look(root)
    ppo = next(record for record in found.records if record.label.startswith("ppo"))
    behind = files.files_of(root, ppo, found)
    assert all(f"jobs/ask/{key}/records.jsonl" in behind for key in inside)


def test_it_says_before_it_takes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And takes only what it was told to; what is left is sound, and makes the same table."""
    clean = table(root, capsys)
    job(root)
    litter(root)
    before = tree(root)
    said = gc(root, "unused=true", "checkpoints=true", capsys=capsys)
    assert said["counts"] == {
        "killed": 1, "finished": 1, "locks": 1, "superseded": 1, "unused": 1, "bases": 1, "checkpoints": 1,
    }  # fmt: skip
    unused = next(pile for pile in said["piles"] if pile["name"] == "unused")
    assert unused["bytes"] > 3 and unused["needs"] == "unused" and unused["seconds"] >= 0
    assert tree(root) == before and said["deleted"] is None

    said = gc(root, "delete=true", capsys=capsys)
    assert said["deleted"]["count"] == 4 and said["deleted"]["left"] == 0
    assert gc(root, capsys=capsys)["counts"] == {"unused": 1, "bases": 1, "checkpoints": 1}
    gc(root, "delete=true", "unused=true", "checkpoints=true", capsys=capsys)
    assert gc(root, capsys=capsys)["counts"] == {}
    assert verify(root).faults == () and table(root, capsys) == clean


def test_a_run_that_may_go_on_keeps_its_jobs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell that was asked for and is not stored: nobody can tell which jobs it has done."""
    cell = next(one for one in links.read(root).cells.values() if one.status == "ok")
    shutil.rmtree(cell.folder)
    job(root)
    said = gc(root, "delete=true", "unused=true", capsys=capsys)
    assert said["counts"]["doubtful"] > 1 and said["deleted"]["count"] == 0
    assert "not stored" in said["doubts"][0]
    assert "unused" in gc(root, "older=0.00000001", capsys=capsys)["counts"], "given up by its age"
    assert gc(root, "older=1", capsys=capsys)["counts"] == {}, "young jobs are left"


@pytest.mark.parametrize("change", ["cells", "jobs", "damaged"])
def test_doubts(root: Path, capsys: pytest.CaptureFixture[str], change: str) -> None:
    """Records of older versions, which name less, and records that cannot be read."""
    job(root)
    for path in root.glob("cells/*/*/run.json" if change == "cells" else "jobs/ppo/*/job.json"):
        body = json.loads(path.read_text())
        (body["code"] if change == "cells" else body).pop("jobs" if change == "cells" else "asked")
        body.pop("sha256")
        if change != "jobs":
            body["sha256"] = digest(body) if change == "cells" else "0"
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False))
    said = gc(root, "delete=true", "unused=true", capsys=capsys)
    assert said["doubts"] and "unused" not in said["counts"]
    assert said["counts"]["doubtful"] >= 1 and said["deleted"]["count"] == 0
    if change == "damaged":
        assert len(said["damaged"]) == 1 and Path(said["damaged"][0]).exists()


def test_what_went_is_done_again_with_the_same_numbers(
    root: Path, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All jobs of a cell that somebody deleted."""
    small_world.shrink(monkeypatch.setattr)
    world = small_world.SmallWorld(root)
    before = world.records()
    shutil.rmtree(results.cell_folder(root, before["sft"].digest))
    taken = gc(root, "delete=true", "doubtful=true", capsys=capsys)["deleted"]["count"]
    log = root / "jobs" / "done.jsonl"
    log.unlink()
    world.run(METHODS, "sft.epochs=1", "evaluators=quality,length")
    after = world.records()
    assert len(log.read_text().splitlines()) == taken >= 5
    assert after["sft"].scores == before["sft"].scores and after["sft"].code == before["sft"].code
    assert verify(root).faults == ()


def test_nothing_of_a_run_that_works_goes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stored jobs wait until nobody works in the folder; a job's files, while it is done, stay as well."""
    kind, key = job(root)
    litter(root)
    with at_work(root):
        said = gc(root, "delete=true", "unused=true", capsys=capsys)
    assert said["deleted"]["left"] == 3, "a job, a base, a cell"
    assert (root / "jobs" / kind / key).exists()
    with locks.held(root / "jobs" / ".locks" / f"ppo-{'1' * 64}"):
        assert "checkpoints" not in gc(root, "delete=true", "checkpoints=true", capsys=capsys)["counts"]
    gc(root, "delete=true", "unused=true", "checkpoints=true", capsys=capsys)
    assert not (root / "jobs" / kind / key).exists() and not list(root.glob("jobs/.partial/*"))


def test_a_run_that_starts_meanwhile_waits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then finds the job gone, and does it."""
    _, key = job(root)
    began, said = threading.Event(), threading.Event()
    original = JobStore.remove

    def slow(self: JobStore, *name: str) -> bool:
        began.set()
        assert said.wait(60)
        return original(self, *name)

    monkeypatch.setattr(locks, "PATIENCE", 0.01)
    monkeypatch.setattr(JobStore, "remove", slow)
    clearing = threading.Thread(target=garbage.free, args=(root, ["unused"]))
    clearing.start()
    assert began.wait(60)
    store = JobStore(root / "jobs", lambda text: said.set())
    result = store.run("sample", {"nobody": 0}, lambda place: write(place, "abc"))
    clearing.join()
    assert not result.stored and result.key == key and (result.folder / "out").read_text() == "abc"


def test_staged_cells_go_when_their_process_is_gone(tmp_path: Path) -> None:
    """By process on this machine, by age where it cannot be told."""
    mine, gone = (f"{'0' * 64}.{results.host()}.{pid}" for pid in (os.getpid(), 2**22 + 7))
    other = f"{'0' * 64}.another.12"
    for name in (mine, gone, other):
        (tmp_path / ".staging" / name).mkdir(parents=True)
    found = {item.path.name for pile in garbage.look(tmp_path).piles for item in pile.items}
    assert found == {gone}
    os.utime(tmp_path / ".staging" / other, (time.time() - 2 * garbage.DAY,) * 2)
    assert other in {item.path.name for pile in garbage.look(tmp_path).piles for item in pile.items}


def test_what_is_somebody_elses_stays(tmp_path: Path) -> None:
    """A folder that only looks like one of results: nothing that is stored has such names."""
    mine = (
        "bases/models",
        "bases/.hidden",
        ".staging/photos",
        ".staging/a.tar",
        "runs/film.part",
        "jobs/a/b",
    )
    for name in mine:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
        os.utime(tmp_path / name, (0, 0))
    found, freed = garbage.free(tmp_path, ["unused", "doubtful", "checkpoints"])
    assert not any(pile.items for pile in found.piles) and freed.count == 0
    assert all((tmp_path / name / "file").exists() for name in mine)


def test_what_goes_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends meanwhile: its checkpoint, or a file of it, is gone when its size is asked for."""
    for name in ("1", "2"):
        folder = tmp_path / "jobs" / ".partial" / f"ppo-{name * 64}"
        folder.mkdir(parents=True)
        (folder / "file").write_text("12345")
    original = garbage._within

    def late(path: Path) -> list[Path]:
        found = original(path)
        shutil.rmtree(path) if path.name.startswith("ppo-1") else None
        return found

    monkeypatch.setattr(garbage, "_within", late)
    (pile,) = (one for one in garbage.look(tmp_path).piles if one.items)
    assert (pile.name, pile.size) == ("checkpoints", 5)


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All at once, before anything is touched."""
    assert cli.main(["gc", f"results={tmp_path / 'no'}", "delet=true", "older=-1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("bench: ") for line in lines)


def test_a_folder_that_may_only_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is looked at; that nothing of it can go is said before anything is tried."""

    def refused(*arguments: Any, **options: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    assert cli.main(["gc", f"results={tmp_path}"]) == 0
    assert cli.main(["gc", f"results={tmp_path}", "delete=true"]) == 2
    assert capsys.readouterr().err.startswith("bench: results: ") and list(tmp_path.iterdir()) == []
