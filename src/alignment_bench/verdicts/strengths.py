"""Bradley-Terry strengths: one number a method from everybody's wins over everybody (choix's fit).

The chance that i beats j is taken to be 1 / (1 + exp(s_j - s_i)); a tie is half a win for each. One made-up
tie a pair keeps a method that never loses finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignment_bench.comparison import Block, Column
from alignment_bench.statistics import Array
from alignment_bench.verdicts.wins import oriented, wins

PRIOR = 0.5
"""wins each way that every pair begins with"""


@dataclass(frozen=True)
class Strength:
    """log odds of a method's answer scoring better than an average method's, with a bootstrap interval.

    The interval resamples prompts, by their clusters, and keeps the seeds: it covers prompts only.
    """

    label: str
    log_strength: float
    low: float | None
    """None: one method, or one cluster of prompts"""
    high: float | None


def bradley_terry(
    block: Block, column: Column, level: float = 0.95, resamples: int = 500, seed: int = 0
) -> tuple[Strength, ...]:
    """Strengths of every scored line, in the lines' order, summing to 0.

    Raises ValueError where neither side of the metric is better.
    """
    scores = oriented(block, column)
    labels = tuple(scores)
    if len(labels) < 2:
        return tuple(Strength(label, 0.0, None, None) for label in labels)
    groups = int(block.clusters.max()) + 1 if len(block.clusters) else 0
    rng = np.random.default_rng(seed)
    weights = np.ones((1, groups))
    if groups > 1:
        drawn = rng.multinomial(groups, np.full(groups, 1 / groups), resamples).astype(np.float64)
        weights = np.concatenate([weights, drawn])
    counts = np.zeros((len(weights), len(labels), len(labels)))
    for i, a in enumerate(labels):
        for j in range(i + 1, len(labels)):
            won = wins(scores[a], scores[labels[j]])
            counts[:, i, j] = PRIOR + weights @ _by_cluster(won, block, groups)
            counts[:, j, i] = PRIOR + weights @ _by_cluster(1 - won, block, groups)
    fitted = _fit(counts[0])
    if len(weights) == 1:
        return tuple(Strength(label, float(s), None, None) for label, s in zip(labels, fitted, strict=True))
    low, high = np.quantile(refit(counts[1:], fitted), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return tuple(
        Strength(label, float(fitted[k]), float(low[k]), float(high[k])) for k, label in enumerate(labels)
    )


def _by_cluster(won: Array, block: Block, groups: int) -> Array:
    """[clusters]: wins in each, a prompt counting once whatever the number of seeds."""
    scored = ~np.isnan(won)
    seeds = np.maximum(scored.sum(axis=0), 1)
    return np.bincount(
        block.clusters, weights=np.where(scored, won, 0.0).sum(axis=0) / seeds, minlength=groups
    ).astype(np.float64)


def _fit(counts: Array) -> Array:
    import choix

    strengths = np.asarray(choix.ilsr_pairwise_dense(counts, max_iter=1000, tol=1e-10))
    return np.asarray(strengths - strengths.mean())


def refit(counts: Array, start: Array) -> Array:
    """Strengths [resamples, k] of many tables [resamples, k, k] at once, by Newton's steps from `start`.

    choix fits one table in about 100 ms, which 500 resamples would make minutes.
    """
    many, size = counts.shape[:2]
    strengths = np.tile(start, (many, 1))
    played = counts + counts.transpose(0, 2, 1)
    diagonal = range(size)
    for _ in range(50):
        chance = 1 / (1 + np.exp(strengths[:, None, :] - strengths[:, :, None]))
        slope = (counts - played * chance).sum(axis=2)
        bend = played * chance * (1 - chance)
        # only differences are determined: the ones keep the mean of a step at 0
        curved = 1 - bend
        curved[:, diagonal, diagonal] += bend.sum(axis=2)
        step = np.clip(np.linalg.solve(curved, slope[:, :, None])[:, :, 0], -1, 1)
        strengths += step
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(strengths - strengths.mean(axis=1, keepdims=True))
