"""`bench plan`: jobs from a rehearsal, seconds from rates, and what a run says of the time that remains."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import cli
from alignment_bench.costs import expectations, units
from alignment_bench.costs.clock import Clock, Took
from alignment_bench.costs.dry import Planned
from alignment_bench.costs.estimate import Start, estimate
from alignment_bench.costs.expectations import Remaining
from alignment_bench.costs.measuring import fitted
from alignment_bench.costs.probe import Probe
from alignment_bench.costs.request import parse_plan
from alignment_bench.costs.schedule import makespan
from alignment_bench.costs.sums import Estimate
from alignment_bench.errors import BadInput
from alignment_bench.labels import ResolvedLabel, ResolvedPart
from alignment_bench.ledger import Spend
from alignment_bench.plan import Plan
from alignment_bench.planning import make_plan
from alignment_bench.progress import Reporter
from alignment_bench.training.settings import Settings

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No machine is measured: every unit takes a tenth of a second, what is timed a hundredth."""

    def measure(self: Probe, needed: set[str]) -> None:
        self.rates |= dict.fromkeys(needed, 0.1)

    @contextmanager
    def timing(self: Clock) -> Iterator[Took]:
        yield Took(0.01)

    monkeypatch.setattr(Probe, "measure", measure)
    monkeypatch.setattr(Clock, "timing", timing)
    monkeypatch.setenv("ALIGNMENT_BENCH_CACHE", str(tmp_path / "cache"))


def planned(small_tldr: Any, methods: str, *options: str, workers: int = 1) -> Estimate:
    plan = make_plan(small_tldr.request(methods, *options), say=lambda text: None)
    return estimate(plan, workers, probe="auto", start=Start(), say=lambda text: None)


def test_a_batch_takes_as_many_steps_as_its_longest_completion() -> None:
    """Prompts by length in batches of rows // n: (2, 3) and (5), each prompt with two completions."""
    found = units.drawn([5, 2, 3], [[4, 1], [2, 2], [1, 3]], rows=4)
    assert found == {units.DRAW_CALL: 2, units.DRAW_STEP: 3 + 4, units.DRAW_TOKEN: 13, units.DRAW_READ: 10}
    wide = units.drawn([5], [[4, 1, 2]], rows=2)  # more completions than rows: two turns
    assert (wide[units.DRAW_CALL], wide[units.DRAW_STEP]) == (2, 4 + 2)


def test_training_and_scoring_are_counted_as_their_loops_do() -> None:
    settings = Settings(1e-3, epochs=3, batch_size=4, micro_batch=4)
    assert units.trained([10] * 9, settings) == {units.TRAIN_STEP: 9, units.TRAIN_TOKEN: 270}
    # Two pairs share a prompt of 6 tokens, which is read once: (6 + 6) / 2 on the mean.
    assert units.scored([6, 6], [2, 3], distinct=1, rows=128) == {units.SCORE_BATCH: 1, units.SCORE_TOKEN: 11}


def test_rates_are_those_that_made_the_seconds() -> None:
    rates = {"step": 0.5, "token": 0.01, "batch": 0.0}
    asked = [{"batch": 1.0, "step": s, "token": t} for s, t in ((1.0, 5.0), (8.0, 80.0), (20.0, 9.0))]
    pieces = [(one, sum(rates[k] * v for k, v in one.items())) for one in asked]
    assert fitted(pieces) == pytest.approx(rates, abs=1e-9)


def job(key: str, seconds: float, *cells: int, stored: bool = False) -> Planned:
    return Planned(key, "sample", {"s": seconds}, Spend(), stored, list(cells))


def test_a_shared_job_is_done_once_and_waited_for() -> None:
    """Cell 0: a 4, shared 10; cell 1: b 2, shared, c 3. Worker 1 begins the shared job at 2, done at 12."""
    jobs = [
        job("a", 4, 0),
        job("b", 2, 1),
        job("both", 10, 0, 1),
        job("c", 3, 1),
        job("d", 9, 0, stored=True),
    ]
    assert makespan([0, 1], jobs, {"s": 1.0}, workers=1, start=1.0) == (1 + 4 + 10 + 2 + 3, [20])
    assert makespan([0, 1], jobs, {"s": 1.0}, workers=2, start=1.0) == (1 + 15, [1 + 4, 1 + 15])


def test_what_a_process_pays_once_every_worker_pays_once() -> None:
    jobs = [Planned(str(k), "dpo", {units.TRL_IMPORT: 1.0}, Spend(), False, [k]) for k in range(4)]
    assert makespan([0, 1, 2, 3], jobs, {units.TRL_IMPORT: 5.0}, 1, 0.0)[1] == [5.0]
    assert sum(makespan([0, 1, 2, 3], jobs, {units.TRL_IMPORT: 5.0}, 2, 0.0)[1]) == 10.0


@dataclass(frozen=True)
class Broken:
    """A method that cannot make anything of stand-ins."""

    wrapper = False
    wants = ()

    def align(self, policy: Any, prompts: Any, lab: Any) -> Any:
        lab.sample(policy, prompts[:2])
        raise RuntimeError("no summary begins with Z")


def test_a_method_that_cannot_be_rehearsed_is_named_and_in_no_sum(small_tldr: Any, priced: None) -> None:
    plan = make_plan(small_tldr.request("sft"), say=lambda text: None)
    broken = ResolvedLabel("broken", (ResolvedPart("sft", Broken(), {"learning_rate": 1.0}),))
    setting = replace(plan.settings[0], labels=(*plan.settings[0].labels, broken))
    said: list[str] = []
    found = estimate(Plan(plan.request, (setting,)), 1, probe="auto", start=Start(), say=said.append)
    assert [cell.failed for cell in found.failed] == ["RuntimeError: no summary begins with Z"]
    assert "cannot be planned" in said[0]
    from alignment_bench.costs import page

    text = page.as_text(found, 0.0)
    assert "!! tldr broken seed 0 cannot be planned, and is in no sum: RuntimeError" in text
    assert found.seconds == pytest.approx(planned(small_tldr, "sft").seconds)


def test_the_command_prints_a_table_a_price_and_json(small_tldr: Any, priced: None, capsys: Capture) -> None:
    argv = [a for a in small_tldr.argv("sft") if not a.startswith("format=")]
    assert cli.main(["plan", *argv, "rate=3.5"]) == 0
    text = capsys.readouterr().out
    for word in ("own jobs", "shared jobs", "FLOPs", "at 3.5 an hour", "memory at the peak", "* rates are"):
        assert word in text
    assert cli.main(["plan", *argv, "format=json", "rate=7"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["schema"] == 1 and whole["price"] == pytest.approx(7 * whole["wall_seconds"] / 3600)
    rows = [*whole["settings"][0]["rows"], whole["settings"][0]["shared"]]
    assert sum(row["tokens_trained"] for row in rows) == whole["tokens_trained"] > 0
    assert not (small_tldr.results / "cells").exists()  # nothing was done


def test_a_plan_says_that_it_times_training_in_one_process(small_tldr: Any, priced: None) -> None:
    from alignment_bench.costs import page

    one, two = (planned(small_tldr, "sft", f"training_processes={n}") for n in (1, 2))
    assert two.seconds == one.seconds
    assert [any("2 processes" in line for line in page.caveats(found)) for found in (one, two)] == [
        False,
        True,
    ]


def test_what_a_probe_kept_is_measured_again_where_it_is_damaged(small_tldr: Any, priced: None) -> None:
    whole = planned(small_tldr, "sft")
    (kept,) = expectations.place().parent.glob("*[0-9a-f].json")
    stored = json.loads(kept.read_text("utf-8"))
    kept.write_text(json.dumps({**stored, "pools": ["no pool"]}), "utf-8")
    again = planned(small_tldr, "sft")
    assert not again.parts[0].kept and again.seconds == whole.seconds
    assert isinstance(json.loads(kept.read_text("utf-8"))["pools"], dict)
    assert planned(small_tldr, "sft").parts[0].kept


def test_wrong_keys_are_told_together() -> None:
    with pytest.raises(BadInput) as told:
        parse_plan(["task=tldr", "rate=-1", "probe=maybe", "format=csv", "nonsense=1"])
    assert {p.field for p in told.value.problems} == {"rate", "probe", "format", "nonsense", "methods"}


def test_probe_false_measures_nothing(small_tldr: Any, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("ALIGNMENT_BENCH_CACHE", str(tmp_path / "empty"))
    argv = [a for a in small_tldr.argv("base") if not a.startswith("format=")]
    assert cli.main(["plan", *argv, "probe=false"]) == 1


def test_what_remains_follows_the_plan_and_the_cells_done() -> None:
    """Cells of 10, 20 and 30 s; the first took twice its time, with a prior of a fifth of the plan: 12 s."""
    left = Remaining({"a": [10.0], "b": [20.0, 30.0]}, from_plan=True)
    assert left.seconds({}) == 60
    left.ended("a", 20.0, stored=False)
    pace = (20 + 12) / (10 + 12)
    assert left.seconds({}) == pytest.approx(pace * 50)
    assert left.seconds({"b": 5.0}) == pytest.approx(pace * 50 - 5)
    assert left.seconds({"b": 500.0, "a": 0.0}) == pytest.approx(pace * 30 / 2)  # two workers, one late
    left.ended("b", 0.0, stored=True)  # it took no time, and its prior is gone with it
    assert left.seconds({}) == pytest.approx((20 + 8) / (10 + 8) * 30 / 2)


def test_without_a_plan_cells_count_alike_once_one_is_done() -> None:
    left = Remaining({"a": [1.0], "b": [1.0], "c": [1.0]}, from_plan=False)
    assert left.seconds({}) is None
    left.ended("a", 30.0, stored=False)
    assert left.seconds({}) == 60


def test_a_run_after_its_plan_tells_the_time_that_remains(
    small_tldr: Any, priced: None, capsys: Capture
) -> None:
    argv = [a for a in small_tldr.argv("base_copy", "quiet=false") if not a.startswith("format=")]
    assert cli.main(["plan", *argv]) == 0
    cells = list(small_tldr.cells("base_copy").values())
    assert expectations.remaining(cells).from_plan
    capsys.readouterr()
    assert cli.main(["run", *argv]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if ": ok (" in line]
    assert len(lines) == 2 and " left" in lines[0] and " left" not in lines[1]


def test_a_quiet_reporter_says_nothing(capsys: Capture, small_world: ModuleType) -> None:
    reporter = Reporter(2, quiet=True)
    reporter.expect(Remaining({"a": [5.0], "b": [5.0]}, from_plan=True))
    reporter.begin("a")
    reporter.end("ok")
    assert capsys.readouterr() == ("", "")
