"""Which of two methods is better, and how sure that is: paired differences, each with the test it calls for.

The test follows from what was run, never from its outcome:

* one seed, scores of 0 and 1, every prompt its own source: McNemar's exact test, Newcombe's interval;
* one seed, fewer than 30 clusters of prompts: sign-flip permutation of clusters;
* otherwise: the two-way random-effects analysis of `alignment_bench.statistics`.

p-values are Holm's over the comparisons made: all pairs, or all comparisons with one method.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alignment_bench.comparison import Block, Column, SeedScores, shared_seeds
from alignment_bench.p_values import holm, p_value
from alignment_bench.statistics import Array, Clusters, Interval, paired, paired_each
from alignment_bench.verdicts.exact import mcnemar, mcnemar_mde, newcombe, sign_flip

FEW_CLUSTERS = 30
"""below this many, one training's difference is tested by permutation"""

MCNEMAR = "McNemar's exact test"
PERMUTATION = "sign-flip permutation of clusters"
TWO_WAY = "two-way random effects over seeds and prompts"
CLUSTERED = "t test on clusters of prompts"
NONE = "none"
NO_SPREAD = "no spread to test with: p is the least that sign flips of the seeds can give"


@dataclass(frozen=True)
class Pair:
    """One comparison: `difference` is a minus b in the metric's own unit and direction."""

    a: str
    b: str
    metric: str
    difference: Interval
    p: float | None
    """two-sided, of this comparison alone; None where the data cannot say"""
    p_holm: float | None
    """adjusted for all comparisons made with it"""
    test: str
    """the test behind `p`"""
    note: str
    """what the reader must know: seeds not shared, prompts left out, how the interval was made"""

    def differs(self, level: float = 0.95) -> bool:
        """Whether a and b are told apart, after Holm."""
        return self.p_holm is not None and self.p_holm < 1 - level


@dataclass(frozen=True)
class Contrast:
    """A paired difference with the test that what was run calls for."""

    difference: Interval
    p: float | None
    test: str
    note: str = ""


def pairs(block: Block, column: Column, level: float = 0.95) -> tuple[Pair, ...]:
    """All pairs of lines that were scored, in the lines' order; Holm over all of them."""
    labels = _scored(block, column)
    return _compared(block, column, [(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]], level)


def against(block: Block, column: Column, label: str, level: float = 0.95) -> tuple[Pair, ...]:
    """Every other scored line minus the line of this label; Holm over these comparisons."""
    labels = _scored(block, column)
    return _compared(block, column, [(a, label) for a in labels if a != label and label in labels], level)


def contrast(a: Array, b: Array, clusters: Clusters | None = None, level: float = 0.95) -> Contrast:
    """`a - b`, both [seeds, prompts] over the same seeds and prompts, under the rules above."""
    return _contrast(paired(a, b, clusters, level), a, b, clusters, level)


def _contrast(difference: Interval, a: Array, b: Array, clusters: Clusters | None, level: float) -> Contrast:
    if difference.mean is None or difference.se is None:
        return Contrast(difference, None, NONE, difference.note)
    if difference.n_seeds > 1:
        note = _and(difference.note, NO_SPREAD) if difference.mean and difference.se == 0 else difference.note
        return Contrast(difference, p_value(difference), TWO_WAY, note)
    alone = difference.n_clusters == difference.n_prompts
    if alone and _is_binary(a) and _is_binary(b):
        return _exact(difference, a[0], b[0], level)
    if difference.n_clusters < FEW_CLUSTERS:
        totals = _totals(a[0] - b[0], clusters)
        return Contrast(
            replace(difference, mde=_coarse(difference, totals)),
            sign_flip(totals),
            PERMUTATION,
            _and(difference.note, "the interval is Student's"),
        )
    return Contrast(difference, p_value(difference), CLUSTERED, difference.note)


def _coarse(difference: Interval, totals: Array) -> float | None:
    """The detectable effect, plus half a step of the sums that sign flips of coarse scores can reach."""
    moved = np.abs(totals[totals != 0])
    if difference.mde is None or not len(moved):
        return difference.mde
    return difference.mde + float(moved.min()) / difference.n_prompts


def _exact(difference: Interval, a: Array, b: Array, level: float) -> Contrast:
    scored = ~np.isnan(a - b)
    first, second = a[scored] == 1, b[scored] == 1
    both, neither = int(np.sum(first & second)), int(np.sum(~first & ~second))
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(~first & second))
    low, high = newcombe(both, only_first, only_second, neither, level)
    note = _and(difference.note, "Newcombe's interval for paired shares")
    mde = mcnemar_mde(only_first + only_second, both + neither + only_first + only_second, level)
    exact = replace(difference, low=low, high=high, mde=mde)
    return Contrast(exact, mcnemar(only_first, only_second), MCNEMAR, note)


def _is_binary(values: Array) -> bool:
    return bool(np.isin(values[~np.isnan(values)], (0.0, 1.0)).all())


def _totals(difference: Array, clusters: Clusters | None) -> Array:
    scored = ~np.isnan(difference)
    if clusters is None:
        return difference[scored]
    codes = np.unique(np.asarray(clusters)[scored], return_inverse=True)[1]
    return np.asarray(np.bincount(codes, weights=difference[scored]), dtype=np.float64)


def _and(note: str, more: str) -> str:
    return f"{note}; {more}" if note else more


def _scored(block: Block, column: Column) -> list[str]:
    known = block.scores.get(column.name, {})
    return [line.label for line in block.lines if line.label in known]


def _compared(
    block: Block, column: Column, which: Sequence[tuple[str, str]], level: float
) -> tuple[Pair, ...]:
    scores = block.scores.get(column.name, {})
    at_once = _at_once(scores, which, block.clusters, level)
    made: list[tuple[str, str, Contrast]] = []
    for a, b in which:
        seeds, first, second = shared_seeds(scores[a], scores[b])
        difference = at_once.get((a, b)) or paired(first, second, block.clusters, level)
        outcome = _contrast(difference, first, second, block.clusters, level)
        most = max(len(scores[a].seeds), len(scores[b].seeds))
        if len(seeds) < most:
            said = f"on the {len(seeds)} seeds both have" if seeds else "no seed in common"
            outcome = replace(outcome, note=_and(outcome.note, said))
        made.append((a, b, outcome))
    adjusted = iter(holm([one.p for _, _, one in made if one.p is not None]))
    return tuple(
        Pair(
            a,
            b,
            column.name,
            one.difference,
            one.p,
            None if one.p is None else next(adjusted),
            one.test,
            one.note,
        )
        for a, b, one in made
    )


def _at_once(
    scores: Mapping[str, SeedScores],
    which: Iterable[tuple[str, str]],
    clusters: NDArray[np.intp],
    level: float,
) -> dict[tuple[str, str], Interval]:
    """The differences of lines that share their seeds and their scored prompts, worked out together."""
    alike: dict[tuple[tuple[int, ...], bytes], list[str]] = {}
    kind: dict[str, tuple[tuple[int, ...], bytes]] = {}
    for label in dict.fromkeys(label for pair in which for label in pair):
        one = scores[label]
        kind[label] = (one.seeds, np.isnan(one.values).any(axis=0).tobytes())
        alike.setdefault(kind[label], []).append(label)
    found: dict[tuple[str, str], Interval] = {}
    for same, labels in alike.items():
        mine = [(a, b) for a, b in which if kind[a] == kind[b] == same]
        place = {label: index for index, label in enumerate(labels)}
        rows = [scores[label].values for label in labels]
        made = paired_each(rows, [(place[a], place[b]) for a, b in mine], clusters, level)
        found |= dict(zip(mine, made, strict=True))
    return found
