"""The length-controlled win rate: what it takes away, what it leaves, and that its error includes the fit."""

from __future__ import annotations

import numpy as np
import pytest

from alignment_bench import registry
from alignment_bench.judging.length_control import (
    INPUTS,
    LONGER,
    METRIC,
    VERDICT,
    controlled,
    fit,
    sigmoid,
    standardised,
)
from alignment_bench.statistics import interval, paired
from alignment_bench.testing import made_up_evidence


def simulated(theta, phi, prompts, seed, surplus=None, votes=4):  # type: ignore[no-untyped-def]
    """Verdicts and surplus of characters of methods of strength `theta` under a judge led by length."""
    noise = np.random.default_rng(seed)
    means = np.zeros(len(theta)) if surplus is None else np.asarray(surplus, float)
    longer = noise.normal(means[:, None], 100.0, (len(theta), prompts))
    ease = noise.normal(0, 1, prompts)
    lengths = standardised(longer, np.ones_like(longer, bool))
    chance = sigmoid(np.asarray(theta, float)[:, None] + phi * lengths + ease)
    return noise.binomial(votes, chance) / votes, longer


def test_mere_length_wins_nothing() -> None:
    """Two methods as good as base, one of them 150 characters longer, under a judge that likes length."""
    wins, longer = simulated([0.0, 0.0], 1.6, 1500, 1, surplus=[0, 150])
    found = fit(wins, longer)
    raw = wins.mean(axis=1)
    assert raw[1] - raw[0] > 0.15
    assert found.rates == pytest.approx([0.5, 0.5], abs=0.03)
    assert found.phi > 1


def test_real_quality_stays() -> None:
    """The longer method is better as well: what length did not earn is left to it, in order and in size."""
    theta = [0.8, 0.8, -0.5]
    wins, longer = simulated(theta, 1.6, 1500, 2, surplus=[150, 0, 150])
    ease = np.random.default_rng(9).normal(0, 1, 20000)
    truth = [float(sigmoid(one + ease).mean()) for one in theta]
    assert fit(wins, longer).rates == pytest.approx(truth, abs=0.035)


def test_without_any_effect_of_length_it_is_the_win_rate() -> None:
    wins, longer = simulated([0.4, -0.4], 0.0, 800, 3, surplus=[100, -100])
    flat = np.full_like(longer, 40.0)
    assert fit(wins, flat).rates == pytest.approx(wins.mean(axis=1), abs=1e-3)
    assert fit(wins, flat).phi == 0
    assert fit(wins, longer).rates == pytest.approx(wins.mean(axis=1), abs=0.02)


def test_swapping_the_sides_turns_the_rate_round() -> None:
    wins, longer = simulated([0.7, 0.1], 1.2, 200, 4)
    there, back = fit(wins, longer), fit(1 - wins, -longer)
    assert back.rates == pytest.approx(1 - there.rates, abs=1e-8)
    assert back.phi == pytest.approx(there.phi, abs=1e-8)
    assert fit(wins, 1000 * longer).rates == pytest.approx(there.rates, abs=1e-12)  # any unit of length


def test_methods_are_fitted_together() -> None:
    """One length weight and one ease of each prompt: another method in the table moves a rate, a little."""
    wins, longer = simulated([0.5, 0.0, -0.5], 1.6, 60, 5, surplus=[120, 0, -50])
    alone, together = fit(wins[:1], longer[:1]), fit(wins, longer)
    assert alone.rates[0] != together.rates[0]
    assert abs(alone.rates[0] - together.rates[0]) < 0.1
    order = [2, 0, 1]
    assert fit(wins[order], longer[order]).rates == pytest.approx(together.rates[order], abs=1e-9)


def test_pseudo_values_are_each_prompts_pull_on_the_whole_fit() -> None:
    """Against doing the fit again without that prompt; and their mean is the rate."""
    wins, longer = simulated([0.5, -0.3], 1.6, 80, 6, surplus=[100, 0], votes=2)
    found = fit(wins, longer)
    assert found.pseudo.mean(axis=1) == pytest.approx(found.rates, abs=1e-12)
    left = np.array([fit(np.delete(wins, i, 1), np.delete(longer, i, 1)).rates for i in range(80)]).T
    jackknife = 80 * found.rates[:, None] - 79 * left
    for ours, again in zip(found.pseudo, jackknife, strict=True):
        assert np.corrcoef(ours, again)[0, 1] > 0.98
        assert ours.std() == pytest.approx(again.std(), rel=0.06)


def test_the_error_includes_the_fit() -> None:
    """As large as that of repeating the whole fit on resampled prompts; the predictions' own is far less."""
    wins, longer = simulated([0.6, 0.0, -0.6], 1.6, 150, 7, surplus=[150, 0, 80], votes=2)
    found = fit(wins, longer)
    errors = np.array([interval(row[None, :]).se for row in found.pseudo])
    noise = np.random.default_rng(8)
    draws = [noise.integers(0, 150, 150) for _ in range(300)]
    repeated = np.std([fit(wins[:, i], longer[:, i]).rates for i in draws], axis=0, ddof=1)
    assert errors == pytest.approx(repeated, rel=0.15)
    predictions = sigmoid(found.theta[:, None] + found.gamma).std(axis=1, ddof=1) / np.sqrt(150)
    assert (errors > 1.3 * predictions).all()


@pytest.mark.parametrize(("methods", "prompts", "votes"), [(1, 60, 1), (2, 100, 12), (8, 100, 4)])
def test_intervals_cover(methods: int, prompts: int, votes: int) -> None:
    """The true rate over all prompts there could be lies in the 95 % interval about 95 times in 100."""
    ease = np.random.default_rng(0).normal(0, 1, 20000)
    inside = []
    for repeat in range(400):
        noise = np.random.default_rng([repeat, methods])
        theta, surplus = noise.normal(0, 0.8, methods), noise.uniform(-150, 150, methods)
        wins, longer = simulated(theta, 1.5, prompts, repeat, surplus, votes)
        for strength, row in zip(theta, fit(wins, longer).pseudo, strict=True):
            found = interval(row[None, :])
            assert found.low is not None and found.high is not None
            inside.append(found.low <= float(sigmoid(strength + ease).mean()) <= found.high)
    assert 0.92 < np.mean(inside) < 0.98


def test_a_method_that_wins_everything_stays_finite() -> None:
    wins, longer = simulated([0.0, 0.0], 1.0, 40, 9)
    wins[0] = 1.0
    found = fit(wins, longer)
    assert 0.99 < found.rates[0] < 1
    assert np.isfinite(found.pseudo).all()


def test_prompts_without_a_verdict_are_left_out_of_their_method_alone() -> None:
    wins, longer = simulated([0.5, -0.5], 1.2, 120, 10)
    wins[0, :20], longer[0, :20] = np.nan, np.nan
    found = fit(wins, longer)
    assert np.isnan(found.pseudo[0]).sum() == 20 and not np.isnan(found.pseudo[1]).any()
    assert np.nanmean(found.pseudo, axis=1) == pytest.approx(found.rates, abs=1e-12)


@pytest.mark.parametrize(
    ("wins", "longer", "says"),
    [
        ([0.5], [1.0], "must both"),
        ([[0.5, 0.5]], [[1.0]], "must both"),
        ([[0.5, 1.5]], [[1.0, 2.0]], "outside"),
        ([[0.5, 0.5], [np.nan, np.nan]], [[1.0, 2.0]] * 2, "no verdict on any"),
    ],
)
def test_what_cannot_be_fitted_is_an_error(wins: list, longer: list, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fit(wins, longer)


def test_a_table_fits_every_seed_and_base_is_a_half() -> None:
    wins, longer = simulated([0.5, -0.2, 0.1], 1.5, 50, 11, surplus=[100, 0, 50])
    half, none = np.full(50, 0.5), np.zeros(50)
    stored = {
        "base": {VERDICT: {0: half, 1: half}, LONGER: {0: none, 1: none}},
        "ilf": {VERDICT: {0: wins[0], 1: wins[1]}, LONGER: {0: longer[0], 1: longer[1]}},
        "ppo": {VERDICT: {0: wins[2]}, LONGER: {0: longer[2]}},
        "unscored": {VERDICT: {}, LONGER: {}},
    }
    found = controlled(stored, "base")
    both, one = fit(wins[[0, 2]], longer[[0, 2]]), fit(wins[[1]], longer[[1]])
    assert np.array_equal(found["ilf"][0], both.pseudo[0]) and np.array_equal(found["ppo"][0], both.pseudo[1])
    assert np.array_equal(found["ilf"][1], one.pseudo[0])
    assert found["unscored"] == {}
    delta = paired(*(np.stack([found[line][seed] for seed in (0, 1)]) for line in ("ilf", "base")))
    assert delta.mean == pytest.approx((both.rates[0] + one.rates[0]) / 2 - 0.5)
    assert controlled(stored, None)["base"][0].mean() == pytest.approx(0.5, abs=0.02)


def test_a_cell_stores_what_the_fit_needs() -> None:
    """The rate itself is not known of one cell; verdicts are those of the win rate, lengths of characters."""
    plugin = registry.load("evaluators", "lc_win_rate")()
    other = registry.load("evaluators", "win_rate")()
    evidence = made_up_evidence(plugin.needs)
    found = plugin(evidence)
    assert set(found) == {METRIC, *INPUTS}
    assert not found[METRIC].values and "over all methods" in found[METRIC].missing
    assert found[VERDICT].values == other(evidence)["win_rate_vs_base"].values
    for place, surplus in enumerate(found[LONGER].values):
        ours = [len(c.text) for c in evidence.samples["task"][place]]
        base = [len(c.text) for c in evidence.base_samples["task"][place]]
        pairs = [a - b for i, a in enumerate(ours) for j, b in enumerate(base) if i != j or len(base) == 1]
        assert surplus == pytest.approx(np.mean(pairs))
