"""Tuned values in a run: which file, which fields, one cell with the same values typed by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import cli
from alignment_bench.errors import BadInput, Problem
from alignment_bench.labels import ResolvedLabel, ResolvedPart, parse_labels, resolve_labels
from alignment_bench.models import catalog
from alignment_bench.tuning import tuned
from alignment_bench.tuning.files import Entry, Head, Trial, TunedFile, read, write

HEAD = Head(
    "tldr",
    "1",
    "tiny:0",
    "d",
    "1000",
    "d",
    "small",
    54750.0,
    "seconds",
    (0,),
    "quality",
    "higher",
    "a",
    "g",
    "base",
)
SPEND = {"annotator_seconds": 7200.0, "calls": 0.0, "tokens_generated": 10.0, "tokens_trained": 5.0}
SPEND |= {"flops": 1.0, "seconds": 3.0}
TRIALS = (Trial({}, "ok", 0.5, spend=SPEND), Trial({"x.y": 1}, "failed", None, 'a "reason"\n\x7f\té', SPEND))


def entry(label: str, values: dict[str, Any], fixed: dict[str, Any] | None = None, trials: int = 2) -> Entry:
    parts = tuple(piece.partition(":")[0] for piece in label.split("+"))
    return Entry(label, parts, fixed or {}, values, 0, TRIALS[:trials], SPEND, {"core": "1"})


def stored(path: Path, *entries: Entry, head: Head = HEAD) -> TunedFile:
    write(path, head, entries)
    return read(path)


def label(text: str, **overrides: dict[str, str]) -> ResolvedLabel:
    problems: list[Problem] = []
    (found,) = resolve_labels(parse_labels(text, problems), overrides, problems)
    assert not problems
    return found


def fill(text: str, file: TunedFile | None, **overrides: dict[str, str]) -> ResolvedLabel:
    problems: list[Problem] = []
    found = tuned.filled(label(text, **overrides), file, problems)
    assert not problems, problems
    return found


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    entries = (
        entry("sft", {"sft.learning_rate": 1e-05, "sft.epochs": None}),
        entry("ilf:rounds=2", {}, {"ilf.rounds": 2}),
    )
    file = stored(tmp_path / "a" / "t.toml", *entries)
    assert file.head == HEAD and file.entries[1] == entries[1]
    assert file.entries[0].trials == TRIALS
    assert file.entries[0].values == {"sft.learning_rate": 1e-05, "sft.epochs": "none"}
    assert fill("sft", file).parts[0].plugin.epochs is None
    again = stored(tmp_path / "t.toml", *file.entries)
    assert again.digest == file.digest


def test_only_what_nobody_typed_is_filled(tmp_path: Path) -> None:
    file = stored(tmp_path / "t.toml", entry("sft", {"sft.learning_rate": 2e-3, "sft.epochs": 5}))
    plain = fill("sft", file)
    assert (plain.parts[0].plugin.learning_rate, plain.parts[0].plugin.epochs) == (2e-3, 5)
    assert plain.text == "sft" and plain.parts[0].tuned == {"learning_rate": 2e-3, "epochs": 5}
    inline = fill("sft:epochs=1", file).parts[0]
    assert (inline.plugin.learning_rate, inline.plugin.epochs) == (2e-3, 1)
    dotted = fill("sft", file, sft={"learning_rate": "0.1"}).parts[0]
    assert (dotted.plugin.learning_rate, dotted.plugin.epochs) == (0.1, 5)
    both = fill("sft:epochs=1:learning_rate=.1", file)
    assert both.tuning == {} and both.configuration == label("sft:epochs=1:learning_rate=.1").configuration
    # typed as the default is typed too
    assert fill("sft:epochs=none", file).parts[0].plugin.epochs is None
    assert fill("sft", None).configuration == label("sft").configuration


def test_controls_share_the_values_and_variants_keep_their_own(tmp_path: Path) -> None:
    file = stored(
        tmp_path / "t.toml",
        entry("ilf", {"ilf.learning_rate": 1e-3}),
        entry("ilf:selection=random", {"ilf.learning_rate": 2e-3}, {"ilf.selection": "random"}),
        entry("sft:source=own", {"sft.learning_rate": 4e-3}, {"sft.source": "own"}),
    )
    rates = {
        text: fill(text, file).parts[0].plugin.learning_rate
        for text in (
            "ilf",
            "ilf:feedback=none",
            "ilf:selection=random:feedback=none",
            "sft",
            "sft:source=own",
        )
    }
    assert list(rates.values()) == [1e-3, 1e-3, 2e-3, None, 4e-3]
    # fixed while tuning to what is the default: the plain label is that very configuration
    same = stored(
        tmp_path / "u.toml", entry("sft:source=reference", {"sft.epochs": 4}, {"sft.source": "reference"})
    )
    assert fill("sft", same).parts[0].plugin.epochs == 4
    assert fill("sft:source=own", same).tuning == {}


def test_two_searches_that_fit_a_label_equally_well_are_an_error(tmp_path: Path) -> None:
    file = stored(
        tmp_path / "t.toml",
        entry("ilf:feedback=none", {"ilf.learning_rate": 1e-3}, {"ilf.feedback": "none"}),
        entry("ilf:selection=random", {"ilf.learning_rate": 2e-3}, {"ilf.selection": "random"}),
    )
    problems: list[Problem] = []
    whole = label("ilf:feedback=none:selection=random")
    assert tuned.filled(whole, file, problems) == whole
    assert len(problems) == 1 and "ilf:feedback=none and ilf:selection=random" in problems[0].message
    assert fill("ilf:feedback=none", file).parts[0].plugin.learning_rate == 1e-3


def test_a_composition_has_its_own_values_or_those_of_its_parts(tmp_path: Path) -> None:
    parts = (entry("sft", {"sft.epochs": 4}), entry("best_of_n", {"best_of_n.n": 5}))
    file = stored(tmp_path / "t.toml", *parts)
    found = fill("sft+best_of_n", file)
    assert (found.parts[0].plugin.epochs, found.parts[1].plugin.n) == (4, 5)
    assert found.tuning["trials"] == 4 and found.tuning["annotator_seconds"] == 14400.0
    whole = entry("sft+best_of_n", {"sft.epochs": 7, "best_of_n.n": 2})
    found = fill("sft+best_of_n", stored(tmp_path / "u.toml", *parts, whole))
    assert (found.parts[0].plugin.epochs, found.parts[1].plugin.n) == (7, 2)
    assert found.tuning["trials"] == 2


def test_what_was_searched_in_vain_still_cost_something(tmp_path: Path) -> None:
    file = stored(tmp_path / "t.toml", entry("sft", {}), entry("base", {}, trials=1))
    assert fill("sft", file).tuning["trials"] == 2 and fill("sft", file).parts == label("sft").parts
    assert fill("base", file).tuning == {}


def test_the_model_s_own_file_comes_before_its_family_s(tmp_path: Path) -> None:
    one = catalog.resolve("tiny:1") if "tiny:1" in catalog.names() else catalog.resolve("tiny:0")
    stored(tmp_path / "tldr-tiny.toml", entry("sft", {"sft.epochs": 2}))
    family = tuned.file_for(str(tmp_path), "tldr", one)
    assert family and family.path.name == "tldr-tiny.toml"
    own = tuned.file_name("tldr", one.name)
    stored(tmp_path / own, entry("sft", {"sft.epochs": 3}))
    exact = tuned.file_for(str(tmp_path), "tldr", one)
    assert exact and exact.path.name == own == f"tldr-{one.name.replace(':', '-')}.toml"
    assert tuned.file_for(str(tmp_path), "code", one) is None
    assert tuned.file_for("none", "tldr", one) is None
    named = tuned.file_for(str(tmp_path / own), "tldr", replace(one, name="tiny:7"))
    assert named and named.path.name == own
    assert tuned.file_for(str(tmp_path / own), "code", one) is None
    assert tuned.file_name("tldr", "org/model@v1.0") == "tldr-org-model-v1.0.toml"


@pytest.mark.parametrize("path", sorted(tuned.shipped_folder().glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_files_can_be_used(path: Path) -> None:
    file = read(path)
    family = file.head.model.partition(":")[0]
    assert path.name in (tuned.file_name(file.head.task, name) for name in (file.head.model, family))
    assert len({len(one.trials) for one in file.entries if len(one.trials) > 1}) == 1, "equally many trials"


def test_everything_wrong_with_a_file_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    write(
        path,
        HEAD,
        (
            entry("sfft", {"sfft.epochs": 1}),
            entry("sft", {"sft.epoch": 1, "sft.learning_rate": -1.0, "ppo.epochs": 2}),
            entry("ilf", {"ilf.rounds": "many"}),
        ),
    )
    assert cli.main(["run", "methods=sft", "task=tldr", f"results={tmp_path / 'r'}", f"tuned={path}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5 and all(line.startswith(f"bench: tuned: {path}: ") for line in lines), lines
    for word in ("'sfft'", "did you mean epochs", "out of range", "'ppo.epochs'", "'many'"):
        assert any(word in line for line in lines), (word, lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("schema = [", "cannot be read"),
        ("schema = 9", "schema 9"),
        ("schema = 1\ntask = 'tldr'", "lacks 'model'"),
        ("schema = 1\ntsak = 'tldr'", "did you mean task"),
    ],
)
def test_a_file_that_is_none(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput) as error:
        read(path)
    assert message in str(error.value) and all(str(path) in p.message for p in error.value.problems)


def test_what_has_the_wrong_type_is_named(tmp_path: Path) -> None:
    """Every value of the head at once; of entries and trials, one line an entry."""
    path = stored(tmp_path / "t.toml", entry("sft", {"sft.epochs": 2})).path
    text = path.read_text()

    def said(*changes: tuple[str, str]) -> list[str]:
        changed = text
        for old, new in changes:
            assert old in changed, old
            changed = changed.replace(old, new, 1)
        path.write_text(changed)
        with pytest.raises(BadInput) as error:
            read(path)
        assert all(str(path) in problem.message for problem in error.value.problems)
        return [problem.message for problem in error.value.problems]

    head = said(('model = "tiny:0"', "model = 3"), ("seeds = [0]", "seeds = 0"), ("54750.0", '"x"'))
    assert [line.rpartition(": ")[2] for line in head] == [
        "model cannot be 3",
        "budget_amount cannot be x",
        "seeds cannot be 0",
    ]
    (values,) = said(('values = { "sft.epochs" = 2 }', "values = 3"), ('parts = ["sft"]', 'parts = "sft"'))
    assert "values cannot be 3" in values and "parts cannot be sft" in values
    (trial,) = said(('status = "ok"', 'status = "fine"'), ("score = 0.5", "score = true"))
    assert "status cannot be fine" in trial and "score cannot be true" in trial
    (tables,) = said(("[[method]]", "[method]"))
    assert "no [[method]] tables" in tables


def test_values_of_a_reported_world_are_refused(tmp_path: Path) -> None:
    """Results are reported on worlds below 1000: values searched there have seen what they are judged on."""
    path = stored(tmp_path / "t.toml", entry("sft", {"sft.epochs": 2})).path
    changed, count = re.subn(r'^world = ".*"$', 'world = "7"', path.read_text(), flags=re.MULTILINE)
    assert count == 1
    path.write_text(changed)
    with pytest.raises(BadInput, match="world 7, which results are reported on"):
        read(path)


def test_values_for_another_task_are_not_silently_left_out(tmp_path: Path) -> None:
    path = stored(tmp_path / "t.toml", entry("sft", {})).path
    (problem,) = tuned.unusable(str(path), ["code"])
    assert "not for code" in problem.message
    assert tuned.unusable(str(path), ["code", "tldr"]) == []


def test_a_method_may_refuse_values_beside_what_was_typed(tmp_path: Path) -> None:
    file = stored(tmp_path / "t.toml", entry("sft", {"sft.epochs": 5}))
    sft = type(label("sft").parts[0].plugin)

    def not_five(self: Any) -> None:
        if self.epochs == 5:
            raise ValueError("not five")

    picky: Any = dataclass(frozen=True)(type("Picky", (sft,), {"__post_init__": not_five}))
    found = ResolvedLabel("sft", (ResolvedPart("sft", picky()),))
    problems: list[Problem] = []
    assert tuned.filled(found, file, problems) is found
    assert "not five" in problems[0].message and "tuned=none" in problems[0].fix


def test_tuned_and_typed_are_one_cell(small_tldr: Any, tmp_path: Path) -> None:
    path = stored(tmp_path / "t.toml", entry("sft", {"sft.epochs": 2, "sft.learning_rate": 3e-3})).path
    off = small_tldr.cell("sft", "tuned=none").digest
    filled = small_tldr.cell("sft", f"tuned={path}")
    typed = "sft:epochs=2:learning_rate=0.003"
    assert filled.digest == small_tldr.cell(typed, "tuned=none").digest != off
    assert filled.digest == small_tldr.cell(typed, f"tuned={path}").digest
    assert small_tldr.cell("sft", "tuned=shipped").label.text == "sft"
    with pytest.raises(BadInput, match="same configuration"):
        small_tldr.cells(f"sft,{typed}", f"tuned={path}")
    assert len(small_tldr.cells(f"sft,{typed}", "tuned=none")) == 3


def test_what_training_starts_from_is_tuned_too(small_tldr: Any, tmp_path: Path) -> None:
    path = stored(tmp_path / "t.toml", entry("sft", {"sft.epochs": 2})).path
    cell = small_tldr.cell("ilf", "init=sft", f"tuned={path}")
    assert [(part.name, part.plugin.epochs) for part in cell.parts] == [("sft", 2), ("ilf", None)]
    assert cell.tuning["trials"] == 2
    assert small_tldr.cell("base", "init=sft", f"tuned={path}").tuning == {}


def test_plan_table_and_record_say_so(
    small_tldr: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = stored(tmp_path / "t.toml", entry("sft", {"sft.epochs": 2, "sft.learning_rate": 3e-3}))
    options = ("evaluators=length", "format=text", "quiet=false")
    mark = f"t.toml ({file.digest[:8]})"
    assert cli.main(["run", *small_tldr.argv("sft", *options, f"tuned={file.path}")]) == 0
    said, table = (" ".join(text.split()) for text in reversed(capsys.readouterr()))
    assert f"sft tuned: sft.epochs=2 sft.learning_rate=0.003 from {mark}, searched on tiny:0" in said
    assert f"tuned values: {mark}" in table and "2.0 h, 2 trials" in table
    record = small_tldr.records()["sft"]
    assert record.tuning["trials"] == 2 and record.tuning["file"] == "t.toml"
    assert small_tldr.records()["base"].tuning == {}

    # the same cell, typed by hand: not tuned, in this table
    assert cli.main(["run", *small_tldr.argv("sft:epochs=2:learning_rate=.003", *options)]) == 0
    said, table = reversed(capsys.readouterr())
    assert "stored" in said and "trials" not in table and "tuned values" not in table
