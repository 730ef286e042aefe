"""Methods rehearsed: the jobs that `bench plan` names beside those that a run does."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import registry
from alignment_bench.costs.estimate import Start, estimate
from alignment_bench.costs.probe import Probe
from alignment_bench.costs.sums import Estimate
from alignment_bench.planning import make_plan

SIZES = {
    "ppo": "ppo:iterations=1:rollouts=4:epochs=1",
    "alt": "alt:iterations=1:prompts=4:samples=5",
    "quark": "quark:rounds=1:prompts=6:steps=2",
    "grpo": "grpo:steps=1:rollouts=4:group=2",
    "rloo": "rloo:steps=1:rollouts=4:group=2",
    "online_dpo": "online_dpo:steps=1:rollouts=4",
    "srt": "srt:stage=1",
    "self_rewarding": "self_rewarding:iterations=1",
    "self_rerank": "self_rerank:n=2:by=likelihood",
}
"""labels of the methods whose defaults do not fit the small world"""


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No machine is measured: every unit takes a tenth of a second."""

    def measure(self: Probe, needed: set[str]) -> None:
        self.rates |= dict.fromkeys(needed, 0.1)

    monkeypatch.setattr(Probe, "measure", measure)
    monkeypatch.setenv("ALIGNMENT_BENCH_CACHE", str(tmp_path / "cache"))


def planned(small_tldr: Any, methods: str, *options: str, workers: int = 1) -> Estimate:
    plan = make_plan(small_tldr.request(methods, *options), say=lambda text: None)
    return estimate(plan, workers, probe="auto", start=Start(), say=lambda text: None)


def test_every_method_can_be_rehearsed(small_tldr: Any, priced: None) -> None:
    labels = ",".join(SIZES.get(name, name) for name in registry.shipped("methods") if name != "base")
    found = planned(small_tldr, labels)
    assert {cell.cell.label.text: cell.failed for cell in found.failed} == {}
    assert all(row.own for part in found.parts for row in part.rows)


def test_the_plan_names_the_jobs_that_the_run_does(small_tldr: Any, priced: None) -> None:
    """Kind by kind, and by key where no stand-in comes before; what is stored is planned no more."""
    methods = "ilf:rounds=1:selection=longest,sft,best_of_n:n=2"
    before = planned(small_tldr, methods)
    jobs = before.parts[0].jobs
    small_tldr.run(methods)
    done = [path.parent for path in (small_tldr.results / "jobs").glob("*/*/job.json")]
    # Whether a second draw is needed for some refinements is for the samples to say.
    assert Counter(path.parent.name for path in done) - Counter(j.kind for j in jobs) == Counter()
    assert len(jobs) - len(done) <= 1
    certain = {path.name for path in done} & {one.key for one in jobs}
    assert {j.kind for j in jobs if j.key in certain} >= {"sample", "ask", "score"}
    spent = sum(json.loads((p / "job.json").read_text())["spend"]["tokens_trained"] for p in done)
    guessed = sum(j.spend.tokens_trained for j in jobs)
    assert guessed == pytest.approx(spent, rel=0.5)
    after = planned(small_tldr, methods)
    assert (after.seconds, after.wall, set(after.expected.values())) == (0.0, 0.0, {0.0})
    assert [row.stored for row in after.parts[0].rows] == [1, 1, 1, 1]


def test_a_plan_of_a_half_done_run_counts_what_is_left(small_tldr: Any, priced: None) -> None:
    """One trained policy is stored; with the cell gone its jobs are found, its samples too."""
    small_tldr.run("sft")
    shutil.rmtree(small_tldr.results / "cells")
    part = planned(small_tldr, "sft,dpo:epochs=1").parts[0]
    assert {job.stored for job in part.jobs if job.cells[0] < 2} == {True}
    left = Counter(job.kind for job in part.jobs if not job.stored)
    assert left["dpo"] == left["ask"] == 1 and "finetune" not in left


def test_methods_share_what_they_would_share(small_tldr: Any, priced: None) -> None:
    """alt, ppo and best_of_n buy one reward model; seeds share nothing."""
    methods = ",".join([SIZES["alt"], SIZES["ppo"], "best_of_n:n=2"])
    part = planned(small_tldr, methods, "seeds=0,1").parts[0]
    models = [job for job in part.jobs if job.kind == "reward_model"]
    assert [len(job.cells) for job in models] == [3, 3]
    assert part.shared.own > 0 and all(row.shared for row in part.rows)
    alone = planned(small_tldr, methods).parts[0]
    assert part.seconds == pytest.approx(2 * alone.seconds, rel=0.2)
