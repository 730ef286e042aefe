"""The gate's rates: the committed figures meet what is promised, and simulating again agrees with them."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """perf/gate_rates.py; scripts of perf/ import each other by name."""
    monkeypatch.syspath_prepend(str(ROOT / "perf"))
    return importlib.import_module("gate_rates")


def test_the_committed_rates_are_as_promised_and_of_the_shipped_gate(script: ModuleType) -> None:
    found = json.loads((ROOT / "docs" / "gate_rates.json").read_text("utf-8"))
    codes = found["exit_codes"]
    assert found["repeats"] >= 200
    assert codes["no change"]["0"]["share"] >= 0.85 and codes["no change"]["1"]["share"] <= 0.05
    assert codes["two margins"]["1"]["share"] >= 0.95
    shipped = json.loads((ROOT / "results" / "baselines" / "smoke.json").read_text("utf-8"))
    (group,) = shipped["groups"]
    assert {cell["label"] for cell in group["cells"]} == {cell["label"] for cell in found["components"]}
    assert found["margin"] == shipped["margin"]["usual"] and found["prompts"] == len(group["prompts"])
    assert all(len(cell["seeds"]) == found["seeds"] for cell in group["cells"])
    template = (ROOT / "perf" / "gate_page.md").read_text("utf-8")
    assert (ROOT / "docs" / "gate.md").read_text("utf-8") == script.page(found, template)


def test_simulating_again_agrees(script: ModuleType) -> None:
    stored = json.loads((ROOT / "docs" / "gate_rates.json").read_text("utf-8"))["components"]
    cells = [script.Components(**{**one, "rest_quantiles": tuple(one["rest_quantiles"])}) for one in stored]
    same, worse = script.rates(cells, 60, 0.0), script.rates(cells, 60, 0.1)
    assert same[0] >= 0.85 * 60 and same[1] <= 3
    assert worse[1] >= 0.95 * 60


def test_components_are_those_that_scores_were_drawn_with(script: ModuleType) -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    scores = (
        0.5 + rng.normal(0, 0.1, (200, 1)) + rng.normal(0, 0.2, (1, 300)) + rng.normal(0, 0.05, (200, 300))
    )
    found = script.measured("x", scores)
    assert (found.seed_sd, found.prompt_sd, found.rest_sd) == pytest.approx((0.1, 0.2, 0.05), rel=0.15)
    drawn = script.draw_from(found.rest_quantiles, rng, (100, 1000))
    assert drawn.mean() == pytest.approx(0, abs=1e-3) and drawn.std() == pytest.approx(0.05, rel=0.03)
