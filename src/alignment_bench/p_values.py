"""How surprising a difference would be were there none: p-values of intervals, and Holm's adjustment."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

from alignment_bench.statistics import Interval

LEAST_P = 1e-30
"""p-values of two-way intervals are not worked out below this, only bounded"""


def p_value(estimate: Interval) -> float | None:
    """Two-sided p-value of the hypothesis that the true mean is 0; None where there is no standard error.

    It is the level at which the interval of that level just reaches 0. Values that are all the same give no
    interval: of a mean that is not 0 the value is then `no_spread` of what the analysis takes as drawn anew
    each time, seeds or, with one seed, clusters of prompts.
    """
    mean = estimate.mean
    if mean is None or estimate.se is None:
        return None
    if mean == 0:
        return 1.0
    if estimate.df is None:
        units = estimate.n_clusters
        return no_spread(units if estimate.n_seeds == 1 else min(estimate.n_seeds, units))
    from scipy.optimize import brentq
    from scipy.special import stdtr, stdtrit

    ratio = abs(mean) / estimate.se
    terms = estimate.terms or ((estimate.se**2, estimate.df),)
    bounds = [float(2 * stdtr(df, -ratio)) for _, df in terms]
    least, most = min(bounds), max(bounds)
    if least == most or most < LEAST_P:
        return most

    def beyond(log_p: float) -> float:
        reach = sum(variance * float(stdtrit(df, exp(log_p) / 2)) ** 2 for variance, df in terms)
        return log(reach) - 2 * log(abs(mean))

    low, high = log(max(least, LEAST_P)), log(most)
    if beyond(low) <= 0:
        return exp(low)
    return float(exp(brentq(beyond, low, high, xtol=1e-12))) if beyond(high) < 0 else most


def no_spread(units: int) -> float:
    """The smallest two-sided p-value that flipping the signs of so many independent values can give.

    What stands in place of a t test whose standard error is 0: that values agree does not make certain that
    the next one will, and two trainings that agree are no proof.
    """
    return float(2.0 ** (1 - units))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: at most the level's share of families errs at all."""
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = worst
    return adjusted
