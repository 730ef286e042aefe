"""How often programs pass all of their tests: pass@1 at the task's decoding, and pass@10.

Estimated without bias from n samples of which c pass, as 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, arXiv
2107.03374); for k = 1 that is c / n. Neither 1 - (1 - c/n)^k nor the share of prompts solved by any of n is
that. Who runs the programs, and how safely, is the judge's affair.

pass@1 takes the samples that every other measure takes. Ten of them and more are drawn only where `samples`
says so, at temperature .8 without truncation, as ILF for code does with 30 (Chen et al. 2023, arXiv
2303.16749): answering costs as many times more. Both metrics are then estimated from these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import comb
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, SampleSpec, Scores
from alignment_bench.feedback import Judge
from alignment_bench.per_prompt import marked
from alignment_bench.policy import Policy

KS = (1, 10)


@dataclass(frozen=True)
class PassAtK:
    """Chance that one, or any of ten, sampled programs passes every test; n/a with a judge that runs none."""

    metrics: ClassVar[tuple[Metric, ...]] = tuple(Metric(f"pass_at_{k}", "share", "higher") for k in KS)
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,))

    samples: int = field(default=0, metadata={"min": 0})
    """samples a prompt at temperature .8, for pass@10 (0: those that there are); the papers draw 30 to 200"""

    @property
    def spec(self) -> SampleSpec:
        """The samples that are tested."""
        if not self.samples:
            return AT_TASK
        return SampleSpec(f"pass{self.samples}", n=self.samples, temperature=0.8, top_p=1.0, top_k=0)

    def used(self, policy: Policy, judge: Judge) -> tuple[SampleSpec, ...]:
        """The samples that are tested, whoever judges."""
        return (self.spec,)

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """The unbiased estimate for each prompt, of each k for which there are enough samples."""
        passed, reason = marked(evidence, "passed", self.spec)
        found = {}
        for k in KS:
            least = min((len(row) for row in passed), default=0)
            if reason or least < k:
                why = reason or f"{least} samples a prompt say nothing about pass@{k}: pass_at_k:samples=30"
                found[f"pass_at_{k}"] = Scores(missing=why)
            else:
                found[f"pass_at_{k}"] = Scores(tuple(pass_at(k, len(row), sum(row)) for row in passed))
        return found


def pass_at(k: int, samples: int, passed: int) -> float:
    """Chance that at least one of k samples passes, from `samples` of which `passed` do.

    Raises ValueError for fewer than k samples: they say nothing about k.
    """
    if samples < k:
        raise ValueError(f"{samples} samples cannot estimate pass@{k}")
    return 1.0 - comb(samples - passed, k) / comb(samples, k)


PLUGIN = PassAtK
