"""Exact and small-sample answers for scores of 0 and 1 and for few prompts.

Below a few hundred prompts the normal approximation behind ordinary intervals fails for shares (Bowyer et
al. 2025, arXiv 2503.01747). The functions of scipy and statsmodels say the same to rounding, which a test
holds them to; they take 5 to 150 ms a call, and a table of 100 methods makes 4,950 of each.
"""

from __future__ import annotations

from functools import cache
from math import sqrt

import numpy as np

from alignment_bench.statistics import Array

EXACT_UP_TO = 13
"""clusters whose sign flips are all gone through"""
FLIPS = 9_999
"""sign flips drawn of more clusters"""


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value from the numbers of prompts that only one of two methods got right.

    Where the methods never disagree there is no evidence of a difference: 1.
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def wilson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share. Raises ValueError where there are no trials."""
    if trials < 1:
        raise ValueError("no trials: a share of nothing has no interval")
    z = _normal((1 + level) / 2)
    share, scale = successes / trials, 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / scale
    reach = z / scale * sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    low = 0.0 if successes == 0 else centre - reach
    return low, 1.0 if successes == trials else centre + reach


def newcombe(
    both: int, only_first: int, only_second: int, neither: int, level: float = 0.95
) -> tuple[float, float]:
    """Newcombe's interval (1998, method 10) of the difference of two paired shares, first minus second.

    Wilson's intervals of the two shares, squared and added with the correlation of the pairs, which is
    corrected for continuity where it is positive.
    """
    count = both + only_first + only_second + neither
    first, second = (both + only_first) / count, (both + only_second) / count
    low_first, high_first = wilson(both + only_first, count, level)
    low_second, high_second = wilson(both + only_second, count, level)
    margins = (
        float(both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    )
    product = float(both * neither - only_first * only_second)
    if product > 0:
        product = max(product - count / 2, 0.0)
    phi = product / sqrt(margins) if margins else 0.0

    def reach(one: float, other: float) -> float:
        return sqrt(max(one**2 - 2 * phi * one * other + other**2, 0.0))

    down = reach(first - low_first, high_second - second)
    up = reach(second - low_second, high_first - first)
    return first - second - down, first - second + up


def mcnemar_mde(disagreeing: int, prompts: int, level: float = 0.95, power: float = 0.8) -> float | None:
    """Smallest difference of two paired shares that McNemar's exact test sees with this power.

    At the observed share of prompts on which the methods disagree, taken to be that of equal methods: two
    shares that lie `effect` apart disagree on `effect**2 / 2` more. None where no difference would do.
    """
    from scipy.optimize import brentq

    def surplus(effect: float) -> float:
        disagree = min(max(disagreeing / prompts + effect**2 / 2, effect), 1.0)
        return mcnemar_power(effect, disagree, prompts, level) - power

    if surplus(1.0) < 0:
        return None
    return float(brentq(surplus, 1e-6, 1.0, xtol=1e-5))


def mcnemar_power(effect: float, disagree: float, prompts: int, level: float = 0.95) -> float:
    """How often the exact test sees a true difference of shares, methods disagreeing on this share."""
    from scipy.special import bdtr, gammaln, xlog1py, xlogy

    middle, spread = prompts * disagree, 6 * sqrt(prompts * disagree * (1 - disagree)) + 1
    counts = np.arange(max(0, int(middle - spread)), min(prompts, int(middle + spread) + 1) + 1)
    ways = gammaln(prompts + 1) - gammaln(counts + 1) - gammaln(prompts - counts + 1)
    chance = np.exp(ways + xlogy(counts, disagree) + xlog1py(prompts - counts, -disagree))
    # the most wins of the worse method, of so many disagreements, at which the test rejects; -1: none
    most = _rejects_up_to(prompts, level)[counts]
    sees = np.where(most >= 0, bdtr(np.maximum(most, 0), counts, (1 - effect / disagree) / 2), 0.0)
    return float(chance @ sees)


@cache
def _rejects_up_to(prompts: int, level: float) -> Array:
    from scipy.special import bdtr

    counts = np.arange(prompts + 1)
    guess = np.floor(counts / 2 - _normal((1 + level) / 2) * np.sqrt(counts) / 2) + 2
    guess = np.minimum(guess, counts)
    for _ in range(6):
        too_many = (guess >= 0) & (2 * bdtr(np.maximum(guess, 0), counts, 0.5) > 1 - level)
        guess = np.where(too_many, guess - 1, guess)
    return np.asarray(guess)


def sign_flip(totals: Array, seed: int = 0) -> float:
    """Two-sided p-value of totals [clusters] being symmetric about 0, by flipping their signs.

    Exact up to 13 clusters that differ from 0 (a zero has no sign); beyond, over random flips from `seed`.
    """
    moved = totals[totals != 0]
    flips = _flips(len(moved), seed)
    observed = abs(float(moved.sum()))
    # sums that are equal but for their rounding count as reached
    reached = int(np.count_nonzero(np.abs(flips @ moved) >= observed * (1 - 1e-12)))
    if len(moved) <= EXACT_UP_TO:
        return reached / len(flips)
    return (reached + 1) / (len(flips) + 1)


@cache
def _flips(count: int, seed: int) -> Array:
    """[flips, count] of 1 and -1: all of them, or as many as are drawn."""
    if count <= EXACT_UP_TO:
        bits = np.arange(2**count)[:, None] >> np.arange(count)
        return np.asarray(1.0 - 2.0 * (bits & 1))
    return np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), (FLIPS, count))


@cache
def _normal(probability: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(probability))
