"""The controls on the built-in world, with intervals over seeds and prompts (slow).

What training methods must show is confirmed on fresh worlds, and run again, by `test_confirmations_hold`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import cli

pytestmark = pytest.mark.slow

METHODS = "base_copy,best_of_n"
COMMON = ("task=tldr", "evaluators=quality,length,kl", "quiet=true", "format=json")


def rows_of(folder: Path, *argv: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows of a run by (method, metric)."""
    out = folder / "table.json"
    assert cli.main(["run", f"results={folder / 'results'}", f"out={out}", *COMMON, *argv]) == 0
    return {(row["method"], row["metric"]): row for row in json.loads(out.read_text("utf-8"))["rows"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("behaviour")


@pytest.fixture(scope="module")
def three_seeds(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return rows_of(folder, f"methods={METHODS}", "seeds=0,1,2", "strict=true")


def test_best_of_n_gains_over_base(three_seeds: dict[tuple[str, str], dict[str, Any]]) -> None:
    row = three_seeds["best_of_n", "quality"]
    assert row["n_seeds"] == 3
    assert row["delta_low"] > 0


def test_a_copy_of_the_base_is_tied_with_it(three_seeds: dict[tuple[str, str], dict[str, Any]]) -> None:
    # strict=true: the run would have ended with 1 had the control alarm fired.
    for metric in ("quality", "quality_t1", "length"):
        assert abs(three_seeds["base_copy", metric]["delta"]) < 0.05 * max(
            1.0, three_seeds["base", metric]["mean"]
        )
    assert three_seeds["base_copy", "quality_t1"]["delta"] != 0.0
    assert three_seeds["base_copy", "kl_to_base"]["mean"] == pytest.approx(0.0, abs=1e-7)
