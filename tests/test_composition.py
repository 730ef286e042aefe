"""Methods in a row, and what they start from: shares of one budget, and costs that nobody forgets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import aligning, registry, results, run, starts
from alignment_bench.completions import Decoding
from alignment_bench.errors import BadInput, CorruptResult
from alignment_bench.ledger import Ledger, Spend, price_of_acts
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.work import Work

SMALL = {
    "sft": "sft:epochs=1",
    "ilf": "ilf:rounds=1:epochs=1",
    "ppo": "ppo:iterations=1:rollouts=4:epochs=1",
    "expert_iteration": "expert_iteration:rounds=1:prompts_per_round=6:samples=2:epochs=1",
}
WRAP = "best_of_n:n=2"
BUDGET = 1845.0


@pytest.mark.parametrize("method", SMALL)
def test_a_trained_policy_takes_a_wrapper_and_each_pays_half(method: str, small_tldr: Any) -> None:
    """Together within the budget, the wrapper's comparisons for its half: 15 of the 30."""
    cell = small_tldr.cell(f"{SMALL[method]}+{WRAP}")
    alone = small_tldr.align(small_tldr.cell(SMALL[method])).spend
    aligned = small_tldr.align(cell)
    assert aligning.shares(cell) == [0.5, 0.5]
    assert aligned.spend.annotator_seconds <= BUDGET
    assert alone.annotator_seconds > BUDGET / 2, "on its own it gets more than half"
    prefers = aligned.spend.acts["prefer"]
    assert prefers == (30 if method in ("ppo", "expert_iteration") else 15)
    assert isinstance(aligned.policy.inner, ModelPolicy)  # type: ignore[attr-defined]
    assert aligned.policy.kl_bound(run.base_of(cell.setting)) is None  # type: ignore[attr-defined]


def test_a_wrappers_comparisons_are_between_samples_of_what_it_wraps(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the base: the reward model is for the answers that it will choose among."""
    cell = small_tldr.cell(f"{SMALL['sft']}+{WRAP}")
    with (
        small_world.calls_of(Work, "finetune", monkeypatch) as trained,
        small_world.calls_of(Work, "sample", monkeypatch) as sampled,
        small_world.calls_of(Work, "reward_model", monkeypatch) as bought,
    ):
        aligned = small_tldr.align(cell)
    tuned = trained[0][1][0]
    assert aligned.policy.inner.digest == tuned.digest
    assert [args[1].digest for args, _ in sampled] == [tuned.digest]
    shown = {c.text for row in sampled[0][1][0] for c in row}
    assert all(one.text in shown for _, a, b in bought[0][0][2] for one in (a, b))
    assert bought[0][0][1].digest == tuned.digest, "and is trained from it"


def test_a_wrapper_around_a_wrapper_trains_its_reward_model_from_the_base(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inner one has no weights of its own: footnoted, and the answers are still its best of."""
    cell = small_tldr.cell("best_of_n:n=2+best_of_n:n=3", "budget=3690s")
    base = run.base_of(cell.setting)
    with (
        small_world.calls_of(Work, "sample", monkeypatch) as sampled,
        small_world.calls_of(Work, "reward_model", monkeypatch) as bought,
    ):
        aligned = small_tldr.align(cell)
    assert any("reward model trained from the base" in note for note in aligned.notes)
    policy: Any = aligned.policy
    assert (policy.n, policy.inner.n, policy.inner.inner.digest) == (3, 2, base.digest)
    assert [args[1].digest for args, _ in sampled] == [base.digest, policy.inner.digest]
    assert [args[1].digest for args, _ in bought] == [base.digest, base.digest]
    prompts = [e.prompt for e in cell.setting.data.test][:3]
    rows = policy.generate(prompts, n=2, decoding=Decoding(max_tokens=8), seed=1)
    assert [len(row) for row in rows] == [2, 2, 2]


@pytest.mark.parametrize("method", ["ilf", "ppo", "expert_iteration"])
def test_init_sft_comes_first_and_has_its_share(
    method: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the budget in demonstrations, the method from there on with the other half."""
    cell = small_tldr.cell(SMALL[method], "init=sft")
    assert [part.name for part in cell.parts] == ["sft", method] and aligning.shares(cell) == [0.5, 0.5]
    with small_world.calls_of(Work, "finetune", monkeypatch) as trained:
        aligned = small_tldr.align(cell)
    base = run.base_of(cell.setting)
    assert trained[0][0][1].digest == base.digest
    assert all(args[1].digest == trained[0][1][0].digest for args, _ in trained[1:])
    assert aligned.spend.acts["demonstrate"] == 4  # of 195.5 s, in 922.5 s
    assert BUDGET / 2 < aligned.spend.annotator_seconds <= BUDGET
    assert cell.digest != small_tldr.cell(SMALL[method]).digest


def test_a_start_that_the_teacher_cannot_give_is_refused_before_any_work(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where something starts from it."""
    annotators = registry.load("teachers", "annotators")
    monkeypatch.setattr(annotators, "channels", ("prefer",))
    with pytest.raises(BadInput, match="annotators cannot be asked to demonstrate, which init=sft needs"):
        small_tldr.cells("dpo", "init=sft")
    assert len(small_tldr.cells("dpo")) == 2
    assert len(small_tldr.cells("base_copy", "init=sft")) == 2


def test_what_a_start_cost_is_shown_beyond_the_budget() -> None:
    """It is in what was spent, and nothing of what may still be spent is gone; nor of a part's share."""
    ledger = Ledger("seconds", 1000.0)
    ledger.inherit(price_of_acts("demonstrate", 4, 40, "seconds"))
    assert ledger.spent.annotator_seconds == 782.0 and ledger.spent.acts == {"demonstrate": 4}
    assert (ledger.used, ledger.remaining) == (0.0, 1000.0)
    ledger.open_part(0.5)
    assert ledger.remaining == 500.0
    ledger.charge(price_of_acts("prefer", 2, 0, "seconds"))
    assert (ledger.used, ledger.remaining) == (123.0, 377.0)
    assert ledger.spent.annotator_seconds == 905.0


def test_init_from_a_cell_starts_from_its_policy_and_charges_all_it_cost(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both steps of a two-step start included; a short digest does; the base stays the base."""
    small_tldr.run(SMALL["sft"], "init=sft", "evaluators=length")
    small_tldr.run(SMALL["ilf"], "init=sft", "evaluators=length")
    first = small_tldr.records()[SMALL["ilf"]]
    assert set(first.spend["acts"]) == {"demonstrate", "critique"}
    init = f"init={small_tldr.results}/cells/{first.digest[:12]}"
    label = SMALL["expert_iteration"]
    alone = small_tldr.align(small_tldr.cell(label)).spend
    cell = small_tldr.cell(label, init)
    with small_world.calls_of(Work, "finetune", monkeypatch) as trained:
        aligned = small_tldr.align(cell)
    assert trained[0][0][1].digest == first.code["policy"]
    assert aligned.spend.acts == {**first.spend["acts"], "prefer": alone.acts["prefer"]}
    assert aligned.spend.annotator_seconds == pytest.approx(
        first.spend["annotator_seconds"] + alone.annotator_seconds
    )
    assert aligned.spend.tokens_trained > first.spend["tokens_trained"]
    assert any("all that it cost is included beyond the budget" in note for note in aligned.notes)
    assert not any("other data" in note for note in aligned.notes)
    assert cell.setting.init.startswith(f"{first.label}, seed 0@")
    small_tldr.run(label, init, "evaluators=length")
    stored = [r for r in results.read_all(small_tldr.results)[0] if r.init == cell.setting.init]
    costs = {record.label: record.spend["annotator_seconds"] for record in stored}
    assert costs == {"base": 0.0, label: aligned.spend.annotator_seconds}
    assert costs[label] > BUDGET


def test_init_from_a_jobs_folder_finds_the_cell_that_ended_with_it(small_tldr: Any) -> None:
    """By the policy's place; a step that no cell ended with has only its own cost, and says so."""
    small_tldr.run(SMALL["ilf"], "init=sft", "evaluators=length")
    record = small_tldr.records()[SMALL["ilf"]]
    folder = small_tldr.results / record.code["policy_folder"]
    for named in (folder, folder.parent):
        start = starts.find(str(named))
        assert start.record == record and not start.partial
        assert start.spend == Spend.from_json(record.spend)
    jobs = [job for job in small_tldr.results.glob("jobs/finetune/*") if job != folder.parent]
    step = starts.find(str(jobs[0]))
    assert step.partial and step.record is None and "earlier ones are not known" in step.note
    assert step.spend is not None and step.spend.tokens_trained > 0 and step.spend.acts == {}


def test_init_from_a_folder_of_unknown_origin_says_that_its_cost_is_not_known(
    small_tldr: Any, tmp_path: Path
) -> None:
    policy = small_tldr.align(small_tldr.cell(SMALL["sft"])).policy
    moved = shutil.copytree(policy.folder, tmp_path / "mine")
    label = SMALL["expert_iteration"]
    aligned = small_tldr.align(small_tldr.cell(label, f"init={moved}"))
    assert aligned.spend.acts == small_tldr.align(small_tldr.cell(label)).spend.acts
    assert any("(mine); what that one cost is not known, and not included" in n for n in aligned.notes)
    assert any("test prompts may be among it" in note for note in aligned.notes)


def test_a_start_aligned_on_other_data_is_footnoted(small_tldr: Any) -> None:
    """Its training prompts may be what is tested here."""
    small_tldr.run(SMALL["sft"], "evaluators=length", "task.world=1001")
    record = small_tldr.records()[SMALL["sft"]]
    cell = small_tldr.cell(
        SMALL["expert_iteration"],
        "task.world=1002",
        f"init={results.cell_folder(small_tldr.results, record.digest)}",
    )
    assert any("was aligned on other data" in note for note in small_tldr.align(cell).notes)


def test_what_init_cannot_be(small_tldr: Any, tmp_path: Path) -> None:
    """Each refused by name before any work, with what to write instead."""
    small_tldr.run(SMALL["sft"], "evaluators=length", "budget=100s")  # pays for no demonstration
    failed = small_tldr.records()[SMALL["sft"]]
    cells = small_tldr.results / "cells"
    for init, message in (
        (tmp_path / "nowhere", "neither base nor sft nor the folder of a stored policy"),
        (cells / failed.digest, "has no policy: over_budget"),
        (cells / "0123456789", "neither base nor sft"),
        (cells / failed.digest[:4], "neither base nor sft"),
    ):
        with pytest.raises(BadInput, match=message) as raised:
            small_tldr.request(SMALL["expert_iteration"], f"init={init}")
        assert raised.value.problems[0].field == "init"


def test_a_start_that_is_gone_or_was_changed_is_refused(small_tldr: Any) -> None:
    """A cell whose policy was deleted names it; one whose policy is another by now fails."""
    small_tldr.run(f"{SMALL['sft']},{SMALL['ilf']}", "evaluators=length")
    records = small_tldr.records()
    one, other = (small_tldr.results / records[SMALL[m]].code["policy_folder"] for m in ("sft", "ilf"))
    init = f"init={small_tldr.results}/cells/{records[SMALL['sft']].digest}"
    cell = small_tldr.cell(SMALL["expert_iteration"], init)
    shutil.rmtree(one)
    shutil.copytree(other, one)
    with pytest.raises(CorruptResult, match="is not the policy of"):
        small_tldr.align(cell)
    shutil.rmtree(one)
    with pytest.raises(BadInput, match="any more"):
        small_tldr.request(SMALL["expert_iteration"], init)


def test_a_start_with_another_cost_is_another_cell(small_tldr: Any) -> None:
    """What is charged is part of the row, so it is part of its identity; wall time is not."""
    small_tldr.run(SMALL["sft"], "evaluators=length")
    record = small_tldr.records()[SMALL["sft"]]
    start = starts.find(str(results.cell_folder(small_tldr.results, record.digest)))
    spend = json.loads(json.dumps(record.spend))
    slower = starts.Start(start.name, start.folder, Spend.from_json({**spend, "seconds": 1e6}), record)
    dearer = starts.Start(start.name, start.folder, Spend.from_json({**spend, "words": 7777}), record)
    unknown = starts.Start(start.name, start.folder, None, None)
    assert start.identity == slower.identity
    assert len({start.identity, dearer.identity, unknown.identity}) == 3
