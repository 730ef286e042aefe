"""Exact tests and small samples: what scipy and statsmodels say, and what was published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from alignment_bench.p_values import holm, p_value
from alignment_bench.statistics import interval, paired
from alignment_bench.verdicts.comparisons import CLUSTERED, MCNEMAR, PERMUTATION, TWO_WAY, contrast
from alignment_bench.verdicts.exact import mcnemar, mcnemar_mde, mcnemar_power, newcombe, sign_flip, wilson


def binary(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """The right and wrong answers of two methods, [1, prompts] each, with these counts."""
    counts = (both, only_first, only_second, neither)
    first = np.repeat([1.0, 1.0, 0.0, 0.0], counts)
    second = np.repeat([1.0, 0.0, 1.0, 0.0], counts)
    return first[None], second[None]


def test_the_example_of_the_evaluation_harness() -> None:
    """lm-evaluation-harness issue 3831, with its pull request 3868: 220 prompts, paired .008, unpaired .080.

    The thread gives the two p-values and not the table; this is one that has both.
    """
    a, b = binary(51, 27, 10, 132)
    outcome = contrast(a, b)
    assert outcome.test == MCNEMAR
    assert outcome.p == pytest.approx(0.008, abs=0.0005)
    variance = (a.var(ddof=0) + b.var(ddof=0)) / 220
    unpaired = 2 * stats.norm.sf((a.mean() - b.mean()) / math.sqrt(variance))
    assert unpaired == pytest.approx(0.080, abs=0.0005)
    assert outcome.difference.low is not None and outcome.difference.low > 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_theirs(only_first: int, only_second: int) -> None:
    if only_first + only_second == 0:
        assert mcnemar(0, 0) == 1.0
        return
    theirs = their_mcnemar([[3, only_first], [only_second, 4]], exact=True).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(min(1.0, theirs), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 500), st.data())
def test_wilson_is_theirs(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    theirs = proportion_confint(successes, trials, method="wilson")
    assert wilson(successes, trials) == pytest.approx(theirs, abs=1e-9)
    other = stats.binomtest(successes, trials).proportion_ci(0.9, method="wilson")
    assert wilson(successes, trials, 0.9) == pytest.approx((other.low, other.high), abs=1e-9)


def test_nothing_tried_has_no_share() -> None:
    with pytest.raises(ValueError, match="no trials"):
        wilson(0, 0)


def test_newcombe_is_what_was_published() -> None:
    """Cavo et al. 2012, response before and after consolidation: -.0621 (-.1186 to -.0046).

    As in Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables, chapter 8.
    """
    assert newcombe(59, 6, 16, 80) == pytest.approx((-0.1186, -0.0046), abs=5e-5)
    low, high = newcombe(59, 16, 6, 80)
    assert (low, high) == pytest.approx((0.0046, 0.1186), abs=5e-5)
    assert newcombe(10, 0, 0, 0)[0] < 0 < newcombe(10, 0, 0, 0)[1]


def test_the_detectable_difference_of_shares_is_seen_in_four_of_five() -> None:
    rng = np.random.default_rng(0)
    prompts, disagree = 150, 0.3
    effect = mcnemar_mde(round(disagree * prompts), prompts)
    assert effect is not None
    share = disagree + effect**2 / 2
    counts = rng.multinomial(prompts, [(share + effect) / 2, (share - effect) / 2, 1 - share], 4000)
    seen = np.mean([mcnemar(int(b), int(c)) < 0.05 for b, c, _ in counts])
    assert seen == pytest.approx(0.8, abs=0.02)
    assert mcnemar_power(effect, share, prompts) == pytest.approx(0.8, abs=1e-3)
    assert mcnemar_mde(2, 4) is None


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=10))
def test_sign_flips_are_theirs(totals: list[int]) -> None:
    values = np.array(totals, dtype=float)
    if not values.any() or np.count_nonzero(values) < 2:
        return
    moved = values[values != 0]
    theirs = stats.permutation_test((moved,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(values) == pytest.approx(min(1.0, theirs.pvalue), abs=1e-9)


def test_many_sign_flips_are_near_the_t_test_and_the_same_every_time() -> None:
    values = np.random.default_rng(3).normal(0.4, 1, 25)
    assert sign_flip(values) == sign_flip(values)
    assert sign_flip(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)


def test_paired_t_is_theirs() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.1, 1, (1, 60)), rng.normal(0, 1, (1, 60))
    outcome, theirs = contrast(a, b), stats.ttest_rel(a[0], b[0])
    assert outcome.test == CLUSTERED
    assert outcome.p == pytest.approx(theirs.pvalue, abs=1e-9)
    bounds = theirs.confidence_interval(0.95)
    assert (outcome.difference.low, outcome.difference.high) == pytest.approx(
        (bounds.low, bounds.high), abs=1e-9
    )


def test_the_clustered_standard_error_is_theirs() -> None:
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 40, 120)
    difference = rng.normal(0, 1, 120) + rng.normal(0, 1, 40)[groups]
    fitted = OLS(difference, np.ones(120)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    ours = interval(difference[None], groups)
    # statsmodels' correction is G / (G - 1) * (n - 1) / (n - k), and k is 1
    assert ours.se == pytest.approx(float(fitted.bse[0]), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_theirs(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-9)


def test_the_test_follows_from_what_was_run() -> None:
    rng = np.random.default_rng(6)
    right = (rng.random((2, 1, 60)) < 0.5).astype(float)
    assert contrast(right[0], right[1]).test == MCNEMAR
    pairs_of_prompts = np.arange(60) // 2
    assert contrast(right[0], right[1], pairs_of_prompts).test == CLUSTERED, "McNemar knows no clusters"
    assert contrast(right[0], right[1], np.arange(60) // 3).test == PERMUTATION
    assert contrast(right[0] + 0.5, right[1]).test == CLUSTERED, "not 0 and 1"
    both = np.repeat(right, 2, axis=1)
    both[0, 1] = 1 - both[0, 1]
    assert contrast(both[0], both[1]).test == TWO_WAY
    few = rng.normal(0, 1, (2, 1, 29))
    assert contrast(few[0], few[1]).test == PERMUTATION
    assert "Student" in contrast(few[0], few[1]).note


def test_methods_that_never_disagree_have_an_interval_and_no_evidence() -> None:
    a, b = binary(20, 0, 0, 15)
    outcome = contrast(a, b)
    assert (outcome.test, outcome.p) == (MCNEMAR, 1.0)
    assert outcome.difference.low is not None and outcome.difference.low < 0
    assert p_value(paired(a, b)) == 1.0
