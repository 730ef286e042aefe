"""The table: what is compared with what, what is never pooled, and that nothing stored goes unsaid."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_cells import PROMPTS, cell, failed, scores, three_seeds

from alignment_bench.comparison import Setting, compare
from alignment_bench.errors import BadInput
from alignment_bench.results import CellRecord, write_cell
from alignment_bench.statistics import interval, paired
from alignment_bench.tables.alarms import alarms, control_alarm
from alignment_bench.tables.page import render, render_records
from alignment_bench.tables.rows import Row, rows

KEYS = ["task", "method", "metric", "model", "data", "world", "budget", "teacher", "judge", "unit", "better"]
KEYS += [
    "mean",
    "low",
    "high",
    "delta",
    "delta_low",
    "delta_high",
    "mde",
    "tied_set",
    "n_prompts",
    "n_seeds",
    "status",
    "reason",
    "block",
    "alarm",
]


def only(found: list[Row], method: str, metric: str = "quality") -> Row:
    """The one row of a method and metric."""
    (row,) = [row for row in found if (row.method, row.metric) == (method, metric)]
    return row


def test_a_row_is_the_interval_of_its_scores_and_of_the_paired_difference() -> None:
    row = only(rows(three_seeds()), "ilf")
    clusters = [f"c{index // 2}" for index in range(PROMPTS)]
    ours = np.stack([scores("ilf", seed, 0.1) for seed in range(3)])
    base = np.stack([scores("base", seed, 0.0) for seed in range(3)])
    value, delta = interval(ours, clusters), paired(ours, base, clusters)
    assert (row.mean, row.low, row.high) == pytest.approx((value.mean, value.low, value.high), rel=1e-12)
    assert (row.delta, row.delta_low, row.delta_high) == pytest.approx(
        (delta.mean, delta.low, delta.high), rel=1e-12
    )
    assert (row.n_prompts, row.n_seeds, row.status, row.reason) == (PROMPTS, 3, "ok", "")
    assert row.delta_low is not None and row.delta_low > 0


def test_json_has_exactly_the_promised_keys_and_base_a_delta_of_zero() -> None:
    stored = json.loads(render_records(three_seeds(), "json"))["rows"]
    assert all(list(row) == KEYS for row in stored)
    assert len(stored) == 3 * 3
    base = next(row for row in stored if (row["method"], row["metric"]) == ("base", "quality"))
    assert (base["delta"], base["delta_low"], base["delta_high"]) == (0.0, None, None)
    missing = next(row for row in stored if (row["method"], row["metric"]) == ("ilf", "nll_reference"))
    assert missing["status"] == "not_applicable"
    assert missing["reason"] == "no references"
    assert missing["mean"] is missing["delta"] is missing["delta_low"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"task_version": "1"},
        {"model_digest": "other"},
        {"data_digest": "other"},
        {"budget_amount": 1.0},
        {"teacher": "reference"},
        {"judge": "reference_panel"},
        {"init": "sft"},
        {"format_digest": "other"},
        {"decoding": {"temperature": 1.0}},
        {"evaluators": ("quality",)},
        {"code": {"core": "2"}},
        {"code": {"core": "1", "plugins": {"evaluators/q": "changed"}}},
    ],
)
def test_cells_of_different_settings_are_never_pooled_or_paired(changes: dict[str, Any]) -> None:
    records = [cell("base"), cell("ilf", 0, 0.1), cell("ilf", 1, 0.1, **changes)]
    blocks = compare(records)
    assert len(blocks) == 2
    found = [row for row in rows(records) if (row.method, row.metric) == ("ilf", "quality")]
    assert sorted(row.n_seeds for row in found) == [1, 1]
    assert sorted(row.delta is None for row in found) == [False, True]


@pytest.mark.parametrize("changes", [{"budget": "9000s"}, {"data": "moved.jsonl"}, {"model": "tiny"}])
def test_another_name_for_the_same_thing_does_not_split_a_block(changes: dict[str, Any]) -> None:
    assert len(compare([cell("base"), cell("ilf", 0, 0.1, **changes)])) == 1


def test_what_differs_by_method_does_not_split_a_block() -> None:
    (block,) = compare(three_seeds())
    assert [line.label for line in block.lines] == ["base", "base_copy", "ilf"]
    assert Setting.of(cell("base")) == Setting.of(cell("ilf", 4))


def test_one_label_with_two_configurations_is_two_rows() -> None:
    older = cell("ilf", 1, 0.1, method={"rounds": 3}, started="2026-11-19T10:00:00+00:00")
    stored = rows([cell("base"), cell("base", 1), cell("ilf", 0, 0.1), older])
    found = {row.method: row for row in stored if row.metric == "quality"}
    (name,) = [method for method in found if method.startswith("ilf@")]
    assert (found["ilf"].n_seeds, found[name].n_seeds) == (1, 1)
    text = render_records([cell("base"), cell("base", 1), cell("ilf", 0, 0.1), older], "text")
    assert f'{name}: an older configuration or source of ilf: {{"rounds":3}}' in " ".join(text.split())


def test_delta_uses_the_seeds_that_both_have_and_says_so() -> None:
    records = [cell("base", 0), cell("base", 1), *(cell("ilf", seed, 0.1) for seed in (0, 1, 2))]
    row = only(rows(records), "ilf")
    both = [
        np.stack([scores(label, seed, gain) for seed in (0, 1)])
        for label, gain in (("ilf", 0.1), ("base", 0))
    ]
    assert row.n_seeds == 3
    assert row.delta == pytest.approx(float((both[0] - both[1]).mean()), rel=1e-12)
    assert "compared with base on the 2 seeds both have" in render_records(records, "text")
    apart = [cell("base", 0), cell("ilf", 1, 0.1)]
    assert only(rows(apart), "ilf").delta is None
    assert "no seed in common with base" in render_records(apart, "text")


def test_prompts_are_matched_by_id_not_by_place() -> None:
    order = np.random.default_rng(1).permutation(PROMPTS)
    mixed = cell("ilf", 0, 0.1)
    shuffled = replace(
        mixed,
        prompt_ids=tuple(mixed.prompt_ids[one] for one in order),
        clusters=tuple(mixed.clusters[one] for one in order),
        scores=tuple(
            replace(one, values=tuple(one.values[place] for place in order)) if one.values else one
            for one in mixed.scores
        ),
    )
    straight, crooked = only(rows([cell("base"), mixed]), "ilf"), only(rows([cell("base"), shuffled]), "ilf")
    assert crooked.delta_low == pytest.approx(straight.delta_low, rel=1e-9)
    assert crooked.mean == pytest.approx(straight.mean, rel=1e-12)


def fold_cells(label: str, gain: float, folds: range = range(3)) -> list[CellRecord]:
    """A cross-fit over three folds of a third of the prompts each."""
    found = []
    for fold in folds:
        whole = cell(label, 0, gain, fold=fold, folds=3)
        mine = slice(fold * 10, fold * 10 + 10)
        parts = tuple(replace(one, values=one.values[mine]) for one in whole.scores)
        found.append(
            replace(whole, prompt_ids=whole.prompt_ids[mine], clusters=whole.clusters[mine], scores=parts)
        )
    return found


def test_folds_of_a_seed_are_one_test_set_with_folds_as_clusters() -> None:
    row = only(rows([*fold_cells("base", 0.0), *fold_cells("ilf", 0.1)]), "ilf")
    folds = [f"f{index // 10}" for index in range(PROMPTS)]
    delta = paired(scores("ilf", 0, 0.1)[None], scores("base", 0, 0.0)[None], folds)
    assert (row.n_prompts, row.n_seeds) == (PROMPTS, 1)
    assert (row.delta_low, row.delta_high) == pytest.approx((delta.low, delta.high), rel=1e-9)


def test_a_seed_without_all_its_folds_does_not_count() -> None:
    row = only(rows([*fold_cells("base", 0.0), *fold_cells("ilf", 0.1, range(2))]), "ilf")
    assert (row.status, row.reason, row.mean, row.delta) == ("failed", "2 of 3 folds stored", None, None)


@pytest.mark.parametrize("status", ["failed", "over_budget", "not_applicable"])
def test_a_failure_is_a_row_with_its_reason(status: Any) -> None:
    records = [cell("base"), failed("ppo", status=status)]
    row = only(rows(records), "ppo")
    assert (row.status, row.reason, row.mean, row.delta, row.n_seeds) == (
        status,
        "loss became nan",
        None,
        None,
        0,
    )
    for format in ("text", "markdown", "latex", "csv"):
        assert "loss became nan" in render_records(records, format)


def test_a_run_in_which_all_failed_still_has_a_table() -> None:
    (row,) = rows([failed("ppo")])
    assert (row.metric, row.status) == (None, "failed")
    assert "loss became nan" in render_records([failed("ppo")], "text")


def test_a_failed_seed_is_left_out_and_said() -> None:
    records = [cell("base", 0), cell("base", 1), cell("ilf", 0, 0.1), failed("ilf", 1)]
    row = only(rows(records), "ilf")
    assert (row.status, row.n_seeds, row.reason) == ("ok", 1, "seed 1: loss became nan")
    text = render_records(records, "text")
    assert "ilf: left out: seed 1: loss became nan" in text
    assert "ilf: one training run per method: the interval covers prompts only" in text


def test_unscored_prompts_are_left_out_of_value_and_delta() -> None:
    whole = cell("ilf", 0, 0.1)
    quality = whole.scores[1]
    holed = replace(quality, values=(float("nan"), *quality.values[1:]))
    row = only(rows([cell("base"), replace(whole, scores=(holed,))]), "ilf")
    expected = (scores("ilf", 0, 0.1) - scores("base", 0, 0.0))[1:].mean()
    assert row.n_prompts == PROMPTS - 1
    assert row.delta == pytest.approx(float(expected), rel=1e-12)


def test_only_keeps_the_cells_of_one_command() -> None:
    records = three_seeds()
    mine = {record.digest for record in records if record.seed == 0}
    assert {row.n_seeds for row in rows(records, only=mine) if row.metric == "quality"} == {1}


def test_the_control_alarm_fires_for_a_control_that_differs_and_only_then() -> None:
    calm = three_seeds()
    assert alarms(compare(calm)) == []
    assert control_alarm(calm) == ""
    assert "ALARM" not in render_records(calm, "text")
    moved = [cell("base_copy", seed, 0.1) for seed in (0, 1, 2)]
    loud = [record for record in calm if record.label != "base_copy"] + moved
    assert {alarm.metric for alarm in alarms(compare(loud))} == {"quality", "length"}
    assert "CONTROL ALARM: base_copy differs from base on quality by +0." in render_records(loud, "text")
    assert len(control_alarm(loud).splitlines()) == 2


def test_the_alarm_corrects_for_every_pair_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alignment_bench.tables.alarms.p_value", lambda delta: 0.006)
    # .006 alone would pass .01; as one of two pairs it is .012
    assert alarms(compare(three_seeds())) == []
    monkeypatch.setattr("alignment_bench.tables.alarms.p_value", lambda delta: 0.004)
    assert len(alarms(compare(three_seeds()))) == 2


def test_text_fits_120_columns_has_no_colours_and_a_full_caption() -> None:
    text = render_records([*three_seeds(), cell("ilf:rounds=3+best_of_n:n=16", 0, 0.2)], "text")
    assert max(map(len, text.splitlines())) <= 120
    assert "\x1b" not in text
    flat = " ".join(text.split())
    for part in (
        "model tiny (aaaa1111)",
        "format cccc3333",
        "data built-in (bbbb2222)",
        "temperature 0.3",
        "teacher annotators; judge gold",
        "54,750 annotator seconds (15.2 h)",
        "seeds 0, 1, 2; prompts 30 in 15 clusters",
        "the world's own quality",
        "smallest difference to base seen with 80 % power: quality",
        "critique 300",
        "length: words, not tokens",
        "nll_reference: n/a: no references",
    ):
        assert part in flat, part
    line = next(line for line in text.splitlines() if re.match(r"ilf ", line))
    assert re.search(r"0\.\d+ \[0\.\d+, 0\.\d+\] +\+0\.\d+ \[\+0\.\d+, \+0\.\d+\]\*", line)


def test_flags_and_notes_are_shown_with_their_methods() -> None:
    records = [cell("base"), cell("ilf", 0, 0.1, flags=("self-judged",), notes=("2 prompts truncated",))]
    text = render_records(records, "text")
    assert "self-judged: ilf" in text
    assert "ilf: 2 prompts truncated" in text


def test_csv_is_the_json_rows() -> None:
    records = three_seeds()
    read = list(csv.DictReader(io.StringIO(render_records(records, "csv"))))
    stored = json.loads(render_records(records, "json"))["rows"]
    assert list(read[0]) == KEYS
    assert [{key: "" if row[key] is None else str(row[key]) for key in KEYS} for row in stored] == read


def test_markdown_tables_are_rectangular_and_escaped() -> None:
    text = render_records([*three_seeds(), cell("od|d", 0, 0.1)], "markdown")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert any(r"od\|d" in line for line in tables)
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in tables]
    rules = [place for place, line in enumerate(tables) if line.startswith("| ---")]
    assert len(rules) >= 2
    for place in rules:
        assert widths[place - 1] == widths[place] == widths[place + 1]


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(BadInput, match="'pdf' is no format"):
        render_records(three_seeds(), "pdf")


def store(root: Path, records: list[CellRecord]) -> Path:
    """A results folder with these cells."""
    for record in records:
        write_cell(root, record, [])
    return root


def test_a_stored_table_is_the_table_of_the_run_and_the_same_every_time(tmp_path: Path) -> None:
    root = store(tmp_path, three_seeds())
    assert json.loads(render(root, "json", {})) == json.loads(render_records(three_seeds(), "json"))
    assert render(root, "text", {}) == render(root, "text", {})


def test_filters_keep_cells_and_methods_keep_their_comparison_with_base(tmp_path: Path) -> None:
    root = store(tmp_path, [*three_seeds(), cell("base", teacher="reference")])
    found = json.loads(render(root, "json", {"teacher": ("reference",)}))["rows"]
    assert {row["teacher"] for row in found} == {"reference"}
    chosen = json.loads(render(root, "json", {"methods": ("ilf",), "seeds": ("0", "1")}))["rows"]
    assert {row["method"] for row in chosen} == {"ilf"}
    quality = next(row for row in chosen if row["metric"] == "quality")
    assert (quality["n_seeds"], quality["delta"] is not None) == (2, True)


def test_a_control_raises_its_alarm_shown_or_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calm = [record for record in three_seeds() if record.label != "base_copy"]
    root = store(tmp_path, [*calm, *(cell("base_copy", seed, 0.1) for seed in (0, 1, 2))])
    assert "CONTROL ALARM" in render(root, "text", {"methods": ("ilf",)})
    assert "CONTROL ALARM" in render(root, "csv", {"methods": ("ilf",)}).splitlines()[1]
    assert "CONTROL ALARM" in capsys.readouterr().err
    found = json.loads(render(root, "json", {"methods": ("ilf",)}))["alarms"]
    assert {(one["method"], one["metric"], one["comparisons"]) for one in found} == {
        ("base_copy", "quality", 2),
        ("base_copy", "length", 2),
    }


def test_filters_that_fit_nothing_are_named_with_what_there_is(tmp_path: Path) -> None:
    root = store(tmp_path, three_seeds())
    with pytest.raises(BadInput, match=r"methods: no stored cell has 'ppo' \(stored: base, base_copy, ilf\)"):
        render(root, "text", {"methods": ("ppo",)})
    with pytest.raises(BadInput, match="no cells are stored"):
        render(tmp_path / "empty", "text", {})


def test_unreadable_cells_are_reported_in_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = store(tmp_path, three_seeds())
    broken = next((root / "cells").glob("*/*/scores.json"))
    broken.write_text("{")
    for format in ("text", "markdown", "latex", "html"):
        flat = render(root, format, {}).replace("\\", "")
        assert "scores.json has changed since it was written" in " ".join(flat.split())
    render(root, "csv", {})
    assert "scores.json has changed" in capsys.readouterr().err
    (lost,) = json.loads(render(root, "json", {}))["unreadable"]
    assert lost["path"] == str(broken.parent) and "scores.json has changed" in lost["reason"]
