"""What the methods must show on the built-in world, with intervals over seeds and prompts (slow).

Only effects that are far from zero by design of the world are asserted; no order among methods is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alignment_bench import cli, results
from alignment_bench.statistics import paired

pytestmark = pytest.mark.slow

METHODS = "base_copy,ilf,ilf:feedback=none,ilf:feedback=shuffled,best_of_n"
COMMON = ("task=tldr", "evaluators=quality,length,kl", "quiet=true", "format=json")


def rows_of(folder: Path, *argv: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows of a run by (method, metric)."""
    out = folder / "table.json"
    assert cli.main(["run", f"results={folder / 'results'}", f"out={out}", *COMMON, *argv]) == 0
    return {(row["method"], row["metric"]): row for row in json.loads(out.read_text("utf-8"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("behaviour")


@pytest.fixture(scope="module")
def three_seeds(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return rows_of(folder, f"methods={METHODS}", "seeds=0,1,2", "strict=true")


@pytest.mark.parametrize("method", ["ilf", "best_of_n"])
def test_gains_over_base_are_real(three_seeds: dict[tuple[str, str], dict[str, Any]], method: str) -> None:
    row = three_seeds[method, "quality"]
    assert row["n_seeds"] == 3
    assert row["delta_low"] > 0


def test_ilf_beats_its_controls(folder: Path) -> None:
    """Paired on the prompts and five seeds: right feedback against none and against shuffled."""
    controls = ("ilf:feedback=none", "ilf:feedback=shuffled")
    rows_of(folder, f"methods=ilf,{','.join(controls)}", "seeds=0,1,2,3,4")
    records, damaged = results.read_all(folder / "results")
    assert not damaged

    def quality(label: str) -> Any:
        cells = sorted((r for r in records if r.label == label), key=lambda r: r.seed)
        assert [cell.seed for cell in cells] == [0, 1, 2, 3, 4]
        return np.array([next(m.values for m in cell.scores if m.name == "quality") for cell in cells])

    for control in controls:
        difference = paired(quality("ilf"), quality(control))
        assert difference.low is not None
        assert difference.low > 0, control


def test_a_copy_of_the_base_is_tied_with_it(three_seeds: dict[tuple[str, str], dict[str, Any]]) -> None:
    # strict=true: the run would have ended with 1 had the control alarm fired.
    for metric in ("quality", "quality_t1", "length"):
        assert abs(three_seeds["base_copy", metric]["delta"]) < 0.05 * max(
            1.0, three_seeds["base", metric]["mean"]
        )
    assert three_seeds["base_copy", "quality_t1"]["delta"] != 0.0
    assert three_seeds["base_copy", "kl_to_base"]["mean"] == pytest.approx(0.0, abs=1e-7)


def test_ppo_gains_and_moves_away(tmp_path: Path) -> None:
    three = rows_of(tmp_path, "methods=ppo", "seeds=0,1,2")
    assert three["ppo", "quality"]["delta"] > 0
    five = rows_of(tmp_path, "methods=ppo", "seeds=0,1,2,3,4")
    assert five["ppo", "quality"]["n_seeds"] == 5
    assert five["ppo", "quality"]["delta_low"] > 0
    assert five["ppo", "kl_to_base"]["low"] > 0
