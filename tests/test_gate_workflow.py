"""docs/github-actions.yml as far as it runs without GitHub: its commands parse, its gate exits as said."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment_bench.config import parse
from alignment_bench.gate.verbs import parse_check

ROOT = Path(__file__).resolve().parents[1]


def steps() -> list[dict[str, Any]]:
    """The steps of the one job."""
    (job,) = yaml.safe_load((ROOT / "docs/github-actions.yml").read_text("utf-8"))["jobs"].values()
    found: list[dict[str, Any]] = job["steps"]
    return found


def script(name: str) -> str:
    """The commands of the step of this name."""
    (found,) = [one["run"] for one in steps() if one.get("name") == name]
    return str(found)


def test_every_command_of_the_package_is_one_that_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(script("Smoke comparison"))
    assert words[:2] == ["bench", "run"]
    run = parse(words[2:])
    lines = [line.split("||")[0] for line in script("Gate").splitlines() if "bench check results" in line]
    (tmp_path / "results").mkdir()
    for line in lines:
        assert (ROOT / shlex.split(line)[2]).is_file()
        parse_check([*shlex.split(line)[2:], f"results={tmp_path / 'results'}"])
    assert len(lines) == 2
    # the same command as the README and .ci/run give, which made the baseline
    asked = "methods=sft,best_of_n task=tldr seeds=0,1,2 budget=smoke evaluators=quality,length"
    assert asked in script("Smoke comparison") and asked in (ROOT / "README.md").read_text("utf-8")
    assert run.seeds == (0, 1, 2)


@pytest.mark.parametrize(("code", "status"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_the_gate_fails_the_job_on_1_and_2_and_warns_on_3(tmp_path: Path, code: int, status: int) -> None:
    stub = tmp_path / "bench"
    writes = "for one; do case $one in out=*) echo said > ${one#out=};; esac; done"
    stub.write_text(f"#!/usr/bin/env bash\n{writes}\nexit {code}\n")
    stub.chmod(0o755)
    summary = tmp_path / "summary.md"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script("Gate")],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert summary.read_text() == "said\n" and (tmp_path / "gate.xml").exists()
    assert ("::warning::" in done.stdout) == (code == 3)
