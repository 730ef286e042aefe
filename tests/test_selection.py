"""Picking refinements: InstructRM's average of probabilities, likelihood, reward, and ties."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from alignment_bench import embedding
from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable
from alignment_bench.layouts import Layout
from alignment_bench.prompts import Message, Prompt
from alignment_bench.techniques.selection import (
    Candidates,
    audit,
    check_selection,
    instruct_rm,
    select,
    taken_up,
)

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


def test_longest_counts_words() -> None:
    lab: Any = FakeLab()
    sets = [candidates("incomprehensibilities", "a b", "c d")]
    assert select("longest", judge(), sets, None, lab, "s")[0].text == "a b"


def test_overlap_is_the_share_of_the_feedbacks_content_words() -> None:
    assert taken_up("mention the dogs and the park", "my dog ran") == pytest.approx(1 / 3)
    assert taken_up("the and of", "anything") == 0.0
    near = Candidates(PROMPT, PROMPT, "first", "mention the park", [option("a dog"), option("a park")])
    lab: Any = FakeLab()
    assert select("overlap", judge(), [near], None, lab, "s")[0].text == "a park"


def test_embedding_picks_what_is_nearest_to_the_feedback_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def cosine(texts: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
        shown.extend(zip(texts, references, strict=True))
        return [0.1, 0.7]

    monkeypatch.setattr(embedding, "cosine", cosine)
    lab: Any = FakeLab()
    assert select("embedding", judge(), [candidates("a", "b")], None, lab, "s")[0].text == "b"
    assert shown == [("a", ["say more"]), ("b", ["say more"])]


def test_embedding_without_its_package_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "available", lambda: False)
    with pytest.raises(NotApplicable, match="pip install"):
        check_selection("embedding", judge())
    with pytest.raises(NotApplicable, match="accept_"):
        check_selection("instruct_rm", judge())
    check_selection("instruct_rm", judge("accept_1"))


class Scoring(FakeLab):
    """A lab whose teacher scores a text by its length in letters."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.measures: dict[str, float] = {}
        self.bought: list[str] = []
        self.feedback = self

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[Any]:
        assert len(prompts) == len(completions)
        self.bought += [c.text for c in completions]
        return [SimpleNamespace(value=float(len(c.text)) if c.text != "?" else None) for c in completions]

    def note(self, text: str) -> None:
        self.notes.append(text)

    def measure(self, name: str, value: float) -> None:
        self.measures[name] = value


def test_an_audit_tells_the_lift_over_a_random_pick() -> None:
    """With two options a random pick is the chosen one every other time: half the difference."""
    lab: Any = Scoring()
    sets = [candidates("a" * (5 + i % 3), "b") for i in range(6)]
    audit("longest", sets, [c.options[0] for c in sets], 4, lab)
    assert len(lab.bought) == 8 and lab.bought[4:] == ["b"] * 4
    lift = sum((len(text) - 1) / 2 for text in lab.bought[:4]) / 4
    assert lab.measures["selection_lift"] == pytest.approx(lift)
    assert f"{lift:+.2f} [+" in lab.notes[0] and "on 4 audited answers" in lab.notes[0]
    assert len(lab.notes) == 1


def test_an_audit_warns_where_the_pick_is_worse_than_chance() -> None:
    lab: Any = Scoring()
    sets = [candidates("a" * (5 + i % 3), "b") for i in range(6)]
    audit("likelihood", sets, [c.options[1] for c in sets], 6, lab)
    assert lab.measures["selection_lift"] < 0
    assert lab.notes[1].startswith("warning: selection by likelihood is worse than a random pick")


def test_an_audit_without_a_choice_or_a_score_says_so() -> None:
    lab: Any = Scoring()
    audit("longest", [candidates("a")], [option("a")], 4, lab)
    assert not lab.bought and "no answer had a choice" in lab.notes[0]
    unscored = candidates("?", "??")
    audit("longest", [unscored], [unscored.options[1]], 4, lab)
    assert "no usable scores" in lab.notes[1] and not lab.measures
