"""A decode-time policy that answers, criticises its answer, and gives the refinement as the answer.

One policy answers, another, which learnt to write feedback and what follows it, criticises and refines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, digest
from alignment_bench.models.storage import load_policy
from alignment_bench.policy import Policy
from alignment_bench.prompts import Prompt
from alignment_bench.runtime import Runtime


class CriticiseAndRefine:
    """A policy in a folder that answers with `answerer/`, criticises and refines the answer with `refiner/`.

    The refinement is the answer; all three are drawn at the caller's decoding. Prompts in other layouts
    than `answer` go to the refiner as they are.
    """

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        stored = json.loads((folder / "policy.json").read_text("utf-8"))
        self.folder = folder
        self.layout = str(stored["settings"]["layout"])
        self.answerer = load_policy(folder / "answerer", runtime)
        self.refiner = load_policy(folder / "refiner", runtime)

    @property
    def digest(self) -> str:
        """Digest of the layout and of both policies."""
        return digest(["criticise_and_refine", self.layout, self.answerer.digest, self.refiner.digest])

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        """`n` refinements a prompt, each of an answer and under a critique of its own."""
        return [
            list(row) for row in zip(*(self._once(prompts, decoding, seed, k) for k in range(n)), strict=True)
        ]

    def _once(self, prompts: Sequence[Prompt], decoding: Decoding, seed: int, k: int) -> list[Completion]:
        def draw(policy: Policy, asked: Sequence[Prompt], what: str) -> list[Completion]:
            own = derive_seed("criticise and refine", what, seed, k)
            return [row[0] for row in policy.generate(asked, n=1, decoding=decoding, seed=own)]

        answers = draw(self.answerer, prompts, "answer")
        plain = [p.layout == "answer" for p in prompts]
        asked = [
            p.using("critique", completion=a.text) if own else p
            for p, a, own in zip(prompts, answers, plain, strict=True)
        ]
        critiques = draw(self.refiner, asked, "critique")
        refining = [
            p.using(self.layout, completion=a.text, critique=c.text) if own else p
            for p, a, c, own in zip(prompts, answers, critiques, plain, strict=True)
        ]
        return draw(self.refiner, refining, "refinement")
