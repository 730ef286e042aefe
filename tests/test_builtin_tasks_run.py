"""Every built-in task runs end to end: teacher, judge, its own metric, and the sandbox for programs."""

from __future__ import annotations

from typing import Any

import pytest

from alignment_bench import sandbox
from alignment_bench.errors import BadInput

OWN_METRIC = {
    "toxicity": ("toxicity", "toxicity_rate"),
    "dialogue": ("toxicity", "toxicity_rate"),
    "code": ("pass_at_k", "pass_at_1"),
    "word_removal": ("exact_match", "exact_match"),
}


def by_metric(rows: list[dict[str, Any]], method: str) -> dict[str, Any]:
    return {row["metric"]: row for row in rows if row["method"] == method}


@pytest.mark.parametrize("task", OWN_METRIC)
def test_methods_learn_and_their_own_metric_is_there(small_tldr: Any, task: str) -> None:
    """Demonstrations and critiques are answered; every value is a share."""
    evaluator, metric = OWN_METRIC[task]
    options = (f"task={task}", f"evaluators=quality,{evaluator}", "decoding.max_tokens=36")
    rows = small_tldr.run("sft,ilf", *options)
    for method in ("base", "sft", "ilf"):
        found = by_metric(rows, method)
        assert found["quality"]["status"] == "ok"
        for name in ("quality", "quality_t1", "quality_greedy", metric):
            assert 0 <= found[name]["mean"] <= 1, name


def test_retention_looks_at_the_other_tasks(small_tldr: Any) -> None:
    """An untrained copy keeps everything; the row says which tasks it looked at."""
    rows = small_tldr.run("base_copy,sft", "evaluators=quality,retention", "decoding.max_tokens=36")
    base, copy, sft = (by_metric(rows, name)["retention"] for name in ("base", "base_copy", "sft"))
    assert copy["mean"] == base["mean"] and 0.2 < base["mean"] < 0.8
    assert sft["mean"] != base["mean"]
    record = small_tldr.records()["sft"]
    note = next(score.note for score in record.scores if score.name == "retention")
    assert note == "greedy quality on code, dialogue, toxicity, word_removal"


def test_how_programs_were_confined_is_said(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Full protection is a caption line; partial also raises a banner, even when quiet, and a footnote."""
    options = ("task=code", "evaluators=quality")
    small_tldr.run("base", *options)
    (record,) = small_tldr.records().values()
    level = sandbox.protection().level
    assert any(f"sandbox protection: {level}" in line for line in record.captions)
    partial = sandbox.Protection("partial", ("no namespaces",), sandbox.protection().mode, False)
    monkeypatch.setattr(sandbox, "protection", lambda: partial)
    capfd.readouterr()
    small_tldr.run("base", *options, "seeds=1")
    assert "model-written programs will run here; sandbox protection: partial" in capfd.readouterr().err
    record = small_tldr.records()["base seed 1"]
    assert any("sandbox protection: partial (no namespaces)" in note for note in record.notes)


def test_programs_are_not_run_unprotected_unless_that_is_asked_for(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear line before any work, that names the flag; other tasks do not care."""
    nothing = sandbox.Protection("none", ("no Landlock",), sandbox.protection().mode, False)
    monkeypatch.setattr("alignment_bench.sandbox.pool.protection", lambda: nothing)
    with pytest.raises(BadInput, match=r"sandbox: .*protection none: no Landlock.*sandbox=none"):
        small_tldr.request("base", "task=code")
    assert small_tldr.request("base", "task=code", "sandbox=none").sandbox == "none"
    assert small_tldr.request("base", "task=dialogue").tasks == ("dialogue",)
