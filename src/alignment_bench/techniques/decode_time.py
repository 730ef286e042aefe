"""Policies that criticise their own answers when they are asked: refine them, or pick among several.

Both hold one policy in `inner/`. Answers are its own, at the caller's decoding; critiques and refinements are
asked of the innermost policy with readable probabilities, in the very layouts in which it learned to write
them. Every token counts as a cost of answering.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, digest
from alignment_bench.errors import NotApplicable
from alignment_bench.models.storage import load_policy
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.runtime import Runtime
from alignment_bench.techniques import best_of, critiques
from alignment_bench.techniques.critiques import to_criticise, to_refine


def speaking(policy: Policy) -> LogitPolicy:
    """The policy itself where its probabilities can be read, else the innermost one it wraps."""
    inner: Any = policy
    while not isinstance(inner, LogitPolicy):
        inner = getattr(inner, "inner", None)
        if inner is None:
            raise NotApplicable(f"{type(policy).__name__} wraps no single policy that could criticise itself")
    return inner


class _Wrapped:
    """A folder with `policy.json` and the policy it wraps."""

    kind: ClassVar[str]

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = json.loads((folder / "policy.json").read_text("utf-8"))["settings"]
        self.inner = load_policy(folder / "inner", runtime)
        self.critic = speaking(self.inner)

    @property
    def digest(self) -> str:
        """Digest of the settings and the wrapped policy."""
        return digest([self.kind, self.settings, self.inner.digest])

    @property
    def notes(self) -> list[str]:
        """What went otherwise than planned while sampling."""
        found: list[str] = getattr(self.critic, "notes", [])
        return found

    def _critiques(
        self, prompts: Sequence[Prompt], answers: Sequence[Completion], decoding: Decoding, seed: int
    ) -> list[str]:
        """What the critic writes about the answers, at its own temperature and length."""
        asked = [to_criticise(p, a) for p, a in zip(prompts, answers, strict=True)]
        own = criticising(decoding, self.settings["critique_temperature"], self.settings["critique_tokens"])
        return [row[0].text for row in self.critic.generate(asked, n=1, decoding=own, seed=seed)]


class SelfRefine(_Wrapped):
    """Answers, criticises the answer (or not: `feedback` False), refines it; the refinement is the answer.

    The first answers are those that the wrapped policy gives at the same seed, so that the two compare in
    pairs. Refinements are drawn at the caller's decoding. Prompts in other layouts than `answer` are handed
    on.
    """

    kind = "self_refine"

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        """`n` refinements for each prompt, each of an answer of its own."""
        rows = self.inner.generate(prompts, n=n, decoding=decoding, seed=seed)
        plain = [i for i, prompt in enumerate(prompts) if prompt.layout == "answer"]
        asked = [prompts[i] for i in plain]
        found = [list(row) for row in rows]
        for k in range(n):
            answers = [rows[i][k] for i in plain]
            for turn in range(int(self.settings["rounds"])):
                # Randomness goes by prompt and slots: without k, equal answers would be refined alike.
                answers = self._refined(asked, answers, decoding, derive_seed("self_refine", seed, turn, k))
            for i, answer in zip(plain, answers, strict=True):
                found[i][k] = answer
        return found

    def _refined(
        self, prompts: Sequence[Prompt], answers: Sequence[Completion], decoding: Decoding, seed: int
    ) -> list[Completion]:
        said: list[str | None] = [None] * len(answers)
        if self.settings["feedback"]:
            said = list(self._critiques(prompts, answers, decoding, derive_seed("critique", seed)))
        layout = str(self.settings["layout"])
        asked = [to_refine(p, a, c, layout) for p, a, c in zip(prompts, answers, said, strict=True)]
        return [row[0] for row in self.critic.generate(asked, n=1, decoding=decoding, seed=seed)]


class SelfRerank(_Wrapped):
    """Answers n times and gives the answer that it scores highest itself, ties to the earliest.

    By the score in its own critique, where one that cannot be read counts as the lowest; or by its mean
    log-probability a token.
    """

    kind = "self_rerank"

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        """The best of `settings["n"]` answers for each of the `n` answers; groups never overlap."""
        size = int(self.settings["n"])
        own = seed if size == 1 else derive_seed("self_rerank", seed)
        if size == 1:
            return self.inner.generate(prompts, n=n, decoding=decoding, seed=own)
        pools = self.pool(prompts, n=n * size, decoding=decoding, seed=own)
        return [
            [
                row[max(range(g, g + size), key=lambda i, row=row: (row[i][1], -i))][0]  # type: ignore[misc]
                for g in range(0, len(row), size)
            ]
            for row in pools
        ]

    def pool(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[tuple[Completion, float]]]:
        """`n` answers of the wrapped policy for each prompt, each with the score it is picked by."""
        rows = self.inner.generate(prompts, n=n, decoding=decoding, seed=seed)
        # Equal answers to one prompt are judged once.
        distinct = {(p, c.text): c for p, row in zip(prompts, rows, strict=True) for c in row}
        values = self._scores([p for p, _ in distinct], list(distinct.values()), decoding, seed)
        score = dict(zip(distinct, values, strict=True))
        return [[(c, score[p, c.text]) for c in row] for p, row in zip(prompts, rows, strict=True)]

    def kl_bound(self, base: LogitPolicy) -> float | None:
        """Upper bound in nats on KL to the base, where the wrapped policy is the base."""
        return best_of.kl_bound(int(self.settings["n"])) if self.inner.digest == base.digest else None

    def _scores(
        self, prompts: Sequence[Prompt], answers: Sequence[Completion], decoding: Decoding, seed: int
    ) -> list[float]:
        if self.settings["by"] == "likelihood":
            tokens = self.critic.logprobs(prompts, answers)
            return [fmean(row) if row else -inf for row in tokens]
        texts = self._critiques(prompts, answers, decoding, derive_seed("critique", seed))
        found = [critiques.read(text, self.settings["parts"]) for text in texts]
        return [float(c.score) if c is not None and c.score is not None else 0.0 for c in found]


def criticising(decoding: Decoding, temperature: float, tokens: int) -> Decoding:
    """How critiques are drawn by a policy that answers at `decoding`."""
    return replace(decoding, temperature=temperature, top_p=1.0, top_k=0, max_tokens=tokens, stop=())
