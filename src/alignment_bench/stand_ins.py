"""Made-up examples, samples and a policy, on which `testing` tries plugins out; the judge is a control."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment_bench import registry
from alignment_bench.completions import Completion, Decoding, End
from alignment_bench.evaluation import Evidence, Needs
from alignment_bench.prompts import Example, Key, Message, Prompt

TEXTS: tuple[tuple[str, tuple[int, ...], End], ...] = (
    ("a bike was sold", (5, 6, 7, 1), "eos"),
    ("", (1,), "eos"),
    ("cut off in the mid", (8, 9), "length"),
)
"""what the made-up policy answered: something ordinary, nothing, and something cut off"""


def made_up_examples() -> list[Example]:
    """Three short posts, with a reference each."""
    posts = {
        "a": "My neighbour sold my bike.",
        "b": "Nobody at work talks to me. What should I do?",
        "c": "Hi.",
    }
    return [
        Example(Prompt(i, (Message("user", post),), group=i), Key(i, references=(post.split(".")[0],)))
        for i, post in posts.items()
    ]


class StandInPolicy:
    """A policy without logits that generates nothing: evaluators get samples, they do not draw them."""

    digest = "0" * 64
    folder = Path("absent")

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        """Never: raises AssertionError."""
        raise AssertionError("an evaluator must use the samples in `evidence`, not draw its own")


def made_up_evidence(needs: Needs) -> Evidence:
    """One cell's evidence over the made-up examples, with the samples that an evaluator needs."""
    examples = made_up_examples()
    samples = {
        spec.name: [[Completion(text, tokens, end) for _ in range(spec.n)] for text, tokens, end in TEXTS]
        for spec in needs.samples
    }
    policy: Any = StandInPolicy()
    return Evidence(
        prompts=[e.prompt for e in examples],
        keys=[e.key for e in examples],
        samples=samples,
        base_samples=samples if needs.base_samples else {},
        policy=policy,
        base=policy,
        judge=registry.load("judges", "always_longer")(),
    )
