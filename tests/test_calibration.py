"""The committed calibration says what its page says, and a reduced simulation still keeps the promises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts of perf/ import each other by name."""
    monkeypatch.syspath_prepend(str(ROOT / "perf"))


def test_the_page_is_made_of_the_stored_numbers_and_every_promise_is_kept() -> None:
    import calibration
    import calibration_page

    report = json.loads((ROOT / "docs" / "calibration.json").read_text("utf-8"))
    assert (ROOT / "docs" / "calibration.md").read_text("utf-8") == calibration_page.page(report)
    assert report["broken"] == []
    assert [line for one in report["scenarios"] for line in calibration.broken(one)] == []
    measured = [(one["scores"], one["prompts"], one["seeds"], one["truth"]) for one in report["scenarios"]]
    assert measured == [(one.scores, one.prompts, one.seeds, one.truth) for one in calibration.scenarios()]
    assert (ROOT / "docs" / "calibration.svg").is_file() and (ROOT / "docs" / "calibration.png").is_file()


def test_the_usual_analyses_are_shown_failing() -> None:
    report = json.loads((ROOT / "docs" / "calibration.json").read_text("utf-8"))

    def at(name: str, what: str, **where: object) -> list[dict[str, float]]:
        rows = [one for one in report["scenarios"] if all(one[key] == value for key, value in where.items())]
        return [one["analyses"][name][what] for one in rows if name in one["analyses"]]

    trained = {"scores": "continuous", "truth": "trainings", "prompts": "independent", "seeds": 3}
    for name in ("prompts_only", "bootstrap", "one_quantile", "unpaired"):
        assert all(one["low"] > 0.05 for one in at(name, "false_positives", **trained)), name
    copies = {"scores": "continuous", "truth": "copies", "prompts": "independent", "seeds": 5}
    assert all(one["rate"] < 0.5 for one in at("unpaired", "power", **copies))
    clustered = {"scores": "continuous", "truth": "trainings", "prompts": "clustered", "seeds": 1}
    assert all(one["low"] > 0.05 for one in at("clusters_ignored", "false_positives", **clustered))


def test_the_second_implementation_is_held_to_the_package() -> None:
    import calibration

    for one in calibration.scenarios():
        if one.seeds in (1, 3):
            calibration.measure(one, 4, 1)  # raises where they disagree


@pytest.mark.slow
def test_a_reduced_simulation_keeps_the_promises() -> None:
    import calibration

    failures = []
    for one in calibration.scenarios():
        if one.seeds > 5:
            continue
        found = calibration.measure(one, 500, 2)
        ours = found["analyses"]["two_way"]
        # the bounds, each with the end of the simulation's own interval that must lie inside them
        if ours["false_positives"]["low"] > 0.06:
            failures.append((one, "false positives", ours["false_positives"]))
        if one.seeds >= 3 and ours["coverage"]["high"] < 0.93:
            failures.append((one, "coverage", ours["coverage"]))
        if one.seeds >= 5 and one.scores == "continuous" and ours["coverage"]["low"] > 0.975:
            failures.append((one, "coverage", ours["coverage"]))
        power = ours["power"]
        if power and one.prompts != "few" and (power["high"] < 0.75 or power["low"] > 0.85):
            failures.append((one, "power", power))
    assert failures == []
