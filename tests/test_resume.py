"""Killed with SIGKILL over and over, or run several times at once, a command ends with the same table.

And no job is done twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import results
from alignment_bench.cells import CellRecord

DRIVER = Path(__file__).with_name("kill_driver.py")


def driven(folder: Path, seed: int, how: str) -> dict[str, Any]:
    """The driver's report."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(folder), str(seed), how],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )
    logs = "".join(log.read_text() for log in folder.glob("*.log"))
    assert done.returncode == 0, done.stderr + logs
    report: dict[str, Any] = json.loads(done.stdout)
    assert set(report["codes"]) == {0}, logs
    return report


def without_seconds(record: CellRecord) -> dict[str, Any]:
    """Everything about a cell that must be the same, however often its run was killed."""
    spends = (record.spend, record.test_spend)
    training, testing = ({k: v for k, v in spend.items() if k != "seconds"} for spend in spends)
    return {
        "label": record.label,
        "status": record.status,
        "prompts": record.prompt_ids,
        "scores": record.scores,
        "spend": training,
        "test_spend": testing,
        "notes": record.notes,
        "policy": record.code["policy"],
    }


def check_same(folder: Path) -> None:
    """The interrupted run's results are the uninterrupted one's, and nothing lies about."""
    tables = [json.loads((folder / f"{name}.json").read_text()) for name in ("whole", "broken")]
    for part in ("rows", "verdicts", "alarms"):
        assert tables[0][part] == tables[1][part]
    cells = [results.read_all(folder / name) for name in ("whole", "broken")]
    assert [unreadable for _, unreadable in cells] == [[], []]
    whole, broken = ({r.digest: without_seconds(r) for r in records} for records, _ in cells)
    assert whole == broken
    assert [cell["status"] for cell in whole.values()] == ["ok"] * len(whole)
    assert len(whole) == len({row["method"] for row in tables[0]["rows"]}) >= 4
    jobs = folder / "broken" / "jobs"
    names = [
        {f"{f.parent.parent.name}-{f.parent.name}" for f in j.glob("*/*/job.json")} for j in both(folder)
    ]
    assert names[0] == names[1], "every job of the whole run is there, and no other"
    keys = [json.loads(line)["key"] for line in (jobs / "done.jsonl").read_text().splitlines()]
    assert len(keys) == len(set(keys)), "a job was done twice"
    assert leftovers(folder / "broken") == []


def both(folder: Path) -> list[Path]:
    """The job stores of the two runs."""
    return [folder / name / "jobs" for name in ("whole", "broken")]


def leftovers(root: Path) -> list[str]:
    """Files and folders that only unfinished work has."""
    inside = [f for name in (".unfinished", ".partial", ".staging") for f in root.rglob(f"{name}/*")]
    scratch = [f for pattern in (".policy-*", ".job.json.*", "*.part") for f in root.rglob(pattern)]
    return sorted(str(f.relative_to(root)) for f in [*inside, *scratch])


def test_a_kill_in_every_kind_of_job(tmp_path: Path) -> None:
    """One kill a kind, at a moment or seam of its own, one between PPO's checkpoints, one in a cell."""
    report = driven(tmp_path, seed=0, how="kinds")
    kills = report["kills"]
    assert len(kills) >= 10
    assert {kill["code"] for kill in kills} == {-9}, kills
    assert {kill["kind"] for kill in kills} == {*report["kinds"], "cell"}
    assert {kill["seam"] for kill in kills} == {"begin", "during", "end", "stored", "checkpoint"}
    assert report["lost"] == [] and all(kill["lost"] == [] for kill in kills)
    check_same(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_kills_at_random_moments(tmp_path: Path, seed: int) -> None:
    """From outside, whatever the process is doing."""
    report = driven(tmp_path, seed, how="moments")
    assert sum(kill["code"] == -9 for kill in report["kills"]) >= 3, report["kills"]
    assert report["lost"] == [] and all(kill["lost"] == [] for kill in report["kills"])
    check_same(tmp_path)


def test_three_processes_on_one_folder(tmp_path: Path) -> None:
    """They share the work, get in nobody's way, and store what one alone would."""
    report = driven(tmp_path, seed=0, how="together")
    assert len(report["codes"]) == 5 and report["lost"] == []
    check_same(tmp_path)
