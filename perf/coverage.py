"""How often nominal 95 % intervals cover the truth, by simulation.

200 prompts; standard deviations .3 (prompts), .3 (noise), .06 (seeds); in the second table the prompts come
in 40 clusters of uneven size that share half of the prompt variance. Published: .90 / .94 / .95 at 2 / 3 / 5
seeds for the two-way intervals, .68 / .73 / .81 for intervals over prompts only.

    python perf/coverage.py [repeats]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import sqrt

import numpy as np

from alignment_bench.statistics import Array, Interval, interval

PROMPTS, CLUSTERS = 200, 40
PROMPT, NOISE, SEED = 0.3, 0.3, 0.06
SEEDS = (1, 2, 3, 5, 10)


def draw(rng: np.random.Generator, seeds: int, members: Array | None) -> Array:
    """One experiment [seeds, prompts] whose true mean is 0; `members` [prompts] are cluster numbers."""
    if members is None:
        prompts = rng.normal(0, PROMPT, PROMPTS)
    else:
        shared, own = rng.normal(0, PROMPT / sqrt(2), (2, PROMPTS))
        prompts = shared[members.astype(int)] + own
    noise = rng.normal(0, NOISE, (seeds, PROMPTS))
    return np.asarray(rng.normal(0, SEED, (seeds, 1)) + prompts + noise)


def covers(found: Interval) -> bool:
    """Whether the interval contains the true mean, 0."""
    return found.low is not None and found.high is not None and found.low <= 0 <= found.high


def report(title: str, repeats: int, members: Array | None) -> None:
    """Print coverage and the median half-width of each kind of interval at each number of seeds."""
    names: Sequence[str] | None = None if members is None else [str(one) for one in members]
    print(f"{title}, {repeats} repeats")
    print("seeds | two-way (half-width) | prompts only | clusters ignored")
    for seeds in SEEDS:
        rng = np.random.default_rng(seeds)
        hits, widths = np.zeros(3), []
        for _ in range(repeats):
            values = draw(rng, seeds, members)
            two_way = interval(values, names)
            averaged = interval(values.mean(axis=0, keepdims=True), names)
            hits += [covers(two_way), covers(averaged), covers(interval(values))]
            widths.append((two_way.high or 0.0) - (two_way.mean or 0.0))
        rates = hits / repeats
        print(
            f"{seeds:5} | {rates[0]:.3f} ({np.median(widths):.3f})        | {rates[1]:.3f}        "
            f"| {rates[2]:.3f}"
        )


if __name__ == "__main__":
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    report("every prompt its own source", repeats, None)
    sizes = np.random.default_rng(0).multinomial(PROMPTS - CLUSTERS, np.full(CLUSTERS, 1 / CLUSTERS)) + 1
    report(
        f"{CLUSTERS} clusters of uneven size", repeats, np.repeat(np.arange(CLUSTERS), sizes).astype(float)
    )
