"""Reward models on disk: scores normalised to mean 0 and spread 1 on the completions they were trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alignment_bench.completions import Completion
from alignment_bench.digests import digest, digest_file
from alignment_bench.errors import CorruptResult
from alignment_bench.prompts import Prompt

if TYPE_CHECKING:
    from alignment_bench.models.policy import ModelPolicy
    from alignment_bench.runtime import Runtime

Kind = Literal["likelihood_ratio", "scalar"]


@dataclass(frozen=True, slots=True)
class RewardCard:
    """What is known of a reward model: how it scores, its normalisation, and how good it is.

    `accuracy` is the share of `held_out` comparisons, never trained on, in which the preferred completion
    scores higher (ties half); None where there were too few to hold any out.
    """

    kind: Kind
    beta: float
    mean: float
    scale: float
    trained_on: int
    ties_dropped: int
    held_out: int
    accuracy: float | None

    @property
    def sentence(self) -> str:
        """One line for a footnote."""
        form = "likelihood ratio" if self.kind == "likelihood_ratio" else "scalar head"
        known = "not measured (too few pairs)" if self.accuracy is None else f"{self.accuracy:.2f}"
        return (
            f"reward model ({form}): {self.trained_on} comparisons, "
            f"accuracy on {self.held_out} held out: {known}"
            + (f"; {self.ties_dropped} ties dropped" if self.ties_dropped else "")
        )


class RewardModel:
    """A trained reward model: `reward.json`, `policy/`, and `reference/` or `head.safetensors`."""

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self.folder = folder
        self._runtime = runtime
        path = folder / "reward.json"
        try:
            self.card = RewardCard(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise CorruptResult(f"{path} is no reward model ({error}): delete its job folder") from error

    @property
    def digest(self) -> str:
        """Digest of card and weights."""
        parts = [asdict(self.card), self._policy("policy").digest]
        if self.card.kind == "likelihood_ratio":
            parts.append(self._policy("reference").digest)
        else:
            parts.append(digest_file(self.folder / "head.safetensors"))
        return digest(parts)

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
        """Normalised reward of each completion."""
        return [(r - self.card.mean) / self.card.scale for r in self.raw(prompts, completions)]

    def raw(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
        """Reward of each completion before normalisation."""
        if self.card.kind == "scalar":
            return self.trunk.head_scores(self.folder / "head.safetensors", prompts, completions)
        sums = []
        for name in ("policy", "reference"):
            model = self._policy(name)
            model.make_room()  # what is kept in memory may be as large again
            sums.append([sum(row) for row in model.logprobs(prompts, completions)])
        return [self.card.beta * (ours - theirs) for ours, theirs in zip(*sums, strict=True)]

    @property
    def trunk(self) -> ModelPolicy:
        """The trained model: a scalar head's trunk, or the numerator of a likelihood ratio."""
        return self._policy("policy")

    def _policy(self, name: str) -> ModelPolicy:
        from alignment_bench.models.storage import load_policy

        policy = load_policy(self.folder / name, self._runtime)
        return policy  # type: ignore[return-value]
