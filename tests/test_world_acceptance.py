"""What the shipped bases must show: read from the record beside each, and partly measured again."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from alignment_bench.cli import main
from alignment_bench.errors import BadInput
from alignment_bench.models import catalog
from alignment_bench.world import VERSION, card, diagnostics
from alignment_bench.world.acceptance import BOUNDS, Bound, Row, check, check_all, missing
from alignment_bench.world.card import write_card
from alignment_bench.world.command import run
from alignment_bench.world.diagnostics import PARTS, TASK_NAMES, Record, measure, merged, options_of
from alignment_bench.world.page import read_record
from alignment_bench.world.tasks import TASKS

BASES = [name for name in catalog.names() if name.startswith("tiny:")]


def record_of(name: str) -> Record:
    """What is recorded of a shipped base."""
    return read_record(catalog.resolve(name).located)


def test_at_least_three_bases_are_shipped() -> None:
    """Base checkpoints condition every interval."""
    assert len(BASES) >= 3


@pytest.mark.parametrize("name", BASES)
def test_the_record_is_complete_and_of_these_weights(name: str) -> None:
    """All five parts on 200 prompts of a development world, and the card tells the same numbers."""
    record, source = record_of(name), catalog.resolve(name)
    assert (record.model, record.version, record.world, record.prompts) == (source.digest, VERSION, 1000, 200)
    assert set(record.seconds) == set(PARTS)
    assert missing(record.rows) == []
    card = (source.located / "CARD.md").read_text("utf-8")
    assert all(f"| {row.name} | {row.mean:.3f} |" in card for row in record.rows)


def test_the_shipped_bases_keep_to_every_bound() -> None:
    """Each alone, and together."""
    assert check_all({name: record_of(name).rows for name in BASES}) == []


@pytest.mark.parametrize("name", BASES)
def test_measured_again_the_numbers_are_those_recorded(name: str) -> None:
    """Answers to posts and word removals; other arithmetic may flip a sampled word here and there."""
    folder = catalog.resolve(name).located
    again = measure(folder, parts=("answers",), tasks=("tldr", "word_removal"))
    recorded = {row.name: row for row in record_of(name).rows}
    assert len(again.rows) > 10
    for row in again.rows:
        assert row.mean == pytest.approx(recorded[row.name].mean, abs=0.02), row.name


@pytest.mark.parametrize(
    ("name", "mean", "low", "high", "complaint"),
    [
        ("tldr: quality, greedy", 0.36, 0.34, 0.38, "must begin at 0.35"),
        ("code: quality, T=0.3", 0.64, 0.62, 0.66, "must end at 0.65"),
        ("tldr: right - no, T=1", 0.02, -0.001, 0.04, "must begin at"),
        ("tldr: no - first, T=0.3", 0.031, 0.0, 0.05, "mean must be at most 0.03"),
        ("tldr: own - first, T=1", 0.02, -0.1, 0.11, "must end at 0.1"),
        ("reward: likelihood ratio, 900 comparisons", 0.79, 0.7, 0.9, "mean must be at least 0.8"),
        ("tldr: style rude", 0.31, 0.29, 0.33, "must begin at 0.3"),
    ],
)
def test_bounds_complain(name: str, mean: float, low: float, high: float, complaint: str) -> None:
    """Each kind of bound, by a row that just breaks it; a row within it passes."""
    (fault,) = check([Row(name, mean, low, high)])
    assert name in fault and complaint in fault
    assert check([Row("tldr: quality, greedy", 0.5, 0.48, 0.52), Row("unheard of", 9, 9, 9)]) == []


def test_what_was_not_measured_is_named() -> None:
    """A record without a bounded row is no pass, and one base must reach what none does."""
    rows = [Row(name, 0.5, 0.5, 0.5) for name in BOUNDS]
    assert any("300 comparisons was not measured" in fault for fault in missing(rows))
    assert any("0 controllable phrases" in fault for fault in missing(rows))
    together = {"a": [Row("reward: likelihood ratio, 300 comparisons", 0.74, 0.7, 0.8)]}
    assert any("no base reaches" in fault for fault in check_all(together))
    together["b"] = [Row("reward: likelihood ratio, 300 comparisons", 0.76, 0.7, 0.8)]
    assert not any("no base reaches" in fault for fault in check_all(together))
    assert Bound(mean_at_least=1).violations(Row("x", 0.9, 0.8, 1.0)) != []


def test_records_are_read_back_and_merged() -> None:
    """New parts replace old rows in place; records of different things are not mixed."""
    old = Record("1", "m", 1000, 200, 4, {"answers": 1.0}, (Row("a", 0.1, 0.0, 0.2), Row("b", 1, 1, 1)))
    new = replace(old, seconds={"style": 2.0}, rows=(Row("c", 0.5, 0.4, 0.6), Row("a", 0.3, 0.2, 0.4)))
    both = merged(old, new)
    assert Record.loads(both.dumps()) == both
    assert [(row.name, row.mean) for row in both.rows] == [("a", 0.3), ("b", 1), ("c", 0.5)]
    assert both.seconds == {"answers": 1.0, "style": 2.0}
    with pytest.raises(BadInput, match="model"):
        merged(old, replace(new, model="n"))


def test_options_say_everything_that_is_wrong() -> None:
    """All at once, with what to write instead."""
    known = {"parts": PARTS, "tasks": TASK_NAMES, "prompts": 200}
    assert options_of(["parts=style,answers", "prompts=7"], known)["parts"] == ("style", "answers")
    with pytest.raises(BadInput) as caught:
        options_of(["parts=stile", "prompts=0", "colour=red", "word"], known)
    assert [problem.field for problem in caught.value.problems] == ["parts", "prompts", "colour=red", "word"]
    assert tuple(TASKS) == TASK_NAMES


@pytest.mark.parametrize(
    ("module", "words", "fields"),
    [
        (diagnostics, [], ["FOLDER"]),
        (diagnostics, ["no/such/folder"], ["FOLDER"]),
        (diagnostics, [".", "parts=stile"], ["parts"]),
        (card, [], ["FOLDER"]),
        (card, [".", "colour=red"], ["colour=red"]),
        (card, ["."], ["diagnostics.json"]),
    ],
)
def test_the_worlds_own_commands_end_in_2_on_bad_input(
    module: ModuleType,
    words: list[str],
    fields: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["command", *words])
    with pytest.raises(SystemExit) as caught:
        run(module.main)
    assert caught.value.code == 2
    assert [line.partition(": ")[0] for line in capsys.readouterr().err.splitlines()] == fields


def test_a_card_of_other_weights_is_refused(tmp_path: Path) -> None:
    """The card tells what was measured of the weights beside it, or nothing."""
    import shutil

    folder = tmp_path / "base"
    shutil.copytree(catalog.resolve(BASES[0]).located, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}), "utf-8")
    with pytest.raises(BadInput, match="other weights"):
        write_card(folder)


def test_the_page_shows_what_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    """Every shipped base, or one; as JSON the same numbers."""
    assert main(["show", "world"]) == 0
    text = capsys.readouterr().out
    assert f"version {VERSION}" in text and all(name in text for name in (*BASES, *TASKS))
    assert main(["show", "world", f"model={BASES[1]}", "format=json"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert list(page["bases"]) == [BASES[1]]
    shown = page["bases"][BASES[1]]
    assert "recorded" in shown["how"] and shown["outside the bounds"] == []
    assert [Row(**row) for row in shown["rows"]] == list(record_of(BASES[1]).rows)


def test_the_page_measures_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """On fewer prompts, afresh, and says so."""
    asked = ["measure=true", "parts=answers", "tasks=word_removal", "prompts=10", "format=json"]
    assert main(["show", "world", "model=tiny:0", *asked]) == 0
    shown = json.loads(capsys.readouterr().out)["bases"]["tiny:0"]
    assert "just now: 10 test prompts" in shown["how"]
    assert {row["name"].partition(":")[0] for row in shown["rows"]} == {"word_removal"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prompts=10"], "add measure=true"),
        (["measure=maybe"], "give true or false"),
        (["model=smollm3"], "unknown"),
        (["ilf"], "is no option"),
    ],
)
def test_the_page_refuses_what_it_cannot_do(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the fix."""
    assert main(["show", "world", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_page_of_what_is_recorded_loads_no_torch() -> None:
    """Looking costs nothing."""
    program = "import sys, alignment_bench.cli as c; c.main(['show', 'world']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
