"""Intervals: equal to the textbook where there is one, honest where the data say little."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alignment_bench.p_values import holm, p_value
from alignment_bench.statistics import ONE_RUN, TWO_RUNS, Array, interval, paired, paired_each


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
    assert ours.mean == 4.5
    assert ours.terms[0] == pytest.approx((ms_seed / 6, 1), rel=1e-12)
    assert ours.terms[1] == pytest.approx(((ms_prompt - ms_rest) / 6, 2), rel=1e-12)
    assert ours.se == pytest.approx(math.sqrt((ms_seed + ms_prompt - ms_rest) / 6), rel=1e-12)
    quantiles = stats.t.ppf(0.975, [1, 2])
    reach = math.sqrt((ms_seed * quantiles[0] ** 2 + (ms_prompt - ms_rest) * quantiles[1] ** 2) / 6)
    assert ours.high == pytest.approx(4.5 + reach, rel=1e-12)
    assert ours.df is not None and ours.se is not None and 1 < ours.df < 2
    assert stats.t.ppf(0.975, ours.df) * ours.se == pytest.approx(reach, rel=1e-9)
    assert ours.note == TWO_RUNS


@pytest.mark.parametrize("df", [1, 4, 39])
def test_the_detectable_effect_is_seen_in_four_of_five_tests(df: int) -> None:
    # one seed: the t test; at the median of the estimated standard error
    rng = np.random.default_rng(df)
    ours = interval(rng.normal(0, 1, (1, df + 1)))
    assert ours.mde is not None and ours.se is not None
    effect = ours.mde / ours.se * math.sqrt(stats.chi2.median(df) / df)
    assert stats.nct.sf(stats.t.ppf(0.975, df), df, effect) == pytest.approx(0.8, abs=1e-6)


def test_no_component_is_ever_negative() -> None:
    # equal seed means: MS_seed = 0, so only what the prompts have beyond the rest is left
    values = np.array([[1.0, 2.0, 6.0], [2.0, 1.0, 6.0]])
    ours = interval(values)
    ms_prompt, ms_rest = 2 * ((1.5 - 3) ** 2 * 2 + 9) / 2, 4 * 0.5**2 / 2
    assert ours.se == pytest.approx(math.sqrt((ms_prompt - ms_rest) / 6), rel=1e-12)
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


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(3, 20), st.floats(0, 3))
def test_the_p_value_is_the_level_at_which_the_interval_reaches_zero(
    seed: int, seeds: int, prompts: int, shift: float
) -> None:
    values = draw(seed, seeds, prompts) + shift
    p = p_value(interval(values))
    assert p is not None and 0 < p <= 1
    if 1e-12 < p < 1 - 1e-9:
        touching = interval(values, level=1 - p)
        assert touching.low is not None and touching.high is not None and touching.mean is not None
        near = touching.low if touching.mean > 0 else touching.high
        assert near == pytest.approx(0, abs=1e-5 * abs(touching.mean))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.booleans(), st.booleans())
def test_pairs_at_once_are_pairs_one_by_one(seed: int, seeds: int, clustered: bool, holes: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = [draw(seed + place, seeds, 12) for place in range(3)]
    rows += [rows[0].copy(), rows[0] + 1e-9 * rng.normal(size=rows[0].shape)]
    clusters = list(rng.integers(0, 5, 12)) if clustered else None
    if holes:
        for row in rows:
            row[rng.integers(0, seeds), 4] = np.nan
    which = [(0, 1), (2, 1), (0, 3), (4, 0), (1, 2)]
    for (i, j), ours in zip(which, paired_each(rows, which, clusters), strict=True):
        other = paired(rows[i], rows[j], clusters)
        assert (ours.note, ours.n_prompts, ours.n_clusters) == (other.note, other.n_prompts, other.n_clusters)
        for name in ("mean", "low", "high", "se", "df", "mde"):
            one, two = getattr(ours, name), getattr(other, name)
            assert (one is None) == (two is None), name
            assert one is None or one == pytest.approx(two, rel=1e-7, abs=1e-14), name


def test_rows_that_are_not_scored_alike_are_not_taken_together() -> None:
    row = draw(1, 2, 5)
    hole = row.copy()
    hole[0, 0] = np.nan
    with pytest.raises(ValueError, match="differ"):
        paired_each([row, hole], [(0, 1)])


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
    # the same difference on every prompt: as much as that many coins that agree, never certainty
    assert p_value(shifted) == pytest.approx(2 * 0.5**3)
    assert p_value(paired(base[:1] + 0.1, base[:1])) == pytest.approx(2 * 0.5**9)
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
