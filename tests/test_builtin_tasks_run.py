"""Every built-in task runs end to end: teacher, judge, its own metric, and the sandbox for programs."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest

from alignment_bench import cli, registry, sandbox
from alignment_bench.errors import BadInput
from alignment_bench.evaluation import Scores

OWN_METRIC = {
    "toxicity": ("toxicity", "toxicity_rate"),
    "dialogue": ("toxicity", "toxicity_rate"),
    "code": ("pass_at_k", "pass_at_1"),
    "word_removal": ("exact_match", "exact_match"),
}


NOTHING = {name: Scores(missing="nothing to look at") for name in ("retention", "text_nll")}


def shown(small_tldr: Any, *words: str) -> str:
    """The text table of a run, unwrapped."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main(["run", *small_tldr.argv(*words)]) == 0
    return " ".join(printed.getvalue().split())


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
    """A footnote at every level, which stays what it was when the cell is shown again elsewhere."""
    options = ("task=code", "evaluators=quality", "format=text")
    ran = "model-written programs ran here; sandbox protection: "
    found = sandbox.protection()
    partial = sandbox.Protection("partial", ("no namespaces",), found.mode, False)
    monkeypatch.setattr(sandbox, "protection", lambda: partial)
    text = shown(small_tldr, "base", *options)
    assert "model-written programs will run here; sandbox protection: partial" in capfd.readouterr().err
    assert f"all methods: {ran}partial (no namespaces)" in text

    monkeypatch.setattr(sandbox, "protection", lambda: found)
    again = shown(small_tldr, "base", *options)
    assert f"{ran}partial (no namespaces)" in again and found.describe() not in again
    assert f"all methods: {ran}{found.level}" in shown(small_tldr, "base", *options, "seeds=1")
    notes = {name: record.notes for name, record in small_tldr.records().items()}
    assert notes == {
        "base": (f"{ran}partial (no namespaces)",),
        "base seed 1": (f"{ran}{found.describe().removeprefix('sandbox protection: ')}",),
    }


def test_an_evaluator_that_runs_programs_counts_whatever_the_task(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Retention scores the code task too: it is checked before any work, announced and footnoted."""
    options = ("evaluators=retention", "decoding.max_tokens=36")
    found = sandbox.protection()
    nothing = sandbox.Protection("none", ("no Landlock",), found.mode, False)
    with monkeypatch.context() as patch:
        patch.setattr("alignment_bench.sandbox.pool.protection", lambda: nothing)
        with pytest.raises(BadInput, match=r"sandbox: .*protection none"):
            small_tldr.request("base", *options)
        small_tldr.request("base", "evaluators=quality")
    small_tldr.run("base", *options, "quiet=false")
    assert found.describe() in capfd.readouterr().err
    assert small_tldr.records()["base"].notes == (f"model-written programs ran here; {found.describe()}",)


def test_an_evaluator_that_had_nothing_to_run_is_not_footnoted(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where retention is n/a, no program ran."""
    monkeypatch.setattr(registry.load("evaluators", "retention"), "__call__", lambda *_: NOTHING)
    small_tldr.run("base", "evaluators=length,retention")
    assert small_tldr.records()["base"].notes == ()


def test_retention_looks_at_shipped_tasks_alone(small_tldr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's task, installed or not, changes neither value nor key."""
    entries = registry.entries
    other = registry.Entry("tasks", "aloud", "nowhere.aloud", None, "somebody-else")
    with_other = lambda group: {**entries(group), **({"aloud": other} if group == "tasks" else {})}  # noqa: E731
    monkeypatch.setattr(registry, "entries", with_other)
    assert "aloud" in registry.names("tasks")
    for row in small_tldr.run("base", "evaluators=retention", "decoding.max_tokens=36"):
        assert row["status"] == "ok" and row["mean"] is not None, row["metric"]


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
