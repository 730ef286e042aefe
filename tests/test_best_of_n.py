"""Best-of-n: its arithmetic against enumeration and METHODS' constants, and its pool through a whole run."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment_bench import evaluate, registry, run
from alignment_bench.completions import Completion, Decoding
from alignment_bench.evaluation import Evidence
from alignment_bench.jobs import JobStore
from alignment_bench.policy import PoolPolicy
from alignment_bench.stand_ins import made_up_evidence
from alignment_bench.techniques import best_of

POOLS = st.integers(1, 6).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 3).map(float), min_size=n, max_size=n) for _ in range(2)))
)
"""a proxy and a value for each of up to six draws, with many ties"""

KL = [
    # support, n, exact, bound, estimator
    (2, 4, 0.4594, 0.6363, 0.4991),
    (2, 16, 0.6930, 1.8351, 0.6930),
    (10, 16, 1.7331, 1.8351, 1.7561),
    (10, 128, 2.3026, 3.8598, 2.3026),
    (100, 64, 3.1576, 3.1745, 3.1667),
    (10_000, 64, 3.1745, 3.1745, 3.1745),
]
"""KL of best-of-n from a uniform distribution over so many answers, all of different reward"""


def by_enumeration(proxy: list[float], values: list[float], n: int) -> float:
    """The mean over all n-subsets, members with equal highest proxies sharing evenly."""
    found = []
    for subset in combinations(range(len(proxy)), n):
        top = max(proxy[i] for i in subset)
        found.append(fmean(values[i] for i in subset if proxy[i] == top))
    return fmean(found)


@given(POOLS)
def test_the_expected_best_is_the_mean_over_all_subsets(pool: tuple[list[float], list[float]]) -> None:
    proxy, values = pool
    for n in range(1, len(proxy) + 1):
        assert best_of.expected_best(proxy, values, n) == pytest.approx(by_enumeration(proxy, values, n))
    assert best_of.expected_best(proxy, values, 1) == pytest.approx(fmean(values))


@given(POOLS)
def test_the_expected_win_is_the_mean_over_all_subsets_and_fresh_draws(
    pool: tuple[list[float], list[float]],
) -> None:
    proxy, values = pool
    for n in range(1, len(proxy)):
        wins = []
        for fresh in range(len(proxy)):
            rest = [i for i in range(len(proxy)) if i != fresh]
            worth = [(values[i] > values[fresh]) + 0.5 * (values[i] == values[fresh]) for i in rest]
            wins.append(by_enumeration([proxy[i] for i in rest], worth, n))
        assert best_of.expected_win(proxy, values, n) == pytest.approx(fmean(wins))


@given(POOLS)
def test_no_policy_wins_more_often_by_its_proxy_than_the_bound(
    pool: tuple[list[float], list[float]],
) -> None:
    """n/(n + 1), reached where no two proxies are equal."""
    proxy, _ = pool
    for n in range(1, len(proxy)):
        won = best_of.expected_win(proxy, proxy, n)
        assert won <= best_of.win_bound(n) + 1e-9
        if len(set(proxy)) == len(proxy):
            assert won == pytest.approx(best_of.win_bound(n))


@settings(max_examples=20)
@given(st.permutations(range(6)))
def test_ties_do_not_depend_on_who_came_first(order: list[int]) -> None:
    """The pool in another order has the same curve."""
    proxy, values = [1.0, 1.0, 0.0, 2.0, 2.0, 1.0], [0.0, 1.0, 0.5, 0.2, 0.9, 0.4]
    moved = best_of.expected_best([proxy[i] for i in order], [values[i] for i in order], 3)
    assert moved == pytest.approx(best_of.expected_best(proxy, values, 3))


def test_the_curve_is_unbiased() -> None:
    """Over all pools of 3 from a small population, its mean is best-of-2 drawn with replacement."""
    population = [(0.0, 0.9), (1.0, 0.1), (1.0, 0.5), (2.0, 0.3)]  # proxy, value
    pools = [(a, b, c) for a in population for b in population for c in population]
    curve = fmean(best_of.expected_best([p for p, _ in pool], [v for _, v in pool], 2) for pool in pools)
    pairs = [[a, b] for a in population for b in population]
    truth = fmean(by_enumeration([p for p, _ in pair], [v for _, v in pair], 2) for pair in pairs)
    assert curve == pytest.approx(truth)


def test_sizes_and_what_is_refused() -> None:
    assert best_of.sizes(16) == (1, 2, 4, 8, 16)
    assert best_of.sizes(20) == (1, 2, 4, 8, 16) and best_of.sizes(1) == (1,)
    for n in (0, 3):
        with pytest.raises(ValueError, match="needs a pool"):
            best_of.expected_best([1.0, 2.0], [0.0, 1.0], n)
    with pytest.raises(ValueError, match="needs a pool"):
        best_of.expected_win([1.0, 2.0], [0.0, 1.0], 2)
    with pytest.raises(ValueError, match="2 proxies but 1 values"):
        best_of.expected_best([1.0, 2.0], [0.0], 1)
    with pytest.raises(ValueError, match="no probability"):
        best_of.kl_estimate(4, 1.5)


@pytest.mark.parametrize("support,n,exact,bound,estimate", KL)
def test_kl_against_known_values(support: int, n: int, exact: float, bound: float, estimate: float) -> None:
    """The bound is one, and the estimate lies between it and the truth."""
    below = [(k / support) ** n for k in range(support + 1)]
    chances = [b - a for a, b in pairwise(below)]
    true = sum(p * math.log(p * support) for p in chances if p > 0)
    assert true == pytest.approx(exact, abs=5e-5)
    assert best_of.kl_bound(n) == pytest.approx(bound, abs=5e-5)
    assert best_of.kl_estimate(n, 1 / support) == pytest.approx(estimate, abs=5e-5)
    assert true - 1e-9 <= best_of.kl_estimate(n, 1 / support) <= best_of.kl_bound(n) + 1e-9
    assert true <= math.log(support) + 1e-9


@pytest.mark.parametrize("probability", [0.0, 1e-300, 1e-30, 1e-9, 1e-3, 0.5, 1 - 1e-12, 1.0])
@pytest.mark.parametrize("n", [1, 2, 16, 1024])
def test_the_estimate_holds_for_all_probabilities(n: int, probability: float) -> None:
    """Finite, not negative, at most the bound; best of one has not moved; rare answers reach the bound."""
    value = best_of.kl_estimate(n, probability)
    assert -1e-9 <= value <= best_of.kl_bound(n) + 1e-9
    assert n > 1 or value == pytest.approx(0.0, abs=1e-9)
    if probability < 1e-20:
        assert value == pytest.approx(best_of.kl_bound(n), abs=1e-9)


def test_the_curve_of_a_whole_run(small_tldr: Any) -> None:
    """In the bounds, rising by the proxy, measured on 17 draws whatever the policy's own n; base is n/a."""
    small_tldr.run("best_of_n:n=2", "evaluators=best_of_curve")
    records = small_tldr.records()
    found = {m.name: m for m in records["best_of_n:n=2"].scores}
    assert all(len(m.values) == 12 for m in found.values())
    for n in (2, 4, 8, 16):
        assert all(v <= best_of.win_bound(n) + 1e-9 for v in found[f"proxy_win_best_of_{n}"].values)
        assert all(-1e-9 <= v <= best_of.kl_bound(n) + 1e-6 for v in found[f"kl_best_of_{n}"].values)
    wins = [fmean(found[f"proxy_win_best_of_{n}"].values) for n in (2, 4, 8, 16)]
    assert wins == sorted(wins) and wins[0] > 0.5
    base = {m.name: m for m in records["base"].scores}
    assert {m.missing for m in base.values()} == {"the policy does not pick from a pool of draws"}
    # Answering the test prompts cost nothing: no evaluator asked for answers.
    assert records["best_of_n:n=2"].test_spend["tokens_generated"] == 0


def evidence_of(small_tldr: Any, label: str, seed: int = 0) -> tuple[Evidence, Any, Any]:
    cell = small_tldr.cell(label, "evaluators=best_of_curve")
    base, policy = run.base_of(cell.setting), small_tldr.align(cell).policy
    examples = cell.setting.data.test
    evidence = Evidence(
        [e.prompt for e in examples], [e.key for e in examples], {}, {}, policy, base, cell.setting.judge,
        cell.setting.decoding, seed,
    )  # fmt: skip
    return evidence, policy, cell


def test_the_pool_is_what_the_policy_picks_from(small_tldr: Any) -> None:
    """Its draws and scores; its best of the first n is the policy's answer at the same random numbers."""
    from alignment_bench.digests import derive_seed

    evidence, policy, _ = evidence_of(small_tldr, "best_of_n:n=4")
    assert isinstance(policy, PoolPolicy)
    decoding = Decoding(max_tokens=12)
    pool = policy.pool(evidence.prompts, n=4, decoding=decoding, seed=derive_seed("best_of_n", 3))
    answers = policy.generate(evidence.prompts, n=1, decoding=decoding, seed=3)
    for row, answer in zip(pool, answers, strict=True):
        assert answer == [max(row, key=lambda one: one[1])[0]]


def test_the_curve_does_not_depend_on_the_policys_own_n(small_tldr: Any) -> None:
    """One pool of one size: best_of_n:n=2 and n=4 around one reward model have one curve."""
    curves = []
    for label in ("best_of_n:n=2", "best_of_n:n=4"):
        evidence, _, _ = evidence_of(small_tldr, label)
        curves.append(registry.load("evaluators", "best_of_curve")()(evidence))
    assert curves[0] == curves[1]


def test_seed_and_decoding_are_in_the_score_jobs_key(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sample's key stands for them where an evaluator draws its own."""
    evidence, policy, cell = evidence_of(small_tldr, "best_of_n:n=2")
    keys: list[dict[str, Any]] = []
    original = JobStore.run

    def watched(self: JobStore, kind: str, inputs: Any, work: Any) -> Any:
        if kind == "score":
            keys.append(dict(inputs))
        return original(self, kind, inputs, work)

    monkeypatch.setattr(JobStore, "run", watched)
    panel, work = run.panel_of(cell), small_tldr.work(cell)
    for changed in (panel, replace(panel, seed=7), replace(panel, decoding=Decoding(temperature=0.9))):
        scores = evaluate.score(work, policy, evidence.base, changed, ({}, {}), ({}, {}))
        assert "quality_best_of_16" in scores["best_of_curve"]
    assert len({str(key) for key in keys}) == 3
    assert all("best_of_n" in key["wrappers"] for key in keys)
    spends = [small_tldr.results.glob("jobs/score/*/job.json")]
    assert all(path.read_text("utf-8").count('"tokens_generated": 0') == 0 for path in spends[0]), "metered"


class Picky:
    """Picks from a pool of equal answers, with a judge that cannot score."""

    digest, folder = "0", None

    def generate(self, prompts: Any, **_: Any) -> Any:
        raise AssertionError

    def pool(self, prompts: Any, *, n: int, decoding: Decoding, seed: int) -> Any:
        return [[(Completion("a", (5, 1), "eos"), float(i)) for i in range(n)] for _ in prompts]


def test_what_cannot_be_known_is_named() -> None:
    """A judge without a scale leaves the wins by the proxy; a wrapper around no base leaves no KL."""
    curve = registry.load("evaluators", "best_of_curve")()
    picky: Any = Picky()
    found = curve(replace(made_up_evidence(curve.needs), policy=picky))
    assert "no scale of quality" in found["quality_best_of_4"].missing
    assert "no scale of quality" in found["win_best_of_4"].missing
    assert found["proxy_win_best_of_4"].values == pytest.approx((0.8, 0.8, 0.8))
    assert found["kl_best_of_4"].missing == "what is drawn from is not the base"
