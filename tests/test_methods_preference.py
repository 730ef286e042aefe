"""DPO, KTO, online DPO, GRPO and RLOO as methods: what they buy, train on, and tell."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from alignment_bench import asking, controller, run, trl_jobs
from alignment_bench.config import parse
from alignment_bench.errors import BadInput, OverBudget
from alignment_bench.lines import load_lines
from alignment_bench.techniques import online

ONLINE = {
    "grpo": "grpo:steps=2:rollouts=8:group=4",
    "rloo": "rloo:steps=2:rollouts=8:group=4",
    "online_dpo": "online_dpo:steps=2:rollouts=8",
}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Fills with what methods measure of themselves."""
    found: dict[str, float] = {}
    measure = controller.Controller.measure

    def watched(self: controller.Controller, name: str, value: float) -> None:
        measure(self, name, value)
        found[name] = value

    monkeypatch.setattr(controller.Controller, "measure", watched)
    return found


def test_dpo_trains_on_the_comparisons_that_a_reward_model_would(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same samples and answers as best-of-n's, bought for the whole budget, winners first, ids kept."""
    cells = [small_tldr.cell("dpo"), small_tldr.cell("best_of_n:n=2")]
    with (
        small_world.calls_of(trl_jobs, "dpo", monkeypatch) as trained,
        small_world.calls_of(asking.Asking, "_ask", monkeypatch) as asked,
    ):
        aligned = [small_tldr.align(cell) for cell in cells]
    assert [a.spend.acts for a in aligned] == [{"prefer": 30}, {"prefer": 30}]
    assert asked[0][1][0] == asked[1][1][0]
    records = asked[0][1][0]
    expected = [
        (r.prompt_id, *(r.completions if r.preference == "first" else r.completions[::-1]))
        for r in records
        if r.preference in ("first", "second")
    ]
    _, policy, pairs, _, _ = trained[0][0]
    assert [(p.id, a.text, b.text) for p, a, b in pairs] == expected
    assert policy.digest == run.base_of(cells[0].setting).digest
    assert all(p.layout == "answer" and not p.slots for p, _, _ in pairs)


def test_dpo_tells_how_well_it_orders(small_tldr: Any, measured: dict[str, float]) -> None:
    small_tldr.align(small_tldr.cell("dpo:epochs=8"))
    assert measured["dpo_accuracy"] > 0.9 and measured["dpo_margin"] > 0


@pytest.mark.parametrize("loss", ["robust", "exo_pair"])
def test_losses_that_smooth_labels_must_be_told_how_much(loss: str) -> None:
    """As the command line is read, before any work."""
    with pytest.raises(BadInput, match="label_smoothing"):
        parse([f"methods=dpo:loss={loss}", "task=tldr"])
    parse([f"methods=dpo:loss={loss}:label_smoothing=.1", "task=tldr"])


def test_kto_labels_winners_and_losers(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch, measured: dict[str, float]
) -> None:
    with (
        small_world.calls_of(trl_jobs, "kto", monkeypatch) as trained,
        small_world.calls_of(asking.Asking, "_ask", monkeypatch) as asked,
    ):
        aligned = small_tldr.align(small_tldr.cell("kto"))
    winners = {
        (r.prompt_id, r.completions[0 if r.preference == "first" else 1])
        for r in asked[0][1][0]
        if r.preference in ("first", "second")
    }
    rows = trained[0][0][2]
    assert {(p.id, c.text) for p, c, good in rows if good} == winners
    assert 2 * sum(good for _, _, good in rows) == len(rows)
    assert any("binary labels made of" in note for note in aligned.notes)
    assert "kto_margin" in measured


def test_kto_labels_scores_above_the_median(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many samples as the budget pays scores for, more than one a prompt if need be."""
    with (
        small_world.calls_of(trl_jobs, "kto", monkeypatch) as trained,
        small_world.calls_of(asking.Asking, "_ask", monkeypatch) as asked,
    ):
        aligned = small_tldr.align(small_tldr.cell("kto:labels=score"))
    assert aligned.spend.acts == {"score": 30}
    values = sorted(r.value for r in asked[0][1][0])
    median = (values[14] + values[15]) / 2
    scored = [(r.prompt_id, r.completions[0], r.value) for r in asked[0][1][0]]
    rows = [(p.id, c.text, good) for p, c, good in trained[0][0][2]]
    assert rows == [(name, text, value > median) for name, text, value in scored if value != median]
    assert {good for _, _, good in rows} == {True, False}


@pytest.mark.parametrize("method", ONLINE)
def test_online_methods_buy_a_reward_model_and_measure_themselves(
    method: str, small_tldr: Any, measured: dict[str, float]
) -> None:
    aligned = small_tldr.align(small_tldr.cell(ONLINE[method]))
    assert aligned.spend.acts == {"prefer": 30}
    assert {"proxy_reward", "kl_to_start"} <= measured.keys()
    assert any("2 steps of 8 rollouts" in note for note in aligned.notes)
    [log] = (small_tldr.results / "jobs" / method).glob("*/log.jsonl")
    rows = load_lines(log)
    assert [row["step"] for row in rows] == [0, 1]
    assert all({"loss", "reward", "kl_to_reference", "ended"} <= row.keys() for row in rows)
    assert measured["proxy_reward"] == rows[-1]["reward"]


@pytest.mark.parametrize(
    ("label", "acts"),
    [
        ("grpo:reward=teacher:steps=9:rollouts=8:group=4", {"score": 24}),
        ("rloo:reward=teacher:steps=9:rollouts=8:group=4", {"score": 24}),
    ],
)
def test_a_teacher_scores_every_rollout_that_the_budget_pays(
    label: str, acts: dict[str, int], small_tldr: Any
) -> None:
    """Three steps of eight from a budget of thirty; not one act more, and the cut is told."""
    aligned = small_tldr.align(small_tldr.cell(label))
    assert aligned.spend.acts == acts
    assert any("3 of 9 steps" in note for note in aligned.notes)


def test_online_dpo_asks_the_teacher_about_fresh_pairs(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch, measured: dict[str, float]
) -> None:
    """The paper's way: each step's pairs are the current policy's, bought as it goes; equal texts never."""
    cell = small_tldr.cell("online_dpo:labels=teacher:steps=9:rollouts=16:learning_rate=0.003")
    with small_world.calls_of(asking.Asking, "_ask", monkeypatch) as asked:
        aligned = small_tldr.align(cell)
    assert len(asked) == 3 and aligned.spend.acts["prefer"] == sum(len(r) for _, (r, _) in asked) <= 24
    shown = [r.completions for _, (records, _) in asked for r in records]
    assert shown and all(first != second for first, second in shown)
    assert "proxy_reward" not in measured
    assert any("of pairs labelled" in note for note in aligned.notes)
    again = small_tldr.align(cell)
    assert again.spend.acts == aligned.spend.acts and again.policy.digest == aligned.policy.digest


def test_a_budget_for_less_than_a_step_is_refused(small_tldr: Any) -> None:
    with pytest.raises(OverBudget, match="one step of 64"):
        small_tldr.align(small_tldr.cell("grpo:reward=teacher"))


def test_groups_must_be_whole() -> None:
    assert online.groups(12, 4) == 3
    with pytest.raises(BadInput, match="no whole number of groups"):
        online.groups(10, 4)


@pytest.mark.parametrize("label", ["grpo:rollouts=12", "rloo:rollouts=10", "online_dpo:rollouts=7"])
def test_groups_that_are_not_whole_are_refused_as_they_are_typed(label: str) -> None:
    with pytest.raises(BadInput, match="no whole number of groups"):
        parse([f"methods={label}", "task=tldr"])


def test_trl_is_not_imported_to_plan(small_tldr: Any) -> None:
    """Nor by the methods, the lab or the jobs themselves: only a job that runs imports it."""
    import subprocess
    import sys

    code = (
        "import sys; from alignment_bench import lab, registry, trl_jobs\n"
        "from alignment_bench.techniques import online\n"
        "for name in ('dpo', 'kto', 'grpo', 'rloo', 'online_dpo'): registry.load('methods', name)\n"
        "sys.exit(any(name in sys.modules for name in ('trl', 'torch', 'datasets')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_step_of_usual_size_is_cut_to_whole_groups() -> None:
    """What was typed must fit; what nobody typed is made to."""
    assert online.places(None, 64, 5) == 12
    assert online.places(None, 4, 8) == 1
    assert online.places(15, 64, 5) == 3
    with pytest.raises(BadInput, match="whole number of groups"):
        online.places(16, 64, 5)
