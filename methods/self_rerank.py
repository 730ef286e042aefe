"""Self-reranking: answer n times, give the answer that the policy itself scores highest.

What SRT (Hu et al. 2024, arXiv 2406.07168) compares self-refinement with, n = 16: candidates are drawn from
the policy, each is scored by the policy's own critique, ties go to the earliest. The policy must have learned
to write scores (`srt+self_rerank`, `self_rewarding+self_rerank`); around one that has not, `by=likelihood`
picks by mean log-probability a token. Around a policy that refines, the candidates are its refined answers;
`srt:decode=rerank` picks among first answers, which is the paper's comparison.

Deviations: one greedy critique an answer; how the paper breaks ties is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from alignment_bench.errors import NotApplicable
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.runtime import Runtime
from alignment_bench.techniques import critiques
from alignment_bench.techniques.critiques import EVERY_PART, Part
from alignment_bench.techniques.decode_time import SelfRerank as SelfRerankPolicy
from alignment_bench.techniques.decode_time import criticising, speaking
from alignment_bench.techniques.self_scores import written

PROBES = 32
"""answers whose critiques show whether the policy writes scores"""
FORMS: tuple[tuple[Part, ...], ...] = (
    EVERY_PART,
    ("weakness", "score"),
    ("suggestion", "score"),
    ("score",),
)
"""critiques with a score that a policy may have learned to write"""


@dataclass(frozen=True)
class SelfRerank:
    """Answer n times, give the answer that the policy itself scores highest; wraps any policy."""

    wrapper: ClassVar[bool] = True
    wants: ClassVar[tuple[Channel, ...]] = ()

    n: int = field(default=16, metadata={"min": 1})
    """answers drawn for each one returned"""
    by: Literal["score", "likelihood"] = "score"
    """the score in the policy's own critique, or its mean log-probability a token"""
    critique_temperature: float = field(default=0.0, metadata={"min": 0.0})
    """of critiques; 0 is greedy"""
    critique_tokens: int = field(default=64, metadata={"min": 1})
    """most tokens of a critique"""

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy wrapped. Raises NotApplicable where it writes no readable score."""
        parts = self.learned(policy, prompts, lab) if self.by == "score" else ()
        return lab.wrap("self_rerank", self.settings(parts), {"inner": policy})

    def settings(self, parts: Sequence[Part]) -> dict[str, object]:
        """What the wrapped policy needs to know."""
        return {
            "n": self.n,
            "by": self.by,
            "parts": list(parts),
            "critique_temperature": self.critique_temperature,
            "critique_tokens": self.critique_tokens,
        }

    def learned(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> tuple[Part, ...]:
        """The form of critique that most of the policy's own, of its own answers, can be read in."""
        probes = [prompts[int(i)] for i in lab.random("self_rerank").permutation(len(prompts))[:PROBES]]
        critic = speaking(policy)
        answers = [row[0] for row in lab.sample(critic, probes, stream="self_rerank answers")]
        own = criticising(lab.decoding, 0.0, self.critique_tokens)
        texts = [row[0] for row in written(critic, probes, answers, lab, own, "self_rerank critiques")]
        rates = [sum(critiques.read(text, form) is not None for text in texts) for form in FORMS]
        most = max(rates)
        if most == 0:
            raise NotApplicable(
                f"none of {len(texts)} critiques that this policy writes has a readable score, such as "
                f"{texts[0]!r}: train it to (srt, self_rewarding), or use by=likelihood"
            )
        lab.measure("parse_rate", most / len(texts))
        lab.note(f"self_rerank: {most} of {len(texts)} critiques of its own answers have a readable score")
        return FORMS[rates.index(most)]

    @staticmethod
    def restore(folder: Path, runtime: Runtime) -> SelfRerankPolicy:
        """The wrapped policy stored in `folder`."""
        return SelfRerankPolicy(folder, runtime)


PLUGIN = SelfRerank
