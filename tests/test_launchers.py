"""Launchers: what cannot work is said before any work, and every one of them gives the same results."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alignment_bench import cli, launchers, results
from alignment_bench.config import KEYS, parse
from alignment_bench.errors import BadInput, BenchError
from alignment_bench.launchers import slurm
from alignment_bench.launchers.dispatch import SURVIVED, Dispatch, killed, survived
from alignment_bench.launchers.options import SlurmOptions
from alignment_bench.launchers.ray import Ray
from alignment_bench.launchers.slurm_job import Share
from alignment_bench.launchers.turns import Turns
from alignment_bench.progress import Reporter

ROOT = Path(__file__).parent.parent
ALONE = "ALIGNMENT_BENCH_TEST_ALONE"
"""set where one test has a process to itself"""


def wrong(*words: str) -> dict[str, str]:
    """What is wrong with a command, and how to mend it, by key."""
    with pytest.raises(BadInput) as caught:
        parse(["methods=base", "task=tldr", *words])
    return {one.field: f"{one.message} ({one.fix})" for one in caught.value.problems}


def test_keys_of_another_launcher() -> None:
    said = wrong("address=auto", "slurm.partition=gpu", "slurm.time=0", "slurm.tiem=3", "retries=-1")
    assert set(said) == {"address", "slurm.partition", "slurm.time", "slurm.tiem", "retries"}
    assert "add launcher=ray" in said["address"] and "add launcher=slurm" in said["slurm.partition"]
    assert "did you mean time" in said["slurm.tiem"]
    assert "slurm" in wrong("launcher=slurmm")["launcher"]


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name, options in (("ray", ("address=auto",)), ("slurm", ("slurm.cluster=local",))):
        said = wrong(f"launcher={name}", "device=cuda:1", *options)
        assert set(said) == {"launcher", "device"}
        assert (
            f'pip install "alignment-bench[{name}]"' in said["launcher"] and "device=cuda" in said["device"]
        )


def test_slurm_without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(shutil, "which", lambda name: None)
    said = wrong("launcher=slurm", "slurm.additional=[nice:100,exclusive]")
    assert "slurm.cluster=local" in said["launcher"] and "'exclusive'" in said["slurm.additional"]
    request = parse(
        ["methods=base", "task=tldr", "launcher=slurm", "slurm.cluster=local", "slurm.setup=[a b]"]
    )
    assert request.slurm == SlurmOptions(cluster="local", setup=("a b",))
    assert {"launcher", "address", "retries"} < set(KEYS)
    assert request.recorded()["slurm"]["setup"] == ["a b"]


def test_a_device_of_other_machines_need_not_be_here(tmp_path: Path, small_tldr: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(BadInput, match=r"CPU build|no CUDA device"):
        small_tldr.cell("sft", "device=cuda")
    cell = small_tldr.cell("sft", "device=cuda", "launcher=slurm", "slurm.cluster=local")
    assert cell.setting.runtime.device == "cuda"


def test_a_launcher_changes_no_key(small_tldr: Any) -> None:
    found = {
        small_tldr.cell("sft", *words).digest
        for words in (
            ("workers=1",),
            ("launcher=slurm", "slurm.cluster=local", "slurm.mem_gb=4"),
            ("retries=7", "workers=3"),
        )
    }
    assert len(found) == 1


def cells_of(*groups: int) -> list[Any]:
    """Made-up cells: so many of each seed, in one setting."""
    runtime = SimpleNamespace(device="cpu", threads=1, processes=1)
    setting = SimpleNamespace(runtime=runtime, source=SimpleNamespace(parameters=10))
    return [SimpleNamespace(setting=setting, seed=seed) for seed, n in enumerate(groups) for _ in range(n)]


def test_cells_that_share_stages_are_one_job_while_there_are_as_many_groups() -> None:
    cells = cells_of(3, 2)
    assert slurm.shares(cells, 1) == slurm.shares(cells, 3) == [(0, 1, 2), (3, 4)]
    assert slurm.shares(cells, 4) == [(0, 2), (1,), (3,), (4,)]
    request: Any = SimpleNamespace(workers=0, address=None)
    assert slurm.Slurm().crew(request, cells) == 2
    assert Ray().crew(SimpleNamespace(workers=0, address="auto"), cells_of(1000)) == 256  # type: ignore[arg-type]
    assert Ray().crew(SimpleNamespace(workers=9, address="auto"), cells_of(8)) == 4  # type: ignore[arg-type]


def test_ways_to_die_are_counted() -> None:
    assert killed(-9) == "was killed by SIGKILL" and killed(3) == "ended with exit code 3"
    assert survived(()) == ()
    assert survived(("a", "b", "a")) == (f"{SURVIVED}a (2 times) and b",)


def test_workers_that_never_start_end_the_run() -> None:
    request: Any = SimpleNamespace(retries=1)
    books = Dispatch(request, [], Reporter(1, quiet=True), Turns({}))
    books.never_started(0, "ended with exit code 1", "see the log")
    books.never_started(1, "ended with exit code 1", "see the log")
    books.heard(0, None, "ready", "")
    books.never_started(0, "ended with exit code 1", "see the log")
    with pytest.raises(BenchError, match=r"exit code 1 \(2 times\); see the log"):
        books.never_started(0, "ended with exit code 1", "see the log")


def test_a_cell_that_was_stored_before_its_worker_died_is_done(small_tldr: Any) -> None:
    small_tldr.run("base")
    cell = small_tldr.cell("base")
    books = Dispatch.of(cell.setting.request, [cell], Reporter(1, quiet=True))
    assert not books.died(0, 0, "was killed by SIGKILL", memory=True)
    assert books.complete and books.ordered()[0].status == "ok" and not books.deaths


def test_a_cell_that_failed_before_its_job_died_over_the_next_is_not_blamed_on_it(
    small_tldr: Any, tmp_path: Path
) -> None:
    """Its reason stays, and only the cell that the job was at is done again."""
    small_tldr.run("base")
    cell = small_tldr.cell("base")
    (record,) = small_tldr.records().values()
    shutil.rmtree(results.cell_folder(small_tldr.results, cell.digest))
    failed = replace(record, status="failed", reason="a bug", scores=(), prompt_ids=(), clusters=())
    results.write_cell(small_tldr.results, failed, [])
    diary = tmp_path / "diary.jsonl"
    lines = (["begin", 0], ["end", "failed: a bug"], ["done", 0], ["begin", 1])
    diary.write_text("".join(json.dumps(line) + "\n" for line in lines))
    job: Any = SimpleNamespace(
        done=lambda: True, state="FAILED", paths=SimpleNamespace(result_pickle=tmp_path / "none")
    )
    books = Dispatch.of(cell.setting.request, [cell, replace(cell, seed=1)], Reporter(2, quiet=True))
    one = slurm.Submitted(0, Share(b"", (0, 1), {}, diary), job)
    assert slurm.follow(one, books, lag=0.0) == (1,)
    assert books.records[0].reason == "a bug" and set(books.deaths) == {1}


def test_every_launcher_is_found() -> None:
    for name in ("local", "ray", "slurm"):
        assert launchers.named(name).crew  # type: ignore[arg-type]


def helper(name: str) -> Any:
    """A module of this folder."""
    found = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


def test_rays_actors_give_the_same_rows_and_are_replaced(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake = helper("fake_ray").FakeRay(doomed={2}).install(monkeypatch)
    methods, options = "sft,base_copy", ("threads=1", "evaluators=quality,length")
    rows = small_tldr.run(methods, *options, "launcher=ray", "workers=2", "quiet=false")
    assert fake.started["address"] == "local" and not fake.up
    assert [one["num_cpus"] for one in fake.asked] == [1, 1, 1], "one more than two, for the one that died"
    assert {one["num_gpus"] for one in fake.asked} == {0}
    said = capfd.readouterr().err
    assert "by up to 2 Ray actors of 1 CPU(s) each" in said and "it is done again, try 2 of 3" in said
    found = small_tldr.records()
    assert {r.status for r in found.values()} == {"ok"}
    assert sum(f"{SURVIVED}was killed or crashed" in r.notes for r in found.values()) == 1
    alone = small_tldr.results.with_name("alone")
    assert small_tldr.run(methods, *options, "workers=1", f"results={alone}") == rows
    for cell in (r.digest for r in found.values()):
        folders = (results.cell_folder(root, cell) for root in (small_tldr.results, alone))
        first, second = ([(f / n).read_bytes() for n in ("scores.json", "samples.jsonl")] for f in folders)
        assert first == second
    (run,) = (json.loads(path.read_text()) for path in small_tldr.results.glob("runs/*.json"))
    assert run["request"]["launcher"] == "ray" and run["request"]["processes"] == 2


def test_a_cell_that_no_actor_survives_fails_alone(small_tldr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    helper("fake_ray").FakeRay(doomed={1, 2}).install(monkeypatch)
    small_tldr.run("base_copy", "evaluators=length", "launcher=ray", "workers=1", "retries=1", code=1)
    found = small_tldr.records()
    assert sorted(r.status for r in found.values()) == ["failed", "ok"]
    (failed,) = (r for r in found.values() if r.status == "failed")
    assert failed.reason.endswith(
        "was killed or crashed (2 times): most likely for want of memory, try fewer workers="
    )


def test_no_cluster_at_the_address(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = helper("fake_ray").FakeRay(doomed=set()).install(monkeypatch)
    fake.unreachable = True
    assert cli.main(["run", *small_tldr.argv("sft", "launcher=ray", "address=127.0.0.1:1")]) == 2
    said = capsys.readouterr().err
    assert "address: no Ray cluster answers at 127.0.0.1:1: nobody is there (start one" in said


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of what Slurm's commands, which are on the PATH now, do and note."""
    module = helper("fake_slurm")
    monkeypatch.setenv("PATH", f"{module.install(tmp_path / 'slurm')}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "slurm"


@pytest.mark.slow
def test_slurm_itself_in_miniature(tmp_path: Path) -> None:
    """In a process of its own: submitit sets up the logging of whole processes when it is imported."""
    pytest.importorskip("submitit")
    name = f"{__file__}::test_an_array_of_which_one_job_is_killed"
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    command += ["-p", "no:cacheprovider", f"--basetemp={tmp_path / 'own'}", "-q", name]
    own = {**os.environ, ALONE: "true"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=own)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(ALONE not in os.environ, reason="run by test_slurm_itself_in_miniature")
def test_an_array_of_which_one_job_is_killed(
    fake_slurm: Path, small_tldr: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An array of two jobs, one of which is killed and submitted again; what sbatch is asked for."""
    monkeypatch.setattr(slurm, "ASK", 1.0)
    monkeypatch.setitem(slurm.LAGS, "slurm", 1.0)
    monkeypatch.setitem(slurm.PAUSES, "slurm", 0.2)
    follow, struck = slurm.follow, []

    def striking(one: Any, books: Any, lag: float) -> Any:
        if one.at is not None and not struck:
            struck.append(one.at)
            name = f"submitit.core._submit {one.share.diary.parent}"
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                words = entry.read_bytes().replace(b"\0", b" ").decode()
                job = (
                    (entry.parent / "environ").read_bytes() if name in words and "srun" not in words else b""
                )
                if f"SLURM_ARRAY_TASK_ID={one.job.job_id.split('_')[1]}\0".encode() in job:
                    os.kill(int(entry.parent.name), 9)
        return follow(one, books, lag)

    monkeypatch.setattr(slurm, "follow", striking)
    options = ("seeds=0,1", "threads=1", "evaluators=quality,length", "quiet=false")
    asked = (
        "launcher=slurm",
        "workers=0",
        "slurm.partition=debug",
        "slurm.mem_gb=2",
        "slurm.additional=[nice:7]",
    )
    rows = small_tldr.run("sft", *options, *asked)
    one = small_tldr.results.with_name("one")
    assert small_tldr.run("sft", *options, "workers=1", f"results={one}") == rows
    first = (fake_slurm / "0.sh").read_text()
    for line in ("array=0-1%2", "partition=debug", "mem=2GB", "nice=7", "time=1440", "cpus-per-task=1"):
        assert f"#SBATCH --{line}\n" in first
    assert "gpus" not in first
    said = capsys.readouterr().err
    assert struck and "ended without a result (FAILED); it is done again, try 2 of 3" in said
    found = small_tldr.records()
    assert sum(any(note.startswith(SURVIVED) for note in r.notes) for r in found.values()) == 1
    assert {r.status for r in found.values()} == {"ok"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "ray", "slurm"])
def test_the_same_table_whoever_is_killed(name: str, tmp_path: Path) -> None:
    """perf/launchers.py in small: undisturbed, and with workers killed at random."""
    pytest.importorskip({"local": "psutil", "ray": "ray", "slurm": "submitit"}[name])
    script = [sys.executable, str(ROOT / "perf" / "launchers.py"), f"launchers={name}", "trials=2"]
    words = ["world=small", f"folder={tmp_path}", f"out={tmp_path / 'found.json'}"]
    done = subprocess.run([*script, *words], capture_output=True, text=True)
    logs = "".join(log.read_text() for log in tmp_path.glob("*.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    found = json.loads((tmp_path / "found.json").read_text())
    counted = {one["name"]: one["values"][0] for one in found["figures"]}
    differ = {one["figure"]["name"]: one["figure"]["values"][0] for one in found["claims"]}
    assert counted["runs left alone"] == 1 and counted["trials"] == 2 and counted["workers killed"] >= 1
    assert len(differ) == 3 and set(differ.values()) == {0}, done.stdout + logs
    (run, *_) = (json.loads(path.read_text()) for path in (tmp_path / name).glob("runs/*.json"))
    assert run["request"]["launcher"] == name and run["request"]["processes"] == 2
