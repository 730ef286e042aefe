"""What a tiny model of the built-in world can do before any alignment.

    python -m alignment_bench.world.diagnostics FOLDER [world=1000] [posts=200]

Quality of its answers at several temperatures, and of its refinements at the temperature of the answer they
refine: with right feedback, without any, and with feedback on another post. Feedback works by what it says
where right > no > shuffled, and pretraining taught no quality where refining without feedback gains nothing.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

import torch

from alignment_bench.completions import Decoding
from alignment_bench.feedback import Ask
from alignment_bench.judges.gold import facts_of
from alignment_bench.models.catalog import resolve
from alignment_bench.models.storage import base_policy, formatter_of
from alignment_bench.policy import Policy
from alignment_bench.prompts import Example
from alignment_bench.runtime import Runtime
from alignment_bench.teachers.annotators import Annotators
from alignment_bench.world.gold import quality
from alignment_bench.world.tldr import DEVELOPMENT, tldr

Row = tuple[str, float, float]
"""What was measured, its mean, and half the width of its 95 % interval over posts."""
SAMPLES = 4
MAX_TOKENS = 48


def open_base(folder: Path, scratch: Path) -> Policy:
    """The unaligned policy of a model folder, on one thread; `scratch` holds its reference file."""
    source = resolve(str(folder))
    return base_policy(source, formatter_of(source, {}), Runtime("cpu", "float32", threads=1), scratch)


def measure(policy: Policy, examples: Sequence[Example], seed: int = 0) -> list[Row]:
    """The whole table. Answers are drawn SAMPLES times a post, greedy ones once."""
    rows: list[Row] = []
    for temperature in (1.0, 0.7, 0.3, 0.0):
        decoding = Decoding(temperature, max_tokens=MAX_TOKENS)
        name = f"T={temperature:g}" if temperature else "greedy"
        n = SAMPLES if temperature else 1
        repeated = [example for example in examples for _ in range(n)]
        drawn = policy.generate([e.prompt for e in examples], n=n, decoding=decoding, seed=seed)
        first = [completion.text for completions in drawn for completion in completions]
        scores = _scores(repeated, first)
        rows.append(_row(f"answer, {name}", repeated, scores))
        if temperature not in (1.0, 0.3):
            continue
        asks = [Ask(e.prompt, e.key, (text,)) for e, text in zip(repeated, first, strict=True)]
        remarks = [record.text or "" for record in Annotators().answer("critique", asks, seed=seed)]
        shuffled = remarks[SAMPLES:] + remarks[:SAMPLES]
        refined = {}
        for feedback, texts in (("right", remarks), ("no", None), ("shuffled", shuffled)):
            prompts = [
                e.prompt.using("refine", completion=one, critique=texts[i])
                if texts
                else e.prompt.using("improve", completion=one)
                for i, (e, one) in enumerate(zip(repeated, first, strict=True))
            ]
            again = policy.generate(prompts, n=1, decoding=decoding, seed=seed + 1)
            refined[feedback] = _scores(repeated, [completion.text for (completion,) in again])
            rows.append(_row(f"refinement, {feedback} feedback, {name}", repeated, refined[feedback]))
        for better, worse in (("right", "no"), ("no", "shuffled")):
            gaps = [a - b for a, b in zip(refined[better], refined[worse], strict=True)]
            rows.append(_row(f"{better} - {worse}, {name}", repeated, gaps))
        gaps = [a - b for a, b in zip(refined["no"], scores, strict=True)]
        rows.append(_row(f"no - answer, {name}", repeated, gaps))
    return rows


def _scores(examples: Sequence[Example], texts: Sequence[str]) -> list[float]:
    return [quality(text, facts_of(e.key.facts)) for e, text in zip(examples, texts, strict=True)]


def _row(name: str, examples: Sequence[Example], values: Sequence[float]) -> Row:
    posts: dict[str, list[float]] = {}
    for example, value in zip(examples, values, strict=True):
        posts.setdefault(example.prompt.id, []).append(value)
    means = [fmean(value) for value in posts.values()]
    return name, fmean(means), 1.96 * stdev(means) / len(means) ** 0.5


def main(arguments: Sequence[str]) -> None:
    """Runs the command: a table on standard output."""
    torch.set_num_threads(1)
    options = dict(argument.partition("=")[::2] for argument in arguments[1:])
    examples = tldr(int(options.get("world", DEVELOPMENT))).test[: int(options.get("posts", 200))]
    with tempfile.TemporaryDirectory() as scratch:
        for name, mean, half in measure(open_base(Path(arguments[0]), Path(scratch)), examples):
            print(f"| {name} | {mean:.3f} | [{mean - half:.3f}, {mean + half:.3f}] |")


if __name__ == "__main__":
    main(sys.argv[1:])
