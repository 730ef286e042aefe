"""dist-n and perplexity: hand-computed values, what is left out, and what is counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import registry
from alignment_bench.completions import Completion, Decoding
from alignment_bench.evaluation import AT_TASK, Evidence, Scores
from alignment_bench.evaluators.diversity import distinct
from alignment_bench.evaluators.perplexity import Perplexity
from alignment_bench.judges.always_longer import AlwaysLonger
from alignment_bench.prompts import Key, Message, Prompt


def evidence(samples: Sequence[Sequence[Completion]], base: Any = None) -> Evidence:
    """One cell's evidence with these samples, one list a prompt."""
    prompts = [Prompt(f"p{i}", (Message("user", "the dog ran"),)) for i in range(len(samples))]
    return Evidence(
        prompts, [Key(p.id) for p in prompts], {AT_TASK.name: samples}, {}, base, base, AlwaysLonger()
    )


def texts(*rows: Sequence[str]) -> list[list[Completion]]:
    return [[Completion(text, (1,), "eos") for text in row] for row in rows]


def test_dist_n_by_hand() -> None:
    """Within a prompt, over words, never across two answers.

    Prompt 0: "a b a" and "a b c" have 6 words, of which 3 differ; the bigrams ab ba ab bc are 3 different
    ones, the trigrams aba abc 2. Prompt 1: "x" twice: 1 of 2 words, no bigram.
    """
    found = registry.load("evaluators", "diversity")()(evidence(texts(["a b a", "a b c"], ["x", " x\n"])))
    assert found["dist_1"].values == (3 / 6, 1 / 2)
    assert found["dist_2"].values == (3 / 6, 0.0)
    assert found["dist_3"].values == (2 / 6, 0.0)
    assert all("within 2 samples" in scores.note for scores in found.values())


def test_dist_n_is_not_the_corpus_measure() -> None:
    """Two prompts with the same answer are each fully diverse; joined answers would have other bigrams."""
    found = registry.load("evaluators", "diversity")()(evidence(texts(["a b"], ["a b"])))
    assert found["dist_1"].values == (1.0, 1.0) and found["dist_2"].values == (0.5, 0.5)
    assert distinct(["a b", "b a"], 2) == 2 / 4 and distinct(["a b b a"], 2) == 3 / 4


def test_prompts_without_a_word_have_no_diversity() -> None:
    found = registry.load("evaluators", "diversity")()(evidence(texts(["", " "], ["a", ""])))
    assert math.isnan(found["dist_1"].values[0]) and found["dist_1"].values[1] == 1.0
    assert "1 prompts with empty answers only left out" in found["dist_1"].note
    none = registry.load("evaluators", "diversity")()(evidence(texts([""], [" "])))
    assert none["dist_2"] == Scores(missing="every answer is empty")


@dataclass(frozen=True)
class Told:
    """A base whose log-probability of token t is -t."""

    digest: str = "0" * 64
    folder: Path = Path("absent")
    formatter: Any = None

    def generate(self, prompts: Any, *, n: int, decoding: Decoding, seed: int) -> Any:
        raise AssertionError

    def logprobs(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[list[float]]:
        return [[-float(token) for token in c.tokens] for c in completions]

    def kl(self, reference: Any, prompts: Any, completions: Any) -> Any:
        raise AssertionError

    def encode(self, text: str, layout: str = "answer") -> Completion:
        raise AssertionError

    def next_token_probabilities(self, prompts: Any, answers: Any) -> Any:
        raise AssertionError


def run(samples: Sequence[Sequence[Completion]], **fields: Any) -> Mapping[str, Scores]:
    return Perplexity()(evidence(samples, Told()))


def test_perplexity_by_hand() -> None:
    """exp of the mean surprise an answer, then their mean; the end-of-sequence token (50 here) is no part."""
    rows = [
        [Completion("a", (1, 3, 50), "eos"), Completion("b", (4,), "length")],
        [Completion("c", (0, 0), "length"), Completion("d", (2, 50), "eos")],
    ]
    values = run(rows)["perplexity"].values
    assert values == pytest.approx(((math.exp(2) + math.exp(4)) / 2, (1 + math.exp(2)) / 2))
    assert run(rows)["perplexity"].note == ""


def test_outliers_and_empty_answers_are_left_out_and_counted() -> None:
    """exp(9.3) is 10,938; exp of 10,000 must not overflow; a prompt with nothing left has no value."""
    rows = [
        [Completion("a", (1,), "length"), Completion("b", (9,), "length")],
        [Completion("c", (10_000,), "length"), Completion("", (50,), "eos")],
    ]
    scores = run(rows)["perplexity"]
    assert scores.values[0] == pytest.approx((math.exp(1) + math.exp(9)) / 2)
    assert math.isnan(scores.values[1])
    assert scores.note == (
        "1 of 4 answers with perplexity 10000 or more left out; 1 of 4 empty answers left out"
    )
    assert run([[Completion("x", (10,), "length")]])["perplexity"].missing.startswith("1 of 1 answers")


def test_perplexity_of_a_model_is_that_of_its_own_logprobs(random_policy: Any, random_base: Path) -> None:
    """Under the base by its tokens; under the same model by name, by its own encoding of the text."""
    written = [[random_policy.encode("a dog sat"), random_policy.encode("the park")]]
    shown = evidence(written, random_policy)
    want = []
    for answer in written[0]:
        cut = Completion(answer.text, answer.tokens[:-1], "length")
        (values,) = random_policy.logprobs(shown.prompts, [cut])
        want.append(math.exp(-sum(values) / len(values)))
    found = registry.load("evaluators", "perplexity")()(shown)["perplexity"].values
    assert found == pytest.approx((sum(want) / 2,), rel=1e-5)
    named = Perplexity(model=str(random_base))(shown)["perplexity"].values
    assert named == pytest.approx(found, rel=1e-5)
    assert (
        Perplexity(model=str(random_base)).identity == random_policy.base_digest and not Perplexity().identity
    )
    told = evidence([[Completion(answer.text, (), "length") for answer in written[0]]], random_policy)
    assert Perplexity()(told)["perplexity"].values == pytest.approx(found, rel=1e-5)
    empty = evidence([[random_policy.encode("")]], random_policy)
    assert "1 of 1 empty answers" in Perplexity()(empty)["perplexity"].missing
