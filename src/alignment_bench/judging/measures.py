"""What an audit measures of a judge's verdicts on pairs that people have labelled, each with its interval.

Every measure is a mean of one number a pair, or a ratio whose influence values are (kappa, the length slope,
the balanced agreement): both go through `statistics.interval`, clustered by the pairs' groups, so that pairs
about one source do not count as independent. Signs never depend on which text the file happens to put first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignment_bench.judging.human_pairs import HumanPair
from alignment_bench.judging.pairwise import BothOrders
from alignment_bench.statistics import Array, Interval, interval


@dataclass(frozen=True)
class Judged:
    """Pairs with the judge's verdicts on them (1 the first won, 0 the second, .5 neither)."""

    pairs: tuple[HumanPair, ...]
    verdicts: Array
    parsed: tuple[bool, ...]

    @property
    def people(self) -> Array:
        """The labels as verdicts."""
        return np.array([pair.value for pair in self.pairs])

    @property
    def called(self) -> Array:
        """The verdicts with nothing between win, tie and loss."""
        return 0.5 + 0.5 * np.sign(self.verdicts - 0.5)

    @property
    def longer(self) -> Array:
        """By how many characters the first text is longer."""
        return np.array([len(pair.first) - len(pair.second) for pair in self.pairs], float)

    @property
    def groups(self) -> tuple[str, ...]:
        """Clusters, one a pair."""
        return tuple(pair.group or pair.id for pair in self.pairs)


def agreement(judged: Judged) -> Interval:
    """Share of the pairs decided by people on which the judge decides alike; a tie is half right."""
    decided = judged.people != 0.5
    return _mean(_right(judged)[decided], judged, decided)


def balanced_agreement(judged: Judged) -> Interval | None:
    """Mean of the agreement where people chose the longer text and where they chose the shorter one.

    A rule on length alone is right in one half and wrong in the other, .5 in all, however much people like
    length. None where either half is empty.
    """
    people, gap = judged.people, judged.longer
    halves = [(people - 0.5) * gap > 0, (people - 0.5) * gap < 0]
    if not all(half.any() for half in halves):
        return None
    right = _right(judged)
    used = halves[0] | halves[1]
    total, values = 0.0, np.zeros(len(right))
    for half in halves:
        share = right[half].mean()
        total += 0.5 * share
        values[half] = 0.5 * (right[half] - share) * used.sum() / half.sum()
    return _mean(total + values[used], judged, used)


def kappa(judged: Judged) -> Interval | None:
    """Cohen's kappa over first, second and tie: agreement beyond what the shares of labels would give.

    Error by the delta method; None where chance alone would agree always.
    """
    people, called = judged.people, judged.called
    same = (people == called).astype(float)
    observed, expected, by_pair = same.mean(), 0.0, np.zeros(len(same))
    for category in (0.0, 0.5, 1.0):
        theirs, ours = people == category, called == category
        expected += theirs.mean() * ours.mean()
        by_pair += theirs * ours.mean() + ours * theirs.mean()
    if expected > 1 - 1e-12:
        return None
    value = (observed - expected) / (1 - expected)
    pull = ((same - observed) * (1 - expected) - (1 - observed) * (by_pair - 2 * expected)) / (
        1 - expected
    ) ** 2
    return _mean(value + pull, judged)


def length_slope(judged: Judged) -> Interval | None:
    """How much steeper the judge's verdicts rise with length than people's labels do, in shares.

    Least squares of verdict - label on tanh(d / sd), d the surplus of characters and sd its root mean
    square; without intercept, so that the order in the file does not matter. 0: no more led by length than
    people are. None where all texts of a pair are equally long.
    """
    scaled = scaled_length(judged.longer)
    if not scaled.any():
        return None
    return _slope(judged.verdicts - judged.people, scaled, judged)


def scaled_length(gap: Array) -> Array:
    """tanh(d / sd), sd the root mean square of the differences."""
    spread = float(np.sqrt(np.mean(gap**2)))
    out: Array = np.tanh(gap / spread) if spread else np.zeros_like(gap)
    return out


def prefers_longer(judged: Judged) -> tuple[Interval | None, Interval | None]:
    """Share of the verdicts, and of the labels, for the longer of two texts that differ in length."""
    differ = judged.longer != 0
    if not differ.any():
        return None, None
    sign = np.sign(judged.longer[differ])
    ours, theirs = (0.5 + sign * (one[differ] - 0.5) for one in (judged.called, judged.people))
    return _mean(ours, judged, differ), _mean(theirs, judged, differ)


def self_preference(judged: Judged, own: Sequence[str]) -> Interval | None:
    """How much more often the judge than people prefers the text of a model named in `own`, in shares.

    Over pairs of which exactly one text is by such a model; None where there are none.
    """
    mine = np.array([(p.first_model in own) - (p.second_model in own) for p in judged.pairs], float)
    used = mine != 0
    if not used.any():
        return None
    return _mean((mine * (judged.verdicts - judged.people))[used], judged, used)


def unparsed(judged: Judged) -> Interval:
    """Share of the pairs on which an answer could not be parsed."""
    return _mean(1.0 - np.array(judged.parsed, float), judged)


def ties(judged: Judged) -> Interval:
    """Share of the pairs on which the judge names no winner, unparsed ones included."""
    return _mean((judged.verdicts == 0.5).astype(float), judged)


def swap_consistency(asked: Sequence[BothOrders], groups: Sequence[str]) -> Interval | None:
    """Share of the pairs on which the judge says the same of both texts when they change places.

    Probabilities count by the side of .5 on which they lie. None where nothing was asked and parsed.
    """
    same = [
        float(np.sign(a - 0.5) == -np.sign(b - 0.5)) if a is not None and b is not None else np.nan
        for a, b in ((one.straight.probability_first, one.swapped.probability_first) for one in asked)
    ]
    return _known(same, groups)


def first_slot_advantage(asked: Sequence[BothOrders], groups: Sequence[str]) -> Interval | None:
    """Win rate of the text shown first less that of the text shown second, over both orders; 0: none."""
    advantage = [
        a + b - 1 if a is not None and b is not None else np.nan
        for a, b in ((one.straight.probability_first, one.swapped.probability_first) for one in asked)
    ]
    return _known(advantage, groups)


def _right(judged: Judged) -> Array:
    out: Array = 1 - np.abs(judged.called - judged.people)
    return out


def _mean(values: Array, judged: Judged, used: Any = None) -> Interval:
    """Interval of one number a pair, over the pairs that the mask `used` picks (default: all)."""
    groups = np.array(judged.groups)
    return interval(values[None, :], groups if used is None else groups[used])


def _slope(response: Array, scaled: Array, judged: Judged) -> Interval:
    power = np.mean(scaled**2)
    slope = np.mean(scaled * response) / power
    return _mean(slope + scaled * (response - slope * scaled) / power, judged)


def _known(values: Sequence[float], groups: Sequence[str]) -> Interval | None:
    table = np.array([values], float)
    known = ~np.isnan(table[0])
    if not known.any():
        return None
    return interval(table[:, known], [group for group, there in zip(groups, known, strict=True) if there])
