"""Everything that touches a device, once on CUDA and once on the CPU, with the numbers beside each other.

Loads, samples, scores, and takes one full and one LoRA training step; prints one line each and exits 1
where CUDA disagrees with the CPU. Exits 0 with "skipped: no CUDA device" where there is none.

    python perf/cuda.py [model ...]      (default: tiny)
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from alignment_bench import runtime
from alignment_bench.completions import Completion, Decoding
from alignment_bench.layouts import Layout
from alignment_bench.models import catalog
from alignment_bench.models.storage import base_policy, formatter_of, load_policy, save_policy
from alignment_bench.prompts import Message, Prompt
from alignment_bench.training.batches import Row, collate, completion_logits, token_logprobs
from alignment_bench.world.tasks import tldr

LAYOUTS = {"answer": Layout("{prompt}\n\nWrite a TL;DR of this post in one sentence.", "TL;DR:")}
LOGPROB = 1e-3
"""largest difference allowed, in nats a token, between float32 log-probabilities of the two devices"""
LOSS = 1e-3
"""largest difference allowed between losses, in nats a token"""


def policy_on(device: str, source: catalog.ModelSource, folder: Path) -> Any:
    """The model's unaligned policy on a device."""
    here = runtime.resolve(device, parameters=source.parameters)
    runtime.activate(here)
    return base_policy(source, formatter_of(source, LAYOUTS, 256), here, folder / device)


def step(policy: Any, lora_rank: int, pairs: list[tuple[Prompt, Completion]], folder: Path) -> list[float]:
    """Losses before and after one optimizer step, and after saving and loading the result."""
    model = policy.load_for_training(lora_rank)
    rows = [Row(tuple(policy.render(prompt)), one.tokens) for prompt, one in pairs]
    batch = collate(rows, policy.pad, policy.device)

    def loss() -> torch.Tensor:
        values = token_logprobs(completion_logits(model, batch), batch)
        return -values.sum() / batch.mask.sum()

    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    first = loss()
    first.backward()
    optimizer.step()
    with torch.no_grad():
        second = loss().item()
    save_policy(folder, model, parent=policy)
    stored: Any = load_policy(folder, policy.runtime)
    values = stored.logprobs([p for p, _ in pairs], [c for _, c in pairs])
    return [first.item(), second, -statistics.fmean(v for row in values for v in row)]


def check(name: str, folder: Path) -> list[str]:
    """Compares one model on both devices; returns what disagrees."""
    source = catalog.prepare(name)
    world = [example.prompt for example in tldr(0).test[:32]]
    prompts = (
        world if source.kind == "shipped" else [Prompt(p.id, (Message("user", p.text),)) for p in world[:16]]
    )
    decoding = Decoding(max_tokens=48)
    numbers: dict[str, Any] = {}
    pairs: list[tuple[Prompt, Completion]] = []
    for device in ("cuda", "cpu"):
        policy = policy_on(device, source, folder)
        policy.generate(prompts[:1], n=1, decoding=decoding, seed=1)
        start = time.perf_counter()
        rows = policy.generate(prompts, n=8, decoding=decoding, seed=0)
        seconds = time.perf_counter() - start
        drawn = sum(len(one.tokens) for row in rows for one in row)
        if not pairs:
            pairs = [(prompt, one) for prompt, row in zip(prompts, rows, strict=True) for one in row[:2]]
        start = time.perf_counter()
        scored = policy.logprobs([p for p, _ in pairs], [c for _, c in pairs])
        scoring = time.perf_counter() - start
        kl = policy.kl(policy, [p for p, _ in pairs[:8]], [c for _, c in pairs[:8]])
        numbers[device] = {
            "rows": rows,
            "logprobs": [v for row in scored for v in row],
            "kl": max(abs(v) for row in kl for v in row),
            "full": step(policy, 0, pairs[:4], folder / f"{device}-full"),
            "lora": step(policy, 8, pairs[:4], folder / f"{device}-lora"),
        }
        rate = drawn / seconds
        print(f"{name} {device}: {rate:.0f} tokens/s sampled, {scoring:.2f} s to score {len(pairs)} pairs")
    cuda, cpu = numbers["cuda"], numbers["cpu"]
    gap = max(abs(a - b) for a, b in zip(cuda["logprobs"], cpu["logprobs"], strict=True))
    both = list(zip(cuda["rows"], cpu["rows"], strict=True))
    same = statistics.fmean(a == b for ours, theirs in both for a, b in zip(ours, theirs, strict=True))
    print(f"{name}: log-probabilities differ by at most {gap:.1e}; {same:.0%} of samples are identical")
    wrong = [] if gap < LOGPROB else [f"log-probabilities differ by {gap:.1e}"]
    if cuda["kl"] != 0.0:
        wrong.append(f"KL of the base to itself is {cuda['kl']:.1e}")
    for kind in ("full", "lora"):
        print(f"{name} {kind} step, losses on cuda {cuda[kind]} and on the CPU {cpu[kind]}")
        if not all(abs(a - b) < LOSS for a, b in zip(cuda[kind], cpu[kind], strict=True)):
            wrong.append(f"losses of the {kind} step differ")
        if not cuda[kind][1] < cuda[kind][0]:
            wrong.append(f"the {kind} step did not lower the loss")
        if abs(cuda[kind][2] - cuda[kind][1]) > LOSS:
            wrong.append(f"the {kind} policy lost something on its way through the disk")
    return [f"{name}: {what}" for what in wrong]


def main() -> int:
    """Runs the comparison for every model named on the command line."""
    if not torch.cuda.is_available():
        print("skipped: no CUDA device")
        return 0
    wrong = []
    for name in sys.argv[1:] or ["tiny"]:
        with tempfile.TemporaryDirectory() as folder:
            wrong += check(name, Path(folder))
    for line in wrong:
        print(f"WRONG {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
