"""The gate: the rule for one cell, what is missing or of another world, baselines in files, formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from alignment_bench import cli, results
from alignment_bench.cells import CellRecord, MetricScores
from alignment_bench.comparison import Block, Column, compare
from alignment_bench.digests import digest
from alignment_bench.errors import BadInput
from alignment_bench.gate import baseline, checking, choosing, making, rendering
from alignment_bench.gate.checking import Report, decide
from alignment_bench.gate.margins import Margin, parse_margin
from alignment_bench.results import Unreadable
from alignment_bench.statistics import interval

SEEDS, PROMPTS = (0, 1, 2), 60
IDS = tuple(f"p{i}" for i in range(PROMPTS))


def first(block: Block) -> Column | None:
    """A stand-in for the task's main metric."""
    return block.columns[0]


def cell(label: str, seed: int, values: np.ndarray, better: str = "higher", **more: object) -> CellRecord:
    """A stored cell with a quality, and a length that has no better side."""
    scores = (
        MetricScores("quality", "0-1", better, tuple(map(float, values))),  # type: ignore[arg-type]
        MetricScores("length", "words", "neither", tuple(map(float, 10 * values))),
    )
    fields: dict[str, object] = {
        "label": label,
        "method": [{"name": label, "fields": {}}],
        "task": "tldr",
        "task_version": "2",
        "model": "tiny:0",
        "model_digest": "a" * 64,
        "data": "built-in",
        "data_digest": "b" * 64,
        "world": "0",
        "budget": "smoke",
        "budget_amount": 9000.0,
        "currency": "seconds",
        "teacher": "annotators",
        "judge": "gold",
        "init": "base",
        "format_digest": "f",
        "decoding": {"temperature": 0.3},
        "evaluators": ("quality",),
        "seed": seed,
        "prompt_ids": IDS[: len(values)],
        "clusters": IDS[: len(values)],
        "scores": scores,
        "code": {"core": "1", "plugins": {f"methods/{label}": "1" * 64}},
        "started": "2026-01-01T00:00:00+00:00",
        **more,
    }
    name = digest([label, seed, {key: repr(value) for key, value in fields.items()}])
    return CellRecord(digest=name, **fields)  # type: ignore[arg-type]


def run_of(
    shift: float = 0.0, label: str = "sft", draw: int = 0, noise: float = 0.02, **more: object
) -> list[CellRecord]:
    """Cells of one label: prompts differ much, a re-run (`draw`) little."""
    level = np.random.default_rng(7).normal(0.5, 0.2, PROMPTS)
    rng = np.random.default_rng(100 + draw)
    return [cell(label, seed, level + shift + rng.normal(0, noise, PROMPTS), **more) for seed in SEEDS]


def kept(records: list[CellRecord], **options: object) -> baseline.Baseline:
    """The baseline of these cells."""
    margin = options.pop("margin", Margin())
    return making.make(compare(records), margin, choose=first, **options).baseline  # type: ignore[arg-type]


def gate(old: list[CellRecord], new: list[CellRecord], **options: object) -> Report:
    """The check of one run against another."""
    return checking.check(kept(old), compare(new), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("low", "high", "code"), [
    (-0.04, 0.1, 0), (-0.04, -0.01, 0), (-0.06, -0.01, 1), (-0.06, 0.0, 3), (-0.2, 0.3, 3), (-0.05, 0.2, 3),
])  # fmt: skip
def test_the_rule(low: float, high: float, code: int) -> None:
    found = replace(interval(np.zeros((1, 1))), mean=(low + high) / 2, low=low, high=high, se=0.01, df=5.0)
    assert decide(found, 0.05) == code


def test_a_run_against_its_own_baseline_is_0_even_where_nothing_varies_or_there_is_one_prompt() -> None:
    for records in (
        run_of(),
        [cell("sft", seed, np.ones(PROMPTS)) for seed in SEEDS],
        [cell("sft", 0, np.array([0.5]))],
        [cell("sft", 0, np.array([0.5, np.nan, 0.7]))],
        [cell("sft", 0, np.full(3, np.nan))],
    ):
        report = gate(records, records, margin=Margin(1e-9))
        assert report.code == 0, report
        assert report.findings[0].reason == "the very same scores"


def test_a_drop_a_gain_and_noise() -> None:
    assert gate(run_of(), run_of(draw=1)).code == 0
    assert gate(run_of(), run_of(-0.1, draw=1)).code == 1
    assert gate(run_of(), run_of(+0.1, draw=1)).code == 0
    assert gate(run_of(noise=0.6), run_of(noise=0.6, draw=1)).code == 3


def test_lower_is_better_turns_the_difference() -> None:
    old, up = run_of(better="lower"), run_of(0.1, better="lower", draw=1)
    report = gate(old, up)
    assert report.code == 1
    assert report.findings[0].difference is not None and report.findings[0].difference.mean < 0
    assert gate(old, run_of(-0.1, better="lower", draw=1)).code == 0


def test_the_same_loss_on_every_prompt_is_known_exactly() -> None:
    old = [cell("sft", seed, np.full(PROMPTS, 0.75)) for seed in SEEDS]
    worse = [cell("sft", seed, np.full(PROMPTS, 0.5)) for seed in SEEDS]
    near = [cell("sft", seed, np.full(PROMPTS, 0.71875)) for seed in SEEDS]
    assert gate(old, worse).code == 1
    assert gate(old, near).code == 0
    assert "same amount" in gate(old, near).findings[0].reason


def test_one_prompt_that_differs_cannot_be_told() -> None:
    assert gate([cell("sft", 0, np.array([0.5]))], [cell("sft", 0, np.array([0.4]))]).code == 3


def test_missing_and_failed_cells_are_1() -> None:
    whole = [*run_of(), *run_of(label="ppo")]
    assert gate(whole, run_of()).code == 1
    assert gate(whole, []).code == 1
    failed = replace(
        run_of(label="ppo")[2], status="failed", reason="boom", scores=(), prompt_ids=(), clusters=()
    )
    report = gate(whole, [*run_of(), *run_of(label="ppo")[:2], failed])
    ppo = next(one for one in report.findings if one.label == "ppo")
    assert report.code == 1 and "seed 2" in ppo.reason and "boom" in ppo.reason
    assert ppo.seeds == (0, 1) and ppo.difference is not None
    absent = gate(whole, [*run_of(), *run_of(label="ppo")[:1]])
    assert absent.code == 1 and "seed 1, 2" in absent.findings[1].reason


def test_scores_that_got_lost_do_not_vanish_into_a_smaller_mean() -> None:
    old = run_of()
    bad = np.array(old[0].scores[0].values)
    bad[:5] = np.nan
    new = [cell("sft", 0, bad), *old[1:]]
    report = gate(old, new)
    assert report.code == 1 and "5 scores" in report.findings[0].reason
    assert gate(new, old).code == 0


def test_another_model_data_or_world_is_2_and_named() -> None:
    for field, value, word in (
        ("model_digest", "c" * 64, "model_digest"),
        ("data_digest", "c" * 64, "data_digest"),
        ("world", "1", "world is 0 there and 1"),
        ("task_version", "3", "task_version"),
    ):
        report = gate(run_of(), run_of(**{field: value}))
        assert report.code == 2 and word in report.findings[0].reason
    both = [*run_of(-0.2, draw=1), *run_of(label="ppo", data_digest="c" * 64)]
    mixed = gate([*run_of(), *run_of(label="ppo", data_digest="d" * 64)], both)
    assert {one.code for one in mixed.findings} == {1, 2} and mixed.code == 2


def test_a_crashed_second_model_is_missing_not_another_model() -> None:
    two = [*run_of(), *run_of(model="tiny:1", model_digest="d" * 64)]
    report = gate(two, run_of())
    assert [one.code for one in report.findings] == [0, 1] and report.code == 1


def test_another_judge_or_budget_is_missing_with_the_reason() -> None:
    report = gate(run_of(), run_of(judge="llm"))
    assert report.code == 1 and "judge llm, not gold" in report.findings[0].reason


def test_changed_sources_are_compared_and_the_newest_cells_count() -> None:
    later = {
        "started": "2026-02-01T00:00:00+00:00",
        "code": {"core": "1", "plugins": {"evaluators/quality": "9"}},
    }
    report = gate(run_of(), [*run_of(), *run_of(-0.2, draw=1, **later)])
    assert report.code == 1
    assert any("evaluators/quality" in note for note in report.findings[0].notes)


def test_neither_is_shown_and_not_gated_and_nothing_gated_is_refused() -> None:
    both = kept(run_of(), metrics=("quality", "length"))
    report = checking.check(both, compare(run_of(-0.01, draw=1)))
    assert {one.metric: one.code for one in report.findings} == {"quality": 0, "length": None}
    assert report.gated == 1 and report.code == 0 and report.level == pytest.approx(0.95)
    shown = report.findings[1]
    assert shown.difference is not None and shown.reason == "shown, not gated"
    with pytest.raises(BadInput, match="nothing to gate"):
        kept(run_of(), metrics=("length",))
    with pytest.raises(BadInput, match="no cell has 'kl'"):
        kept(run_of(), metrics=("kl",))


def test_the_level_is_bonferronis_over_gated_cells() -> None:
    old = [*run_of(), *run_of(label="ppo"), *run_of(label="ilf")]
    report = gate(old, old)
    assert report.level == pytest.approx(1 - 0.05 / 3)
    assert gate(old, old, metrics=("quality",)).level == report.level
    one = gate(run_of(), run_of(draw=1)).findings[0].difference
    three = gate(old, [*run_of(draw=1), *old[3:]]).findings[0].difference
    assert one is not None and three is not None and one.mean == three.mean
    assert three.high - three.low > one.high - one.low


def test_extra_seeds_and_labels_are_no_fault_and_prompts_are_paired_by_id() -> None:
    old = run_of()
    shuffled = [
        replace(
            one,
            prompt_ids=one.prompt_ids[::-1],
            clusters=one.clusters[::-1],
            scores=tuple(replace(metric, values=metric.values[::-1]) for metric in one.scores),
        )
        for one in old
    ]
    report = gate(old, [*shuffled, cell("sft", 9, np.zeros(PROMPTS)), *run_of(label="new")])
    assert report.code == 0 and report.findings[0].reason == "the very same scores"
    assert report.findings[0].seeds == SEEDS
    assert "new" in report.notes[0]


def test_unreadable_results_are_2() -> None:
    report = gate(run_of(), run_of(), unreadable=[Unreadable(Path("x"), "x/run.json is not JSON")])
    assert report.code == 2 and "x/run.json" in rendering.render(report, "text", "b")


def test_margins() -> None:
    problems: list = []
    assert parse_margin(".05,perplexity:2", problems) == Margin(0.05, {"perplexity": 2.0})
    assert parse_margin("perplexity:2", problems) == Margin(0.05, {"perplexity": 2.0}) and not problems
    for bad in ("0", "-1", "x", "1,2", "a:1,a:2", "nan", "[1"):
        before = len(problems)
        assert parse_margin(bad, problems) is None and len(problems) > before
    assert gate(run_of(), run_of(-0.1, draw=1), margin=Margin(0.2)).code == 0
    assert gate(run_of(), run_of(-0.1, draw=1), margin=Margin(0.2, {"quality": 0.05})).code == 1


def test_a_baseline_survives_its_file_and_is_the_same_text_twice(tmp_path: Path) -> None:
    values = np.array([1 / 3, 0.1 + 0.2, np.nan])
    made = kept([cell("sft", 0, values)], margin=Margin(0.1, {"kl": 2.0}))
    baseline.write(tmp_path / "a.json", made)
    baseline.write(tmp_path / "b.json", made)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    again = baseline.read(tmp_path / "a.json")
    assert np.array_equal(again.groups[0].cells[0].values, [values], equal_nan=True)
    assert again.margin == made.margin and again.groups[0].setting == made.groups[0].setting


def spoiled(text: str) -> dict[str, tuple[str, str]]:
    """Ways to spoil a baseline's file, and what the message says."""
    body = json.loads(text)
    newer = {**body, "schema": 99}
    short = {key: value for key, value in body.items() if key != "sha256"}
    short["groups"][0]["cells"][0]["values"][0].pop()
    return {
        "edited": (text.replace("0.5", "0.6", 1), "has changed since it was written"),
        "cut": (text[:-40], "is not JSON"),
        "newer": (json.dumps(newer), "schema 99"),
        "other": (json.dumps({"a": 1}), "is no baseline"),
        "list": ("[]", "is no baseline"),
        "nan": (text.replace("0.5", "NaN", 1), "delete it and write it again"),
        "short": (json.dumps({**short, "sha256": digest(short)}), "does not describe a baseline"),
    }


@pytest.mark.parametrize("how", ["edited", "cut", "newer", "other", "list", "nan", "short"])
def test_a_spoiled_baseline_is_refused_by_name(
    tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "base.json"
    baseline.write(path, kept([cell("sft", 0, np.array([0.5, 0.25]))]))
    text, message = spoiled(path.read_text())[how]
    path.write_text(text)
    (tmp_path / "results").mkdir()
    assert cli.main(["check", str(path), f"results={tmp_path / 'results'}"]) == 2
    told = capsys.readouterr().err
    assert str(path) in told and message in told and "Traceback" not in told


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Stores cells in a results folder; the main metric is the first one."""
    monkeypatch.setattr(making, "main_column", first)
    monkeypatch.setattr(making.make, "__defaults__", ((), first, ()))

    def put(name: str, records: list[CellRecord]) -> Path:
        for record in records:
            results.write_cell(tmp_path / name, record, [])
        return tmp_path / name

    return put


def test_the_verbs(stored: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = stored("old", [*run_of(), *run_of(label="ppo")])
    new = stored("new", [*run_of(-0.2, draw=1), *run_of(label="ppo")])
    path = tmp_path / "baselines" / "smoke.json"
    assert cli.main(["baseline", f"out={path}", f"results={old}"]) == 0
    assert "2 gated cells" in capsys.readouterr().out
    for options, code in (
        ([f"results={old}"], 0),
        ([f"results={new}"], 1),
        ([f"results={new}", "methods=ppo"], 0),
        ([f"results={new}", "margin=.5"], 0),
        ([f"results={new}", "seeds=1"], 1),
        ([f"results={new}", "methods=nobody"], 2),
        ([f"results={new}", "metrics=kl"], 2),
        ([f"results={new}", "margin=0"], 2),
        ([f"results={new}", "margin=.5,qualty:.1"], 2),
        ([f"results={new}", f"out={'a' * 300}"], 2),
        ([f"results={'a' * 300}"], 2),
        ([f"results={new}", "colour=red"], 2),
    ):
        assert cli.main(["check", str(path), *options]) == code, options
    assert cli.main(["check"]) == 2 and cli.main(["baseline"]) == 2
    assert cli.main(["check", "a" * 300, f"results={old}"]) == 2
    capsys.readouterr()
    assert cli.main(["baseline", f"out={tmp_path / 'b.json'}", f"results={old}", "margin=qualty:.2"]) == 2
    assert "'qualty' is not in" in capsys.readouterr().err and not (tmp_path / "b.json").exists()
    assert cli.main(["baseline", f"out={path}", f"results={old}"]) == 0
    assert "nothing changed" in capsys.readouterr().out
    assert cli.main(["baseline", f"out={path}", f"results={new}", "margin=.1", "methods=sft"]) == 0
    told = capsys.readouterr().out
    assert "margin: 0.05 -> 0.1" in told and "sft quality: mean" in told and "removed" not in told
    assert {one.label for group in baseline.read(path).groups for one in group.cells} == {"sft", "ppo"}
    assert cli.main(["check", str(path), f"results={new}"]) == 0
    assert cli.main(["baseline", f"out={path}", f"results={stored('one', run_of())}"]) == 0
    assert "removed: ppo" in capsys.readouterr().out


def test_a_file_that_may_not_be_written_to_is_told_before_any_work(
    stored: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.txt"
    asked = [f"results={stored('old', run_of())}", f"out={out}"]
    baseline.write(tmp_path / "b.json", kept(run_of()))
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != out)
    assert cli.main(["check", str(tmp_path / "b.json"), *asked]) == 0
    assert cli.main(["check", str(tmp_path / "b.json"), *asked]) == 2


def test_a_seed_filter_leaves_the_other_seeds_of_a_baseline_alone() -> None:
    whole = kept(run_of())
    assert choosing.baseline_of(whole, {"seeds": ("1",)}).groups[0].cells[0].seeds == (1,)
    assert choosing.others_of(whole, {"seeds": ("1",)})[0].cells[0].seeds == (0, 2)


def test_a_damaged_run_is_2_and_names_the_file(
    stored: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = stored("old", run_of())
    path = tmp_path / "b.json"
    assert cli.main(["baseline", f"out={path}", f"results={old}"]) == 0
    broken = next(old.glob("cells/*/*/scores.json"))
    broken.write_text(broken.read_text().replace("0", "1", 1))
    assert cli.main(["check", str(path), f"results={old}"]) == 2
    assert str(broken) in capsys.readouterr().out
    assert cli.main(["baseline", f"out={path}", f"results={old}"]) == 2
    assert str(broken) in capsys.readouterr().err
    path.write_text(path.read_text().replace("0", "1", 1))
    for argv in (["check", str(path)], ["baseline", f"out={path}"]):
        assert cli.main([*argv, f"results={old}"]) == 2
        told = capsys.readouterr().err
        assert str(broken) in told and f"{path}" in told and "changed since it was written" in told, argv


def test_every_format_says_what_happened() -> None:
    old = [*run_of(), *run_of(label="a|b<c>"), *run_of(label="wide", noise=0.6)]
    new = [*run_of(-0.2, draw=1), *run_of(label="a|b<c>"), *run_of(label="wide", noise=0.6, draw=1)]
    both = kept(old, metrics=("quality", "length"))
    report = checking.check(both, compare(new))
    assert report.code == 1
    suite = ElementTree.fromstring(rendering.render(report, "junit", "base.json"))[0]
    assert [suite.get(one) for one in ("tests", "failures", "errors", "skipped")] == ["6", "1", "0", "4"]
    assert suite.findall("testcase")[2].get("name") == "a|b<c> quality"
    assert [len(case.findall("failure")) for case in suite.findall("testcase")].count(1) == 1
    body = json.loads(rendering.render(report, "json", "base.json"))
    assert body["schema"] == 1 and body["exit"] == 1 and body["adjustment"] == "Bonferroni"
    assert [one["exit"] for one in body["cells"]] == [1, None, 0, None, 3, None]
    page = rendering.render(report, "markdown", "base.json")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 6 and r"a\|b\<c\>" in page and "Bonferroni over 3" in page
    text = rendering.render(report, "text", "base.json")
    assert "exit 1" in text and "98.33 % each" in text and "inconclusive" in text
