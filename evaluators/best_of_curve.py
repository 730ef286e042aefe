"""What best-of-n is worth for every n up to 16, from one pool of draws a prompt: exact over all subsets.

Two pools of 17 (16 and a fresh draw to be compared with): one at the task's decoding for quality, one at
temperature 1 without truncation for the wins and the KL, which are statements about the policy's own
distribution. The pools are drawn and scored inside this evaluator's job, whatever the policy's own n is, so
they are no part of what its answers cost at test time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import ClassVar

from alignment_bench.completions import Completion
from alignment_bench.digests import derive_seed
from alignment_bench.evaluation import Evidence, Metric, Needs, Scores
from alignment_bench.policy import KlBoundedPolicy, PoolPolicy
from alignment_bench.techniques import best_of

LARGEST = 16
_SIZES = best_of.sizes(LARGEST)
_MORE = _SIZES[1:]  # the best of one wins half of the time and has not moved

Pools = Sequence[Sequence[tuple[Completion, float]]]


@dataclass(frozen=True)
class BestOfCurve:
    """Best-of-n against n: quality, win rate over one fresh draw, and KL; for best-of-N policies only.

    `proxy_win_best_of_n` is by the reward model itself, at most n/(n + 1); `win_best_of_n` is by the judge's
    scale; `kl_best_of_n` is the estimator of Beirami et al. 2024 (arXiv 2401.01879), where the base is what
    is wrapped.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        *(Metric(f"quality_best_of_{n}", "0-1", "higher") for n in _SIZES),
        *(Metric(f"quality_t1_best_of_{n}", "0-1", "higher") for n in _SIZES),
        *(Metric(f"win_best_of_{n}", "share", "higher") for n in _MORE),
        *(Metric(f"proxy_win_best_of_{n}", "share", "neither") for n in _MORE),
        *(Metric(f"kl_best_of_{n}", "nat", "neither") for n in _MORE),
    )
    needs: ClassVar[Needs] = Needs()

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """One value a prompt: the expectation over all subsets of its pool."""
        policy = evidence.policy
        if not isinstance(policy, PoolPolicy):
            missing = Scores(missing="the policy does not pick from a pool of draws")
            return {metric.name: missing for metric in self.metrics}
        decodings = {
            "quality": evidence.decoding,
            "t1": replace(evidence.decoding, temperature=1.0, top_p=1.0, top_k=0),
        }
        pools = {
            name: policy.pool(
                evidence.prompts,
                n=LARGEST + 1,
                decoding=decoding,
                seed=derive_seed("best_of_curve", evidence.seed, name),
            )
            for name, decoding in decodings.items()
        }
        proxies = [[score for _, score in row] for row in pools["t1"]]
        gold = _gold(evidence, pools["t1"])
        return {
            **_quality("quality_best_of", pools["quality"], _gold(evidence, pools["quality"])),
            **_quality("quality_t1_best_of", pools["t1"], gold),
            **{f"win_best_of_{n}": _wins(proxies, gold, n) for n in _MORE},
            **{f"proxy_win_best_of_{n}": _wins(proxies, proxies, n) for n in _MORE},
            **_distances(evidence, policy, pools["t1"]),
        }


def _gold(evidence: Evidence, pools: Pools) -> Sequence[Sequence[float]] | str:
    """The judge's score of every draw, or why there is none."""
    judge = evidence.judge
    if reason := judge.unfit(evidence.keys):
        return f"judge {judge.name}: {reason}"
    rows = [
        (prompt, key, completion.text)
        for prompt, key, pool in zip(evidence.prompts, evidence.keys, pools, strict=True)
        for completion, _ in pool
    ]
    values = judge.score([p for p, _, _ in rows], [k for _, k, _ in rows], [t for _, _, t in rows])
    if values is None:
        return f"judge {judge.name} compares, it has no scale of quality"
    scores = iter(values)
    return [[next(scores) for _ in pool] for pool in pools]


def _quality(name: str, pools: Pools, gold: Sequence[Sequence[float]] | str) -> dict[str, Scores]:
    """Expected score of best-of-n, by n."""
    if isinstance(gold, str):
        return {f"{name}_{n}": Scores(missing=gold) for n in _SIZES}
    return {
        f"{name}_{n}": Scores(
            tuple(
                best_of.expected_best([score for _, score in pool], values, n)
                for pool, values in zip(pools, gold, strict=True)
            )
        )
        for n in _SIZES
    }


def _wins(proxies: Sequence[Sequence[float]], values: Sequence[Sequence[float]] | str, n: int) -> Scores:
    """How often best-of-n beats one fresh draw."""
    if isinstance(values, str):
        return Scores(missing=values)
    pairs = zip(proxies, values, strict=True)
    return Scores(tuple(best_of.expected_win(proxy, value, n) for proxy, value in pairs))


def _distances(evidence: Evidence, policy: PoolPolicy, pools: Pools) -> dict[str, Scores]:
    """The KL estimate of best-of-n from the base, by n, where it is the base that is drawn from."""
    if not isinstance(policy, KlBoundedPolicy) or policy.kl_bound(evidence.base) is None:
        missing = Scores(missing="what is drawn from is not the base")
        return {f"kl_best_of_{n}": missing for n in _MORE}
    asked = [prompt for prompt, pool in zip(evidence.prompts, pools, strict=True) for _ in pool]
    logprobs = iter(evidence.base.logprobs(asked, [completion for pool in pools for completion, _ in pool]))
    # Rounding may put the sum of an almost certain answer a hair above 0.
    chances = [[exp(min(0.0, sum(next(logprobs)))) for _ in pool] for pool in pools]
    found = {}
    for n in _MORE:
        values = tuple(
            best_of.expected_best([score for _, score in pool], [best_of.kl_estimate(n, p) for p in row], n)
            for pool, row in zip(pools, chances, strict=True)
        )
        note = f"an estimate; its upper bound is {best_of.kl_bound(n):.2f}"
        found[f"kl_best_of_{n}"] = Scores(values, note=note)
    return found


PLUGIN = BestOfCurve
