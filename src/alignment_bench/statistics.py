"""Intervals for scores that vary over training seeds and over prompts.

The unit of analysis is the prompt, paired across methods, inside clusters (prompts of one source) and
crossed with seeds (trainings). `interval` is the one function behind every number with an error in this
package: a two-way random-effects analysis over seeds and clusters. Each of the two variances is widened by
its own t quantile (Banerjee 1961), which is never anti-conservative; one t quantile with Satterthwaite's
degrees of freedom covered as little as 87 % at two seeds and 92 % at three, because by luck the seeds often
agree. With clusters of one prompt it is the plain analysis over prompts; with one seed it is the clustered
standard error of Miller (arXiv 2411.00640), and says that it then covers prompts only.
`perf/calibration.py` measures how often the intervals cover and what `mde` is worth; docs/calibration.md
says what it found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Clusters = Sequence[str] | NDArray[np.intp]
"""one a prompt: the name or number of the source it shares with others"""

ONE_RUN = "one training run per method: the interval covers prompts only"
TWO_RUNS = "two seeds only: the seed variance is barely known, so such intervals are several times as wide"

POWER = 0.8
"""a true effect of the size `mde` is told from zero in this share of repeats"""

CANCELLED = 1e-5
"""a sum of squares this small beside those that it is the difference of has lost digits"""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and prompts with its confidence interval, in the unit of the values.

    `se` is the standard error, and a t quantile on `df` degrees of freedom times it is half the interval;
    `mde` the smallest true effect seen with 80 % power; None where the data cannot say, and `note` then
    says why.
    """

    mean: float | None
    low: float | None
    high: float | None
    se: float | None
    df: float | None
    n_seeds: int
    n_prompts: int
    n_clusters: int
    mde: float | None
    note: str
    terms: tuple[tuple[float, float], ...] = ()
    """the variances that add up to `se` squared, each with its degrees of freedom"""


def interval(values: Array, clusters: Clusters | None = None, level: float = 0.95) -> Interval:
    """Mean of `values` [seeds, prompts] with a two-sided interval; `clusters` names each prompt's source.

    Prompts without a score (nan) in every seed are left out and counted in the note. Raises ValueError on
    a wrong shape, an infinite value or a level outside (0, 1).
    """
    scores = _checked(values)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, must lie between 0 and 1")
    members = np.arange(scores.shape[1]) if clusters is None else _codes(clusters)
    if len(members) != scores.shape[1]:
        raise ValueError(f"{len(members)} clusters for {scores.shape[1]} prompts")
    complete = np.logical_not(np.isnan(scores)).all(axis=0)
    notes = []
    if not complete.all():
        missing = int(np.count_nonzero(~complete))
        notes.append(f"{missing} of {complete.size} prompts not scored in every seed: left out")
    scores, members = scores[:, complete], _codes(members[complete])
    seeds, prompts = scores.shape
    groups = int(members.max()) + 1 if prompts else 0
    if seeds == 0 or prompts == 0:
        notes.append("nothing was scored")
        return Interval(None, None, None, None, None, seeds, prompts, groups, None, "; ".join(notes))
    mean = float(scores.mean())
    if groups < 2:
        notes.append("one prompt: no interval" if prompts == 1 else "one cluster of prompts: no interval")
        return Interval(mean, None, None, None, None, seeds, prompts, groups, None, "; ".join(notes))
    margins = _margins(_cluster_table(scores, members, groups))
    terms = _terms(tuple(float(np.vdot(part, part)) for part in margins[1:]), seeds, groups)
    # differences of equal numbers leave rounding behind, which must not pass for precision
    nothing = (1e-13 * float(np.abs(scores).max())) ** 2
    if sum(variance for variance, _ in terms) <= nothing or np.ptp(scores) == 0:
        notes.append("the same on every prompt: no variation to compute an interval from")
        return Interval(mean, None, None, 0.0, None, seeds, prompts, groups, None, "; ".join(notes))
    return _spread(mean, terms, (seeds, prompts, groups), notes, level)


def _spread(
    mean: float,
    terms: tuple[tuple[float, float], ...],
    sizes: tuple[int, int, int],
    notes: Sequence[str],
    level: float,
) -> Interval:
    seeds, prompts, groups = sizes
    if seeds <= 2:
        notes = [*notes, ONE_RUN if seeds == 1 else TWO_RUNS]
    se = sqrt(sum(variance for variance, _ in terms))
    reach = sqrt(sum(variance * _quantile((1 + level) / 2, df) ** 2 for variance, df in terms))
    mde = sqrt(sum(variance * _detectable(df, level) ** 2 for variance, df in terms))
    df = terms[0][1] if len(terms) == 1 else _freedom(reach / se, level, terms)
    return Interval(
        mean, mean - reach, mean + reach, se, df, seeds, prompts, groups, mde, "; ".join(notes), terms
    )


def paired(a: Array, b: Array, clusters: Clusters | None = None, level: float = 0.95) -> Interval:
    """Interval of `a - b`, both [seeds, prompts] over the same seeds and prompts in the same order."""
    first, second = _checked(a), _checked(b)
    if first.shape != second.shape:
        raise ValueError(f"cannot pair shapes {first.shape} and {second.shape}")
    difference = first - second
    # equal numbers up to rounding are equal
    difference[np.abs(difference) <= 1e-13 * np.maximum(np.abs(first), np.abs(second))] = 0.0
    return interval(difference, clusters, level)


def paired_each(
    rows: Sequence[Array],
    which: Iterable[tuple[int, int]],
    clusters: Clusters | None = None,
    level: float = 0.95,
) -> list[Interval]:
    """`paired(rows[i], rows[j])` for every (i, j), with what the pairs share worked out only once.

    All rows are [seeds, prompts] over the same seeds and prompts, and scored on the same prompts.
    """
    checked = [_checked(row) for row in rows]
    which = list(which)
    if not which:
        return []
    scored = [~np.isnan(row).any(axis=0) for row in checked]
    if any(row.shape != checked[0].shape for row in checked) or any((s != scored[0]).any() for s in scored):
        raise ValueError("rows differ in their shape or in the prompts that were scored")
    members = np.arange(checked[0].shape[1]) if clusters is None else _codes(clusters)
    kept = _codes(members[scored[0]])
    seeds, prompts = checked[0].shape[0], len(kept)
    groups = int(kept.max()) + 1 if prompts else 0
    if seeds == 0 or groups < 2:
        return [paired(checked[i], checked[j], clusters, level) for i, j in which]
    missing = len(members) - prompts
    notes = [f"{missing} of {len(members)} prompts not scored in every seed: left out"] if missing else []
    parts = [_margins(_cluster_table(row[:, scored[0]], kept, groups)) for row in checked]
    by_seed, by_group = np.stack([part[1] for part in parts]), np.stack([part[2] for part in parts])
    rest = np.stack([part[3].ravel() for part in parts])
    # of one seed there is no rest: its deviations are all between clusters
    gram = rest @ rest.T if seeds > 1 else by_group @ by_group.T
    found = []
    for i, j in which:
        both = float(gram[i, i] + gram[j, j])
        left = both - 2 * float(gram[i, j])
        of_seeds, of_groups = by_seed[i] - by_seed[j], by_group[i] - by_group[j]
        squares = float(of_seeds @ of_seeds), float(of_groups @ of_groups), left
        if left <= CANCELLED * both:
            found.append(paired(checked[i], checked[j], clusters, level))
            continue
        mean = parts[i][0] - parts[j][0]
        found.append(_spread(mean, _terms(squares, seeds, groups), (seeds, prompts, groups), notes, level))
    return found


def _checked(values: Array) -> Array:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 2:
        raise ValueError(f"values must be [seeds, prompts], not {scores.ndim}-dimensional")
    if np.isinf(scores).any():
        raise ValueError("values contain an infinite number")
    return scores


def _codes(labels: Any) -> NDArray[np.intp]:
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.intp).reshape(-1)


def _cluster_table(scores: Array, members: NDArray[np.intp], groups: int) -> Array:
    """[seeds, clusters]: cluster totals scaled so that the mean over clusters is the mean over prompts.

    Totals of deviations from the seed's mean, so that a large cluster is not far from a small one merely
    by having more members; with one prompt a cluster this is the table of scores.
    """
    prompts = scores.shape[1]
    if groups == prompts:
        return scores
    centre = scores.mean(axis=1, keepdims=True)
    totals = np.stack([np.bincount(members, row, groups) for row in scores - centre])
    table: Array = centre + (groups / prompts) * totals
    return table


Margins = tuple[float, Array, Array, Array]
"""mean of a table [seeds, clusters], how its seeds and its clusters deviate from it, and what is left"""


def _margins(table: Array) -> Margins:
    mean = float(table.mean())
    by_seed = table.mean(axis=1) - mean
    by_group = table.mean(axis=0) - mean
    return mean, by_seed, by_group, table - by_seed[:, None] - by_group[None, :] - mean


def _terms(squares: Sequence[float], seeds: int, groups: int) -> tuple[tuple[float, float], ...]:
    """The variances that add up to that of the grand mean, each with its degrees of freedom.

    From the sums of squares of `_margins`. With mean squares A (seeds), B (clusters) and E (rest), the
    variance of the mean is estimated by (A + B - E) / (seeds * clusters): here A on the seeds' degrees of
    freedom and B - E, zero where it is below, on the clusters'. The noise E is counted with the seeds: that
    is what makes the interval right where seeds agree by chance. Where both are zero, E is what is left.
    """
    between_groups = squares[1] * seeds / (groups - 1)
    if seeds == 1:
        return ((between_groups / groups, groups - 1),)
    between_seeds = squares[0] * groups / (seeds - 1)
    freedom = (seeds - 1) * (groups - 1)
    error = squares[2] / freedom
    size = seeds * groups
    terms = ((between_seeds / size, seeds - 1), (max(between_groups - error, 0.0) / size, groups - 1))
    found = tuple(term for term in terms if term[0] > 1e-12 * error / size)
    return found or ((error / size, freedom),)


def _freedom(ratio: float, level: float, terms: tuple[tuple[float, float], ...]) -> float:
    from scipy.special import stdtridf

    found = float(stdtridf((1 + level) / 2, ratio))
    return min(max(found, min(df for _, df in terms)), max(df for _, df in terms))


@cache
def _detectable(df: float, level: float) -> float:
    """Effect in estimated standard errors that a t test on `df` sees with 80 % power.

    Divided by the median of that estimate, so that half of all tables print too much and half too little.
    """
    from scipy.special import chdtri, nctdtrinc

    return float(nctdtrinc(df, 1 - POWER, _quantile((1 + level) / 2, df)) / sqrt(chdtri(df, 0.5) / df))


@cache
def _quantile(probability: float, df: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))
