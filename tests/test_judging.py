"""Both orders of a pair, the panel, the reward model as a judge, and the controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from alignment_bench.errors import BadInput
from alignment_bench.feedback import Verdict
from alignment_bench.hosting import Host, host_of
from alignment_bench.jobs import JobStore
from alignment_bench.judges.always_longer import AlwaysLonger
from alignment_bench.judges.panel import Panel
from alignment_bench.judges.random_choice import RandomChoice
from alignment_bench.judges.reward_model import RewardModelJudge
from alignment_bench.judging.pairwise import Choice, Pairing, both_orders, watched
from alignment_bench.prompts import Key, Message, Prompt
from alignment_bench.runtime import Runtime
from alignment_bench.testing import check_evaluator, check_judge


def asked_about(count: int) -> tuple[list[Prompt], list[Key]]:
    prompts = [Prompt(f"p{i}", (Message("user", "a dog ran"),)) for i in range(count)]
    return prompts, [Key(prompt.id) for prompt in prompts]


class Script:
    """Answers from a table: (shown first, shown second) to the probability of the first."""

    def __init__(self, table: dict[tuple[str, str], float | None]) -> None:
        self.table = table
        self.batches: list[list[Pairing]] = []

    def __call__(self, pairings: Sequence[Pairing]) -> list[Choice]:
        self.batches.append(list(pairings))
        return [Choice(self.table[p.shown_first, p.shown_second]) for p in pairings]


@pytest.mark.parametrize(
    ("straight", "swapped", "value", "parsed"),
    [
        (1.0, 0.0, 1.0, True),  # the same text twice
        (0.0, 1.0, 0.0, True),
        (1.0, 1.0, 0.5, True),  # the same place twice
        (0.0, 0.0, 0.5, True),
        (1.0, 0.5, 0.5, True),  # a win and a tie do not agree
        (0.5, 0.5, 0.5, True),
        (0.9, 0.3, 0.8, True),  # probabilities: the mean of .9 and 1 - .3
        (0.9, 0.9, 0.5, True),
        (None, 0.0, 0.5, False),
        (1.0, None, 0.5, False),
        (None, None, 0.5, False),
    ],
)
def test_a_win_needs_agreement(
    straight: float | None, swapped: float | None, value: float, parsed: bool
) -> None:
    script = Script({("one", "two"): straight, ("two", "one"): swapped})
    prompts, keys = asked_about(1)
    (verdict,) = both_orders(script, prompts, keys, ["one"], ["two"])
    assert verdict == Verdict(pytest.approx(value), parsed)
    (back,) = both_orders(script, prompts, keys, ["two"], ["one"])
    assert back == Verdict(pytest.approx(1 - value), parsed)


def test_all_questions_are_one_batch_and_identical_texts_are_none() -> None:
    script = Script({("a", "b"): 1.0, ("b", "a"): 0.0, ("c", "d"): 0.0, ("d", "c"): 1.0})
    prompts, keys = asked_about(3)
    with watched() as seen:
        verdicts = both_orders(script, prompts, keys, ["a", "same", "c"], ["b", "same", "d"])
    assert [v.value for v in verdicts] == [1.0, 0.5, 0.0]
    assert [(p.prompt.id, p.shown_first) for p in script.batches[0]] == [
        *(("p0", "a"), ("p2", "c")),
        *(("p0", "b"), ("p2", "d")),
    ]
    assert len(script.batches) == 1
    assert [(one.pairing.prompt.id, one.swapped.probability_first) for one in seen] == [
        ("p0", 0.0),
        ("p2", 1.0),
    ]
    both_orders(script, prompts[:1], keys[:1], ["same"], ["same"])
    assert len(script.batches) == 1 and len(seen) == 2


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([Choice(1.0)], "2 questions"),
        ([Choice(1.0), Choice(1.5)], "1.5"),
        ([Choice(float("nan"))] * 2, "nan"),
    ],
)
def test_an_answer_that_is_none_is_an_error(answers: list[Choice], says: str) -> None:
    prompts, keys = asked_about(1)
    with pytest.raises(ValueError, match=says):
        both_orders(lambda pairings: answers, prompts, keys, ["a"], ["b"])
    with pytest.raises(ValueError):
        both_orders(lambda pairings: answers, prompts, keys, ["a", "b"], ["b"])


@pytest.mark.parametrize("name", ["always_longer", "random_choice"])
def test_controls_keep_the_contract_of_judges(name: str) -> None:
    check_judge(name)


def test_the_coin_loses_half_its_verdicts_to_the_swap() -> None:
    prompts, keys = asked_about(2000)
    first, second = ["one"] * 2000, ["two"] * 2000
    values = [v.value for v in RandomChoice().compare(prompts, keys, first, second)]
    shares = [values.count(value) / 2000 for value in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.04)
    assert values == [v.value for v in RandomChoice().compare(prompts, keys, first, second)]
    assert values != [v.value for v in RandomChoice(seed=1).compare(prompts, keys, first, second)]
    longer = AlwaysLonger().compare(prompts[:3], keys[:3], ["aa", "b", "cc"], ["a", "bb", "dd"])
    assert [v.value for v in longer] == [1.0, 0.0, 0.5]


@dataclass(frozen=True)
class Fixed:
    """A judge that says what it was made to say."""

    name: ClassVar[str] = "fixed"
    against_reference: ClassVar[bool] = True
    says: float | None
    family: str = "fixed"

    def unfit(self, keys: Sequence[Key]) -> str | None:
        return "never asked" if self.says == -1 else None

    def compare(self, prompts: Any, keys: Any, first: Any, second: Any) -> list[Verdict]:
        value = 0.5 if self.says is None else self.says
        return [Verdict(value, self.says is not None) for _ in prompts]

    def caption(self) -> str:
        return "fixed"


def seated(rule: Any, *says: float | None) -> Panel:
    panel = Panel(members=("always_longer",), rule=rule)
    object.__setattr__(panel, "_seats", tuple(Fixed(one, f"family{i}") for i, one in enumerate(says)))
    return panel


@pytest.mark.parametrize(
    ("says", "majority", "unanimous"),
    [
        ((1.0, 1.0, 0.0), Verdict(1.0), Verdict(0.5)),
        ((0.0, 0.3, 1.0), Verdict(0.0), Verdict(0.5)),
        ((1.0, 0.5, 0.5), Verdict(1.0), Verdict(1.0)),  # abstentions object to nothing
        ((1.0, 0.0), Verdict(0.5), Verdict(0.5)),
        ((1.0, None), Verdict(1.0), Verdict(1.0)),
        ((0.5, None), Verdict(0.5), Verdict(0.5)),
        ((None, None), Verdict(0.5, False), Verdict(0.5, False)),
    ],
)
def test_votes_become_a_verdict(
    says: tuple[float | None, ...], majority: Verdict, unanimous: Verdict
) -> None:
    shown = *asked_about(1), ["a"], ["b"]
    assert seated("majority", *says).compare(*shown) == [majority]
    assert seated("unanimous", *says).compare(*shown) == [unanimous]


def test_a_panel_is_of_every_members_family_and_unfit_with_any() -> None:
    assert seated("majority", 1.0, 0.0).family.split("+") == ["family0", "family1"]
    assert seated("majority", 1.0, -1).unfit([]) == "fixed: never asked"
    assert "no members" in str(Panel().unfit([]))


def test_members_are_labels_and_one_can_be_left_out() -> None:
    members = ("always_longer", "random_choice:seed=1", "reference_panel:margin=0.1")
    whole, without = Panel(members=members), Panel(members=members, without="random_choice:seed=1")
    assert [seat.name for seat in whole.seats] == ["always_longer", "random_choice", "reference_panel"]
    assert [seat.name for seat in without.seats] == ["always_longer", "reference_panel"]
    assert whole.against_reference is False and "3 examples have no reference" in str(
        whole.unfit([Key("a"), Key("b"), Key("c")])
    )
    assert whole.caption() != without.caption() and "random_choice:seed=1" in whole.caption()
    with pytest.raises(BadInput) as error:
        Panel(members=("always_longe", "random_choice:sed=1"), without="nobody")
    assert len(error.value.problems) == 3


@pytest.fixture(scope="module")
def reward_folder(random_policy: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model that was taught to like "happy" and to dislike "sad"."""
    from alignment_bench.training.settings import Settings
    from alignment_bench.work import Work

    root = tmp_path_factory.mktemp("rewards")
    work = Work(JobStore(root / "jobs"), random_policy.runtime, random_policy.n_parameters)
    prompts = [Prompt(f"t{i}", (Message("user", f"the {w} ran"),)) for i, w in enumerate(("dog", "cat") * 6)]
    good, bad = (random_policy.encode(text) for text in ("the dog was happy", "the dog was sad"))
    settings = Settings(learning_rate=1e-2, epochs=4, batch_size=4, micro_batch=4, lora_rank=0, bf16=False)
    pairs = [(prompt, good, bad) for prompt in prompts]
    model, _ = work.reward_model(random_policy, pairs, 0, "scalar", 1.0, settings, 0)
    return model.folder


def test_a_reward_model_judges(reward_folder: Path, tmp_path: Path) -> None:
    judge = RewardModelJudge(folder=str(reward_folder))
    assert judge.unfit([]) is None
    ready = host_of(judge, Host(JobStore(tmp_path / "jobs"), Runtime("cpu", "auto", 1)))
    prompts, keys = asked_about(3)
    texts = ["the dog was happy", "the dog was sad", "the cat sat"], ["the dog was sad"] * 3
    values = [v.value for v in ready.compare(prompts, keys, *texts)]
    assert values[:2] == [1.0, 0.5]
    back = [v.value for v in ready.compare(prompts, keys, texts[1], texts[0])]
    assert back == [1 - value for value in values]
    assert ready.compare(prompts, keys, *texts) == ready.compare(prompts, keys, *texts)
    assert len(list((tmp_path / "jobs" / "rewards").iterdir())) == 1, "order asks for nothing new"
    assert judge.reward_digest[:8] in judge.caption() and "12 comparisons" in judge.caption()
    assert ready == judge and ready.score(prompts, keys, texts[0]) is None
    with pytest.raises(ValueError, match="host_of"):
        judge.compare(prompts, keys, *texts)


def test_without_a_reward_model_it_says_what_it_needs(tmp_path: Path) -> None:
    assert "folder=" in str(RewardModelJudge().unfit([]))
    reason = str(RewardModelJudge(folder=str(tmp_path)).unfit([]))
    assert "no reward model" in reason and "delete" not in reason, "it may be any folder of the user's"
    assert "there is no folder" in str(RewardModelJudge(folder=str(tmp_path / "none")).unfit([]))
    (tmp_path / "reward.json").write_text("{}", "utf-8")
    assert "reward.json is no reward model" in str(RewardModelJudge(folder=str(tmp_path)).unfit([]))


@pytest.mark.parametrize("name", ["win_rate", "lc_win_rate"])
def test_win_rates_keep_the_contract_of_evaluators(name: str) -> None:
    check_evaluator(name)
