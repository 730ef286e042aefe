"""Peak memory of training SmolLM2 under LoRA on a CPU: each trainer in a process of its own, at full length.

Prompts are as long as the task allows (256 tokens), completions 48, batches those of the model's tier; few
pairs and one round of PPO, since more of them take longer and no more memory. Everything in the process
counts: the libraries, sampling before and after, the reward model, and KL to the base at the end. Exits 1
where a peak is above the limit, in GB (1e9 bytes).

    python perf/memory.py [trainers=dpo,ppo] [pairs=4] [limit=3.0]
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from measuring import peak_here

from alignment_bench import runtime
from alignment_bench.completions import Decoding
from alignment_bench.jobs import JobStore
from alignment_bench.layouts import Layout
from alignment_bench.models import catalog
from alignment_bench.prompts import Message, Prompt
from alignment_bench.tiers import tier_of
from alignment_bench.training.settings import PPOSettings, Settings
from alignment_bench.work import Work
from alignment_bench.world.tasks import tldr

LAYOUTS = {"answer": Layout("{prompt}\n\nWrite a TL;DR of this post in one sentence.", "TL;DR:")}
PROMPT_TOKENS = 256


def peak(trainer: str, pairs: int) -> float:
    """Trains in this process; its largest resident memory so far, in GB."""
    from alignment_bench.models.storage import base_policy, formatter_of

    source = catalog.prepare("smollm2")
    here = runtime.resolve("cpu", threads=1, parameters=source.parameters)
    runtime.activate(here)
    posts = [example.prompt for example in tldr(0).train[:40]]
    prompts = [Prompt(p.id, (Message("user", " ".join([p.text] * 6)),)) for p in posts]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        base = base_policy(source, formatter_of(source, LAYOUTS, PROMPT_TOKENS), here, place / "base")
        assert all(len(base.render(prompt)) == PROMPT_TOKENS for prompt in prompts)
        work, decoding = Work(JobStore(place / "jobs"), here, source.parameters), Decoding(max_tokens=48)
        lists, _ = work.sample(base, prompts[:pairs], 2, decoding, 0)
        compared = [(prompt, a, b) for prompt, (a, b) in zip(prompts, lists, strict=False)]
        policy: Any = train(trainer, work, base, prompts, compared, decoding)
        drawn, _ = work.sample(policy, prompts[:8], 1, decoding, 1)
        policy.kl(base, prompts[:8], [row[0] for row in drawn])
    return peak_here() / 1e9


def train(
    trainer: str, work: Work, base: Any, prompts: list[Prompt], compared: Any, decoding: Decoding
) -> Any:
    """The policy after one of the trainers, at the sizes of the model's tier."""
    tier = tier_of(base.n_parameters)
    common = {"micro_batch": tier.micro_batch, "lora_rank": tier.lora_rank, "bf16": tier.bf16}
    settings: Any = Settings(tier.reward_learning_rate, 1, tier.batch_size, **common)  # type: ignore[arg-type]
    if trainer == "dpo":
        from alignment_bench import trl_jobs
        from alignment_bench.training.trl_settings import DPOSettings

        return trl_jobs.dpo(work, base, compared, DPOSettings(settings, 0.1), 0)[0]
    if trainer != "ppo":
        raise SystemExit(f"{trainer} is none of dpo, ppo")
    from alignment_bench.ppo_job import ppo

    model, _ = work.reward_model(base, compared, 0, "likelihood_ratio", 0.1, settings, 0)
    options = PPOSettings(
        iterations=1,
        rollouts=tier.ppo_rollouts,
        epochs=1,
        minibatches=1,
        learning_rate=tier.ppo_learning_rate,
        kl_coefficient=0.1,
        clip=0.2,
        value_clip=0.2,
        value_coefficient=0.1,
        gamma=1.0,
        gae_lambda=0.95,
        missing_eos_score=-1.0,
        whiten_advantages=True,
        separate_value=tier.separate_value,
        **common,  # type: ignore[arg-type]
    )
    return ppo(work, base, prompts, model.score, model.digest, options, decoding, 0)[0]


def main(arguments: list[str]) -> int:
    """Prints each trainer's peak."""
    given = {"trainers": "dpo,ppo", "pairs": "4", "limit": "3.0"}
    given |= dict(one.split("=", 1) for one in arguments)
    over = False
    for trainer in given["trainers"].split(","):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            found = fresh.submit(peak, trainer, int(given["pairs"])).result()
        over |= found > float(given["limit"])
        print(f"smollm2 {trainer} under LoRA: {found:.2f} GB at the peak of the whole process", flush=True)
    return int(over)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
