"""Real processes of a training: what goes wrong in one is said once, nobody is left, and it is resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from alignment_bench.errors import BadInput, BenchError, Diverged, Problem
from alignment_bench.formatter import Formatter
from alignment_bench.jobs import Workplace
from alignment_bench.ledger import metering
from alignment_bench.models import catalog
from alignment_bench.models.storage import base_policy
from alignment_bench.runtime import activate, resolve
from alignment_bench.training import crew
from alignment_bench.training.batches import Row
from alignment_bench.training.orders import Supervised, carry_out
from alignment_bench.training.processes.mission import Outcome, leave, outcomes
from alignment_bench.training.settings import Objective, Settings

SETTINGS = Settings(learning_rate=1e-4, epochs=2, batch_size=8, micro_batch=4)


def order(folder: Path, processes: int, settings: Settings = SETTINGS, sharding: str = "ddp") -> Supervised:
    """Fine-tuning of the shipped base on made-up rows."""
    runtime = resolve("cpu", threads=1, processes=processes, sharding=sharding)
    activate(runtime)
    source = catalog.prepare("tiny", trust=False, say=lambda text: None)
    formatter = Formatter.loads((source.located / "formatter.json").read_text("utf-8"))
    noise = np.random.default_rng(0)
    rows = [
        Row(*(tuple(int(x) for x in noise.integers(5, 200, noise.integers(2, 12))) for _ in range(2)))
        for _ in range(27)
    ]
    start = base_policy(source, formatter, runtime, folder / f"base-{processes}")
    return Supervised(start, rows, settings, Objective(), None, 0)


def done(made: Supervised, folder: Path) -> tuple[list[float], Any, Any]:
    """Losses, weights and costs of carrying it out in `folder`."""
    place = Workplace(folder / "job", folder / "partial")
    place.folder.mkdir(parents=True)
    place.partial.mkdir(exist_ok=True)
    with metering() as meter:
        carry_out(made, place, made.start.runtime)
    log = (place.folder / "log.jsonl").read_text("utf-8").splitlines()
    return (
        [json.loads(line)["loss"] for line in log],
        load_file(place.folder / "policy" / "model.safetensors"),
        meter.total,
    )


def children() -> list[int]:
    """Processes of a training that this one has started."""
    # -ww: their command lines are long, and ps may cut what it lists at 80 characters
    command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())]
    listed = subprocess.run(command, capture_output=True, check=True)
    lines = listed.stdout.decode().splitlines()
    return [int(line.split()[0]) for line in lines if "training.processes.rank" in line]


@pytest.mark.slow
def test_two_processes_lose_what_one_does(tmp_path: Path) -> None:
    one, two = (done(order(tmp_path, n), tmp_path / str(n)) for n in (1, 2))
    assert two[0] == pytest.approx(one[0], abs=1e-4)
    assert max(float((two[1][name] - one[1][name]).abs().max()) for name in one[1]) < 1e-4
    assert two[2] == one[2] and not children()


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
def test_one_that_is_killed_ends_all_and_the_training_goes_on_from_there(
    sharding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell says who was killed; the same job afterwards ends with the weights of one left in peace."""
    made = order(tmp_path, 2, replace(SETTINGS, epochs=30), sharding)
    whole = done(made, tmp_path / "whole")
    monkeypatch.setattr(crew, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "killed" / "partial" / crew.FILE

    def kill() -> None:
        while not checkpoint.exists():
            time.sleep(0.01)
        first, second = children()
        os.kill(max(first, second), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(BenchError, match=r"training process [01] of 2 was killed by SIGKILL"):
        done(made, tmp_path / "killed")
    assert not children() and checkpoint.exists()
    (tmp_path / "killed" / "job").rmdir()
    again = done(made, tmp_path / "killed")
    assert again[0] == whole[0] and again[2] == whole[2]
    assert all(bool((again[1][name] == whole[1][name]).all()) for name in whole[1])


@pytest.mark.slow
def test_what_one_raises_comes_back_as_it_is(tmp_path: Path) -> None:
    hopeless = order(tmp_path, 2, replace(SETTINGS, learning_rate=1e30, max_grad_norm=1e30))
    with pytest.raises(Diverged, match="learning_rate"):
        done(hopeless, tmp_path)
    assert not children()


def ranks(folder: Path) -> list[int]:
    """Processes of a training whose files lie in `folder`, whoever started them."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,stat=,args="], capture_output=True, check=True)
    found = [line.split(None, 2) for line in listed.stdout.decode().splitlines()]
    return [
        int(pid)
        for pid, state, command in found
        if "processes.rank" in command and str(folder) in command and not state.startswith("Z")
    ]


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent,code", [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_who_is_stopped_while_processes_train_leaves_none(sent: int, code: int, tmp_path: Path) -> None:
    """Ctrl-C, the end of a Slurm job, and no time for a farewell: once both have taken a step together."""
    words = ["methods=sft", "task=tldr", "budget=small", "device=cpu", "workers=1", "threads=1", "quiet=true"]
    at_every_step = "import sys; from alignment_bench.training import crew; crew.CHECKPOINT_SECONDS = 0.0"
    program = f"{at_every_step}; from alignment_bench.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "run", *words, f"results={tmp_path}", "training_processes=2"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def begun() -> bool:
        return any(tmp_path.glob(f"jobs/.partial/*/{crew.FILE}")) or running.poll() is not None

    try:
        assert until(begun, 600) and running.poll() is None and len(ranks(tmp_path)) == 2
        running.send_signal(sent)
        said = running.communicate(timeout=300)[1]
    finally:
        running.kill()
    assert running.returncode == code, said
    assert "Traceback" not in said
    assert until(lambda: not ranks(tmp_path), 120)


def test_errors_travel_whole(tmp_path: Path) -> None:
    """A list of problems keeps its fields; what cannot be pickled keeps its words."""
    leave(tmp_path, 0, Outcome(error=BadInput([Problem("seed", "is bad", "use 0")])))

    class Local(Exception):
        pass

    leave(tmp_path, 1, Outcome(error=Local("nobody else knows this class")))
    left = outcomes(tmp_path)
    assert isinstance(left[0].error, BadInput) and str(left[0].error) == "seed: is bad (use 0)"
    assert left[0].error.problems[0].field == "seed"
    assert "nobody else knows" in str(left[1].error)
