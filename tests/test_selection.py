"""Picking refinements: InstructRM's average of probabilities, likelihood, reward, and ties."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable
from alignment_bench.layouts import Layout
from alignment_bench.prompts import Message, Prompt
from alignment_bench.selection import Candidates, instruct_rm, select

PROMPT = Prompt("p", (Message("user", "a post"),))


def option(text: str, tokens: int = 1) -> Completion:
    return Completion(text, tuple(range(tokens)), "eos")


def candidates(*texts: str) -> Candidates:
    return Candidates(PROMPT, PROMPT.using("refine"), "first", "say more", [option(t) for t in texts])


class FakeLab:
    """Answers with fixed numbers and keeps what it was asked."""

    def __init__(self, probabilities: dict[str, dict[str, tuple[float, float]]] | None = None) -> None:
        self.probabilities = probabilities or {}
        self.asked: list[Prompt] = []

    def answer_probabilities(
        self, policy: Any, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> list[list[float]]:
        self.asked += prompts
        return [list(self.probabilities[p.layout][dict(p.slots)["completion"]]) for p in prompts]

    def logprobs(self, policy: Any, prompts: Any, completions: Sequence[Completion]) -> list[list[float]]:
        return [[-float(len(c.text))] * 2 for c in completions]

    def rewards(self, model: Any, prompts: Any, completions: Sequence[Completion]) -> list[float]:
        return [float(len(c.text)) for c in completions]

    def random(self, *names: str) -> np.random.Generator:
        return np.random.default_rng(0)


def judge(*layouts: str) -> Any:
    answers = {name: Layout("{completion}", "", (" Yes", " No")) for name in layouts}
    return SimpleNamespace(formatter=SimpleNamespace(layouts={"answer": Layout("{prompt}"), **answers}))


def test_instruct_rm_averages_normalised_probabilities_not_their_logarithms() -> None:
    lab: Any = FakeLab(
        {
            "accept_1": {"a": (0.09, 0.01), "b": (0.05, 0.05)},
            "accept_2": {"a": (0.001, 0.999), "b": (0.4, 0.6)},
        }
    )
    both = candidates("a", "b")
    values = instruct_rm(judge("accept_1", "accept_2"), [(both, o) for o in both.options], lab)
    assert values == pytest.approx([(0.9 + 0.001) / 2, (0.5 + 0.4) / 2])
    # By mean probability a wins narrowly; by mean log-probability it would lose by far.
    assert select("instruct_rm", judge("accept_1", "accept_2"), [both], None, lab, "s")[0].text == "a"


def test_instruct_rm_shows_the_refinement_and_the_feedback() -> None:
    lab: Any = FakeLab({"accept_1": {"a": (0.5, 0.5)}})
    one = candidates("a")
    instruct_rm(judge("accept_1"), [(one, one.options[0])], lab)
    assert dict(lab.asked[0].slots) == {"answer": "first", "completion": "a", "critique": "say more"}


def test_instruct_rm_needs_layouts_to_ask_in() -> None:
    with pytest.raises(NotApplicable, match="accept_"):
        instruct_rm(judge(), [], FakeLab())  # type: ignore[arg-type]


def test_likelihood_and_reward_pick_the_highest_and_ties_the_earliest() -> None:
    lab: Any = FakeLab()
    sets = [candidates("long one", "short"), candidates("ab", "cd")]
    assert [c.text for c in select("likelihood", judge(), sets, None, lab, "s")] == ["short", "ab"]
    reward: Any = object()
    assert [c.text for c in select("reward_model", judge(), sets, reward, lab, "s")] == ["long one", "ab"]


def test_likelihood_is_a_mean_per_token() -> None:
    lab: Any = FakeLab()
    lab.logprobs = lambda policy, prompts, completions: [[-1.0] * 5, [-2.0]]
    assert select("likelihood", judge(), [candidates("five", "one")], None, lab, "s")[0].text == "five"


def test_random_selection_is_a_draw_of_the_lab_and_repeatable() -> None:
    lab: Any = FakeLab()
    picks = [
        [c.text for c in select("random", judge(), [candidates(*"abcdefgh")], None, lab, "s")] for _ in "12"
    ]
    assert picks[0] == picks[1]
