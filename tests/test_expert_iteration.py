"""Expert iteration on hand-made rewards, and through its jobs: what is sampled, kept and trained on."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from alignment_bench import run
from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable, OverBudget
from alignment_bench.methods.expert_iteration import ExpertIteration, first_of_each_text
from alignment_bench.prompts import Message, Prompt
from alignment_bench.work import Work

SMALL = "expert_iteration:rounds=2:prompts_per_round=8:samples=4:epochs=1"


def answer(text: str, *tokens: int) -> Completion:
    return Completion(text, (*tokens, 1), "eos")


A, B, C = answer("a", 5), answer("b", 6), answer("c", 7)
ONE, TWO, THREE = (Prompt(i, (Message("user", i),)) for i in "123")
SCORED = [
    (ONE, [(A, 0.5), (B, 2.0), (C, 2.0)]),
    (TWO, [(A, -1.0), (B, -0.5)]),
    (THREE, list[tuple[Completion, float]]()),
]


def test_the_best_of_every_prompt_is_kept() -> None:
    """However bad it is (RAFT); the earliest of equals; nothing of a prompt without a usable score."""
    assert ExpertIteration().kept(SCORED) == [(ONE, B, 2.0), (TWO, B, -0.5)]


@pytest.mark.parametrize(
    "threshold,expected",
    [(0.0, [(ONE, A), (ONE, B), (ONE, C)]), (0.5, [(ONE, B), (ONE, C)]), (2.0, [])],
)
def test_all_above_the_threshold_are_kept(threshold: float, expected: list[Any]) -> None:
    """Several of a prompt or none (ReST-EM); strictly above."""
    kept = ExpertIteration(keep="above", threshold=threshold).kept(SCORED)
    assert [(prompt, completion) for prompt, completion, _ in kept] == expected


def test_equal_texts_count_once() -> None:
    """The first draw of each text stands, with its own ids, in the order drawn."""
    other = answer("a", 8, 9)
    assert first_of_each_text([B, A, other, C, B]) == [B, A, C]


@pytest.mark.parametrize("start", ["base", "continue"])
def test_rounds_sample_from_the_last_and_train_from_the_start_or_the_last(
    start: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other prompts in each round; one purchase of comparisons; what is trained on is what scored best."""
    cell = small_tldr.cell(f"{SMALL}:start={start}")
    base = run.base_of(cell.setting)
    with (
        small_world.calls_of(Work, "sample", monkeypatch) as sampled,
        small_world.calls_of(Work, "rewards", monkeypatch) as rewarded,
        small_world.calls_of(Work, "finetune", monkeypatch) as trained,
        small_world.calls_of(Work, "reward_model", monkeypatch) as bought,
    ):
        aligned = small_tldr.align(cell)
    assert len(bought) == 1 and set(aligned.spend.acts) == {"prefer"}
    rounds = [call for call in sampled if call[0][3] == 4]
    assert len(rounds) == len(trained) == len(rewarded) == 2
    first, second = (result[0] for _, result in trained)
    assert [args[1].digest for args, _ in rounds] == [base.digest, first.digest]
    origin = base.digest if start == "base" else first.digest
    assert [args[1].digest for args, _ in trained] == [base.digest, origin]
    assert aligned.policy.digest == second.digest
    ids = [{prompt.id for prompt in args[2]} for args, _ in rounds]
    assert [len(one) for one in ids] == [8, 8] and not ids[0] & ids[1]
    for (asked, (values, _)), (given, _) in zip(rewarded, trained, strict=True):
        best: dict[str, tuple[float, Completion]] = {}
        for prompt, completion, value in zip(asked[2], asked[3], values, strict=True):
            if prompt.id not in best or value > best[prompt.id][0]:
                best[prompt.id] = (value, completion)
        assert {lesson.prompt.id: lesson.completion for lesson in given[2]} == {
            name: completion for name, (_, completion) in best.items()
        }
        assert all(lesson.prompt.layout == "answer" for lesson in given[2])


def test_it_measures_itself(small_tldr: Any) -> None:
    """What share was kept, and what the reward model thought of samples and of what was kept."""
    label = SMALL.replace("samples=4", "samples=6")
    small_tldr.run(label)
    measures = small_tldr.records()[label].measures
    assert 1 / 6 <= measures["keep_rate"] <= 1.0
    assert measures["proxy_reward_kept"] > measures["proxy_reward_first"]
    assert {"proxy_reward_last"} <= set(measures)


def test_the_teachers_scores_as_reward_stay_within_the_budget(small_tldr: Any) -> None:
    """As many prompts as it pays for, said in a footnote; none at all is over budget before any act."""
    aligned = small_tldr.align(small_tldr.cell(f"{SMALL}:reward=teacher"))
    assert set(aligned.spend.acts) == {"score"} and 0 < aligned.spend.annotator_seconds <= 1845
    assert any("what the budget pays scores for" in note for note in aligned.notes)
    with pytest.raises(OverBudget, match="2 rounds of 40 scores"):
        small_tldr.align(small_tldr.cell(f"{SMALL.replace('samples=4', 'samples=40')}:reward=teacher"))


def test_a_threshold_that_nothing_reaches_is_named(small_tldr: Any) -> None:
    with pytest.raises(NotApplicable, match="no sample of round 1 has a reward above 99: lower threshold="):
        small_tldr.align(small_tldr.cell(f"{SMALL}:keep=above:threshold=99"))
