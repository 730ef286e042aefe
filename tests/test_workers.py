"""Cells by several processes: the same results, one failure at a time, and nobody left behind."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alignment_bench import cli, registry, results
from alignment_bench.cells import CellRecord
from alignment_bench.config import parse
from alignment_bench.errors import BenchError
from alignment_bench.launchers import crew, dispatch, local
from alignment_bench.launchers import worker as worker_side
from alignment_bench.launchers.dispatch import Dispatch
from alignment_bench.launchers.turns import Turns
from alignment_bench.launchers.worker import Orders, _sendable, unfit
from alignment_bench.planning import make_plan

DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from small_world import shrink
from alignment_bench import cli
shrink()
sys.exit(cli.main(["run", *sys.argv[2:]]))
"""


def essence(record: CellRecord) -> dict[str, Any]:
    """Everything about a cell but wall time, date and commit."""
    spends = (record.spend, record.test_spend)
    training, testing = ({k: v for k, v in spend.items() if k != "seconds"} for spend in spends)
    named = {"status": record.status, "scores": record.scores, "prompts": record.prompt_ids}
    policy = {key: record.code.get(key) for key in ("policy", "samples", "plugins")}
    return {**named, **policy, "spend": training, "test": testing, "notes": record.notes}


def turns(**groups: int) -> Turns:
    """Groups a, b, ... of so many cells each, numbered on."""
    waiting: dict[tuple[int, int], deque[int]] = {}
    start = 0
    for place, size in enumerate(groups.values()):
        waiting[place, 0] = deque(range(start, start + size))
        start += size
    return Turns(waiting)


def taken(found: Turns, *who: int) -> list[int | None]:
    """The cells that these workers take, one after the other."""
    at: dict[int, Any] = {}
    order: list[int | None] = []
    for worker in who:
        cell = found.take(worker, at.get(worker))
        at[worker] = cell[1] if cell else None
        order.append(cell[0] if cell else None)
    return order


def test_a_worker_stays_with_its_seed() -> None:
    assert taken(turns(a=3, b=3), 0, 1, 0, 1, 0, 1, 0) == [0, 3, 1, 4, 2, 5, None]


def test_base_comes_first_and_helpers_begin_at_the_end() -> None:
    assert taken(turns(a=4), 0, 1, 0, 1) == [0, 3, 1, 2]
    assert taken(turns(a=2, b=5), 0, 1, 0, 0, 1, 0) == [0, 2, 1, 6, 3, 5]
    # two helpers, and the group that needs help most
    assert taken(turns(a=1, b=1, c=4), 0, 1, 2, 0, 1, 2) == [0, 1, 2, 5, 4, 3]


def cells_like(
    count: int, device: str = "cpu", threads: int = 1, parameters: int = 10, processes: int = 1
) -> list[Any]:
    runtime = SimpleNamespace(device=device, threads=threads, processes=processes)
    setting = SimpleNamespace(runtime=runtime, source=SimpleNamespace(parameters=parameters))
    return [SimpleNamespace(setting=setting)] * count


def test_as_many_workers_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    pages = {"SC_PHYS_PAGES": 64 << 30, "SC_PAGE_SIZE": 1}
    monkeypatch.setattr(os, "sysconf", lambda name: pages[name])
    assert crew.count(0, cells_like(100)) == 8
    assert crew.count(0, cells_like(100, threads=3)) == 2
    assert crew.count(0, cells_like(100, threads=2, processes=2)) == 2
    assert crew.count(0, cells_like(100, processes=16)) == 1
    assert crew.needs(cells_like(2, threads=2, processes=3)) == (6, 0)
    assert crew.needs(cells_like(2, device="cuda", processes=3)) == (3, 3)
    assert [crew.count(0, cells_like(n)) for n in (0, 1, 2, 3, 5)] == [1, 1, 1, 2, 3]
    assert crew.count(0, cells_like(100, parameters=500_000_000)) == 3, "memory"
    assert crew.count(0, cells_like(100, parameters=8_000_000_000)) == 1
    assert crew.count(0, cells_like(100, device="cuda")) == 1
    assert crew.count(3, cells_like(100, device="cuda")) == 3, "asked for"
    assert crew.count(20, cells_like(6)) == 3
    assert crew.count(0, cells_like(100, processes=4)) == 2, "each cell trains in four"
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert crew.count(0, cells_like(100)) == 1


def test_threads_in_each_other_s_way_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "cores", lambda: 4)
    assert crew.crowded(2, cells_like(4, threads=2)) == ""
    assert crew.crowded(3, cells_like(4, threads=2)).startswith("3 workers of 2 threads on 4 cores")
    assert crew.crowded(2, cells_like(4, threads=2, processes=2)).startswith(
        "2 workers of 2 processes of 2 threads on 4 cores"
    )
    assert crew.crowded(9, cells_like(4, threads=1)) == "", "one thread each only takes turns"
    assert crew.crowded(3, cells_like(4, threads=2, device="cuda")) == ""


@pytest.mark.parametrize("task", [n for n in registry.shipped("tasks") if registry.load("tasks", n).builtin])
def test_cells_travel(task: str, tmp_path: Path) -> None:
    plan = make_plan(parse(["methods=sft,best_of_n", f"task={task}", f"results={tmp_path}"]), print)
    cells = tuple(plan.cells())
    there: Orders = pickle.loads(pickle.dumps(Orders.of(plan.request, cells)))
    for ours, theirs in zip(cells, there.cells, strict=True):
        theirs.setting.__dict__.pop("identity", None)  # made again from what travelled
        assert theirs.digest == ours.digest and theirs.setting.identity == ours.setting.identity
    assert set(there.plugins) >= {f"tasks/{task}", "methods/sft", "methods/base"}


def test_what_a_worker_cannot_go_on_from_is_raised_here() -> None:
    books = Dispatch(None, [], None, Turns({}))  # type: ignore[arg-type]
    full = OSError(errno.ENOSPC, "disk full", "/there")
    error = _sendable(full)
    with pytest.raises(OSError, match="disk full") as caught:
        books.heard(0, 0, "broken", (error, "Traceback: deep inside"))
    assert caught.value.errno == errno.ENOSPC and "deep inside" in str(caught.value.__notes__)

    class Local(Exception):
        pass

    assert _sendable(Local()) is None
    with pytest.raises(BenchError, match="deep inside"):
        books.heard(0, 0, "broken", (None, "Traceback: deep inside"))
    with pytest.raises(BenchError, match="install the same"):
        books.heard(0, 0, "unfit", "torch 1: install the same on every machine")


def test_a_worker_that_would_make_other_numbers_does_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = make_plan(parse(["methods=sft", "task=tldr", "results=here"]), print)
    results.record_run(Path("here"), {}, [])
    orders = Orders.of(plan.request, tuple(plan.cells()))
    assert unfit(orders) == ""
    assert "where the run began with 1.0: install" in unfit(
        replace(orders, versions={**orders.versions, "numpy": "1.0"})
    )
    changed = replace(orders, plugins={**orders.plugins, "methods/sft": "0" * 64})
    assert unfit(changed).startswith("methods/sft has changed on disk since this run began: run the same")
    monkeypatch.setattr(worker_side, "LAG", 0.0)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (elsewhere, tmp_path / "nowhere"):
        assert "all machines share" in unfit(replace(orders, folder=str(folder)))


def test_the_same_results_as_one_process(
    small_tldr: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve, met = local._serve, []

    def together(connection: Any, workers: Any, books: Any, orders: bytes) -> None:
        if not met:  # nobody is given a cell before both are ready, however late one of them starts
            met.append([one.poll(None) for one in workers])
        serve(connection, workers, books, orders)

    monkeypatch.setattr(local, "_serve", together)
    methods, options = "sft,best_of_n:n=2", ("seeds=0,1",)
    several, one = tmp_path / "several", tmp_path / "one"
    rows = small_tldr.run(methods, *options, "workers=2", f"results={several}")
    assert small_tldr.run(methods, *options, "workers=1", f"results={one}") == rows
    found = [{r.digest: essence(r) for r in results.read_all(folder)[0]} for folder in (several, one)]
    assert found[0] == found[1] and len(found[0]) == 6
    for cell in found[0]:
        first, second = (results.read_samples(results.cell_folder(root, cell)) for root in (several, one))
        assert first == second
    log = [json.loads(line) for line in (several / "jobs" / "done.jsonl").read_text().splitlines()]
    assert len({line["pid"] for line in log} - {os.getpid()}) == 2, "both worked"
    assert len({line["key"] for line in log}) == len(log), "no job was done twice"
    (said,) = (json.loads(path.read_text()) for path in several.glob("runs/*.json"))
    assert said["request"]["workers"] == 2 and said["request"]["processes"] == 2

    # with everything stored, or all but a cell or two, no process is started
    done = len(log)
    assert small_tldr.run(methods, *options, "workers=2", f"results={several}") == rows
    small_tldr.run(f"{methods},base_copy", *options, "workers=2", f"results={several}")
    log = [json.loads(line) for line in (several / "jobs" / "done.jsonl").read_text().splitlines()]
    assert len(log) > done and {line["pid"] for line in log[done:]} == {os.getpid()}


def deadly(monkeypatch: pytest.MonkeyPatch, often: int) -> list[int]:
    """Kills the worker that is at sft as soon as it says so, so many times; the cells it was at."""
    killed: list[int] = []
    serve = local._serve

    def serving(connection: Any, workers: Any, books: Any, orders: bytes) -> None:
        one = workers[connection]
        serve(connection, workers, books, orders)
        at_sft = one.cell is not None and books.cells[one.cell].label.text == "sft"
        if at_sft and connection in workers and len(killed) < often and one.number not in dying:
            dying.add(one.number)
            killed.append(one.cell)
            one.process.kill()
        if connection not in workers:
            dying.discard(one.number)

    dying: set[int] = set()
    monkeypatch.setattr(local, "_serve", serving)
    return killed


def test_a_cell_whose_worker_dies_is_done_again_and_says_so(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    killed = deadly(monkeypatch, often=1)
    small_tldr.run("sft,base_copy,best_of_n:n=2", "workers=2", "quiet=false")
    assert len(killed) == 1
    found = small_tldr.records()
    assert {r.status for r in found.values()} == {"ok"}
    note = f"{dispatch.SURVIVED}was killed by SIGKILL"
    assert {label: note in r.notes for label, r in found.items()} == {
        "base": False,
        "sft": True,
        "best_of_n:n=2": False,
        "base_copy": False,
    }
    assert "it is done again, try 2 of 3" in capfd.readouterr().err


def test_a_cell_that_nobody_survives_fails_alone(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    killed = deadly(monkeypatch, often=2)
    methods = "sft,best_of_n:n=2,base_copy"
    small_tldr.run(methods, "workers=2", "retries=1", "quiet=false", code=1)
    assert len(killed) == 2
    found = small_tldr.records()
    assert {label: r.status for label, r in found.items()} == {
        "base": "ok",
        "sft": "failed",
        "best_of_n:n=2": "ok",
        "base_copy": "ok",
    }
    assert "killed by SIGKILL (2 times): most likely for want of memory" in found["sft"].reason
    assert "tldr sft seed 0: failed: the worker process" in capfd.readouterr().err
    small_tldr.run(methods)
    assert small_tldr.records()["sft"].status == "ok"


def test_a_worker_that_cannot_start_is_one_line(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "BOOT", "raise SystemExit(3)")
    assert cli.main(["run", *small_tldr.argv("sft,base_copy", "workers=2")]) == 1
    said = capsys.readouterr().err
    assert "exit code 3 (3 times)" in said and "workers=1" in said


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)],
    ids=lambda one: one.name,
)
def test_nobody_outlives_the_run(number: signal.Signals, small_tldr: Any) -> None:
    argv = small_tldr.argv("sft,ppo:iterations=50:rollouts=16,ilf,best_of_n:n=2", "workers=2")
    driver = [sys.executable, "-c", DRIVER, str(Path(__file__).parent), *argv]
    run = subprocess.Popen(driver, stderr=subprocess.PIPE, text=True)
    log = small_tldr.results / "jobs" / "done.jsonl"
    wait_for(lambda: (log.exists() and len(log.read_text().splitlines()) >= 3) or run.poll() is not None, 600)
    assert run.poll() is None, run.communicate()
    crew = children(run.pid)
    assert len(crew) >= 2
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert run.returncode == -9
    else:
        assert run.returncode == 130 and "resume with the same command" in said and "Traceback" not in said
        assert not list(small_tldr.results.glob("jobs/.unfinished/*"))
    wait_for(lambda: not any(map(alive, crew)), 30)
    found, unreadable = results.read_all(small_tldr.results)
    assert unreadable == [] and len(found) < 5 and {r.status for r in found} <= {"ok"}
    assert not list(small_tldr.results.glob(".staging/*"))


def wait_for(true: Any, seconds: float) -> None:
    """Returns when it is; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def children(parent: int) -> list[int]:
    """Processes that this process has started."""
    found = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for file in found for child in file.read_text().split()]


def alive(process: int) -> bool:
    """Whether it still runs; one that has ended and that nobody asked for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
