"""Several tasks at once, after Agarwal et al. 2021 (arXiv 2108.13264).

A run is one training: its mean score on the main metric of its task. The interquartile mean drops the best
and the worst quarter of a method's runs; the probability of improvement asks how often a run of one method
beats a run of another on the same task, whatever the scale of its score. Intervals resample runs within each
task (stratified bootstrap), so they need two runs a task, and with few of them are too narrow, which `note`
says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alignment_bench.comparison import Block
from alignment_bench.statistics import Array
from alignment_bench.verdicts.main import main_column
from alignment_bench.verdicts.wins import turned

FEW_RUNS = 10
"""runs a task below which the stratified bootstrap is known to be too narrow"""


class NoCommonMean(ValueError):
    """The main metrics of several tasks cannot be averaged."""


@dataclass(frozen=True)
class Aggregate:
    """A number over several tasks with its stratified-bootstrap interval."""

    name: str
    labels: tuple[str, ...]
    """the method it is of, or the two it compares"""
    value: float
    low: float | None
    high: float | None
    tasks: tuple[str, ...]
    runs: int
    """trainings behind it, over all tasks and labels"""
    note: str


def iqm(
    blocks: Sequence[Block], label: str, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Aggregate | None:
    """Interquartile mean of a method's runs over all tasks; None where it has no run.

    Raises NoCommonMean where the tasks' main metrics differ in unit or better side: such scores have no mean.
    """
    columns = [(block, main_column(block)) for block in blocks]
    kinds = {
        (one.unit, one.better)
        for block, one in columns
        if one and one.better != "neither" and label in block.scores[one.name]
    }
    if len(kinds) > 1:
        told = "; ".join(sorted(f"{unit}, {better} is better" for unit, better in kinds))
        raise NoCommonMean(f"main metrics of these tasks have no common mean: {told}")
    strata = [(block.setting.task, runs) for block in blocks if (runs := _runs(block, label)) is not None]
    if not strata:
        return None
    lower = next(iter(kinds))[1] == "lower"
    values = [-runs if lower else runs for _, runs in strata]

    def statistic(drawn: Sequence[Array]) -> Array:
        from scipy.stats import trim_mean

        return np.asarray(trim_mean(np.concatenate(drawn, axis=-1), 0.25, axis=-1))

    return _aggregate(
        "iqm", (label,), [task for task, _ in strata], values, statistic, level, resamples, seed
    )


def probability_of_improvement(
    blocks: Sequence[Block], a: str, b: str, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Aggregate | None:
    """Mean over tasks of the chance that a run of `a` beats a run of `b`, ties half; None: no common task."""
    tasks, values = [], []
    for block in blocks:
        first, second = _runs(block, a), _runs(block, b)
        if first is not None and second is not None:
            tasks.append(block.setting.task)
            values += [first, second]
    if not tasks:
        return None

    def statistic(drawn: Sequence[Array]) -> Array:
        chances = [
            ((np.sign(first[..., :, None] - second[..., None, :]) + 1) / 2).mean(axis=(-2, -1))
            for first, second in zip(drawn[::2], drawn[1::2], strict=True)
        ]
        return np.asarray(np.mean(chances, axis=0))

    return _aggregate("probability of improvement", (a, b), tasks, values, statistic, level, resamples, seed)


def _runs(block: Block, label: str) -> Array | None:
    """[runs]: mean score of each training on the main metric, up is better; None: not scored."""
    column = main_column(block)
    if column is None or column.better == "neither" or label not in block.scores[column.name]:
        return None
    values = turned(block, column)[label].values
    values = values[~np.isnan(values).all(axis=1)]
    return np.asarray(np.nanmean(values, axis=1)) if len(values) else None


def _aggregate(
    name: str,
    labels: tuple[str, ...],
    tasks: Sequence[str],
    strata: Sequence[Array],
    statistic: Callable[[Sequence[Array]], Array],
    level: float,
    resamples: int,
    seed: int,
) -> Aggregate:
    value = float(statistic(strata))
    runs = sum(len(one) for one in strata)
    fewest = min(len(one) for one in strata)
    if fewest < 2:
        note = "a task with one training of a method: no interval"
        return Aggregate(name, labels, value, None, None, tuple(tasks), runs, note)
    rng = np.random.default_rng(seed)
    drawn = statistic([one[rng.integers(0, len(one), (resamples, len(one)))] for one in strata])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    note = "" if fewest >= FEW_RUNS else f"as few as {fewest} runs a task: such intervals are too narrow"
    return Aggregate(name, labels, value, float(low), float(high), tuple(tasks), runs, note)
