"""Best-of-n as arithmetic: what it is worth, how often it wins and how far it moves, from one pool of draws.

A pool is N independent answers to one prompt with a proxy (what best-of-n picks by) and a value (what it is
judged by). The answer that best-of-n gives is the argmax of the proxy over a random n-subset of the pool,
ties at random; its expectation over all subsets is exact and unbiased for every n up to N, and uses each
draw for every n (the estimator of pass@k, arXiv 2107.03374, with a proxy in the place of the tests).
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def sizes(largest: int) -> tuple[int, ...]:
    """1, 2, 4 and so on up to `largest`."""
    return tuple(2**k for k in range(largest.bit_length()) if 2**k <= largest)


def expected_best(proxy: Sequence[float], values: Sequence[float], n: int) -> float:
    """Mean value of the highest proxy among n of the pool, over all n-subsets; ties share evenly.

    A group of m equal proxies with `low` lower ones holds the best of C(low + m, n) - C(low, n) of the
    C(N, n) subsets, and each of its members is as likely as another. Raises ValueError unless
    1 <= n <= N.
    """
    count = len(proxy)
    if len(values) != count:
        raise ValueError(f"{count} proxies but {len(values)} values")
    if not 1 <= n <= count:
        raise ValueError(f"best of {n} needs a pool of at least {n}, this one has {count}")
    order = sorted(range(count), key=lambda i: proxy[i])
    total, low = 0.0, 0
    while low < count:
        high = low
        while high < count and proxy[order[high]] == proxy[order[low]]:
            high += 1
        subsets = math.comb(high, n) - math.comb(low, n)
        mean = math.fsum(values[i] for i in order[low:high]) / (high - low)
        total += subsets / math.comb(count, n) * mean
        low = high
    return total


def expected_win(proxy: Sequence[float], values: Sequence[float], n: int) -> float:
    """How often the best of n by `proxy` has a higher value than one fresh draw, ties half.

    Over all n-subsets and all draws outside them. With the proxy as value it is at most n / (n + 1), exactly
    that where no two proxies are equal. Raises ValueError unless 1 <= n < N.
    """
    count = len(proxy)
    total = 0.0
    for fresh in range(count):
        rest = [i for i in range(count) if i != fresh]
        wins = [(values[i] > values[fresh]) + 0.5 * (values[i] == values[fresh]) for i in rest]
        total += expected_best([proxy[i] for i in rest], wins, n)
    return total / count


def win_bound(n: int) -> float:
    """The most often that best-of-n can win against one draw: n / (n + 1) (arXiv 2401.01879)."""
    return n / (n + 1)


def kl_bound(n: int) -> float:
    """Upper bound in nats on KL(best-of-n || sampled policy): log n - (n - 1)/n; equal without ties."""
    return math.log(n) - (n - 1) / n


def kl_estimate(n: int, probability: float) -> float:
    """Estimate in nats of KL(best-of-n || sampled policy) from the probability of the answer it gave.

    Beirami et al. 2024 (arXiv 2401.01879); to be averaged over answers. As n grows it tends to
    -log(probability), where the bound grows without end. Raises ValueError for a probability outside [0, 1].
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"{probability} is no probability")
    if probability == 0.0:
        return kl_bound(n)  # the limit
    if probability == 1.0:
        return 0.0
    seen = -math.expm1(n * math.log1p(-probability))  # that one of n draws is this answer
    spread = math.log(n) + (n - 1) * math.log1p(-probability) - (n - 1) / n
    return (1.0 - seen) * spread + seen * (math.log(seen) - math.log(probability))
