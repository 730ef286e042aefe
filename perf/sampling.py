"""Our sampler beside `model.generate` on the same prompts: n=8, mixed lengths, the tiny model.

Both draw at temperature 1 with the same batch of rows and stop at the same token limit; `generate` gets its
prompts left-padded in batches in the order they come. Prints both medians of five and their ratio.

    python perf/sampling.py [prompts] [n]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from alignment_bench import runtime
from alignment_bench.completions import Decoding
from alignment_bench.models import catalog
from alignment_bench.models.storage import base_policy, formatter_of
from alignment_bench.prompts import Message, Prompt
from alignment_bench.world.tasks import tldr

REPEATS = 5


def mixed_lengths(prompts: list[Prompt], count: int) -> list[Prompt]:
    """World posts, every second one cut to its first sentence and every third one doubled."""
    found = []
    for place, prompt in enumerate(prompts[:count]):
        text = prompt.text
        if place % 2:
            text = text.split(" . ")[0].split(". ")[0] + "."
        elif place % 3 == 0:
            text = f"{text} {text}"
        found.append(Prompt(f"{prompt.id}-{place}", (Message("user", text),)))
    return found


def with_generate(policy: Any, prompts: list[Prompt], n: int, decoding: Decoding) -> int:
    """Samples with transformers' own loop; returns the number of tokens drawn."""
    model, pad = policy.scoring_model(), policy.pad
    ids = [policy.render(prompt) for prompt in prompts]
    per_batch = max(1, policy.sample_rows // n)
    tokens = 0
    for low in range(0, len(ids), per_batch):
        part = ids[low : low + per_batch]
        longest = max(len(row) for row in part)
        inputs = torch.tensor([[pad] * (longest - len(row)) + row for row in part])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in part])
        with torch.inference_mode():
            out = model.generate(
                input_ids=inputs,
                attention_mask=mask,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                num_return_sequences=n,
                max_new_tokens=decoding.max_tokens,
                pad_token_id=pad,
            )
        ends = torch.isin(out[:, longest:], torch.tensor(sorted(policy.eos)))
        first = torch.where(ends.any(1), ends.int().argmax(1) + 1, out.shape[1] - longest)
        tokens += int(first.sum())
    return tokens


def main() -> int:
    """Measures and prints."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    source = catalog.resolve("tiny")
    here = runtime.resolve("cpu", parameters=source.parameters)
    runtime.activate(here)
    with tempfile.TemporaryDirectory() as folder:
        policy = base_policy(source, formatter_of(source, {}), here, Path(folder) / "base")
        data = tldr(0)
        prompts = mixed_lengths([e.prompt for e in (*data.test, *data.train)], count)
        decoding = Decoding(temperature=1.0, max_tokens=48)
        lengths = [len(policy.render(prompt)) for prompt in prompts]

        def ours() -> int:
            drawn = policy.generate(prompts, n=n, decoding=decoding, seed=0)
            return sum(len(one.tokens) for row in drawn for one in row)

        def theirs() -> int:
            return with_generate(policy, prompts, n, decoding)

        seconds = {"generate": measured(theirs), "sampler": measured(ours)}
    print(f"tiny, {count} prompts of {min(lengths)} to {max(lengths)} tokens, n={n}, {here.threads} thread")
    for name, (median, tokens) in seconds.items():
        print(f"{name:9} {median:6.2f} s  {tokens} tokens  {tokens / median:8.0f} tokens/s")
    print(f"ratio     {seconds['generate'][0] / seconds['sampler'][0]:6.2f}")
    return 0


def measured(work: Callable[[], int]) -> tuple[float, int]:
    """Median CPU-bound wall seconds of five calls after a warm-up, and what the last call returned."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        tokens = work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), tokens


if __name__ == "__main__":
    raise SystemExit(main())
