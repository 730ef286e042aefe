"""The checks of perf/on_cuda.py: what each does on one device, and the numbers that it compares by."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from alignment_bench import runtime
from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import generator
from alignment_bench.jobs import JobStore
from alignment_bench.layouts import Layout
from alignment_bench.models import catalog
from alignment_bench.models.storage import base_policy, formatter_of, load_policy, save_policy
from alignment_bench.ppo_job import ppo
from alignment_bench.prompts import Prompt
from alignment_bench.training import settings as training
from alignment_bench.training.batches import Row
from alignment_bench.training.finetune import finetune
from alignment_bench.training.preference import ScalarHead, train_likelihood_ratio, train_scalar_head
from alignment_bench.training.reward import pair_rows
from alignment_bench.work import Work

LAYOUTS = {"answer": Layout("{prompt}\n\nWrite a TL;DR of this post in one sentence.", "TL;DR:")}
DECODING = Decoding(max_tokens=32)
FLOAT32, BFLOAT16 = 2e-3, 5e-2
"""largest difference allowed between the devices' losses and log-probabilities, in nats a token"""
SAMPLED_IN_BFLOAT16 = 0.1
"""largest mean difference allowed between the log-probabilities that bf16 sampled by and the CPU's"""
VARIANTS = {"full": (0, False), "lora": (8, True)}
"""LoRA rank, and whether under bf16 autocast"""


@dataclass
class Bench:
    """A model on one device; what the CPU sampled, which both train on."""

    source: catalog.ModelSource
    device: str
    folder: Path
    prompts: list[Prompt]
    drawn: dict[str, list[list[Completion]]] = field(default_factory=dict)

    def policy(self, **changes: Any) -> Any:
        """A new policy of the base on the device."""
        here = replace(runtime.resolve(self.device, parameters=self.source.parameters), **changes)
        runtime.activate(here)
        return base_policy(self.source, formatter_of(self.source, LAYOUTS, 256), here, self.folder / "base")

    def start(self, name: str) -> Any:
        """A policy whose rollouts in training are those of the first device that ran the check `name`."""
        policy, calls = self.policy(), iter(range(10**6))
        fresh = policy.generate_with

        def recorded(model: Any, prompts: Sequence[Prompt], **options: Any) -> list[list[Completion]]:
            key = f"{name} {next(calls)}"
            if key not in self.drawn:
                self.drawn[key] = fresh(model, prompts, **options)
            return self.drawn[key]

        policy.generate_with = recorded
        return policy

    @property
    def rows(self) -> list[tuple[Prompt, Completion, Completion]]:
        """Each prompt with two completions, those of the first device."""
        if "rows" not in self.drawn:
            self.drawn["rows"] = self.policy(dtype="float32").generate(
                self.prompts, n=2, decoding=DECODING, seed=1
            )
        return [(p, a, b) for p, (a, b) in zip(self.prompts, self.drawn["rows"], strict=True)]

    @property
    def flat(self) -> tuple[list[Prompt], list[Completion]]:
        """The same as prompts and completions side by side."""
        return [p for p, _, _ in self.rows for _ in range(2)], [c for _, *both in self.rows for c in both]


def sampling(bench: Bench, **changes: Any) -> list[float]:
    """Mean distance of the log-probabilities that were sampled by from the CPU's of the same tokens."""
    lists = bench.policy(**changes).generate(bench.prompts, n=8, decoding=DECODING, seed=0, logprobs=True)
    return gap_to_cpu(bench, [(p, c) for p, row in zip(bench.prompts, lists, strict=True) for c in row[:2]])


def gap_to_cpu(
    bench: Bench, pairs: Sequence[tuple[Prompt, Completion]], folder: Path | None = None
) -> list[float]:
    """Mean distance of completions' own log-probabilities from those that the CPU gives them."""
    cpu: Any = replace(bench, device="cpu").policy()
    if folder is not None:
        cpu = load_policy(folder, cpu.runtime)
    exact = cpu.logprobs([p for p, _ in pairs], [c for _, c in pairs])
    gaps = [
        abs(a - b)
        for (_, c), row in zip(pairs, exact, strict=True)
        for a, b in zip(c.logprobs, row, strict=True)
    ]
    return [statistics.fmean(gaps)]


def scoring(bench: Bench) -> list[float]:
    """Log-probabilities of the same completions, and the largest KL of the base to itself."""
    policy, (prompts, completions) = bench.policy(), bench.flat
    own = policy.kl(policy, prompts[:8], completions[:8])
    scored = policy.logprobs(prompts, completions)
    return [*(v for row in scored for v in row), max(abs(v) for row in own for v in row)]


def trained(bench: Bench, name: str, model: Any, start: Any, losses: Sequence[float]) -> list[float]:
    """Losses, and the log-probabilities of the trained policy after it went through the disk."""
    folder = bench.folder / f"{bench.device}-{name}"
    save_policy(folder, model, parent=start)
    stored: Any = load_policy(folder, start.runtime)
    after = stored.logprobs(*(list(part[:4]) for part in bench.flat))
    return [*losses, *(statistics.fmean(row) for row in after)]


def train(bench: Bench, trainer: str, variant: str) -> list[float]:
    """One trainer for a few steps."""
    rank, bf16 = VARIANTS[variant]
    name = f"{trainer} {variant}"
    options = training.Settings(1e-4, 1, 4, 2, lora_rank=rank, bf16=bf16)
    start, noise, folder = bench.start(name), generator(name), bench.folder / f"{bench.device}-work-{name}"
    pairs = pair_rows(start, bench.rows)
    if trainer == "ppo":
        return _ppo(bench, start, rank, bf16, folder)
    if trainer in ("sft", "preference", "reward"):
        model = start.load_for_training(rank)
        if trainer == "sft":
            rows = [Row(pair.chosen.prompt, pair.chosen.completion) for pair in pairs]
            losses = finetune(model, rows, options, noise, start.pad, start.device)
        elif trainer == "preference":
            losses = train_likelihood_ratio(model, pairs, 0.1, options, noise, start.pad, start.device)
        else:
            head = ScalarHead(model, 0)
            losses = train_scalar_head(head, pairs, options, noise, start.pad, start.device)
        return trained(bench, name, model, start, losses)
    model, log = _through_trl(start, trainer, pairs, options, bench.prompts, folder)
    return trained(bench, name, model, start, [row["loss"] for row in log])


def _through_trl(
    start: Any, trainer: str, pairs: Any, options: training.Settings, prompts: list[Prompt], folder: Path
) -> tuple[Any, list[dict[str, float]]]:
    from alignment_bench.training import trl_online, trl_preference, trl_settings
    from alignment_bench.training.trl_rollouts import Judging, Rollouts

    if trainer == "dpo":
        return trl_preference.train_dpo(start, pairs, trl_settings.DPOSettings(options, 0.1), 0, folder)
    if trainer == "kto":
        rows = [(row, row is pair.chosen) for pair in pairs for row in (pair.chosen, pair.rejected)]
        return trl_preference.train_kto(start, rows, trl_settings.KTOSettings(options, 0.1), 0, folder)
    online: Any = trl_settings.OnlineSettings(
        algorithm=trainer,
        steps=2,
        prompts=4,
        group=2,
        learning_rate=options.learning_rate,
        beta=0.1,
        loss={"online_dpo": "sigmoid", "grpo": "dapo", "rloo": "rloo"}[trainer],
        micro_batch=options.micro_batch,
        lora_rank=options.lora_rank,
        bf16=options.bf16,
    )
    rollouts = Rollouts(start, prompts, online, DECODING, Judging(score=worth), seed=0)
    return trl_online.train_online(rollouts, 0, folder)


def _ppo(bench: Bench, start: Any, rank: int, bf16: bool, folder: Path) -> list[float]:
    sizes = {"iterations": 2, "rollouts": 8, "epochs": 1, "minibatches": 2, "micro_batch": 2}
    rules = {"kl_coefficient": 0.1, "clip": 0.2, "value_clip": 0.2, "value_coefficient": 0.1}
    more = {"gamma": 1.0, "gae_lambda": 0.95, "missing_eos_score": None, "whiten_advantages": True}
    options: Any = {**sizes, **rules, **more, "separate_value": False, "lora_rank": rank, "bf16": bf16}
    work = Work(JobStore(folder), start.runtime, start.n_parameters)
    settings = training.PPOSettings(learning_rate=1e-4, **options)
    policy, log, _ = ppo(work, start, bench.prompts, worth, "worth", settings, DECODING, 0)
    after = policy.logprobs(*(list(part[:4]) for part in bench.flat))
    losses = [value for row in log for name, value in row.items() if name in ("loss", "kl_to_reference")]
    return [*losses, *(statistics.fmean(row) for row in after)]


def worth(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
    """A reward that differs between completions and costs nothing."""
    return [float(len(one.text) % 7) / 3 - 1 for one in completions]


def vllm(bench: Bench) -> list[float]:
    """`sampling` by vLLM: the base, and an adapter over it."""
    policy, folder = bench.policy(engine="vllm"), bench.folder / "vllm"
    model = policy.load_for_training(8)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights += 0.01
    adapted = save_policy(folder, model, parent=policy)
    del model
    found = []
    for one, place in ((policy, None), (adapted, folder)):
        lists = one.generate(bench.prompts, n=8, decoding=DECODING, seed=0, logprobs=True)
        pairs = [(p, c) for p, row in zip(bench.prompts, lists, strict=True) for c in row[:2]]
        found += gap_to_cpu(bench, pairs, place)
    return found


TRAINERS = ("sft", "preference", "reward", "dpo", "kto", "online_dpo", "grpo", "rloo", "ppo")
CHECKS: dict[str, list[tuple[str, Callable[[Bench], list[float]], float]]] = {
    "sampling": [
        ("sampling in float32", lambda bench: sampling(bench, dtype="float32"), FLOAT32),
        ("sampling in bfloat16", lambda bench: sampling(bench, dtype="bfloat16"), SAMPLED_IN_BFLOAT16),
    ],
    "scoring": [("scoring", scoring, FLOAT32)],
    **{
        trainer: [
            (
                f"{trainer}, {variant}",
                lambda bench, trainer=trainer, variant=variant: train(bench, trainer, variant),  # type: ignore[misc]
                BFLOAT16 if bf16 else FLOAT32,
            )
            for variant, (_, bf16) in VARIANTS.items()
        ]
        for trainer in TRAINERS
    },
}
