"""The two contracts of a policy. `alignment_bench.models` has the one implementation with weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from alignment_bench.completions import Completion, Decoding
from alignment_bench.formatter import Formatter
from alignment_bench.prompts import Prompt


@runtime_checkable
class Policy(Protocol):
    """Answers prompts. On disk: a folder with `policy.json`; `load_policy(folder)` is the only way back."""

    @property
    def digest(self) -> str:
        """Digest of everything that can change an answer: weights, formatter, wrappers and their files."""

    @property
    def folder(self) -> Path:
        """Where the policy is stored."""

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        """`n` completions for each prompt. Random numbers are drawn per (seed, prompt id, sample index)."""


@runtime_checkable
class LogitPolicy(Policy, Protocol):
    """A policy whose next-token distribution is known: a model, or a model behind a pure prefix."""

    @property
    def formatter(self) -> Formatter:
        """How it reads prompts: the layouts it knows."""

    def logprobs(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[list[float]]:
        """Natural-log probability of every sampled token, at temperature 1, in fp32; one list a pair."""

    def kl(
        self, reference: LogitPolicy, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[list[float]]:
        """KL(self || reference) in nats at each token of each completion: exact over the vocabulary per
        prefix, sampled over prefixes (Rao-Blackwellised, arXiv 2504.10637)."""

    def encode(self, text: str, layout: str = "answer") -> Completion:
        """What was written in answer to that layout, as a completion this policy could train on (ends with
        the end-of-sequence id)."""

    def next_token_probabilities(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> list[list[float]]:
        """Probability of each answer as the next token, one row a prompt. Raises BadInput where an answer
        is not a single token."""


@runtime_checkable
class PoolPolicy(Policy, Protocol):
    """A policy that returns the highest-scoring of several draws, and can show all of them."""

    def pool(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[tuple[Completion, float]]]:
        """`n` draws for each prompt of what it picks from, each with the score it is picked by."""


@runtime_checkable
class KlBoundedPolicy(Policy, Protocol):
    """A wrapper whose distance from the base is known only as a bound (best-of-N: log n - (n - 1)/n)."""

    def kl_bound(self, base: LogitPolicy) -> float | None:
        """An upper bound on KL(self || base) in nats per sequence; None where the bound does not hold, as
        around a policy that is not the unaligned base."""
