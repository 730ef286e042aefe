"""Data whose licence forbids commercial use: refused until accept=nc, which is said once and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alignment_bench import licences
from alignment_bench.cli import main
from alignment_bench.config import parse
from alignment_bench.errors import BadInput

NAMED = ["methods=base", "task=instructions", "task.data=alpaca_eval", "model=smollm2"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder in which nothing was accepted."""
    monkeypatch.setenv("ALIGNMENT_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_run_stops_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *NAMED, f"results={tmp_path / 'results'}"]) == 2
    error = capsys.readouterr().err
    assert "alpaca_eval is CC-BY-NC-4.0" in error and "add accept=nc once" in error
    assert not (tmp_path / "results").exists()


def test_a_recognised_file_stops_a_run_likewise(
    tmp_path: Path, random_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"question": f"Why {i}?", "answer": "So.", "feedback": "No."} for i in range(6)]
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = ["methods=base", "task=instructions", f"task.data={tmp_path / 'f.jsonl'}", f"model={random_base}"]
    assert main(["run", *argv, f"results={tmp_path / 'results'}"]) == 2
    assert "shepherd is CC-BY-NC-4.0" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_accepted_once_is_remembered(cache: Path) -> None:
    with pytest.raises(BadInput):
        parse(NAMED)
    assert parse([*NAMED, "accept=nc"]).accept == "nc"
    assert json.loads((cache / "accepted.json").read_text()) == ["nc"]
    assert parse(NAMED).accept is None


def test_a_refused_request_accepts_nothing(cache: Path) -> None:
    with pytest.raises(BadInput):
        parse([*NAMED, "accept=nc", "budget=0h"])
    assert licences.accepted() == frozenset()


def test_accept_takes_nc_only() -> None:
    with pytest.raises(BadInput) as caught:
        parse([*NAMED, "accept=all"])
    assert any(p.field == "accept" and "not one of its values" in p.message for p in caught.value.problems)


def test_other_data_needs_nothing() -> None:
    assert parse(["methods=base", "task=tldr"]).accept is None


@pytest.mark.parametrize("content", ["{", '{"nc": true}'])
def test_a_broken_record_is_a_problem_and_no_yes(cache: Path, content: str) -> None:
    cache.mkdir()
    (cache / "accepted.json").write_text(content)
    with pytest.raises(BadInput, match=r"accepted\.json"):
        licences.accepted()


def test_licences_and_sources_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "tasks"]) == 0
    text = capsys.readouterr().out
    assert "task.data=slf5k: JeremyAlain/SLF5K@837cbf43f126; Apache-2.0\n" in text
    assert "tatsu-lab/alpaca_eval@2955709b93b0; CC-BY-NC-4.0; NON-COMMERCIAL" in text
    assert "accept=nc" in text
    assert main(["list", "tasks", "format=json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    by_name = {source["name"]: source for source in rows["instructions"]["sources"]}
    assert by_name["shepherd"]["noncommercial"] and not by_name["squality"]["noncommercial"]
    assert main(["show", "instructions"]) == 0
    assert "columns: instruction, dataset" in capsys.readouterr().out
