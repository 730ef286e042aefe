"""Our sampler beside `model.generate(num_return_sequences=8)`: same model, prompts, precision, batch.

Both draw at temperature 1 up to the same number of tokens; `generate` gets its prompts left-padded, in the
order in which they come, which is how it is usually called.

    python perf/sampling.py [model=tiny] [repeats=5] [prompts=N] [n=8] [out=FILE]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from measuring import Claim, Comparison, Figure, in_turn, ratios, script

from alignment_bench import runtime
from alignment_bench.completions import Decoding
from alignment_bench.layouts import Layout
from alignment_bench.models import catalog
from alignment_bench.models.storage import base_policy, formatter_of
from alignment_bench.models.weights import for_inference
from alignment_bench.prompts import Message, Prompt
from alignment_bench.world.tasks import tldr

WANTED = {"tiny": ">= 2", "smollm2": ">= 1.5"}
PROMPTS = {"tiny": 100, "smollm2": 8}
LIMIT = {"tiny": 48, "smollm2": 32}
"""tokens a completion has at most"""
CHAT = {"answer": Layout("{prompt}\n\nWrite a TL;DR of this post in one sentence.", "TL;DR:")}


def mixed_lengths(prompts: list[Prompt], count: int) -> list[Prompt]:
    """World posts, every second one cut to its first sentence, of the others every third one doubled."""
    found = []
    for place, prompt in enumerate(prompts[:count]):
        text = prompt.text
        if place % 2:
            text = text.split(" . ")[0].split(". ")[0] + "."
        elif place % 3 == 0:
            text = f"{text} {text}"
        found.append(Prompt(f"{prompt.id}-{place}", (Message("user", text),)))
    return found


def with_generate(policy: Any, model: Any, prompts: list[Prompt], n: int, decoding: Decoding) -> int:
    """Samples with transformers' own loop; returns the number of tokens drawn."""
    pad = policy.pad
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


def compare(options: Mapping[str, str]) -> Comparison:
    """Tokens a CPU second of both, and the ratio."""
    model, repeats, n = options.get("model", "tiny"), int(options["repeats"]), int(options.get("n", "8"))
    count = int(options.get("prompts", PROMPTS[model]))
    source = catalog.resolve(model)
    name, title = f"sampling_{model}", f"Sampling {n} completions a prompt, {model}"
    if not source.ready:
        return Comparison(name, title, "", skipped=f"{model} is not on this machine: bench fetch {model}")
    here = runtime.resolve("cpu", threads=1, parameters=source.parameters)
    runtime.activate(here)
    decoding = Decoding(temperature=1.0, max_tokens=LIMIT[model])
    dtype = here.sampling_dtype(source.parameters)
    with tempfile.TemporaryDirectory() as folder:
        formatter = formatter_of(source, CHAT, 512) if source.has_chat_template else formatter_of(source, {})
        policy: Any = base_policy(source, formatter, here, Path(folder) / "base")
        drawing = for_inference(policy, dtype)
        data = tldr(0)
        prompts = mixed_lengths([e.prompt for e in (*data.test, *data.train)], count)
        lengths = [len(policy.render(prompt)) for prompt in prompts]
        drawn: dict[str, list[int]] = {"model.generate": [], "sampler": []}

        def counted(side: str, work: Callable[[], int]) -> Callable[[], None]:
            return lambda: drawn[side].append(work())

        def ours() -> int:
            rows = policy.generate(prompts, n=n, decoding=decoding, seed=len(drawn["sampler"]))
            return sum(len(one.tokens) for row in rows for one in row)

        torch.manual_seed(0)
        sides = {
            "model.generate": counted(
                "model.generate", lambda: with_generate(policy, drawing, prompts, n, decoding)
            ),
            "sampler": counted("sampler", ours),
        }
        took = in_turn(sides, repeats, warm=model == "tiny")
    rates = {
        side: tuple(tokens / one.cpu for tokens, one in zip(drawn[side][-repeats:], took[side], strict=True))
        for side in sides
    }
    found = Comparison(
        name,
        title,
        f"`model={model}` in {dtype} on both sides, one thread: {count} posts of the built-in world, every "
        f"second one cut to a sentence and some doubled ({min(lengths)} to {max(lengths)} tokens), n={n}, "
        f"at most {decoding.max_tokens} tokens at T=1, {policy.sample_rows} rows a batch. `model.generate`: "
        f"`num_return_sequences={n}` on left-padded batches in the order of the prompts.",
        [Figure(side, "tokens/CPU s", rates[side]) for side in sides],
        [
            Claim(
                ratios("sampler over model.generate", rates["sampler"], rates["model.generate"]),
                WANTED[model],
            )
        ],
    )
    found.figures += [Figure(f"{side}, wall", "s", tuple(one.wall for one in took[side])) for side in sides]
    found.notes.append(
        "The two draw different random numbers; tokens that were drawn are counted on each side."
    )
    return found


if __name__ == "__main__":
    sys.exit(script(compare, model="tiny", prompts="", n="8"))
