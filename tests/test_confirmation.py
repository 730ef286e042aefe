"""Verdicts on hand-made cells, and records that come back as they were written."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from alignment_bench import provenance
from alignment_bench.cells import CellRecord, MetricScores
from alignment_bench.confirmation.__main__ import main
from alignment_bench.confirmation.mechanisms import (
    Contrast,
    Diagnosed,
    Measured,
    Mechanism,
    over,
    slope,
)
from alignment_bench.confirmation.record import Record, page
from alignment_bench.confirmation.verdicts import Trial, finding, verdict_of
from alignment_bench.errors import BadInput

RUNS = (("tiny:0", 0), ("tiny:1", 0), ("tiny:2", 0))


def cell(label: str, model: str, values: list[float], **measures: float) -> CellRecord:
    """A stored cell with one metric."""
    ids = tuple(f"p{i}" for i in range(len(values)))
    return CellRecord(
        digest=f"{label}{model}",
        label=label,
        method=label,
        task="tldr",
        task_version="1",
        model=model,
        model_digest=model,
        data="d",
        data_digest="d",
        world="1",
        budget="small",
        budget_amount=1.0,
        currency="seconds",
        teacher="t",
        judge="j",
        init="base",
        format_digest="f",
        decoding={},
        evaluators=("quality",),
        seed=0,
        prompt_ids=ids,
        clusters=ids,
        scores=(MetricScores("quality", "", "higher", tuple(values)),),
        measures=measures,
    )


def trial(gains: list[list[float]], **measures: float) -> Trial:
    """Base at .5 everywhere, `x` above it by `gains` [runs, prompts]."""
    cells = {}
    for (model, seed), row in zip(RUNS, gains, strict=True):
        cells["base", model, seed] = cell("base", model, [0.5] * len(row))
        cells["x", model, seed] = cell("x", model, [0.5 + gain for gain in row], **measures)
    return Trial(cells, RUNS, {model: {"a - b": 0.1 + k / 100} for k, (model, _) in enumerate(RUNS)})


def test_a_steady_gain_holds_its_mirror_is_contradicted_and_noise_is_inconclusive() -> None:
    steady = [[0.1, 0.12, 0.09, 0.11], [0.12, 0.1, 0.1, 0.12], [0.1, 0.11, 0.12, 0.09]]
    claim = Mechanism("m", "x beats base", over("x", "base"))
    found = finding(claim, trial(steady))
    assert found.verdict == "holds" and found.mean == pytest.approx(0.1066667)
    assert found.low is not None and found.low > 0
    assert found.per_run == (0.105, 0.11, 0.105)
    assert finding(Mechanism("m", "", over("base", "x")), trial(steady)).verdict == "contradicted"
    noisy = [[0.3, -0.2, 0.1, -0.1], [-0.2, 0.3, -0.3, 0.1], [0.1, 0.0, -0.1, 0.2]]
    assert finding(claim, trial(noisy)).verdict == "inconclusive"
    reported = Mechanism("m", "", over("x", "base"), asserted=False)
    assert finding(reported, trial(steady)).verdict == "reported"


def test_one_base_against_the_others_is_not_enough() -> None:
    """The interval covers spread between runs, not only between prompts."""
    uneven = [[0.3, 0.32, 0.31, 0.29], [0.01, 0.0, 0.02, -0.01], [-0.02, 0.0, 0.01, 0.0]]
    assert finding(Mechanism("m", "", over("x", "base")), trial(uneven)).verdict == "inconclusive"


def test_a_slope_is_least_squares_over_places() -> None:
    weights = dict(slope(("a", "b", "c", "d", "e")).weights)
    levels = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5}
    assert sum(weights[k] * v for k, v in levels.items()) == pytest.approx(0.1)
    assert sum(weights.values()) == pytest.approx(0)


def test_measured_numbers_are_judged_over_runs_and_rows_over_bases() -> None:
    cells = trial([[0.0, 0.1]] * 3, proxy_last=1.0, proxy_first=0.2)
    rising = Measured("x", (("proxy_last", 1.0), ("proxy_first", -1.0)), above=0.5)
    found = finding(Mechanism("m", "", rising), cells)
    assert found.per_run == pytest.approx((0.3, 0.3, 0.3)) and found.verdict == "holds"
    row = finding(Mechanism("m", "", Diagnosed("a - b")), cells)
    assert row.verdict == "holds" and row.mean == pytest.approx(0.11)
    unknown = finding(Mechanism("m", "", Measured("x", (("nothing", 1.0),))), cells)
    assert unknown.verdict == "not run" and "measured no 'nothing'" in unknown.reason


def test_what_was_not_run_or_failed_says_so() -> None:
    cells = trial([[0.0, 0.1]] * 3)
    missing = finding(Mechanism("m", "", over("y", "base")), cells)
    assert missing.verdict == "not run" and "no cell of y" in missing.reason
    other = finding(Mechanism("m", "", Contrast((("x", 1.0),), "kl_to_base")), cells)
    assert other.verdict == "not run" and "kl_to_base" in other.reason


def test_runs_must_share_their_prompts() -> None:
    """Scores of different prompts are never averaged, within a run or over runs."""
    cells = trial([[0.0, 0.1]] * 3)
    for moved in (("x",), ("x", "base")):
        changed = dict(cells.cells)
        for label in moved:
            key = (label, *RUNS[1])
            changed[key] = replace(changed[key], prompt_ids=("p0", "p9"))
        found = finding(Mechanism("m", "", over("x", "base")), replace(cells, cells=changed))
        assert found.verdict == "not run" and "other prompts" in found.reason


@pytest.mark.parametrize("world", ["0", "17", "²"])
def test_only_a_fresh_world_is_confirmed_on(world: str, tmp_path: Path) -> None:
    """Not one that examples or an earlier record are made of; nothing is run."""
    (tmp_path / "001-world-17.json").write_text(Record(1, 17, {}, {}, RUNS, {}, (), {}).dumps())
    with pytest.raises(BadInput, match="world"):
        main([f"world={world}", f"records={tmp_path}", f"results={tmp_path / 'results'}"])
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("commit", "new", "reason"),
    [
        ("", (), "no version control"),
        ("0123abc-dirty", (), "differs from any commit"),
        ("0123abc", ("methods/tuned/tldr-tiny.toml",), "methods/tuned/tldr-tiny.toml in none"),
    ],
)
def test_a_world_is_confirmed_on_only_by_what_a_commit_holds(
    commit: str, new: tuple[str, ...], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's `-dirty` says nothing of files that are new: tuned values, say, that nobody committed."""
    monkeypatch.setattr(provenance, "code", lambda: {"commit": commit})
    monkeypatch.setattr(provenance, "untracked", lambda: new)
    with pytest.raises(BadInput, match=reason):
        main(["world=draw", f"records={tmp_path}", f"results={tmp_path / 'results'}"])
    assert not (tmp_path / "results").exists()


def test_new_files_of_the_package_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "checkout"
    (root / "src" / "alignment_bench" / "provenance").mkdir(parents=True)
    (root / "methods" / "tuned").mkdir(parents=True)
    module = root / "src" / "alignment_bench" / "provenance" / "__init__.py"
    monkeypatch.setattr(provenance, "__file__", str(module))
    assert provenance.untracked() == (), "there is no checkout"
    for command in (["init", "-q"], ["config", "user.email", "a@b"], ["config", "user.name", "a"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    module.write_text("")
    (root / ".gitignore").write_text("*.log\n")
    subprocess.run(["git", "-C", str(root), "add", "."], check=True)
    subprocess.run(["git", "-C", str(root), "commit", "-q", "-m", "one"], check=True)
    (root / "notes.txt").write_text("of no matter")
    (root / "methods" / "a.log").write_text("ignored")
    assert provenance.untracked() == ()
    (root / "methods" / "tuned" / "tldr-tiny.toml").write_text("")
    assert provenance.untracked() == ("methods/tuned/tldr-tiny.toml",)


def test_the_verdict_is_the_interval_s_side() -> None:
    assert verdict_of(0.01, 0.2) == "holds"
    assert verdict_of(-0.2, -0.01) == "contradicted"
    assert verdict_of(-0.1, 0.1) == "inconclusive"
    assert verdict_of(None, None) == "inconclusive"


def test_a_record_comes_back_and_the_page_shows_every_run() -> None:
    claim = Mechanism("m", "x beats base", over("x", "base"))
    found = finding(claim, trial([[0.1, 0.12], [0.1, 0.12], [0.1, 0.12]]))
    first = Record(1, 17, {"world": "1"}, {"budget": "small"}, RUNS, {"m": claim.claim}, (found,), {})
    second = Record(
        2, 23, {"world": "1"}, {}, RUNS, {"m": claim.claim}, (found,), {"x": {"quality": (0.6, 0.5, 0.7)}}
    )
    assert Record.loads(first.dumps()) == first and Record.loads(second.dumps()) == second
    text = page([first, second], [claim, Mechanism("new", "", over("x", "base"))])
    assert text.index("Run 1: world 17") < text.index("Run 2: world 23")
    assert "x beats base" in text and found.verdict in text and "Not in the last run yet: new" in text
