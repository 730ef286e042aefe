"""Which methods may be the best: the confidence set that the question "which one should I use?" asks for.

A method is ruled out where somebody is better than it, tested one-sided against every other method and
adjusted for those comparisons alone. Only the tests of the method that truly is the best can err, so they
are the whole family: with k methods the set holds the best one in 95 % of repeats after k - 1 comparisons,
where all pairs would be k (k - 1) / 2 (Gupta 1965; Hsu 1984, multiple comparisons with the best).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alignment_bench.comparison import Column
from alignment_bench.verdicts.comparisons import Pair


@dataclass(frozen=True)
class BestSet:
    """The methods that may be the best and those that are ruled out, each by falling mean."""

    labels: tuple[str, ...]
    ruled_out: tuple[str, ...]
    comparisons: int
    """the most that any one method was tested in, over which its p-values were adjusted"""


def may_be_best(
    means: Mapping[str, float], compared: Sequence[Pair], column: Column, level: float = 0.95
) -> BestSet:
    """The set from all pairs of the methods in `means`; one that no test could compare stays in it."""
    sign = -1.0 if column.better == "lower" else 1.0
    worse: dict[str, list[float]] = {label: [] for label in means}
    for pair in compared:
        if pair.p is None or pair.a not in worse or pair.b not in worse:
            continue
        ahead = sign * (pair.difference.mean or 0.0) > 0
        worse[pair.a].append(1 - pair.p / 2 if ahead else pair.p / 2)
        worse[pair.b].append(pair.p / 2 if ahead else 1 - pair.p / 2)
    order = sorted(means, key=lambda label: -sign * means[label])
    out = [label for label in order if worse[label] and min(worse[label]) * len(worse[label]) < 1 - level]
    counts = [len(found) for found in worse.values()]
    return BestSet(tuple(one for one in order if one not in out), tuple(out), max(counts, default=0))
