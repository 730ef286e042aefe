"""Evaluators of what becomes of feedback: incorporation, critic gain, reward models; and of plain text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from alignment_bench import plain_text, registry
from alignment_bench.completions import Completion, Decoding
from alignment_bench.evaluation import AT_ONE, AT_TASK, Evidence, Scores
from alignment_bench.feedback import Verdict
from alignment_bench.formatter import Formatter
from alignment_bench.judges.gold import Gold
from alignment_bench.layouts import Layout
from alignment_bench.pointing import Missing, Pointing, pointing_of
from alignment_bench.prompts import Key, Message, Prompt
from alignment_bench.world import tasks

LAYOUTS = {name: Layout("{prompt}") for name in ("answer", "critique", "refine", "improve")}


@dataclass(frozen=True)
class Refiner:
    """A policy whose answers are a function of what it is shown; `seen` collects the prompts."""

    does: Callable[[Prompt], str]
    formatter: Formatter = field(default_factory=lambda: Formatter("plain", LAYOUTS))
    digest: str = "d"
    folder: Path = Path()
    seen: list[Prompt] = field(default_factory=list)

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        self.seen.extend(prompts)
        return [[Completion(self.does(prompt), (1,), "eos")] * n for prompt in prompts]

    def logprobs(self, *args: Any) -> Any:
        raise NotImplementedError

    kl = encode = next_token_probabilities = logprobs


@dataclass(frozen=True)
class Comparing:
    """The longer text is better; no scale."""

    name: ClassVar[str] = "comparing"
    family: ClassVar[str] = "test"
    against_reference: ClassVar[bool] = True

    def unfit(self, keys: Sequence[Key]) -> str | None:
        return None

    def score(self, *args: Any) -> Any:
        return None

    def compare(self, prompts: Any, keys: Any, first: Sequence[str], second: Sequence[str]) -> list[Verdict]:
        gaps = [len(a) - len(b) for a, b in zip(first, second, strict=True)]
        return [Verdict(0.5 + 0.5 * ((gap > 0) - (gap < 0))) for gap in gaps]

    def caption(self) -> str:
        return "comparing"


POSTS = ("My brother sold my bike.", "The cat ate our cheese.", "Nobody talks.")
REFERENCES = ("Brother sold bike.", "Cat ate cheese.", "Nobody talks.")
PROMPTS = [Prompt(f"p{i}", (Message("user", post),)) for i, post in enumerate(POSTS)]
KEYS = [Key(f"p{i}", (reference,)) for i, reference in enumerate(REFERENCES)]
FIRST = ("Brother sold something.", "Cat ate.", "Nobody talks.")


def evidence(policy: Any, **changes: Any) -> Evidence:
    drawn = [[Completion(text, (1,), "eos")] for text in FIRST]
    shown = {AT_TASK.name: drawn, AT_ONE.name: drawn}
    return replace(Evidence(PROMPTS, KEYS, shown, shown, policy, policy, Comparing()), **changes)


def run(name: str, policy: Any, **changes: Any) -> dict[str, Scores]:
    return dict(registry.load("evaluators", name)()(evidence(policy, **changes)))


def heeding(prompt: Prompt) -> str:
    """Adds what it is told to mention."""
    slots = dict(prompt.slots)
    told = slots.get("critique", "").partition('"')[2].partition('"')[0]
    return f"{slots.get('completion', '')} {told}".strip()


def test_incorporation_by_hand() -> None:
    """p0 lacks "bike", p1 "cheese", p2 nothing and is not scored. A shuffled one brings the wrong word."""
    refiner = Refiner(heeding)
    found = run("incorporation", refiner)
    values = {name: score.values for name, score in found.items()}
    assert values["incorporation"][:2] == (1.0, 1.0) and math.isnan(values["incorporation"][2])
    assert values["incorporation_none"][:2] == (0.0, 0.0)
    assert values["incorporation_shuffled"][:2] == (0.0, 0.0)
    assert values["incorporation_gain"][:2] == (1.0, 1.0) and math.isnan(values["incorporation_gain"][2])
    shown = [(p.id, p.layout, dict(p.slots).get("critique")) for p in refiner.seen]
    bike, cheese = 'Mention "bike".', 'Mention "cheese".'
    assert shown[:2] == [("p0", "refine", bike), ("p1", "refine", cheese)]
    assert shown[2:4] == [("p0", "improve", None), ("p1", "improve", None)]
    assert shown[4:] == [("p0", "refine", cheese), ("p1", "refine", bike)]
    assert {dict(p.slots)["completion"] for p in refiner.seen} == set(FIRST[:2])
    assert "missing" in found["incorporation"].note


def test_repeating_the_critique_is_not_taking_it_up() -> None:
    parrot = Refiner(lambda prompt: dict(prompt.slots).get("critique", "bike"))
    found = run("incorporation", parrot)
    assert found["incorporation"].values[:2] == (0.0, 0.0)
    assert found["incorporation_none"].values[:2] == (1.0, 0.0)


def test_what_incorporation_cannot_do_without() -> None:
    bare = Refiner(heeding, Formatter("plain", {"answer": LAYOUTS["answer"]}))
    assert "no layout refine" in run("incorporation", bare)["incorporation"].missing
    assert "next-token" in run("incorporation", Path())["incorporation"].missing
    lacking = run("incorporation", Refiner(heeding), keys=[Key("p0"), *KEYS[1:]])["incorporation"]
    assert lacking.missing == "judge comparing makes no points, and 1 of 3 examples have no reference"
    perfect = {AT_TASK.name: [[Completion(text, (1,), "eos")] for text in REFERENCES]}
    assert (
        "leave different things"
        in run("incorporation", Refiner(heeding), base_samples=perfect)["incorporation_gain"].missing
    )


def test_only_what_is_missing_is_a_point_by_references() -> None:
    """An invention is left out by any other answer: it is no point here."""
    (point,) = Missing().point(PROMPTS[:1], KEYS[:1], ["Brother sold bike on Mars."])
    assert point is None
    (point,) = Missing().point(PROMPTS[:1], KEYS[:1], ["Mars."])
    assert point is not None and point.critique == 'Mention "brother sold bike".'.replace("b", "B", 1)
    assert Missing().heeded(KEYS[:1], [point], ["the bike his brother sold"]) == [True]
    assert Missing().heeded(KEYS[:1], [point], ["the bike his brother stole"]) == [False]


@pytest.mark.parametrize("task", ["tldr", "toxicity", "dialogue", "code", "word_removal"])
def test_gold_points_at_a_flaw_and_the_reference_heeds_it(
    task: str, monkeypatch: pytest.MonkeyPatch, small_world: Any
) -> None:
    small_world.shrink(monkeypatch.setattr)
    examples, judge = tasks.TASKS[task](3).test, Gold()
    prompts, keys = [e.prompt for e in examples], [e.key for e in examples]
    right = [key.references[0] for key in keys]
    assert isinstance(judge, Pointing) and pointing_of(judge, keys)[0] is judge
    assert judge.point(prompts, keys, right) == [None] * len(keys)
    wrong = [" ".join(text.split()[:-3]) for text in right]
    raised = [one for one in judge.point(prompts, keys, wrong) if one]
    assert len(raised) == len(keys)  # a text cut short lacks something
    assert judge.heeded(keys, raised, right) == [True] * len(keys)
    assert not any(judge.heeded(keys, raised, wrong))
    assert not any(judge.heeded(keys, raised, [""] * len(keys)))


def own(prompt: Prompt) -> str:
    """Criticises by naming the first slot's text; refines to the reference of p0 and to nothing elsewhere."""
    if prompt.layout == "critique":
        return "mention the bike" if prompt.id == "p0" else ""
    assert dict(prompt.slots)["critique"] == ("mention the bike" if prompt.id == "p0" else "")
    return REFERENCES[0] if prompt.id == "p0" else ""


def test_critic_gain_is_refinement_minus_first_answer() -> None:
    from alignment_bench.reference_points import quality

    refiner = Refiner(own)
    found = run("critic_gain", refiner)["critic_gain"]
    before = [quality(*row) for row in zip(FIRST, POSTS, REFERENCES, strict=True)]
    expected = (quality(REFERENCES[0], POSTS[0], REFERENCES[0]) - before[0], -before[1], -before[2])
    assert found.values == pytest.approx(expected) and found.values[0] > 0 > found.values[1]
    assert "proxy" in found.note and "2 of 3 critiques were empty" in found.note
    assert [p.layout for p in refiner.seen] == ["critique"] * 3 + ["refine"] * 3


def test_critic_gain_by_the_judges_own_scale() -> None:
    class Scaled(Comparing):
        def score(self, prompts: Any, keys: Any, texts: Sequence[str]) -> Any:
            return [len(text) / 100 for text in texts]

    found = run("critic_gain", Refiner(own), judge=Scaled(), keys=[Key(k.prompt_id) for k in KEYS])
    lengths = [len(text) / 100 for text in FIRST]
    expected = (len(REFERENCES[0]) / 100 - lengths[0], -lengths[1], -lengths[2])
    assert found["critic_gain"].values == pytest.approx(expected)
    bare = run("critic_gain", Refiner(own), keys=[Key(k.prompt_id) for k in KEYS])["critic_gain"]
    assert "no scale of quality" in bare.missing and "3 of 3" in bare.missing


@dataclass(frozen=True)
class Rewarded:
    """A wrapper with a reward model that likes the texts of even length, all alike."""

    inner: Any = None
    digest: str = "r"

    @property
    def reward_model(self) -> Any:
        return self

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
        return [float(len(c.text) % 2 == 0) for c in completions]


def test_reward_model_accuracy_by_hand() -> None:
    """The judge likes length. p0: of (a, bb, ccc) the pairs a < bb right, bb < ccc wrong, a < ccc a half; p1:
    a repeated text and a tie of the judge are no pairs; p2: one right."""
    texts = (("a", "bb", "ccc"), ("dd", "dd", "ee"), ("f", "gggg", "f"))
    samples = {AT_ONE.name: [[Completion(t, (1,), "eos") for t in row] for row in texts]}
    found = run("reward_model_accuracy", Rewarded(), base_samples=samples)["reward_model_accuracy"]
    assert found.values[0] == pytest.approx((1 + 0 + 0.5) / 3) and found.values[2] == 1.0
    assert math.isnan(found.values[1])
    assert found.note == "4 of 5 pairs decided by judge comparing"
    wrapped = Rewarded()
    outer = type("Outer", (), {"inner": wrapped})()
    again = run("reward_model_accuracy", outer, base_samples=samples)["reward_model_accuracy"]
    assert again.values[0] == found.values[0]
    assert "no reward model" in run("reward_model_accuracy", Refiner(own))["reward_model_accuracy"].missing


def test_text_nll_is_the_models_own(random_policy: Any) -> None:
    """Against transformers' own loss on the same ids; retention shows it for every prompt."""
    import torch

    texts = ["the dog saw a cat .", "it was happy", "dog"]
    prompts = [Prompt(f"p{i}", (Message("user", text),)) for i, text in enumerate(texts)]
    shown = evidence(random_policy, prompts=prompts, keys=[Key(p.id) for p in prompts])
    found = registry.load("evaluators", "retention")()(shown)
    model = random_policy.scoring_model()
    for text, value in zip(texts[:2], found["text_nll"].values, strict=False):
        ids = torch.tensor([random_policy.tokenizer.encode(text, add_special_tokens=False)])
        with torch.inference_mode():
            assert value == pytest.approx(float(model(ids, labels=ids).loss), abs=1e-4)
    assert math.isnan(found["text_nll"].values[2]) and found["retention"].missing
    assert "no weights" in run("retention", Refiner(own))["text_nll"].missing
    assert plain_text.reader_of(Rewarded()) is None


def test_a_trained_wrapper_keeps_its_evaluators(small_tldr: Any) -> None:
    """In a run: best_of_n's reward model is measured, a model's refinements are, and the base refines better
    with right feedback than with shuffled."""
    names = "incorporation,critic_gain,reward_model_accuracy,kl_estimates"
    rows = small_tldr.run("best_of_n:n=2", f"evaluators={names}", "decoding.max_tokens=24")
    by = {(row["method"], row["metric"]): row for row in rows}
    accuracy = by["best_of_n:n=2", "reward_model_accuracy"]
    assert accuracy["status"] == "ok" and 0.3 < accuracy["mean"] <= 1
    assert "carries no reward model" in by["base", "reward_model_accuracy"]["reason"]
    assert by["base", "incorporation"]["mean"] > by["base", "incorporation_shuffled"]["mean"] + 0.5
    assert by["base", "kl_from_base_k3"]["mean"] == pytest.approx(0, abs=1e-6)
    assert by["base", "critic_gain"]["status"] == "ok"
    assert "next-token" in by["best_of_n:n=2", "incorporation"]["reason"]
