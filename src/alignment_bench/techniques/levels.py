"""Levels of quality in words, the worst first, and how numbers and critiques become levels.

The words are ones that the shipped models hold ready for new conditions and that plain English has as well.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LADDER = ("terrible", "bad", "poor", "fair", "good", "great", "excellent")
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven")
"""scores and levels in words, the worst first"""
MOST = len(NUMBERS)
"""levels at most"""


def ladder(levels: int) -> tuple[str, ...]:
    """From "a terrible answer" to "an excellent answer", evenly spread."""
    words = [LADDER[round(k * (MOST - 1) / (levels - 1))] for k in range(levels)]
    return tuple(f"{'an' if word[0] in 'aeiou' else 'a'} {word} answer" for word in words)


def attributes(levels: int) -> tuple[str, ...]:
    """Attribute strings as SteerLM (arXiv 2310.05344) writes them: "quality: one" is the worst."""
    return tuple(f"quality: {word}" for word in NUMBERS[:levels])


def ranks(levels: int) -> tuple[str, ...]:
    """One number word a level, which says nothing by itself: "a quality one answer" is the worst."""
    return tuple(f"a quality {word} answer" for word in NUMBERS[:levels])


@dataclass(frozen=True)
class Bins:
    """Levels of numbers on whatever scale: by the middle rank of a number among `known` ones.

    Bins stay where the first numbers put them, so that the share of a level can rise later; equal numbers
    share a level, so that a coarse scale may leave some level empty.
    """

    known: tuple[float, ...]
    levels: int

    @staticmethod
    def of(values: Iterable[float], levels: int) -> Bins:
        """Bins that these numbers fill about evenly."""
        return Bins(tuple(sorted(values)), levels)

    def level(self, value: float) -> int:
        """1 for the worst, `levels` for the best."""
        below, upto = bisect_left(self.known, value), bisect_right(self.known, value)
        middle = (below + upto) / 2 / len(self.known)
        return 1 + min(self.levels - 1, int(self.levels * middle))


def exemplars(
    critiques: Sequence[str], scores: Sequence[float], levels: Sequence[int], most: int
) -> tuple[str, ...]:
    """One critique to stand for each level, the worst first; "" where a level has none.

    For the best level the one with the best mean score among those given three times or more (once, where
    none was), as what a critic says of an answer without flaws; for the others the most frequent one.
    """
    if not critiques:
        return ("",) * most
    given: dict[str, list[float]] = defaultdict(list)
    for text, score in zip(critiques, scores, strict=True):
        given[text].append(score)
    often = {t: s for t, s in given.items() if len(s) >= 3} or given
    best = min(often, key=lambda t: (-statistics.fmean(often[t]), -len(often[t]), t))
    found = []
    for level in range(1, most):
        said = Counter(text for text, own in zip(critiques, levels, strict=True) if own == level)
        found.append(min(said, key=lambda t: (-said[t], t)) if said else "")
    return (*found, best)
