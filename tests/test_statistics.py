"""Intervals: equal to the textbook where there is one, honest where the data say little."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alignment_bench.statistics import ONE_RUN, TWO_RUNS, Array, holm, interval, p_value, paired


def draw(seed: int, seeds: int, prompts: int) -> Array:
    """Scores with a seed effect, a prompt effect and noise."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, 0.06, (seeds, 1)) + rng.normal(0, 0.3, prompts)
    return np.asarray(effects + rng.normal(0, 0.3, (seeds, prompts)))


def test_one_seed_without_clusters_is_the_t_test() -> None:
    values = draw(1, 1, 37)
    ours = interval(values)
    theirs = stats.ttest_1samp(values[0], 0)
    low, high = theirs.confidence_interval(0.95)
    assert ours.low == pytest.approx(low, abs=1e-12)
    assert ours.high == pytest.approx(high, abs=1e-12)
    assert ours.df == theirs.df
    assert p_value(ours) == pytest.approx(theirs.pvalue, abs=1e-12)
    assert ours.note == ONE_RUN
    wide = stats.ttest_1samp(values[0], 0).confidence_interval(0.99)
    assert interval(values, level=0.99).high == pytest.approx(wide.high, abs=1e-12)


def test_one_seed_with_clusters_is_the_clustered_standard_error() -> None:
    values = draw(2, 1, 30)
    clusters = [f"article {index % 7 * index % 5}" for index in range(30)]
    mean = values.mean()
    names = sorted(set(clusters))
    residuals = [
        sum(value - mean for value, name in zip(values[0], clusters, strict=True) if name == one)
        for one in names
    ]
    groups = len(names)
    se = math.sqrt(groups / (groups - 1) * sum(one**2 for one in residuals)) / 30
    ours = interval(values, clusters)
    assert ours.se == pytest.approx(se, rel=1e-12)
    assert (ours.df, ours.n_clusters, ours.n_prompts) == (groups - 1, groups, 30)


def test_two_way_anova_by_hand() -> None:
    # Rows 1 3 5 / 3 5 10: grand mean 4.5, seed means 3 and 6, prompt means 2, 4, 7.5.
    # SS_seed = 3 * (1.5**2 * 2) = 13.5 on 1; SS_prompt = 2 * (6.25 + .25 + 9) = 31 on 2;
    # SS_rest = 47.5 - 13.5 - 31 = 3 on 2.
    ms_seed, ms_prompt, ms_rest = 13.5, 15.5, 1.5
    ours = interval(np.array([[1.0, 3.0, 5.0], [3.0, 5.0, 10.0]]))
    combined = ms_seed + ms_prompt - ms_rest
    df = combined**2 / (ms_seed**2 / 1 + ms_prompt**2 / 2 + ms_rest**2 / 2)
    assert ours.mean == 4.5
    assert ours.se == pytest.approx(math.sqrt(combined / 6), rel=1e-12)
    assert ours.df == pytest.approx(df, rel=1e-12)
    assert ours.se is not None
    assert ours.high == pytest.approx(4.5 + stats.t.ppf(0.975, df) * ours.se, rel=1e-12)
    assert ours.mde == pytest.approx((stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df)) * ours.se, rel=1e-12)
    assert ours.note == TWO_RUNS


def test_no_component_is_ever_negative() -> None:
    # equal seed means: MS_seed = 0 < MS_rest, so only the prompts' mean square is left
    values = np.array([[1.0, 2.0, 6.0], [2.0, 1.0, 6.0]])
    ours = interval(values)
    ms_prompt = 2 * ((1.5 - 3) ** 2 * 2 + 9) / 2
    assert ours.se == pytest.approx(math.sqrt(ms_prompt / 6), rel=1e-12)
    assert ours.df == 2
    # equal prompt means too: the rest alone
    values = np.array([[1.0, 2.0, 3.0, 2.0], [3.0, 2.0, 1.0, 2.0]])
    ours = interval(values)
    assert ours.se == pytest.approx(math.sqrt(4 / 3 / 8), rel=1e-12)
    assert ours.df == 3
    # equal prompt means, different seeds: the seeds' mean square alone
    values = np.array([[1.0, 2.0, 1.0, 2.0], [8.0, 7.0, 8.0, 7.0]])
    ours = interval(values)
    assert ours.se == pytest.approx(math.sqrt(4 * 3.0**2 * 2 / 8), rel=1e-12)
    assert ours.df == 1


def test_clusters_of_one_prompt_change_nothing() -> None:
    values = draw(3, 3, 12)
    alone = interval(values, [f"p{index}" for index in range(12)])
    plain = interval(values)
    assert (alone.mean, alone.n_clusters) == (plain.mean, 12)
    assert alone.se == pytest.approx(plain.se, rel=1e-12)


def test_equal_clusters_are_the_analysis_of_their_means() -> None:
    values = draw(4, 3, 12)
    clusters = [f"c{index // 3}" for index in range(12)]
    ours, means = interval(values, clusters), interval(values.reshape(3, 4, 3).mean(axis=2))
    assert ours.se == pytest.approx(means.se, rel=1e-12)
    assert ours.df == pytest.approx(means.df, rel=1e-12)
    assert ours.mean == pytest.approx(means.mean, rel=1e-12)


def test_an_uneven_cluster_does_not_read_a_seed_effect_as_noise() -> None:
    # each seed shifts every prompt alike, so nothing is left over once seeds and clusters are removed
    shift = np.array([[0.0], [0.1], [0.35]])
    values = shift + np.array([1.0, 1.2, 0.7, 0.9, 2.0, 1.1])
    clusters = ["a", "a", "a", "a", "b", "c"]
    alone = interval(values[:1], clusters)
    ours = interval(values, clusters)
    assert ours.se is not None and alone.se is not None
    assert ours.se**2 == pytest.approx(alone.se**2 + shift.var(ddof=1) / 3, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 15), st.integers(1, 5))
def test_order_does_not_matter(seed: int, seeds: int, prompts: int, groups: int) -> None:
    values = draw(seed, seeds, prompts)
    rng = np.random.default_rng(seed)
    clusters = [f"c{one}" for one in rng.integers(0, groups, prompts)]
    rows, columns = rng.permutation(seeds), rng.permutation(prompts)
    ours = interval(values, clusters)
    other = interval(values[rows][:, columns], [clusters[one] for one in columns])
    assert (ours.n_clusters, ours.note) == (other.n_clusters, other.note)
    for name in ("mean", "low", "high", "se", "df", "mde"):
        one, two = getattr(ours, name), getattr(other, name)
        assert (one is None) == (two is None), name
        assert one is None or one == pytest.approx(two, rel=1e-7, abs=1e-12), name


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(-5, 5), st.floats(0.1, 10))
def test_intervals_move_and_stretch_with_the_scores(seed: int, shift: float, scale: float) -> None:
    values = draw(seed, 3, 10)
    ours, other = interval(values), interval(scale * values + shift)
    assert ours.low is not None
    assert other.low == pytest.approx(scale * ours.low + shift, rel=1e-6, abs=1e-9)
    assert other.df == pytest.approx(ours.df, rel=1e-6)


def test_paired_is_the_interval_of_the_differences() -> None:
    a, b = draw(5, 3, 20), draw(6, 3, 20)
    assert paired(a, b) == interval(a - b)
    flipped = paired(b, a)
    assert paired(a, b).mean == pytest.approx(-(flipped.mean or 0.0), rel=1e-12)


def test_pairing_removes_what_both_share() -> None:
    base = draw(7, 3, 50)
    rng = np.random.default_rng(8)
    better = base + 0.05 + rng.normal(0, 0.02, base.shape)
    delta = paired(better, base)
    assert delta.low is not None and delta.low > 0
    apart = interval(better)
    assert apart.low is not None and apart.low < (interval(base).high or 0.0)


def test_unscored_prompts_are_left_out_of_every_seed_and_counted() -> None:
    values = draw(9, 2, 10)
    values[0, 3] = values[1, 3] = values[1, 7] = np.nan
    ours = interval(values)
    kept = interval(np.delete(values, [3, 7], axis=1))
    assert (ours.mean, ours.low, ours.n_prompts) == (kept.mean, kept.low, 8)
    assert "2 of 10 prompts not scored in every seed" in ours.note


def test_nothing_scored_has_no_mean() -> None:
    for values in (np.full((2, 3), np.nan), np.empty((0, 3)), np.empty((2, 0))):
        ours = interval(values)
        assert (ours.mean, ours.low, ours.se, ours.mde) == (None, None, None, None)
        assert "nothing was scored" in ours.note


def test_one_prompt_or_one_cluster_has_no_interval() -> None:
    one = interval(np.array([[0.5], [0.7]]))
    assert (one.mean, one.low, one.high, one.mde) == (0.6, None, None, None)
    assert "one prompt" in one.note
    cluster = interval(draw(10, 3, 5), ["a"] * 5)
    assert (cluster.low, cluster.high, cluster.n_clusters) == (None, None, 1)
    assert "one cluster" in cluster.note
    assert p_value(cluster) is None


def test_no_variation_is_not_certainty() -> None:
    for seeds in (1, 2, 3):
        same = interval(np.full((seeds, 9), 0.1))
        assert (same.low, same.high, same.se) == (None, None, 0.0)
        assert same.mean == pytest.approx(0.1)
        assert "no variation" in same.note
    base = draw(11, 3, 9)
    shifted = paired(base + 0.1, base)
    assert (shifted.low, shifted.high) == (None, None)
    assert p_value(shifted) == 0.0
    assert p_value(paired(base, base)) == 1.0


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="1-dimensional"):
        interval(np.zeros(3))
    with pytest.raises(ValueError, match="2 clusters for 3 prompts"):
        interval(np.zeros((1, 3)), ["a", "b"])
    with pytest.raises(ValueError, match="infinite"):
        interval(np.array([[1.0, np.inf]]))
    with pytest.raises(ValueError, match="infinite"):
        paired(np.array([[1.0, np.inf]]), np.array([[1.0, np.inf]]))
    with pytest.raises(ValueError, match="level"):
        interval(np.zeros((1, 3)), level=95)
    with pytest.raises(ValueError, match="cannot pair"):
        paired(np.zeros((1, 3)), np.zeros((2, 3)))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("seeds", "least", "most"), [(2, 0.87, 0.94), (3, 0.90, 0.96), (5, 0.92, 0.97)])
def test_coverage_is_what_the_simulation_promised(seeds: int, least: float, most: float) -> None:
    rng = np.random.default_rng(seeds)
    hits = 0
    for _ in range(1500):
        values = rng.normal(0, 0.06, (seeds, 1)) + rng.normal(0, 0.3, 60) + rng.normal(0, 0.3, (seeds, 60))
        ours = interval(values)
        assert ours.low is not None and ours.high is not None
        hits += ours.low <= 0 <= ours.high
    assert least <= hits / 1500 <= most
