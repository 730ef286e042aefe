"""Self-refinement at test time: answer, criticise the answer, rewrite it under the critique.

The test-time half of SRT (Hu et al. 2024, arXiv 2406.07168) without the training: around a policy that never
learned to criticise it shows what self-critique is worth by itself (Madaan et al. 2023, arXiv 2303.17651,
prompt large models for it). `feedback=false` rewrites without words. The rewritten answer is what is scored,
and every token on the way is a cost of answering.

Deviations: the model is asked in the layouts `critique`, `refine` and `improve` without examples, a fixed
number of rounds, no stopping rule; the critique is greedy and the rewriting at the caller's temperature.
Where a task's `refine` or `improve` leaves the answer out, as for summaries in plain English, the answer is
shown in `refine_shown` or `improve_shown`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.runtime import Runtime
from alignment_bench.techniques.critiques import rewriting
from alignment_bench.techniques.decode_time import SelfRefine as SelfRefinePolicy
from alignment_bench.techniques.decode_time import speaking


@dataclass(frozen=True)
class SelfRefine:
    """Answer, criticise, rewrite, all by the policy itself; the rewritten answer counts. Wraps any policy."""

    wrapper: ClassVar[bool] = True
    stands_alone: ClassVar[bool] = True
    wants: ClassVar[tuple[Channel, ...]] = ()

    rounds: int = field(default=1, metadata={"min": 1})
    """times an answer is criticised and rewritten"""
    feedback: bool = True
    """criticise before rewriting; false: rewrite without words (layout `improve`)"""
    critique_temperature: float = field(default=0.0, metadata={"min": 0.0, "tune": ("linear", 0.0, 1.0)})
    """of critiques; 0 is greedy. Answers and rewritings are drawn as the caller says"""
    critique_tokens: int = field(default=64, metadata={"min": 1})
    """most tokens of a critique"""

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy wrapped. Raises BadInput where its model has no layout to be asked in."""
        formatter = speaking(policy).formatter
        if self.feedback:
            formatter.layout("critique")
        settings = {**self.settings, "layout": rewriting(formatter, self.feedback)}
        return lab.wrap("self_refine", settings, {"inner": policy})

    @property
    def settings(self) -> dict[str, object]:
        """What the wrapped policy needs to know, whatever it wraps."""
        return {
            "rounds": self.rounds,
            "feedback": self.feedback,
            "critique_temperature": self.critique_temperature,
            "critique_tokens": self.critique_tokens,
        }

    @staticmethod
    def restore(folder: Path, runtime: Runtime) -> SelfRefinePolicy:
        """The wrapped policy stored in `folder`."""
        return SelfRefinePolicy(folder, runtime)


PLUGIN = SelfRefine
