"""What a verdict per annotator hour owes to prices that nobody measured.

`benchmarks/prices.toml` marks which prices are assumed. The acts that a method bought are stored, so what
they would have cost at other prices is known, and with it the gain over base an hour. What is not known is
what the method would have done: at lower prices it could have bought more, at higher ones not all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignment_bench.budgets import human_prices
from alignment_bench.comparison import BASE, Block, Line, SeedScores, shared_seeds
from alignment_bench.p_values import holm, p_value
from alignment_bench.statistics import paired
from alignment_bench.verdicts.main import main_column
from alignment_bench.verdicts.wins import turned


@dataclass(frozen=True)
class PricedLine:
    """One method's annotator time with the assumed prices multiplied by the factor."""

    label: str
    hours: float
    """a seed, at the factor"""
    hours_at_listed: float
    assumed_share: float
    """of `hours_at_listed`, how much was bought at assumed prices"""
    over_budget: bool
    """whether the acts it bought would have cost more than the budget"""
    gain_per_hour: float | None
    """better side up: gain over base an hour at the factor; None: no time spent, no difference to base known,
    or a loss, which more hours would only make look smaller"""
    loss: bool = False
    """whether the method scored no better than base"""


@dataclass(frozen=True)
class Prices:
    """A block at other prices."""

    factor: float
    lines: tuple[PricedLine, ...]
    flips: tuple[str, ...]
    """comparisons of gain an hour that come out otherwise than at the listed prices, in words"""
    comparisons: int
    """pairs of methods whose gain an hour was compared, over which Holm's adjustment goes"""
    note: str
    """what could not be recomputed"""


def at_prices(block: Block, factor: float, level: float = 0.95) -> Prices:
    """Annotator time and gain per hour had every *assumed* price been `factor` times what the list says.

    Raises ValueError unless the factor is above 0.
    """
    if not factor > 0:
        raise ValueError(f"a price factor is above 0, not {factor}")
    if block.setting.currency != "seconds":
        return Prices(factor, (), (), 0, "this teacher is paid in calls, of which no price is assumed")
    gains = _gains(block)
    lines = []
    for line in block.lines:
        listed, assumed = _seconds(line)
        seconds = listed + (factor - 1) * assumed
        gain = gains.get(line.label)
        mean = float(np.nanmean(gain.values)) if gain is not None else None
        per_hour = mean * 3600 / seconds if mean is not None and mean > 0 and seconds else None
        over = _spent_of_budget(line, factor) > block.setting.budget_amount + 1e-6
        share = assumed / listed if listed else 0.0
        lost = mean is not None and mean <= 0 and line.label != BASE
        lines.append(PricedLine(line.label, seconds / 3600, listed / 3600, share, over, per_hour, lost))
    before, after = _decided(block, gains, 1.0, level), _decided(block, gains, factor, level)
    flips = tuple(
        f"{a} and {b}, gain an annotator hour: {_said(a, b, before[a, b])} at the listed prices, "
        f"{_said(a, b, after[a, b])} with the assumed ones times {factor:g}"
        for a, b in before
        if before[a, b] != after[a, b]
    )
    return Prices(factor, tuple(lines), flips, len(before), _note(lines, factor))


def _note(lines: list[PricedLine], factor: float) -> str:
    lost = [line.label for line in lines if line.loss and line.hours_at_listed]
    notes = [f"no gain an hour, the score being no better than base's: {', '.join(lost)}"] if lost else []
    touched = [line.label for line in lines if line.assumed_share]
    if not touched:
        return "; ".join(["no act of these methods was bought at an assumed price: nothing changes", *notes])
    notes.append(f"assumed prices enter {', '.join(touched)}")
    if factor < 1:
        notes.append("they would have had time left, and what they would have bought with it is not known")
    if over := [line.label for line in lines if line.over_budget]:
        notes.append(f"{', '.join(over)} could not have bought all of it within the budget")
    return "; ".join(notes)


def _seconds(line: Line) -> tuple[float, float]:
    """Annotator seconds a training, at the listed prices, and how many of them were at assumed ones."""
    prices = human_prices()
    cells = [cell for cell in line.cells if cell.seed in line.seeds]
    trainings = max(len(cells), 1)
    listed = sum(float(cell.spend.get("annotator_seconds", 0.0)) for cell in cells) / trainings
    assumed = sum(
        price.seconds * float(cell.spend.get("acts", {}).get(channel, 0))
        for cell in cells
        for channel, price in prices.items()
        if price.assumed
    )
    return listed, min(assumed / trainings, listed)


def _spent_of_budget(line: Line, factor: float) -> float:
    """The most that one cell would have cost; a budget is a cell's."""
    prices = human_prices()
    return max(
        (
            float(cell.spend.get("annotator_seconds", 0.0))
            + (factor - 1)
            * sum(
                price.seconds * float(cell.spend.get("acts", {}).get(channel, 0))
                for channel, price in prices.items()
                if price.assumed
            )
            for cell in line.cells
            if cell.seed in line.seeds
        ),
        default=0.0,
    )


def _gains(block: Block) -> dict[str, SeedScores]:
    """Every line's scores above base's, prompt by prompt, on the seeds that both have; up is better."""
    column = main_column(block)
    if column is None or column.better == "neither":
        return {}
    scores = turned(block, column)
    if BASE not in scores:
        return {}
    shown = {line.label for line in block.lines}
    found = {}
    for label, one in scores.items():
        if label == BASE or label not in shown:
            continue
        seeds, ours, theirs = shared_seeds(one, scores[BASE])
        if seeds and not np.isnan(ours - theirs).all():
            found[label] = SeedScores(seeds, ours - theirs)
    return found


def _decided(
    block: Block, gains: dict[str, SeedScores], factor: float, level: float
) -> dict[tuple[str, str], int]:
    """Which of two methods that gain at all does so faster: 1 the first, -1 the second, 0 not told apart."""
    hours = {}
    for line in block.lines:
        listed, assumed = _seconds(line)
        if line.label in gains and listed > 0 and np.nanmean(gains[line.label].values) > 0:
            hours[line.label] = (listed + (factor - 1) * assumed) / 3600
    tested = []
    for place, a in enumerate(hours):
        for b in list(hours)[place + 1 :]:
            seeds, first, second = shared_seeds(gains[a], gains[b])
            found = paired(first / hours[a], second / hours[b], block.clusters, level) if seeds else None
            p = p_value(found) if found else None
            if found is not None and found.mean is not None and p is not None:
                tested.append((a, b, found.mean, p))
    adjusted = holm([p for *_, p in tested])
    return {
        (a, b): (int(np.sign(mean)) if p < 1 - level else 0)
        for (a, b, mean, _), p in zip(tested, adjusted, strict=True)
    }


def _said(a: str, b: str, outcome: int) -> str:
    return "not told apart" if outcome == 0 else f"{a if outcome > 0 else b} ahead"
