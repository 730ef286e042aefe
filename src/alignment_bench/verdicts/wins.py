"""How often one method's answer scores better than another's, prompt by prompt, ties counting half."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignment_bench.comparison import Block, Column, SeedScores, shared_seeds
from alignment_bench.statistics import Array, interval


@dataclass(frozen=True)
class WinMatrix:
    """`rate[i, j]` [k, k]: share of prompts on which `labels[i]` scores better than `labels[j]`.

    Ties count half, the diagonal is .5; nan where two methods share no scored prompt.
    """

    labels: tuple[str, ...]
    rate: Array
    low: Array
    """[k, k], nan where there is no interval"""
    high: Array


def win_matrix(block: Block, column: Column, level: float = 0.95) -> WinMatrix:
    """Win rates of every line against every other, in the lines' order, paired by prompt and seed.

    The intervals are those of any other score, cut at 0 and 1. Raises ValueError where neither side of the
    metric is better.
    """
    scores = oriented(block, column)
    labels = tuple(scores)
    rate, low, high = (np.full((len(labels), len(labels)), np.nan) for _ in range(3))
    np.fill_diagonal(rate, 0.5)
    for i, a in enumerate(labels):
        for j in range(i + 1, len(labels)):
            found = interval(wins(scores[a], scores[labels[j]]), block.clusters, level)
            if found.mean is None:
                continue
            rate[i, j], rate[j, i] = found.mean, 1 - found.mean
            if found.low is not None and found.high is not None:
                low[i, j], high[i, j] = max(found.low, 0.0), min(found.high, 1.0)
                low[j, i], high[j, i] = 1 - high[i, j], 1 - low[i, j]
    return WinMatrix(labels, rate, low, high)


def oriented(block: Block, column: Column) -> dict[str, SeedScores]:
    """The scored lines' scores, in the lines' order, turned so that up is better."""
    known = turned(block, column)
    return {line.label: known[line.label] for line in block.lines if line.label in known}


def turned(block: Block, column: Column) -> dict[str, SeedScores]:
    """The same of every label that was scored, those that were picked away from the lines included."""
    if column.better == "neither":
        raise ValueError(f"{column.name} has no better side: nobody wins at it")
    sign = -1.0 if column.better == "lower" else 1.0
    known = block.scores.get(column.name, {})
    return {label: SeedScores(one.seeds, sign * one.values) for label, one in known.items()}


def wins(a: SeedScores, b: SeedScores) -> Array:
    """[shared seeds, prompts]: 1 where a is better, .5 where both are equal up to rounding, nan unscored."""
    _, first, second = shared_seeds(a, b)
    difference = first - second
    difference[np.abs(difference) <= 1e-13 * np.maximum(np.abs(first), np.abs(second))] = 0.0
    return np.asarray(np.where(np.isnan(difference), np.nan, (np.sign(difference) + 1) / 2))
