"""Methods as tied sets, not as ranks.

Two methods that no test tells apart are tied, and being tied does not carry over: a may be tied with b and b
with c while a beats c. Hence sets that overlap: the largest ones in which nobody differs from anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alignment_bench.comparison import Block, Column
from alignment_bench.verdicts.comparisons import Pair, pairs


@dataclass(frozen=True)
class TiedSet:
    """Methods none of whose pairs differ after Holm, best mean first."""

    labels: tuple[str, ...]
    means: tuple[float, ...]
    """of `labels`, in the metric's unit"""
    best_mean: float


def tied_sets(block: Block, column: Column, level: float = 0.95) -> tuple[TiedSet, ...]:
    """The maximal sets of methods not told apart, best first; a method may belong to several."""
    return sets_of(means(block, column), pairs(block, column, level), column, level)


def means(block: Block, column: Column) -> dict[str, float]:
    """Each scored line's mean over seeds and prompts; a line of which nothing was scored has none."""
    scores = block.scores.get(column.name, {})
    found = {line.label: line.estimates[column.name].value for line in block.lines if line.label in scores}
    return {
        label: value.mean for label, value in found.items() if value is not None and value.mean is not None
    }


def sets_of(
    means: Mapping[str, float], compared: Sequence[Pair], column: Column, level: float
) -> tuple[TiedSet, ...]:
    """Tied sets from comparisons that were already made; a pair that no test could compare is tied."""
    order = sorted(means, key=lambda label: -means[label] if column.better != "lower" else means[label])
    place = {label: index for index, label in enumerate(order)}
    tied = np.ones((len(order), len(order)), dtype=bool)
    for pair in compared:
        if pair.a in place and pair.b in place and pair.differs(level):
            i, j = place[pair.a], place[pair.b]
            tied[i, j] = tied[j, i] = False
    found = sorted(sorted(clique) for clique in _cliques(tied))
    return tuple(
        TiedSet(
            tuple(order[index] for index in members),
            tuple(means[order[index]] for index in members),
            means[order[members[0]]],
        )
        for members in found
    )


def _cliques(tied: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> list[list[int]]:
    """Maximal cliques by Bron and Kerbosch's algorithm with a pivot; too little to depend on networkx for."""
    near = [set(np.flatnonzero(row).tolist()) - {index} for index, row in enumerate(tied)]
    found: list[list[int]] = []

    def grow(members: list[int], candidates: set[int], done: set[int]) -> None:
        if not candidates and not done:
            found.append(members)
            return
        pivot = max(candidates | done, key=lambda one: len(near[one] & candidates))
        for one in sorted(candidates - near[pivot]):
            grow([*members, one], candidates & near[one], done & near[one])
            candidates = candidates - {one}
            done = done | {one}

    if near:
        grow([], set(range(len(near))), set())
    return found
