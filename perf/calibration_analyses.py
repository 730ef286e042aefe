"""The analyses that perf/calibration.py compares, each over arrays [repetitions, seeds, prompts] at once.

`two_way` is a second implementation of what the package does; the others are what people use instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from alignment_bench.statistics import Array
from alignment_bench.verdicts.comparisons import FEW_CLUSTERS
from alignment_bench.verdicts.exact import mcnemar, mcnemar_mde, newcombe, sign_flip

LEVEL, BEST = 0.95, 0.8
"""confidence, and power at a detectable effect"""
RESAMPLES = 300
Members = NDArray[np.intp] | None
"""cluster of each prompt, in order; None: every prompt its own source"""


@dataclass
class Intervals:
    """One analysis of many repetitions: bounds, whether it says that there is a difference, and its mde."""

    low: Array
    high: Array
    rejected: NDArray[np.bool_]
    mde: Array

    @staticmethod
    def around(mean: Array, reach: Array, mde: Array | None = None) -> Intervals:
        """Symmetric intervals, which reject where they do not hold 0."""
        return Intervals(mean - reach, mean + reach, np.abs(mean) > reach, reach if mde is None else mde)


def cluster_table(difference: Array, members: Members) -> Array:
    """[repetitions, seeds, clusters]; totals of deviations, put on the scale of one prompt."""
    if members is None:
        return difference
    centre = difference.mean(axis=-1, keepdims=True)
    totals = np.add.reduceat(difference - centre, np.unique(members, return_index=True)[1], axis=-1)
    return np.asarray(centre + totals * (totals.shape[-1] / len(members)))


def mean_squares(table: Array) -> tuple[Array, Array, Array, Array]:
    """Means, and the mean squares of seeds (0 of one seed), clusters and the rest."""
    seeds, groups = table.shape[1:]
    mean = table.mean(axis=(1, 2))
    by_seed, by_group = table.mean(axis=2) - mean[:, None], table.mean(axis=1) - mean[:, None]
    between = seeds * (by_group**2).sum(axis=1) / (groups - 1)
    if seeds == 1:
        return mean, np.zeros_like(mean), between, np.zeros_like(mean)
    rest = table - by_seed[:, :, None] - by_group[:, None, :] - mean[:, None, None]
    error = (rest**2).sum(axis=(1, 2)) / ((seeds - 1) * (groups - 1))
    return mean, groups * (by_seed**2).sum(axis=1) / (seeds - 1), between, error


def two_way(a: Array, b: Array, members: Members) -> Intervals:
    """The package's analysis, all repetitions at once."""
    table = cluster_table(a - b, members)
    mean, seeds_square, groups_square, error = mean_squares(table)
    seeds, groups = table.shape[1:]
    clusters_own = np.maximum(groups_square - error, 0)
    alone = (seeds_square <= 1e-12 * error) & (clusters_own <= 1e-12 * error)

    def combined(factor: Callable[[float], float]) -> Array:
        if seeds == 1:
            return np.asarray(factor(groups - 1) * np.sqrt(groups_square / groups))
        both = factor(seeds - 1) ** 2 * seeds_square + factor(groups - 1) ** 2 * clusters_own
        left = factor((seeds - 1) * (groups - 1)) ** 2 * error
        return np.asarray(np.sqrt(np.where(alone, left, both) / (seeds * groups)))

    def detectable(df: float) -> float:
        effect = special.nctdtrinc(df, 1 - BEST, quantile(df))
        return float(effect / np.sqrt(stats.chi2.median(df) / df))

    found = Intervals.around(mean, combined(quantile), combined(detectable))
    if seeds == 1 and members is None and np.isin(np.concatenate([a, b]), (0, 1)).all():
        return exact(a[:, 0], b[:, 0])
    if seeds == 1 and groups < FEW_CLUSTERS:
        rows = table[:, 0]
        found.rejected = np.array([sign_flip(row) < 1 - LEVEL for row in rows])
        step = np.min(np.where(rows == 0, np.inf, np.abs(rows)), axis=1)
        found.mde = found.mde + np.where(np.isfinite(step), step, 0) / groups
    return found


def quantile(df: float) -> float:
    """Student's quantile for a two-sided interval."""
    return float(stats.t.ppf((1 + LEVEL) / 2, df))


def exact(a: Array, b: Array) -> Intervals:
    """Newcombe's intervals and McNemar's test of one training's right and wrong answers."""
    cells = [(a * b).sum(axis=1), (a * (1 - b)).sum(axis=1), ((1 - a) * b).sum(axis=1)]
    counts = np.stack([*cells, a.shape[1] - sum(cells)], axis=1).astype(int)
    memory = {tuple(row): _exact(*row) for row in np.unique(counts, axis=0).tolist()}
    low, high, mde, p = np.array([memory[tuple(row)] for row in counts.tolist()]).T
    return Intervals(low, high, p < 1 - LEVEL, mde)


def _exact(both: int, only_first: int, only_second: int, neither: int) -> tuple[float, float, float, float]:
    disagree, prompts = only_first + only_second, both + only_first + only_second + neither
    low, high = newcombe(both, only_first, only_second, neither)
    return low, high, mcnemar_mde(disagree, prompts) or np.nan, mcnemar(only_first, only_second)


def unpaired(a: Array, b: Array, members: Members) -> Intervals:
    """The z test of two samples of prompts, as if each method had been given its own."""
    first, second = a.mean(axis=1), b.mean(axis=1)
    squares = (first.var(axis=1, ddof=1) + second.var(axis=1, ddof=1)) / first.shape[1]
    return Intervals.around(first.mean(axis=1) - second.mean(axis=1), 1.959963985 * np.sqrt(squares))


def prompts_only(a: Array, b: Array, members: Members) -> Intervals:
    """The paired t test over prompts (in their clusters) of the means over seeds."""
    return two_way_of_means(cluster_table((a - b).mean(axis=1, keepdims=True), members))


def two_way_of_means(table: Array) -> Intervals:
    """Student's interval over clusters."""
    mean, _, square, _ = mean_squares(table)
    return Intervals.around(mean, quantile(table.shape[2] - 1) * np.sqrt(square / table.shape[2]))


def clusters_ignored(a: Array, b: Array, members: Members) -> Intervals:
    """The package's analysis, told that every prompt is its own source."""
    return two_way(a, b, None)


def one_quantile(a: Array, b: Array, members: Members) -> Intervals:
    """Two-way random effects with one t quantile at Satterthwaite's degrees of freedom."""
    table = cluster_table(a - b, members)
    mean, of_seeds, of_groups, error = mean_squares(table)
    seeds, groups = table.shape[1:]
    if seeds == 1:
        return two_way_of_means(table)
    vary, differ = of_seeds > error, of_groups > error
    left = np.where(vary == differ, np.where(vary, -error, error), 0)
    parts = (np.where(vary, of_seeds, 0), np.where(differ, of_groups, 0), left)
    sizes = (seeds - 1, groups - 1, (seeds - 1) * (groups - 1))
    total = sum(parts)
    spread = sum(part**2 / size for part, size in zip(parts, sizes, strict=True))
    df = np.divide(total**2, spread, out=np.ones_like(total), where=spread > 0)
    return Intervals.around(mean, stats.t.ppf((1 + LEVEL) / 2, df) * np.sqrt(total / (seeds * groups)))


def bootstrap(a: Array, b: Array, members: Members) -> Intervals:
    """Percentiles of means over seeds and prompts (in their clusters), both resampled."""
    table = cluster_table(a - b, members)
    seeds, groups = table.shape[1:]
    rng = np.random.default_rng(1)  # the same resamples for every repetition: they are drawn once
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    of_groups = rng.multinomial(groups, np.full(groups, 1 / groups), RESAMPLES) / groups
    means = ((table.reshape(-1, groups) @ of_groups.T).reshape(*table.shape[:2], -1) * of_seeds.T).sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return Intervals(low, high, (low > 0) | (high < 0), high - low)


ANALYSES: dict[str, Callable[[Array, Array, Members], Intervals]] = {
    "two_way": two_way,
    "one_quantile": one_quantile,
    "unpaired": unpaired,
    "prompts_only": prompts_only,
    "clusters_ignored": clusters_ignored,
    "bootstrap": bootstrap,
}
