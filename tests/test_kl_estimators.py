"""KL both ways by the exact sum, k1 and k3: expectations by enumeration, signs, and real models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from alignment_bench.completions import Completion, Decoding
from alignment_bench.evaluation import AT_ONE, Evidence, Scores
from alignment_bench.evaluators.kl_estimates import KlEstimates, k1, k3
from alignment_bench.formatter import Formatter
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Key, Message, Prompt

PROMPTS = [Prompt("p0", (Message("user", "hello"),))]
KEYS = [Key("p0")]


@dataclass(frozen=True)
class Chain:
    """Two tokens a text; the second's distribution depends on the first. Three words."""

    digest: str
    first: tuple[float, ...]
    then: tuple[tuple[float, ...], ...]
    folder: Path = Path()
    formatter: Formatter = Formatter("plain", {})  # noqa: RUF009  frozen

    def chance(self, tokens: Sequence[int]) -> float:
        return self.first[tokens[0]] * self.then[tokens[0]][tokens[1]]

    def logprobs(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[list[float]]:
        return [
            [math.log(self.first[a]), math.log(self.then[a][b])]
            for a, b in (completion.tokens for completion in completions)
        ]

    def kl(self, other: Any, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> Any:
        def kl(p: Sequence[float], q: Sequence[float]) -> float:
            return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True))

        return [
            [kl(self.first, other.first), kl(self.then[c.tokens[0]], other.then[c.tokens[0]])]
            for c in completions
        ]

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def encode(self, *args: Any) -> Any:
        raise NotImplementedError

    def next_token_probabilities(self, *args: Any) -> Any:
        raise NotImplementedError


P = Chain("p", (0.7, 0.2, 0.1), ((0.5, 0.4, 0.1), (0.1, 0.8, 0.1), (0.3, 0.3, 0.4)))
Q = Chain("q", (0.3, 0.3, 0.4), ((0.2, 0.2, 0.6), (0.6, 0.2, 0.2), (0.1, 0.1, 0.8)))
TEXTS = [Completion("", tokens, "length") for tokens in product(range(3), repeat=2)]


def scored(policy: Any, base: Any, own: Sequence[Completion], others: Sequence[Completion]) -> Any:
    return KlEstimates()(
        Evidence(
            PROMPTS,
            KEYS,
            {AT_ONE.name: [own]},
            {AT_ONE.name: [others]},
            policy,
            base,
            judge=Path(),  # type: ignore[arg-type]
        )
    )


def expectation(metric: str, weights: Chain) -> float:
    """Over all nine texts, each alone, weighed by its chance."""
    values = [scored(P, Q, [text], [text])[metric].values[0] for text in TEXTS]
    return sum(weights.chance(t.tokens) * value for t, value in zip(TEXTS, values, strict=True))


def direct(p: Chain, q: Chain) -> float:
    """KL of the whole texts, straight from its definition."""
    chances = [(p.chance(t.tokens), q.chance(t.tokens)) for t in TEXTS]
    return sum(a * math.log(a / b) for a, b in chances)


def test_all_estimators_agree_in_expectation_both_ways() -> None:
    for metric in ("kl_to_base_k1", "kl_to_base_k3"):
        assert expectation(metric, P) == pytest.approx(direct(P, Q)), metric
    for metric in ("kl_from_base", "kl_from_base_k1", "kl_from_base_k3"):
        assert expectation(metric, Q) == pytest.approx(direct(Q, P)), metric
    assert direct(P, Q) != pytest.approx(direct(Q, P), rel=0.05)  # a mixed-up direction would show


def test_k3_is_never_negative_per_token_and_k1_is() -> None:
    pairs = [(P.logprobs([], [t])[0], Q.logprobs([], [t])[0]) for t in TEXTS]
    tokens = [([a], [b]) for p, q in pairs for a, b in zip(p, q, strict=True)]
    assert min(k3(p, q) for p, q in tokens) >= 0
    assert min(k1(p, q) for p, q in tokens) < 0
    assert k3([-1.0], [-1.0]) == k1([-1.0], [-1.0]) == 0
    assert k3([-1.0], [-2.0]) == pytest.approx(math.exp(-1) - 1 + 1)
    assert k1([-1.0], [-2.0]) == 1


def test_values_by_hand_and_means_over_samples() -> None:
    found = scored(P, Q, [TEXTS[0], TEXTS[4]], [TEXTS[8]])
    one = math.log(0.7 / 0.3) + math.log(0.5 / 0.2)
    two = math.log(0.2 / 0.3) + math.log(0.8 / 0.2)
    assert found["kl_to_base_k1"].values == pytest.approx(((one + two) / 2,))
    assert found["kl_from_base_k1"].values == pytest.approx((math.log(0.4 / 0.1) + math.log(0.8 / 0.4),))


def test_a_ratio_beyond_all_numbers_is_left_out_and_told() -> None:
    @dataclass(frozen=True)
    class Blind(Chain):
        def logprobs(self, prompts: Any, completions: Any) -> list[list[float]]:
            return [[-800.0, -1.0] for _ in completions]

    found = scored(Blind("b", P.first, P.then), Q, TEXTS[:1], TEXTS[:1])
    assert math.isnan(found["kl_to_base_k3"].values[0]) and "1 prompts" in found["kl_to_base_k3"].note
    assert math.isfinite(found["kl_to_base_k1"].values[0])


def test_a_policy_without_logits_is_named() -> None:
    found = scored(Path(), Q, [TEXTS[0]], [TEXTS[0]])
    assert all("next-token distribution" in score.missing for score in found.values())


def test_real_models(random_policy: Any, tmp_path: Path) -> None:
    """Two real models: every estimate of one direction lies within its own sampling error of the exact one,
    which varies least; a model against itself is 0 by all of them."""
    import torch

    from alignment_bench.models.storage import save_policy

    model = random_policy.load_for_training()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for weights in model.parameters():
            weights += 0.05 * torch.randn_like(weights)
    moved = save_policy(tmp_path / "moved", model, parent=random_policy)
    prompt = Prompt("p0", (Message("user", "the dog saw"),))
    decoding = Decoding(max_tokens=6)

    def drawn(policy: Any, n: int = 400) -> list[Completion]:
        return list(policy.generate([prompt], n=n, decoding=decoding, seed=3)[0])

    own, others = drawn(moved), drawn(random_policy)
    evidence = Evidence([prompt], KEYS, {}, {}, moved, random_policy, judge=Path())  # type: ignore[arg-type]

    def all_scores(a: Sequence[Completion], b: Sequence[Completion], **changes: Any) -> dict[str, Scores]:
        shown = replace(evidence, samples={AT_ONE.name: [a]}, base_samples={AT_ONE.name: [b]}, **changes)
        return dict(KlEstimates()(shown))

    exact = {
        "kl_to_base": [sum(v) for v in moved.kl(random_policy, [prompt] * len(own), own)],
        "kl_from_base": [sum(v) for v in random_policy.kl(moved, [prompt] * len(others), others)],
    }
    assert isinstance(moved, LogitPolicy)
    both = all_scores(own, others)
    for direction, samples, p, q in (
        ("kl_to_base", own, moved, random_policy),
        ("kl_from_base", others, random_policy, moved),
    ):
        first, second = (one.logprobs([prompt] * len(samples), samples) for one in (p, q))
        for name, estimate in (("k1", k1), ("k3", k3)):
            values = [estimate(a, b) for a, b in zip(first, second, strict=True)]
            error = stdev(x - y for x, y in zip(values, exact[direction], strict=True)) / len(values) ** 0.5
            assert abs(fmean(values) - fmean(exact[direction])) < 4 * error, (direction, name)
            assert both[f"{direction}_{name}"].values[0] == pytest.approx(fmean(values))
            assert stdev(exact[direction]) < stdev(values)
    assert both["kl_from_base"].values[0] == pytest.approx(fmean(exact["kl_from_base"]))
    assert fmean(exact["kl_to_base"]) > 0.05  # there is something to measure
    itself = all_scores(others, others, policy=random_policy)
    assert all(abs(score.values[0]) < 1e-5 for score in itself.values())
