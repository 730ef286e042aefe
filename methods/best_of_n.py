"""Best-of-N: answer n times, return the answer a reward model likes best.

Used as in Stiennon et al. 2020 (arXiv 2009.01325) and ILF (arXiv 2303.16755, n = 64): n independent samples
at the caller's decoding, argmax of the reward, ties to the earliest sample. The reward model is bought from
the budget by comparing the wrapped policy's own samples; its form and held-out accuracy are footnoted. Around
a policy without weights of its own (another wrapper) it is trained from the base on those comparisons.

KL to the base is not measurable by sampling from this policy; log n - (n - 1) / n is an upper bound (Beirami
et al. 2024, arXiv 2401.01879) and reported as one, for a wrapper around the base itself only. The evaluator
`best_of_curve` shows quality, win rates and that paper's KL estimate against n.

Deviation: n = 8 by default (16 in AlpacaFarm, 64 in ILF, 128 in DPO's comparison).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, digest
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.models.storage import load_policy
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import RewardModel
from alignment_bench.runtime import Runtime
from alignment_bench.techniques import best_of


@dataclass(frozen=True)
class BestOfN:
    """Sample n answers, return the one a reward model scores highest; wraps any policy."""

    wrapper: ClassVar[bool] = True
    from_record: ClassVar[tuple[Channel, ...]] = ("prefer",)
    stands_alone: ClassVar[bool] = True
    wants: ClassVar[tuple[Channel, ...]] = ("prefer",)

    n: int = field(default=8, metadata={"min": 1})
    """answers sampled for each one returned"""
    reward_kind: Literal["likelihood_ratio", "scalar"] = field(
        default="likelihood_ratio", metadata={"tune": ("choice", ("likelihood_ratio", "scalar"))}
    )
    """form of the reward model"""

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy wrapped with a reward model."""
        return lab.wrap(
            "best_of_n",
            {"n": self.n},
            {"inner": policy, "reward_model": lab.reward_model(policy, prompts, kind=self.reward_kind)},
        )

    @staticmethod
    def restore(folder: Path, runtime: Runtime) -> BestOfNPolicy:
        """The wrapped policy stored in `folder`."""
        return BestOfNPolicy(folder, runtime)


class BestOfNPolicy:
    """A policy in a folder: `policy.json` with n, `inner/` and `reward_model/`."""

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        stored = json.loads((folder / "policy.json").read_text("utf-8"))
        self.folder = folder
        self.n = int(stored["settings"]["n"])
        self.inner = load_policy(folder / "inner", runtime)
        self.reward_model = RewardModel(folder / "reward_model", runtime)

    @property
    def digest(self) -> str:
        """Digest of n, the inner policy and the reward model."""
        return digest(["best_of_n", self.n, self.inner.digest, self.reward_model.digest])

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        """The best of `self.n` samples for each of the `n` answers; groups of samples never overlap."""
        # A stream of its own: the candidates are not the very answers that the base gives at this seed.
        own = seed if self.n == 1 else derive_seed("best_of_n", seed)
        drawn = self.pool(prompts, n=n * self.n, decoding=decoding, seed=own)
        return [self._best(row) for row in drawn]

    def pool(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[tuple[Completion, float]]]:
        """`n` samples of the wrapped policy for each prompt, each with its reward."""
        drawn = self.inner.generate(prompts, n=n, decoding=decoding, seed=seed)
        flat = [(prompt, c) for prompt, row in zip(prompts, drawn, strict=True) for c in row]
        scores = iter(self.reward_model.score([p for p, _ in flat], [c for _, c in flat]))
        return [[(completion, next(scores)) for completion in row] for row in drawn]

    def _best(self, row: Sequence[tuple[Completion, float]]) -> list[Completion]:
        groups = range(0, len(row), self.n)
        return [row[max(range(g, g + self.n), key=lambda i: (row[i][1], -i))][0] for g in groups]

    def kl_bound(self, base: Policy) -> float | None:
        """Upper bound in nats on KL to the base, where the wrapped policy is the base."""
        if self.inner.digest != base.digest:
            return None
        return best_of.kl_bound(self.n)


PLUGIN = BestOfN
