"""`bench tune`: what is searched, that every method gets the same, and what it leaves behind."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from alignment_bench import cli, registry, results, run
from alignment_bench.cells import CellRecord, MetricScores
from alignment_bench.errors import BadInput, BenchError
from alignment_bench.evaluation import Metric
from alignment_bench.fields import convert, out_of_range, show_value
from alignment_bench.labels import ResolvedLabel, ResolvedPart, parse_labels, resolve_labels
from alignment_bench.tuning import tune as tuning
from alignment_bench.tuning.files import Entry, Head, Trial, read
from alignment_bench.tuning.request import parse_tune
from alignment_bench.tuning.search import searched, space, trials_of, with_fields
from alignment_bench.tuning.table import Curve, render

QUALITY = Metric("quality", "0-1", "higher")


@dataclass(frozen=True)
class Toy:
    """A method that is only configured, never run."""

    rate: float | None = field(default=None, metadata={"min": 0, "tune": ("log", 1e-4, 1e-2)})
    share: float = field(default=0.5, metadata={"tune": ("linear", 0.0, 1.0)})
    rounds: int = field(default=3, metadata={"tune": ("log", 1, 100)})
    form: Literal["a", "b"] = field(default="a", metadata={"tune": ("choice", ("a", "b"))})
    other: int = 7


@dataclass(frozen=True)
class Picky:
    """A method that refuses one of its combinations."""

    form: Literal["a", "b"] = field(default="a", metadata={"tune": ("choice", ("a", "b"))})
    size: int = field(default=1, metadata={"tune": ("choice", (1, 2))})

    def __post_init__(self) -> None:
        if self.form == "b" and self.size == 2:
            raise ValueError("b comes in one size")


def label_of(plugin: Any, *given: str) -> ResolvedLabel:
    return ResolvedLabel("toy", (ResolvedPart("toy", plugin, frozenset(given)),))


def labels(text: str) -> tuple[ResolvedLabel, ...]:
    problems: list[Any] = []
    found = resolve_labels(parse_labels(text, problems), {}, problems)
    assert not problems
    return found


@pytest.mark.parametrize("name", registry.shipped("methods"))
def test_shipped_ranges_are_values_of_their_fields(name: str) -> None:
    method = registry.load("methods", name)
    ranges = space(method)  # raises where one is nonsense
    trainable = "learning_rate" in method.__dataclass_fields__
    assert not trainable or "learning_rate" in {one.field for one in ranges}


def test_draws_stay_in_their_ranges_and_differ() -> None:
    trials = trials_of(label_of(Toy()), 60)
    assert len(trials) == 60 and trials[0][0] == {} and trials[0][1].parts[0].plugin == Toy()
    drawn = [fields for fields, _ in trials[1:]]
    assert {tuple(sorted(fields)) for fields in drawn} == {
        ("toy.form", "toy.rate", "toy.rounds", "toy.share")
    }
    rates = sorted(fields["toy.rate"] for fields in drawn)
    assert 1e-4 <= rates[0] < 2e-4 and 5e-3 < rates[-1] <= 1e-2
    assert 5e-4 < rates[len(rates) // 2] < 2e-3, "half of a logarithmic range lies below its geometric mean"
    assert {type(fields["toy.rounds"]) for fields in drawn} == {int}
    assert sum(fields["toy.rounds"] <= 10 for fields in drawn) > 15
    assert {fields["toy.form"] for fields in drawn} == {"a", "b"}
    assert all(0 <= fields["toy.share"] <= 1 for fields in drawn)
    assert len({str(trial.configuration) for _, trial in trials}) == 60
    for fields, trial in trials[1:]:
        assert {f"toy.{k}": v for k, v in trial.parts[0].fields.items() if k != "other"} == fields


def test_a_longer_search_continues_a_shorter_one() -> None:
    assert trials_of(label_of(Toy()), 12)[:5] == trials_of(label_of(Toy()), 5)
    other = replace(label_of(Toy()), text="toy:other=7")
    assert trials_of(other, 5)[1][0] != trials_of(label_of(Toy()), 5)[1][0]


def test_what_a_label_fixes_is_not_searched() -> None:
    label = label_of(Toy(rate=3e-3), "rate")
    assert set(searched(label)) == {"toy.share", "toy.rounds", "toy.form"}
    assert {trial.parts[0].plugin.rate for _, trial in trials_of(label, 6)} == {3e-3}
    (sft,) = labels("sft:epochs=2")
    assert set(searched(sft)) == {"sft.learning_rate"}


def test_the_parts_of_a_composition_are_searched_together() -> None:
    (label,) = labels("sft:epochs=2+best_of_n:n=4")
    assert set(searched(label)) == {key for key in searched(label)} and "sft.learning_rate" in searched(label)
    changed = with_fields(label, {"sft.learning_rate": 2e-3})
    assert changed.text == "sft:learning_rate=0.002:epochs=2+best_of_n:n=4"
    assert changed.parts[1].plugin == label.parts[1].plugin


def test_a_small_space_is_used_up_and_refused_combinations_are_not_in_it() -> None:
    trials = trials_of(label_of(Picky()), 20)
    found = {(trial.parts[0].plugin.form, trial.parts[0].plugin.size) for _, trial in trials}
    assert len(trials) == 3 and found == {("a", 1), ("a", 2), ("b", 1)}
    assert len(trials_of(label_of(Picky(), "form", "size"), 20)) == 1


@pytest.mark.parametrize(
    ("kind", "declared", "message"),
    [
        (float, ("log", 0.0, 1.0), "above 0"),
        (float, ("linear", 2.0, 1.0), "low < high"),
        (float, ("linear", 1.0), "low < high"),
        (float, ("normal", 0.0, 1.0), "is not"),
        (float, ("linear", 0.5, 9.0), "at most 5"),
        (int, ("choice", (1,)), "two choices"),
        (int, ("choice", (1, 2.5)), "not a whole number"),
        (str, ("linear", 0.0, 1.0), "str"),
    ],
)
def test_nonsense_in_a_range_is_named(kind: type, declared: Any, message: str) -> None:
    made: Any = type("Bad", (), {"__annotations__": {"size": kind}, "__module__": __name__})
    made.size = field(default=kind(), metadata={"max": 5, "tune": declared})
    with pytest.raises(ValueError, match=f"Bad.size.*{message}"):
        space(dataclass(frozen=True)(made))


def argv(world: Any, methods: str, *options: str) -> list[str]:
    """The words after `bench tune` on the small world."""
    given = [word for word in world.argv(methods, *options) if not word.startswith("evaluators=")]
    return ["tune", *given, *(() if "trials=" in " ".join(options) else ("trials=3",))]


def tune(world: Any, methods: str, *options: str, code: int = 0) -> list[dict[str, Any]]:
    """`bench tune` in this process: the rows of its JSON table."""
    out = Path(f"{world.results}.tune.json")
    assert cli.main([*argv(world, methods, *options), f"out={out}"]) == code
    rows: list[dict[str, Any]] = json.loads(out.read_text())
    return rows


def jobs(world: Any) -> int:
    return len((world.results / "jobs" / "done.jsonl").read_text().splitlines())


def test_tune_writes_what_run_uses(small_tldr: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tune(small_tldr, "base,sft", "seeds=0,1")
    path = small_tldr.results / "tuned" / "tldr-tiny-0.toml"
    stored = read(path)
    head = stored.head
    assert (head.task, head.model, head.world, head.seeds) == ("tldr", "tiny:0", "1000", (0, 1))
    assert (head.objective, head.budget_amount, head.currency) == ("quality", 1845.0, "seconds")
    base, sft = stored.entries
    assert len(base.trials) == 1 and len(sft.trials) == 3 and base.values == {}

    records = {r.digest: r for r in results.read_all(small_tldr.results)[0]}
    assert {r.world for r in records.values()} == {"1000"} and len(records) == 8
    for row, trial in zip(rows[1:], sft.trials, strict=True):
        own = [
            r for r in records.values() if r.method[0]["name"] == "sft" and fields_of(r) == configured(trial)
        ]
        assert {r.seed for r in own} == {0, 1}
        scores = [v for r in own for m in r.scores if m.name == "quality" for v in m.values]
        assert trial.score == row["score"] == pytest.approx(sum(scores) / len(scores), abs=1e-12)
        assert trial.spend["annotator_seconds"] == sum(r.spend["annotator_seconds"] for r in own) > 0
    assert sft.spend["annotator_seconds"] == sum(t.spend["annotator_seconds"] for t in sft.trials)
    scored = [trial.score or 0.0 for trial in sft.trials]
    assert sft.best == scored.index(max(scored)) and sft.values == sft.trials[sft.best].fields
    assert [row["best_so_far"] for row in rows[1:]] == [max(scored[: i + 1]) for i in range(3)]

    # again: nothing is done twice, and the file is the same
    before, done = path.read_bytes(), jobs(small_tldr)
    assert tune(small_tldr, "base,sft", "seeds=0,1") == rows
    assert path.read_bytes() == before and jobs(small_tldr) == done

    # one more trial continues, another method is merged, and csv holds the same rows
    longer = tune(small_tldr, "sft", "seeds=0,1", "trials=4")
    assert longer[:3] == rows[1:]
    tune(small_tldr, "base_copy", "seeds=0,1")
    merged = {entry.label: len(entry.trials) for entry in read(path).entries}
    assert merged == {"base": 1, "base_copy": 1, "sft": 4}
    capsys.readouterr()
    assert cli.main(argv(small_tldr, "sft", "seeds=0,1", "trials=4", "format=csv")) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["best_so_far"]) for row in table] == [row["best_so_far"] for row in longer]
    assert table[1]["fields"] == longer[1]["fields"] != ""


def fields_of(record: CellRecord) -> dict[str, Any]:
    return {key: value for key, value in record.method[0]["fields"].items() if value is not None}


def configured(trial: Trial) -> dict[str, Any]:
    return {"source": "reference", **{key.partition(".")[2]: value for key, value in trial.fields.items()}}


def test_a_trial_that_fails_counts_and_says_why(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    align = run.align

    def broken(cell: Any, *rest: Any) -> Any:
        if cell.label.text != "sft":
            raise BenchError("no trial but the first")
        return align(cell, *rest)

    monkeypatch.setattr(run, "align", broken)
    rows = tune(small_tldr, "sft")
    assert [row["status"] for row in rows] == ["ok", "failed", "failed"]
    (entry,) = read(small_tldr.results / "tuned" / "tldr-tiny-0.toml").entries
    assert entry.best == 0 and entry.values == {}
    assert [trial.reason for trial in entry.trials] == ["", *["no trial but the first"] * 2]
    assert cli.main(argv(small_tldr, "sft", "format=text")) == 0
    assert "sft, trial 2: failed: no trial but the first" in capsys.readouterr().out


def test_a_method_without_any_score_is_an_error_code(small_tldr: Any) -> None:
    rows = tune(small_tldr, "sft", "budget=10s", code=1)
    assert {row["status"] for row in rows} == {"over_budget"} and len(rows) == 3
    (entry,) = read(small_tldr.results / "tuned" / "tldr-tiny-0.toml").entries
    assert entry.best is None and "raise budget=" in entry.trials[0].reason


def test_other_terms_are_refused_before_any_work(small_tldr: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tune(small_tldr, "base")
    done = jobs(small_tldr)
    assert cli.main(argv(small_tldr, "base", "budget=2000s", "task.world=1001")) == 2
    said = capsys.readouterr().err
    assert "tldr-tiny-0.toml" in said and "world '1000', not '1001'" in said and "budget '1845s'" in said
    assert jobs(small_tldr) == done


def test_everything_that_is_wrong_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "methods=stf task=tldr evaluators=kl strict=true trials=0 foo=1 format=latex seeds=x"
    assert cli.main(["tune", *words.split()]) == 2
    lines = capsys.readouterr().err.splitlines()
    fields = [line.removeprefix("bench: ").partition(":")[0] for line in lines]
    assert sorted(fields) == sorted(
        ["methods", "evaluators", "strict", "trials", "foo", "format", "seeds"]
    ), lines
    assert any("is no key of bench tune" in line for line in lines) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "where", "fix"),
    [
        ("task.world=999", "task.world", "1000 or above"),
        ("task.world=0", "task.world", "1000 or above"),
        ("model=smollm2 task.data=rows.jsonl", "task.data", "leave task.data out"),
        ("budget=smoke,small", "budget", "at the budget of the comparison"),
        ("trials=2 trials=3", "trials", "keep one"),
        ("init=stored", "init", "init=base or init=sft"),
        ("tuned=absent.toml", "tuned", "shipped, none, or a file"),
    ],
)
def test_one_line_for_one_mistake(
    words: str, where: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "reference": "b"}\n' * 3)
    (tmp_path / "stored").mkdir()
    (tmp_path / "stored" / "policy.json").write_text("{}")
    with pytest.raises(BadInput) as error:
        parse_tune(["methods=sft", "task=tldr", *words.split()])
    assert where in {problem.field for problem in error.value.problems}
    assert any(fix in problem.fix for problem in error.value.problems), error.value.problems


def test_the_defaults_of_tuning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request = parse_tune(["methods=sft", "task=tldr,code"])
    assert request.trials == 8 and [run.tasks for run in request.runs] == [("tldr",), ("code",)]
    for one in request.runs:
        assert (one.task_options.world, one.tuned) == (1000, "none")
        (name,) = one.evaluators or ()
        task = registry.load("tasks", one.tasks[0])
        assert task.main_metric in {m.name for m in registry.load("evaluators", name).metrics}


HEAD = Head("t", "1", "m", "d", "1000", "d", "small", 1.0, "seconds", (0,), "loss", "lower", "t", "j", "base")


def test_lower_can_be_better(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = tuple(
        Trial({}, "ok" if s is not None else "failed", s, spend={}) for s in (0.5, None, 0.7, 0.2, 0.3)
    )
    spend = {"annotator_seconds": 3600.0, "calls": 0.0}
    curve = Curve(HEAD, Entry("x", ("x",), {}, {"x.a": 1}, 3, trials, spend))
    assert curve.best_so_far() == [0.5, 0.5, 0.5, 0.2, 0.2]
    assert [row["best_so_far"] for row in json.loads(render([curve], "json"))] == curve.best_so_far()
    text = render([curve], "text")
    assert "lower is better" in text and "x.a=1" in text and "1.0 h" in text and "0.2000" in text


def test_a_metric_that_was_not_measured_is_no_score(small_tldr: Any) -> None:
    cell = small_tldr.cell("base")
    blank = run.blank_record(cell, run.datetime.now(run.UTC))
    ids: dict[str, Any] = {"prompt_ids": ("a", "b"), "clusters": ("a", "b")}
    unmeasured = replace(blank, **ids, scores=(MetricScores("quality", "0-1", "higher", missing="no gold"),))
    assert tuning.trial_of({}, [unmeasured], QUALITY).reason == "no gold"
    half = replace(blank, **ids, scores=(MetricScores("quality", "0-1", "higher", (0.5, float("nan"))),))
    whole = replace(blank, **ids, scores=(MetricScores("quality", "0-1", "higher", (0.25, 0.75)),))
    assert tuning.trial_of({}, [half, whole], QUALITY).score == 0.5
    assert out_of_range(convert(show_value(0.5), float), {"max": 0.4})
