"""bench export and import: nothing is done again there; nothing damaged or hostile gets in, or half in."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import cli, jobs
from alignment_bench.digests import digest, digest_file
from alignment_bench.errors import BadInput, CorruptResult
from alignment_bench.jobs import JobStore, Workplace
from alignment_bench.provenance.verify import verify
from alignment_bench.storekeeping import archive, exchange
from alignment_bench.storekeeping.exchange import Taken, choose, take

METHODS = "sft,best_of_n:n=2"
OPTIONS = ("sft.epochs=1", "evaluators=quality,length")
Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, small_world: ModuleType) -> Path:
    """A small run."""
    root: Path = tmp_path_factory.mktemp("exchange") / "results"
    with pytest.MonkeyPatch.context() as patch:
        small_world.shrink(patch.setattr)
        small_world.SmallWorld(root).run(METHODS, *OPTIONS)
    return root


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A store of a few jobs without a run."""
    store = JobStore(tmp_path / "made" / "jobs")
    for n in range(5):
        store.run("sample", {"n": n}, lambda place, n=n: filled(place, f"text {n}" * 200))  # type: ignore[misc]
    return tmp_path / "made"


def filled(place: Workplace, text: str) -> None:
    """Two files of a job, one in a folder."""
    (place.folder / "policy").mkdir()
    (place.folder / "policy" / "weights.bin").write_text(text)
    (place.folder / "log.jsonl").write_text("{}\n")


def exported(root: Path, out: Path, *, cells: bool = False) -> Path:
    """An archive of everything there."""
    archive.write(out, root, choose(root, {}, cells, lambda text: None).bundles, lambda count: None)
    return out


def imported(path: Path, root: Path) -> Taken:
    """The archive taken in."""
    return take(path, root, lambda count: None, lambda text: None)


def content(root: Path) -> dict[str, bytes]:
    """Every stored file's bytes, but for locks and logs."""
    files = [path for path in root.rglob("*") if path.is_file()]
    kept = [path for path in files if ".locks" not in path.parts and path.name != "done.jsonl"]
    return {str(path.relative_to(root)): path.read_bytes() for path in kept}


def members(path: Path) -> list[Member]:
    """All of an archive."""
    with tarfile.open(path) as tar:
        return [(one, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr]


def rebuilt(path: Path, found: list[Member], format: int = tarfile.GNU_FORMAT) -> Path:
    """An archive of these members."""
    with tarfile.open(path, "w", format=format) as tar:
        for one, data in found:
            tar.addfile(one, io.BytesIO(data))
    return path


def relisted(path: Path, change: Callable[[list[Any]], None]) -> Path:
    """The archive with another list, which vouches for itself."""
    found = members(path)
    body = json.loads(found[0][1])
    change(body["bundles"])
    del body["sha256"]
    body["sha256"] = digest(body)
    data = json.dumps(body).encode()
    found[0][0].size = len(data)
    return rebuilt(path, [(found[0][0], data), *found[1:]])


def test_no_job_is_done_again_elsewhere(
    ran: Path, tmp_path: Path, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs alone: the run aligns, samples and scores from the store, to the same numbers."""
    small_world.shrink(monkeypatch.setattr)
    taken = imported(exported(ran, tmp_path / "jobs.tar"), tmp_path / "elsewhere")
    assert taken.new["jobs"] > 10 and not taken.new["cells"] and not taken.cores
    here, there = small_world.SmallWorld(ran), small_world.SmallWorld(tmp_path / "elsewhere")
    there.run(METHODS, *OPTIONS)
    assert not (there.results / "jobs" / "done.jsonl").exists(), "a job was done"
    before, after = here.records(), there.records()
    assert before.keys() == after.keys()
    assert all(before[label].scores == after[label].scores for label in before)
    assert all(before[label].code == after[label].code for label in before)


def test_cells_come_with_their_table(ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Byte for byte; a second import changes nothing, and an export of the copy is the same file."""
    first, second = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"
    there = tmp_path / "there"
    assert cli.main(["export", f"out={first}", f"results={ran}", "cells=true"]) == 0
    assert cli.main(["import", str(first), f"results={there}"]) == 0
    assert "3 cells new, 0 here already" in capsys.readouterr().out
    assert verify(there).faults == ()
    stored = {
        name: data for name, data in content(ran).items() if name.split("/")[0] not in ("runs", "bases")
    }
    assert content(there) == stored
    assert cli.main(["import", str(first), f"results={there}"]) == 0
    assert ": 0 new," in capsys.readouterr().out
    assert content(there) == stored and not list(there.glob("jobs/.unfinished/*"))
    assert cli.main(["export", f"out={second}", f"results={there}", "cells=true"]) == 0
    assert first.read_bytes() == second.read_bytes()
    tables = []
    for root in (ran, there):
        capsys.readouterr()
        assert cli.main(["table", f"results={root}", "format=csv"]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]


def test_filters_take_what_the_cells_rest_on(ran: Path, tmp_path: Path) -> None:
    """One method and base, whose numbers are then sound there."""
    choice = choose(ran, {"methods": ("sft",)}, True, lambda text: None)
    everything = choose(ran, {}, False, lambda text: None)
    assert (choice.cells, choice.doubts) == (2, ()) and choice.jobs < everything.jobs
    archive.write(tmp_path / "sft.tar", ran, choice.bundles, lambda count: None)
    imported(tmp_path / "sft.tar", tmp_path / "there")
    assert verify(tmp_path / "there").faults == ()
    with pytest.raises(BadInput):
        choose(ran, {"methods": ("ppo",)}, True, lambda text: None)


def test_damage_is_refused_and_nothing_gets_in(made: Path, tmp_path: Path) -> None:
    """A changed or missing byte anywhere that means something; what does not changes nothing."""
    whole = exported(made, tmp_path / "whole.tar").read_bytes()
    there, broken = tmp_path / "there", tmp_path / "broken.tar"
    rng = random.Random(0)
    refusals = 0
    cuts = [whole[: rng.randrange(len(whole) - 20_000)] for _ in range(20)]
    flips = [
        (at, bytes([whole[at] ^ (1 << rng.randrange(8))])) for at in rng.choices(range(len(whole)), k=80)
    ]
    for data in [*cuts, *(whole[:at] + byte + whole[at + 1 :] for at, byte in flips)]:
        broken.write_bytes(data)
        try:
            imported(broken, there)
        except BadInput as error:
            refusals += 1
            assert str(broken) in str(error)
            assert content(there) == {}
        else:
            assert content(there) == content(made)
            shutil.rmtree(there)
    assert refusals > 50, "the rest hit what pads a tar"


def hostile() -> dict[str, Callable[[Path], object]]:
    """Ways to make an archive that is whole, and means harm."""

    def member(change: Callable[[tarfile.TarInfo], Any], at: int = 2) -> Callable[[Path], object]:
        def apply(path: Path) -> None:
            found = members(path)
            change(found[at][0])
            rebuilt(path, [(one, data if one.isreg() else b"") for one, data in found])

        return apply

    def kind(type: bytes, target: str = "") -> Callable[[tarfile.TarInfo], None]:
        def change(one: tarfile.TarInfo) -> None:
            one.type, one.linkname, one.size = type, target, 0

        return change

    def named(name: object) -> Callable[[Path], object]:
        return lambda path: relisted(path, lambda bundles: bundles[0][1][1].__setitem__(0, name))

    def placed(folder: str) -> Callable[[Path], object]:
        """The first job under another name, in the list and in the names of its members."""

        def apply(path: Path) -> None:
            relisted(path, lambda bundles: bundles[0].__setitem__(0, folder))
            found = members(path)
            old = found[1][0].name.rpartition("/")[0]
            for one, _ in found[1:4]:
                short = re.sub("([0-9a-f]{16})[0-9a-f]{48}", r"\1", folder)
                one.name = one.name.replace(old, short)
            rebuilt(path, found)

        return apply

    def swap(path: Path) -> None:
        found = members(path)
        rebuilt(path, [found[0], *found[4:7], *found[1:4], *found[7:]])

    def pax(path: Path) -> None:
        found = members(path)
        found[2][0].pax_headers = {"path": "/etc/evil"}
        rebuilt(path, found, tarfile.PAX_FORMAT)

    def more(path: Path) -> None:
        found = members(path)
        rebuilt(path, [*found, (tarfile.TarInfo("../more"), b"")])

    def spend(path: Path) -> None:
        """Another record, whose list is right: it no longer vouches for itself."""
        found = members(path)
        data = found[1][1].replace(b'"words": 0', b'"words": 1')
        rebuilt(path, [found[0], (found[1][0], data), *found[2:]])
        sha256 = __import__("hashlib").sha256(data).hexdigest()
        relisted(path, lambda bundles: bundles[0][1][0].__setitem__(2, sha256))

    def size(number: int) -> Callable[[Path], object]:
        return lambda path: relisted(path, lambda bundles: bundles[0][1][1].__setitem__(1, number))

    return {
        "a link": member(kind(tarfile.SYMTYPE, "/etc/passwd")),
        "a hard link": member(kind(tarfile.LNKTYPE, "../../x")),
        "a device": member(kind(tarfile.CHRTYPE)),
        "a pipe": member(kind(tarfile.FIFOTYPE)),
        "a folder": member(kind(tarfile.DIRTYPE)),
        "a path of its own": member(lambda one: setattr(one, "name", "/tmp/evil")),
        "an extended header": pax,
        "a list with ..": named("../../../evil"),
        "a list with an absolute path": named("/tmp/evil"),
        "a list with a hidden file": named(".bashrc"),
        "a list with a backslash": named("a\\b"),
        "a list with nothing": named(""),
        "a list with a number": named(5),
        "a list with a list": named(["policy"]),
        "a list with a newline": named("a\nb"),
        "a file and a folder": named("policy"),
        "a job outside": placed("jobs/../x"),
        "a job of no kind": placed("jobs/" + "0" * 64),
        "a job with another key": placed("jobs/sample/" + "0" * 64),
        "a job of another kind": placed("jobs/score/" + "0" * 64),
        "a job as a cell": placed("cells/00/" + "0" * 64),
        "another order": swap,
        "a member more": more,
        "a record that does not vouch for itself": spend,
        "a size of 2 TB": size(2 << 40),
        "a negative size": size(-1),
        "a size too small": size(1),
        "a job twice": lambda path: relisted(path, lambda bundles: bundles.append(bundles[0])),
        "a list cut short": lambda path: relisted(path, lambda bundles: bundles.pop()),
        "no tar": lambda path: path.write_text("hello"),
        "an empty file": lambda path: path.write_bytes(b""),
        "a gzip of nothing": lambda path: path.write_bytes(b"\x1f\x8b\x08\x00"),
    }


@pytest.mark.parametrize("how", hostile())
def test_hostile_archives_are_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    """With one line, exit code 2, and nothing anywhere."""
    path = exported(made, tmp_path / "box" / "bad.tar") if (tmp_path / "box").mkdir() is None else tmp_path
    hostile()[how](path)
    before = content(tmp_path)
    code = cli.main(["import", str(path), f"results={tmp_path / 'box' / 'there'}"])
    said = capsys.readouterr().err
    assert code in ((1, 2) if how == "a size of 2 TB" else (2,)) and len(said.splitlines()) == 1, said
    assert content(tmp_path) == before


@pytest.mark.parametrize("what", ["notes", "samples"])
def test_a_cell_that_is_none_keeps_everything_out(
    ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Its record and its files vouch for each other, but cannot be read: no job before it is imported."""
    copy = Path(shutil.copytree(ran, tmp_path / "copy"))
    record = next(copy.glob("cells/*/*/run.json"))
    body = json.loads(record.read_text())
    del body["sha256"]
    if what == "notes":
        del body["notes"]
    else:
        record.with_name("samples.jsonl").write_text("[]\n")
        body["files"]["samples.jsonl"] = digest_file(record.with_name("samples.jsonl"))
    record.write_text(json.dumps({**body, "sha256": digest(body)}))
    folder = str(record.parent.relative_to(copy))
    everything = choose(ran, {}, True, lambda text: None).bundles
    changed = [exchange._cell(copy, record.parent) if one.folder == folder else one for one in everything]
    archive.write(tmp_path / "a.tar", copy, changed, lambda count: None)
    assert cli.main(["import", str(tmp_path / "a.tar"), f"results={tmp_path / 'there'}"]) == 2
    assert f"{folder} is no cell" in capsys.readouterr().err
    assert not (tmp_path / "there").exists()


def test_a_damaged_record_here_is_named(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what to do about it, which works."""
    path, there = exported(made, tmp_path / "a.tar"), Path(shutil.copytree(made, tmp_path / "there"))
    record = sorted(there.glob("jobs/sample/*/job.json"))[2]
    record.write_text('{"half')
    assert cli.main(["import", str(path), f"results={there}"]) == 1
    assert f"delete {record.parent}" in capsys.readouterr().err
    shutil.rmtree(record.parent)
    assert imported(path, there).new["jobs"] == 1 and content(there) == content(made)


def test_an_import_that_was_killed_goes_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in place is whole, and stays; what was half there is swept away."""
    path, there = exported(made, tmp_path / "a.tar"), tmp_path / "there"
    put, times = JobStore.put, []

    def until(self: JobStore, kind: str, key: str, fill: Any) -> bool:
        times.append(key)
        if len(times) == 3:
            fill(self.root / ".unfinished" / f"{kind}-{key}.1")  # as SIGKILL would leave it
            raise KeyboardInterrupt
        return put(self, kind, key, fill)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(JobStore, "put", until)
        (there / "jobs" / ".unfinished" / "x").mkdir(parents=True)
        imported(path, there)
    assert len(list(there.glob("jobs/sample/*/job.json"))) == 2
    taken = imported(path, there)
    assert (taken.new["jobs"], taken.here["jobs"]) == (3, 2)
    assert content(there) == content(made)


def test_another_outcome_stays(made: Path, tmp_path: Path) -> None:
    """And is told; so is a job of another core version, which no run here asks for."""
    there = tmp_path / "there"
    JobStore(there / "jobs").run("sample", {"n": 0}, lambda place: filled(place, "mine"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "CORE_VERSION", "older")
        JobStore(made / "jobs").run("sample", {"n": 9}, lambda place: filled(place, "old"))
    taken = imported(exported(made, tmp_path / "a.tar"), there)
    assert len(taken.other) == 1 and taken.new["jobs"] == 5 and dict(taken.cores) == {"older": 1}
    assert (there / taken.other[0] / "policy" / "weights.bin").read_text() == "mine"


def test_a_damaged_job_is_not_exported(made: Path, tmp_path: Path) -> None:
    """It is named, and no archive is left."""
    file = next(made.glob("jobs/sample/*/policy/weights.bin"))
    file.write_text(file.read_text().replace("text", "TEXT"))
    with pytest.raises(CorruptResult, match="has changed") as caught:
        exported(made, tmp_path / "out" / "a.tar") if (tmp_path / "out").mkdir() is None else None
    assert str(file) in str(caught.value) and list((tmp_path / "out").iterdir()) == []


def test_big_files_pass_in_blocks(tmp_path: Path) -> None:
    """No file is in memory as a whole."""
    size = 60 << 20

    def work(place: Workplace) -> None:
        with (place.folder / "big").open("wb") as file:
            file.truncate(size)

    JobStore(tmp_path / "here" / "jobs").run("sample", {}, work)
    tracemalloc.start()
    path = exported(tmp_path / "here", tmp_path / "a.tar")
    imported(path, tmp_path / "there")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 4
    assert next(tmp_path.glob("there/jobs/sample/*/big")).stat().st_size == size


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All at once, before any work."""
    assert cli.main(["export", f"results={tmp_path / 'no'}", "out=x.zip", "task=", "cell=true"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 4
    assert cli.main(["import", "nofile.tar", "result=x"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert cli.main(["export", f"results={tmp_path}", f"out={tmp_path / 'x.tar'}"]) == 2
    assert "no finished jobs" in capsys.readouterr().err and list(tmp_path.iterdir()) == []
