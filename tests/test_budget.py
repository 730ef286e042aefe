"""A budget is enforced before the act, shared by the parts of a composition, and a row where it ends."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from alignment_bench.budgets import price
from alignment_bench.errors import OverBudget
from alignment_bench.feedback import CHANNELS, Channel
from alignment_bench.ledger import Ledger, Spend, price_of_acts

BUDGET = 1845.0


@pytest.mark.parametrize("channel", CHANNELS)
def test_an_ask_beyond_the_budget_changes_nothing(
    channel: Channel, small_tldr: Any, small_world: ModuleType
) -> None:
    """The teacher is not asked, nothing is charged, nothing is stored; what is affordable still goes."""
    cell, teacher = small_world.overheard(small_tldr.cell("sft"))
    seen: dict[str, Any] = {}

    class Spender:
        """Asks for one act too many, then for as many as there is budget for."""

        def align(self, policy: Any, prompts: Any, lab: Any) -> Any:
            affordable = lab.feedback.affordable(channel)
            assert affordable == int(BUDGET // price(channel, "seconds"))
            cycle = [prompts[i % len(prompts)] for i in range(affordable + 1)]
            answers = [policy.encode("i am happy.") for _ in cycle]
            others = [policy.encode("i am sad.") for _ in cycle]

            def ask(n: int) -> Any:
                shown = {"prefer": [answers[:n], others[:n]], "demonstrate": []}.get(channel, [answers[:n]])
                return getattr(lab.feedback, channel)(cycle[:n], *shown)

            with pytest.raises(OverBudget, match="raise budget= or ask for fewer"):
                ask(affordable + 1)
            seen["refused"] = (lab.spent, list(teacher.heard))
            assert len(ask(affordable)) == affordable
            seen["left"] = lab.feedback.affordable(channel)
            with pytest.raises(OverBudget):
                ask(1)
            return policy

    spend = small_tldr.align(small_world.with_plugin(cell, lambda plugin: Spender())).spend
    assert seen["refused"] == (Spend(), []) and seen["left"] == 0
    acts = int(BUDGET // price(channel, "seconds"))
    assert spend.acts == {channel: acts} and len(teacher.heard) == 1
    assert len(list((small_tldr.results / "jobs" / "ask").glob("*"))) == 1


def test_ppo_with_the_teacher_as_reward_is_authorised_before_its_first_rollout(
    small_tldr: Any, small_world: ModuleType
) -> None:
    """Thirty scores are affordable: three iterations of eight go, and are paid for exactly."""
    aligned = small_tldr.align(small_tldr.cell("ppo:reward=teacher:iterations=9:rollouts=8"))
    assert aligned.spend.acts == {"score": 24}
    assert any("3 of 9 iterations" in note for note in aligned.notes)
    assert any(note.startswith("assumed price: score") for note in aligned.notes)


@pytest.mark.parametrize(
    "budget,label", [("100s", "ilf"), ("50s", "best_of_n"), ("1s", "sft"), ("60s", "ppo")]
)
def test_over_budget_is_a_row_and_no_failure(budget: str, label: str, small_tldr: Any) -> None:
    """Exit code 0; the row says why, and base is in the table as ever."""
    rows = small_tldr.run(label, f"budget={budget}", code=0)
    by_method = {row["method"]: row for row in rows if row["metric"] == "quality" or row["metric"] is None}
    over = [row for row in rows if row["method"] == label]
    assert {row["status"] for row in over} == {"over_budget"}
    assert all("raise budget=" in row["reason"] and row["mean"] is None for row in over)
    assert by_method["base"]["status"] == "ok"
    record = small_tldr.records()[label]
    assert record.status == "over_budget" and "raise budget=" in record.reason


@pytest.mark.parametrize(
    "options,expected",
    [
        ((), {"critique": 922.5, "prefer": 922.5}),
        (("share=.7",), {"critique": 1291.5, "prefer": 553.5}),
        (("share=.2",), {"critique": 369.0, "prefer": 1476.0}),
    ],
)
def test_parts_of_a_composition_share_the_budget(
    options: tuple[str, ...], expected: dict[Channel, float], small_tldr: Any
) -> None:
    """At most half each, or `share=` for the first and the rest for the second; and nearly all is used."""
    spend = small_tldr.align(small_tldr.cell("ilf:rounds=1+best_of_n:n=2", *options)).spend
    assert set(spend.acts) == set(expected)
    for channel, limit in expected.items():
        one = price(channel, "seconds")
        assert limit - one < spend.acts[channel] * one <= limit
    assert spend.annotator_seconds <= BUDGET


def test_what_the_first_part_leaves_is_not_the_second_ones() -> None:
    """A share is of the whole budget, whatever was left over before."""
    ledger = Ledger("seconds", 1000.0)
    ledger.open_part(0.5)
    ledger.charge(price_of_acts("prefer", 2, 0, "seconds"))
    ledger.open_part(0.5)
    assert ledger.remaining == pytest.approx(500.0)
    with pytest.raises(OverBudget):
        ledger.authorise("prefer", 9)
    ledger.authorise("prefer", 8)
    assert ledger.spent.acts == {"prefer": 2}, "authorising charges nothing"
