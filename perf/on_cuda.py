"""Everything that touches a device, on CUDA and on the CPU: throughput, memory, and whether both agree.

Sampling in float32 and in the sampling precision, scoring, every trainer (supervised, preference and reward
models; DPO, KTO, online DPO, GRPO and RLOO through trl; PPO) with all weights in float32 and with LoRA under
bf16 autocast, and vLLM where it is installed. Both devices train on the same completions: what the CPU
samples on the way, the other device is handed. One line a check; exits 1 where the device disagrees with the
CPU, 0 with "skipped: no CUDA device" where there is none. `device=cpu` holds the CPU against itself.

    python perf/on_cuda.py [models=tiny,smollm2] [device=cuda] [checks=sampling,scoring,sft,...] [prompts=16]
"""

from __future__ import annotations

import importlib.util
import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from cuda_checks import CHECKS, SAMPLED_IN_BFLOAT16, Bench, vllm

from alignment_bench.ledger import metering
from alignment_bench.models import catalog
from alignment_bench.models.loading import forget
from alignment_bench.prompts import Message, Prompt
from alignment_bench.world.tasks import tldr


@dataclass(frozen=True)
class Found:
    """What one check gave on one device."""

    numbers: list[float]
    seconds: float
    tokens: int
    memory: int
    """bytes at the peak: the device's, or the whole process's on a CPU"""


def measured(work: Callable[[], list[float]], device: str) -> Found:
    """Runs a check and measures it."""
    forget()
    if on_gpu := torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    with metering() as meter:
        numbers = work()
    if on_gpu:
        torch.cuda.synchronize()
    seconds, spent = time.perf_counter() - start, meter.total
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    memory = torch.cuda.max_memory_allocated() if on_gpu else rss
    tokens = spent.tokens_generated + spent.tokens_scored + spent.tokens_trained
    return Found(numbers, seconds, tokens, memory)


def disagreement(ours: Found, cpu: Found, tolerance: float) -> str:
    """What is wrong with a device's numbers beside the CPU's, or nothing."""
    if len(ours.numbers) != len(cpu.numbers):
        return f"{len(ours.numbers)} numbers, {len(cpu.numbers)} on the CPU"
    gap = max(abs(a - b) for a, b in zip(ours.numbers, cpu.numbers, strict=True))
    return "" if math.isfinite(gap) and gap <= tolerance else f"differs from the CPU by {gap:.1e}"


def line(name: str, device: str, found: Found) -> str:
    """Throughput and memory of a check."""
    rate = found.tokens / found.seconds
    return f"{name:24} {device:6} {rate:9.0f} tokens/s {found.seconds:7.2f} s {found.memory / 2**30:6.2f} GiB"


def compare(model: str, device: str, names: Sequence[str], count: int, folder: Path) -> list[str]:
    """Runs the checks for one model on both devices; returns what disagrees."""
    source = catalog.prepare(model)
    prompts = [example.prompt for example in tldr(0).test[:count]]
    if source.kind != "shipped":
        prompts = [Prompt(p.id, (Message("user", p.text),)) for p in prompts]
    cpu = Bench(source, "cpu", folder, prompts)
    ours = replace(cpu, device=device)  # which shares what was drawn
    cpu.rows  # noqa: B018 - sampled before anything is measured
    wrong = []
    for title, work, tolerance in [check for name in names for check in CHECKS[name]]:
        reference = measured(lambda work=work: work(cpu), "cpu")  # type: ignore[misc]
        found = measured(lambda work=work: work(ours), device)  # type: ignore[misc]
        print(line(title, "cpu", reference), line(title, device, found), sep="\n")
        if what := disagreement(found, reference, tolerance):
            wrong.append(f"{model}: {title} {what}")
    if torch.device(device).type == "cpu" or importlib.util.find_spec("vllm") is None:
        print("vllm: skipped, it is not installed or there is no CUDA device")
        return wrong
    served = measured(lambda: vllm(ours), device)
    print(line("sampling by vllm", device, served))
    if max(served.numbers) > SAMPLED_IN_BFLOAT16:
        wrong.append(f"{model}: vllm's log-probabilities differ from the CPU's by {served.numbers}")
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Reads `key=value` arguments and runs the comparison for every model."""
    given = dict(one.split("=", 1) for one in arguments)
    if unknown := set(given) - {"models", "device", "checks", "prompts"}:
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))} (models= device= checks= prompts=)")
    device = given.get("device", "cuda")
    if device != "cpu" and not torch.cuda.is_available():
        print("skipped: no CUDA device")
        return 0
    names = given.get("checks", ",".join(CHECKS)).split(",")
    wrong = []
    for model in given.get("models", "tiny").split(","):
        with tempfile.TemporaryDirectory() as folder:
            wrong += compare(model, device, names, int(given.get("prompts", "16")), Path(folder))
    for what in wrong:
        print(f"WRONG {what}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
