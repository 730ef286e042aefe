"""The ledger equals what was counted independently, with and without stored jobs; budgets hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import controller as controllers
from alignment_bench import registry
from alignment_bench.budgets import human_prices
from alignment_bench.errors import OverBudget
from alignment_bench.ledger import Ledger, Spend, price_of_acts, report
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.work import Work

BUDGET = 1845.0
LABELS = {
    "base": {},
    "base_copy": {},
    "sft": {"demonstrate": 9},
    "sft:source=teacher": {"refine": 9},
    "sft:source=own": {},
    "ilf": {"critique": 9},  # ten are affordable: three in each of the three rounds
    "ilf:feedback=none": {},
    "ilf:selection=reward_model": {"prefer": 10, "critique": 6},
    "best_of_n:n=2": {"prefer": 30},
    "best_of_n:n=2:reward_kind=scalar": {"prefer": 30},
    "ppo:iterations=2:rollouts=8": {"prefer": 30},
    "ppo:reward=teacher:iterations=2:rollouts=8": {"score": 16},
    "ilf+best_of_n:n=2": {"critique": 3, "prefer": 15},
}
"""what each label buys: acts by channel"""


@dataclass
class Tally:
    """What was really done, counted where it happens."""

    generated: int = 0
    scored: int = 0
    trained: int = 0


def counting(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts tokens at the lowest level: what comes out of sampling, what goes into scoring and training."""
    from alignment_bench.models import drawing
    from alignment_bench.training import optimise, ppo

    draw, logprobs = drawing.draw, ModelPolicy.logprobs
    optimiser, ppo_step = optimise.optimise, ppo.step

    def counted_draw(*args: Any, **kwargs: Any) -> Any:
        lists = draw(*args, **kwargs)
        tally.generated += sum(len(c.tokens) for row in lists for c in row)
        return lists

    def counted_logprobs(self: Any, prompts: Any, completions: Any) -> Any:
        rows = logprobs(self, prompts, completions)
        tally.scored += sum(len(self.render(p)) for p in prompts) + sum(map(len, rows))
        return rows

    def counted_optimise(
        model: Any, items: Any, lengths: Any, loss: Any, weight: Any, settings: Any, *rest: Any, **named: Any
    ) -> Any:
        tally.trained += settings.epochs * sum(row.length for item in items for row in rows_of(item))
        return optimiser(model, items, lengths, loss, weight, settings, *rest, **named)

    def counted_step(actor: Any, optimiser: Any, part: Any) -> Any:
        tally.trained += sum(int(e.batch.attention.sum()) for e in part)
        return ppo_step(actor, optimiser, part)

    monkeypatch.setattr(drawing, "draw", counted_draw)
    monkeypatch.setattr(ModelPolicy, "logprobs", counted_logprobs)
    for module in ("finetune", "preference"):
        monkeypatch.setattr(f"alignment_bench.training.{module}.optimise", counted_optimise)
    monkeypatch.setattr(ppo, "step", counted_step)


def rows_of(item: Any) -> list[Any]:
    """The token rows of a training item: a row, a pair of rows, or a pair with its reference margin."""
    if isinstance(item, tuple):
        return rows_of(item[0])
    return [item.chosen, item.rejected] if hasattr(item, "chosen") else [item]


def without_seconds(spend: Spend) -> Spend:
    """Everything but wall time."""
    return replace(spend, seconds=0.0)


@pytest.mark.parametrize("label", LABELS)
def test_ledger_equals_an_independent_count(
    label: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acts, words, prices and tokens; and the same account again when every job is stored."""
    tally = Tally()
    counting(tally, monkeypatch)
    cell, teacher = small_world.overheard(small_tldr.cell(label))
    spend = small_tldr.align(cell).spend

    acts = Counter(channel for channel, _, records in teacher.heard for _ in records)
    words = sum(len(r.text.split()) for _, _, records in teacher.heard for r in records if r.text)
    assert spend.acts == acts == LABELS[label]
    assert spend.words == words
    expected = sum(human_prices()[channel].seconds * n for channel, n in acts.items())
    assert spend.annotator_seconds == pytest.approx(expected) and expected <= BUDGET
    assert spend.calls == 0
    assert spend.tokens_generated == tally.generated
    assert spend.tokens_trained == tally.trained
    if spend.acts.get("prefer") or "ppo" in label:  # training against a reference adds passes of its own
        assert spend.tokens_scored > tally.scored
    else:
        assert spend.tokens_scored == tally.scored
    assert (spend.flops > 0) == (spend.tokens_generated + spend.tokens_scored + spend.tokens_trained > 0)

    before, asked = replace(tally), len(teacher.heard)
    again = small_tldr.align(cell).spend
    assert tally == before and len(teacher.heard) == asked, "with every job stored nothing is done again"
    assert again == spend, "and charged all the same, seconds included"


def test_tokens_of_a_stored_cell_are_counted(small_tldr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run stores of training and of answering the test prompts, added up over all its cells."""
    tally = Tally()
    counting(tally, monkeypatch)
    small_tldr.run("sft:source=own,best_of_n:n=2", "evaluators=length")
    records = small_tldr.records()
    generated = {label: r.spend["tokens_generated"] for label, r in records.items()}
    tested = {label: r.test_spend["tokens_generated"] for label, r in records.items()}
    assert min(tested.values()) > 0 and generated["base"] == 0 < generated["sft:source=own"]
    assert tally.generated == sum(generated.values()) + sum(tested.values())
    assert records["best_of_n:n=2"].test_spend["tokens_scored"] > 0, "the reward model's reading is counted"
    assert all(not r.test_spend["acts"] and not r.test_spend["tokens_trained"] for r in records.values())


def test_two_methods_share_a_job_and_both_pay(small_tldr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """PPO after best-of-N finds the reward model stored, and its comparisons cost it the same."""
    alone = small_tldr.align(small_tldr.cell("ppo:iterations=1:rollouts=4", "results=" + _other(small_tldr)))
    first = small_tldr.align(small_tldr.cell("best_of_n:n=2"))
    made = _keys(small_tldr, "reward_model")
    second = small_tldr.align(small_tldr.cell("ppo:iterations=1:rollouts=4"))
    assert _keys(small_tldr, "reward_model") == made and len(made) == 1
    assert first.spend.acts == second.spend.acts == {"prefer": 30}
    assert without_seconds(second.spend) == without_seconds(alone.spend)


def _other(small_tldr: Any) -> str:
    return str(small_tldr.results.with_name("other"))


def _keys(small_tldr: Any, kind: str) -> list[str]:
    return sorted(folder.name for folder in (small_tldr.results / "jobs" / kind).glob("*"))


def test_machines_are_paid_in_calls() -> None:
    """One call an answer, whatever the channel, and no annotator time."""
    spend = price_of_acts("critique", 3, 10, "calls")
    assert (spend.calls, spend.annotator_seconds, spend.acts) == (3, 0.0, {"critique": 3})
    ledger = Ledger("calls", 5)
    ledger.open_part(1.0)
    ledger.charge(spend)
    assert ledger.affordable("prefer") == 2 and not ledger.assumed


def test_spends_add_up_and_survive_json() -> None:
    """Addition is by channel and field; a stored spend is the same spend."""
    one = Spend(acts={"prefer": 1}, words=2, tokens_generated=3, flops=4.0)
    two = Spend(acts={"prefer": 5, "score": 1}, calls=1, seconds=0.5)
    total = one + two
    assert total == Spend({"prefer": 6, "score": 1}, 2, 0.0, 1, 3, 0, 0, 4.0, 0.5)
    assert Spend.from_json(total.to_json()) == total


@pytest.mark.parametrize(
    "error,status", [(OverBudget("raise budget="), "over_budget"), (ZeroDivisionError("x / 0"), "failed")]
)
def test_a_row_that_ends_early_shows_what_it_spent_until_then(
    error: Exception, status: str, small_tldr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acts, tokens in and outside the lab, and footnotes, in the stored record and in the table."""

    def align(self: Any, policy: Any, prompts: Any, lab: Any) -> Any:
        lab.note("half-way")
        drawn = lab.sample(policy, prompts[:2])
        lab.feedback.score(prompts[:2], [row[0] for row in drawn])
        report(Spend(tokens_generated=100_000))
        raise error

    monkeypatch.setattr(registry.load("methods", "sft"), "align", align)
    rows = small_tldr.run("sft", code=int(status == "failed"))
    record = small_tldr.records()["sft"]
    assert record.status == status and {row["status"] for row in rows if row["method"] == "sft"} == {status}
    assert record.spend["acts"] == {"score": 2}
    assert record.spend["annotator_seconds"] == 2 * human_prices()["score"].seconds
    assert 100_000 < record.spend["tokens_generated"] <= 100_000 + 2 * 16
    assert record.notes == (
        "half-way",
        "sft ran models outside its lab: charged, but not stored for a resume",
        "assumed price: score",
    )


def test_a_failed_teacher_charges_nothing(small_tldr: Any, small_world: ModuleType) -> None:
    """A teacher that breaks off leaves the account as it was and no stored answers; the row fails."""
    cell = small_tldr.cell("sft")
    seen: list[Spend] = []

    @dataclass(frozen=True)
    class Broken:
        inner: Any

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def answer(self, channel: Any, asks: Any, *, seed: int) -> Any:
            raise ConnectionError("gone")

    class Asker:
        wrapper = False

        def align(self, policy: Any, prompts: Any, lab: Any) -> Any:
            with pytest.raises(ConnectionError):
                lab.feedback.demonstrate(prompts[:3])
            seen.append(lab.spent)
            return policy

    broken = small_world.with_teacher(cell, Broken)
    small_tldr.align(small_world.with_plugin(broken, lambda plugin: Asker()))
    assert seen == [Spend()] and _keys(small_tldr, "ask") == []
    assert not controllers._OPEN, "every lab is closed"


def test_work_without_a_lab_charges_nobody(small_tldr: Any) -> None:
    """Sampling for the evaluation has a Spend of its own and needs no account."""
    cell = small_tldr.cell("base")
    work: Work = small_tldr.work(cell)
    from alignment_bench import run

    base = run.base_of(cell.setting)
    prompts = [e.prompt for e in cell.setting.data.test]
    lists, result = work.sample(base, prompts, 2, cell.setting.decoding, 7)
    tokens = sum(len(c.tokens) for row in lists for c in row)
    assert result.spend.tokens_generated == tokens > 0 and not result.spend.acts
