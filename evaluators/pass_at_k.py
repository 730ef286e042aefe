"""How often programs pass all of their tests: pass@1 at the task's decoding.

Estimated without bias from n samples of which c pass, as 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, arXiv
2107.03374); for k = 1 that is c / n. Who runs the programs, and how safely, is the judge's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.per_prompt import marked


@dataclass(frozen=True)
class PassAtK:
    """Chance that one sampled program passes every test; n/a with a judge that runs none."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("pass_at_1", "share", "higher"),)
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,))

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """The unbiased estimate for each prompt."""
        passed, reason = marked(evidence, "passed", AT_TASK)
        values = tuple(pass_at(1, len(samples), sum(samples)) for samples in passed)
        return {"pass_at_1": Scores(values, missing=reason)}


def pass_at(k: int, samples: int, passed: int) -> float:
    """Chance that at least one of k samples passes, from `samples` of which `passed` do.

    Raises ValueError for fewer than k samples: they say nothing about k.
    """
    if samples < k:
        raise ValueError(f"{samples} samples cannot estimate pass@{k}")
    return 1.0 - comb(samples - passed, k) / comb(samples, k)


PLUGIN = PassAtK
