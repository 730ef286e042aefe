"""The gate on real runs of a small world: the same again passes, a poisoned learning rate is caught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alignment_bench import cli

RUN = ("seeds=0,1,2", "evaluators=quality,length")


@pytest.mark.slow
def test_a_poisoned_learning_rate_is_caught_and_the_same_code_passes(
    small_tldr: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "baseline.json"
    small_tldr.run("sft", *RUN)
    assert cli.main(["baseline", f"out={path}", f"results={small_tldr.results}"]) == 0
    assert cli.main(["check", str(path), f"results={small_tldr.results}"]) == 0
    again, poisoned = tmp_path / "again", tmp_path / "poisoned"
    small_tldr.run("sft", *RUN, f"results={again}")
    small_tldr.run("sft", *RUN, "sft.learning_rate=1", f"results={poisoned}")
    capsys.readouterr()
    assert cli.main(["check", str(path), f"results={again}"]) == 0
    assert capsys.readouterr().out.count("the very same scores") == 2
    assert cli.main(["check", str(path), f"results={poisoned}"]) == 1
    told = capsys.readouterr().out
    assert "its configuration changed" in told
    rows = [line.split() for line in told.splitlines() if line.startswith(("ok", "FAILED"))]
    assert {row[2]: row[0] for row in rows} == {"base": "ok", "sft": "FAILED"}
