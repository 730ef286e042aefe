"""Peak memory of SmolLM2 under LoRA: DPO and PPO as `bench` runs them, each in a process of its own.

Training settings are those of the model's tier and prompts are as long as a task of real posts allows; how
many steps there are does not matter to the peak. The peak is the operating system's, of the whole process:
libraries, sampling and scoring included, after training as well.

    python perf/memory.py [what=dpo,ppo] [repeats=1] [out=FILE]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring import Claim, Comparison, Figure, in_process, one_thread, script

MOST = "<= 3"
"""GB"""
PROMPT_TOKENS = 256
ANSWER_TOKENS = 48
PROMPTS = 8


def train(what: str, folder: Path) -> None:
    """One training job of that kind on a few prompts."""
    from sampling import CHAT

    from alignment_bench import ppo_job, runtime, trl_jobs
    from alignment_bench.completions import Decoding
    from alignment_bench.jobs import JobStore
    from alignment_bench.models import catalog
    from alignment_bench.models.storage import base_policy, formatter_of
    from alignment_bench.prompts import Message, Prompt
    from alignment_bench.tiers import tier_of
    from alignment_bench.training.settings import PPOSettings, Settings
    from alignment_bench.training.trl_settings import DPOSettings
    from alignment_bench.work import Work
    from alignment_bench.world.tasks import tldr

    source = catalog.resolve("smollm2")
    here = runtime.resolve("cpu", threads=1, parameters=source.parameters)
    runtime.activate(here)
    tier = tier_of(source.parameters)
    policy: Any = base_policy(source, formatter_of(source, CHAT, PROMPT_TOKENS), here, folder / "base")
    work = Work(JobStore(folder / "jobs"), here, source.parameters)
    long = [
        Prompt(one.prompt.id, (Message("user", " ".join([one.prompt.text] * 8)),))
        for one in tldr(0).train[:PROMPTS]
    ]
    decoding = Decoding(max_tokens=ANSWER_TOKENS)
    drawn, _ = work.sample(policy, long, 2, decoding, 0)
    pairs = [(prompt, row[0], row[1]) for prompt, row in zip(long, drawn, strict=True)]
    learning = Settings(
        tier.reward_learning_rate,
        1,
        tier.batch_size,
        tier.micro_batch,
        lora_rank=tier.lora_rank,
        bf16=tier.bf16,
    )
    if what == "dpo":
        trained, _, _ = trl_jobs.dpo(work, policy, pairs, DPOSettings(learning, 0.1), 0)
    else:
        reward, _ = work.reward_model(policy, pairs, 0, "likelihood_ratio", 1.0, learning, 0)
        settings = PPOSettings(
            iterations=2,
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
            micro_batch=tier.micro_batch,
            lora_rank=tier.lora_rank,
            bf16=tier.bf16,
        )
        trained, _, _ = ppo_job.ppo(work, policy, long, reward.score, reward.digest, settings, decoding, 0)
    answers, _ = work.sample(trained, long, 1, decoding, 1)
    trained.kl(policy, long, [row[0] for row in answers])


def compare(options: Mapping[str, str]) -> Comparison:
    """Peaks of both, measured from outside."""
    title = "Memory of SmolLM2 under LoRA"
    if not ready():
        return Comparison("memory", title, "", skipped="smollm2 is not on this machine: bench fetch smollm2")
    found = Comparison(
        "memory",
        title,
        f"`model=smollm2`, the tier's LoRA, micro-batch and bf16 autocast, {PROMPTS} prompts of "
        f"{PROMPT_TOKENS} tokens and completions of at most {ANSWER_TOKENS}: comparisons are sampled, the "
        "policy is trained (PPO: the reward model first), sampled from, and its KL to the base read.",
    )
    for what in options["what"].split(","):
        peaks, seconds = [], []
        for _ in range(int(options["repeats"])):
            with tempfile.TemporaryDirectory() as folder:
                took = in_process([sys.executable, __file__, "--train", what, folder], one_thread())
            peaks.append(took.peak / 1e9)
            seconds.append(took.cpu)
        found.figures.append(Figure(f"{what}: CPU", "CPU s", tuple(seconds)))
        found.claims.append(Claim(Figure(f"{what}: largest resident memory", "GB", tuple(peaks)), MOST))
    return found


def ready() -> bool:
    """Whether the model is on this machine; asked without torch, which would count as the children's peak."""
    from alignment_bench.models import catalog

    return catalog.resolve("smollm2").ready


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(sys.argv[2], Path(sys.argv[3]))
        sys.exit(0)
    sys.exit(script(compare, what="dpo,ppo"))
