"""A policy behind a prefix: the same model, asked for a quality, a level or an exemplar in words.

What conditional methods (ALT, Quark, Chain of Hindsight) are used as after training. A pure prefix changes
what is read and nothing else, so it keeps the distribution readable: log-probabilities and KL against the
*unconditional* base are those of the model on the prefixed prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import digest
from alignment_bench.errors import CorruptResult
from alignment_bench.formatter import Formatter
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.runtime import Runtime


class ConditionedPolicy:
    """A LogitPolicy in a folder: `policy.json` with layout and slots, and the model in `inner/`."""

    def __init__(self, folder: Path, stored: Mapping[str, Any], runtime: Runtime) -> None:
        """The policy stored in `folder`. Raises CorruptResult where a part is missing."""
        from alignment_bench.models.storage import load_policy

        try:
            self.layout, slots = str(stored["layout"]), dict(stored["slots"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptResult(
                f"{folder / 'policy.json'} names no condition ({error}): delete it"
            ) from error
        self.folder = folder
        self.slots: dict[str, str] = {str(k): str(v) for k, v in slots.items()}
        inner = load_policy(folder / "inner", runtime)
        if not isinstance(inner, ModelPolicy):
            raise CorruptResult(f"{folder / 'inner'} has no weights of its own: delete {folder}")
        self.inner = inner

    @property
    def digest(self) -> str:
        """Digest of condition and model."""
        return digest(["conditioned", self.layout, self.slots, self.inner.digest])

    @property
    def formatter(self) -> Formatter:
        """The model's."""
        return self.inner.formatter

    @property
    def base_digest(self) -> str:
        """Digest of the unaligned base's files."""
        return self.inner.base_digest

    @property
    def notes(self) -> list[str]:
        """What went otherwise than planned while sampling."""
        return self.inner.notes

    def conditioned(self, prompt: Prompt) -> Prompt:
        """The prompt with the condition; one that already asks for something else is left as it is."""
        return prompt.using(self.layout, **self.slots) if prompt.layout == "answer" else prompt

    def render(self, prompt: Prompt) -> list[int]:
        """Token ids of the conditioned prompt."""
        return self.inner.render(self.conditioned(prompt))

    def truncated(self, prompts: Sequence[Prompt]) -> int:
        """How many of these prompts lose part of their text to the formatter's limit."""
        return self.inner.truncated([self.conditioned(p) for p in prompts])

    def scoring_model(self) -> Any:
        """The float32 model."""
        return self.inner.scoring_model()

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        """`n` completions for each prompt, under the condition."""
        asked = [self.conditioned(p) for p in prompts]
        return self.inner.generate(asked, n=n, decoding=decoding, seed=seed)

    def logprobs(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[list[float]]:
        """Natural-log probability of every token, under the condition."""
        return self.inner.logprobs([self.conditioned(p) for p in prompts], completions)

    def kl(
        self, reference: LogitPolicy, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[list[float]]:
        """KL(self under its condition || reference as it reads the plain prompt) at each token."""
        return self.inner.kl(reference, prompts, completions, [self.conditioned(p) for p in prompts])

    def encode(self, text: str, layout: str = "answer") -> Completion:
        """What was written in answer to that layout, as a completion."""
        return self.inner.encode(text, layout)

    def next_token_probabilities(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> list[list[float]]:
        """Probability of each answer as the next token, under the condition."""
        return self.inner.next_token_probabilities([self.conditioned(p) for p in prompts], answers)
