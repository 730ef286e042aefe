"""tracker=trackio: one run a cell, once; a missing package is one clear line before any work."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import cli, tracking
from alignment_bench.cells import CellRecord, MetricScores
from alignment_bench.digests import digest


def cell(seed: int, status: str = "ok") -> CellRecord:
    """A cell with a metric of which one prompt was not scored."""
    return CellRecord(
        digest=digest(seed),
        label="sft",
        method=[{"name": "sft", "fields": {}}],
        task="tldr",
        task_version="2",
        model="tiny:0",
        model_digest="a",
        data="built-in",
        data_digest="b",
        world="0",
        budget="smoke",
        budget_amount=9000.0,
        currency="seconds",
        teacher="annotators",
        judge="gold",
        init="base",
        format_digest="f",
        decoding={},
        evaluators=("quality",),
        seed=seed,
        status=status,  # type: ignore[arg-type]
        prompt_ids=("x", "y", "z"),
        clusters=("x", "y", "z"),
        scores=(
            MetricScores("quality", "0-1", "higher", (0.5, 1.0, float("nan"))),
            MetricScores("kl", "nat", "neither", missing="none"),
        ),
        spend={"acts": {"demonstrate": 2}, "annotator_seconds": 391.0},
        measures={"accuracy": 0.75},
    )


class Recorder(ModuleType):
    """A trackio that writes down its calls."""

    def __init__(self) -> None:
        super().__init__("trackio")
        self.calls: list[tuple[str, Any]] = []

    def init(self, **given: Any) -> None:
        """Notes a run."""
        print("* a line of its own")
        self.calls.append(("init", given))

    def log(self, values: dict[str, float]) -> None:
        """Notes values."""
        self.calls.append(("log", values))

    def finish(self) -> None:
        """Notes the end."""
        self.calls.append(("finish", None))


def test_ok_cells_are_mirrored_once_with_means_and_spend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "trackio", recorder)
    records = [cell(0), cell(1, "failed")]
    assert tracking.mirror("trackio", tmp_path, records) == 1
    assert tracking.mirror("trackio", tmp_path, [*records, cell(2)]) == 1
    assert tracking.mirror("none", tmp_path, [cell(3)]) == 0
    assert [name for name, _ in recorder.calls] == ["init", "log", "finish"] * 2
    assert recorder.calls[0][1]["config"]["seed"] == 0 and recorder.calls[0][1]["embed"] is False
    assert recorder.calls[1][1] == {
        "quality": 0.75, "measure/accuracy": 0.75, "spend/annotator_seconds": 391.0
    }  # fmt: skip
    assert capsys.readouterr().out == ""


def test_a_missing_package_is_one_line_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    assert tracking.missing("none") == []
    (problem,) = tracking.missing("trackio")
    assert "pip install" in str(problem) and "alignment-bench[trackio]" in str(problem)
    assert cli.main(["run", "methods=base", "task=tldr", "tracker=wandb"]) == 2
    assert "tracker" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("trackio") is None, reason="trackio is not installed")
def test_the_real_package_keeps_the_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import subprocess

    path = [str(Path(__file__).parent), *sys.path]
    code = f"""
import sys
sys.path[:0] = {path!r}
from pathlib import Path
import test_tracking as here
from alignment_bench import tracking
assert tracking.mirror("trackio", Path({str(tmp_path)!r}), [here.cell(0)]) == 1
import trackio
print(trackio.Api().runs(tracking.PROJECT)[0].name)
"""
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tldr sft seed 0")
    assert list((tmp_path / "trackio").glob("*.db"))
