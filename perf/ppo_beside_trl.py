"""PPO per episode: our loop and trl 1.12.0's PPOTrainer (the last that trl had), in turn in one process.

The same tiny model, prompts, reward model, episodes and optimiser steps. Our side is the whole job as `bench`
runs it: load, sample, score, learn, checkpoint after every iteration, store. trl's is `train()` alone.

    pip install --no-deps --target trl112 trl==1.12.0
    python perf/ppo_beside_trl.py trl112=trl112 [iterations=5] [repeats=5] [out=FILE]

`trl112=` is that folder: trl 1.12.0 runs on the torch and transformers that are installed.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from measuring import Claim, Comparison, Figure, Took, in_turn, ratios, script, timed

HOW = "pip install --no-deps --target trl112 trl==1.12.0, then trl112=trl112"
ROLLOUTS = 64
EPOCHS = 2
WANTED = ">= 2"


class Ours:
    """PPO as a job of `bench`; every run in a store of its own."""

    def __init__(self, iterations: int, folder: Path) -> None:
        from alignment_bench import runtime
        from alignment_bench.jobs import JobStore
        from alignment_bench.models import catalog
        from alignment_bench.models.storage import base_policy, formatter_of
        from alignment_bench.tiers import TINY
        from alignment_bench.training.settings import PPOSettings, Settings
        from alignment_bench.work import Work
        from alignment_bench.world.tasks import tldr

        self.source = catalog.resolve("tiny")
        self.here = runtime.resolve("cpu", threads=1, parameters=self.source.parameters)
        runtime.activate(self.here)
        self.folder = folder
        self.policy: Any = base_policy(self.source, formatter_of(self.source, {}), self.here, folder / "base")
        data = tldr(0)
        self.prompts = [example.prompt for example in data.train]
        self.decoding = data_decoding()
        drawn = self.policy.generate(self.prompts[:200], n=2, decoding=self.decoding, seed=1)
        pairs = [
            (p, max(row, key=length), min(row, key=length))
            for p, row in zip(self.prompts, drawn, strict=False)
        ]
        settings = Settings(TINY.reward_learning_rate, TINY.reward_epochs, TINY.batch_size, TINY.micro_batch)
        self.reward, _ = Work(JobStore(folder / "reward"), self.here, self.source.parameters).reward_model(
            self.policy, pairs, 0, "scalar", 1.0, settings, 0
        )
        self.settings = PPOSettings(
            iterations=iterations,
            rollouts=ROLLOUTS,
            epochs=EPOCHS,
            minibatches=1,
            learning_rate=TINY.ppo_learning_rate,
            kl_coefficient=0.1,
            clip=0.2,
            value_clip=0.2,
            value_coefficient=0.1,
            gamma=1.0,
            gae_lambda=0.95,
            missing_eos_score=-1.0,
            whiten_advantages=True,
            separate_value=False,
            micro_batch=TINY.micro_batch,
        )
        self.turns = 0
        self.logs: dict[bool, list[dict[str, float]]] = {}

    def run(self, separate: bool) -> None:
        """One training, with a value function on the policy's trunk or on a copy of it."""
        from alignment_bench import ppo_job
        from alignment_bench.jobs import JobStore
        from alignment_bench.work import Work

        self.turns += 1
        work = Work(JobStore(self.folder / f"ppo{self.turns}"), self.here, self.source.parameters)
        settings = replace(self.settings, separate_value=separate)
        _, self.logs[separate], _ = ppo_job.ppo(
            work,
            self.policy,
            self.prompts,
            self.reward.score,
            self.reward.digest,
            settings,
            self.decoding,
            0,
        )


class Theirs:
    """trl's trainer on the same model, prompts and reward."""

    def __init__(self, ours: Ours) -> None:
        self.ours = ours
        self.log: dict[str, float] = {}

    def run(self) -> Took:
        """Builds a trainer, which does not count, and trains."""
        from datasets import Dataset
        from trl.experimental.ppo import PPOConfig, PPOTrainer

        ours, settings = self.ours, self.ours.settings
        tokenizer = copy.deepcopy(ours.policy.tokenizer)
        tokenizer.padding_side = "left"
        config = PPOConfig(
            output_dir=str(ours.folder / "trl"),
            per_device_train_batch_size=ROLLOUTS,
            gradient_accumulation_steps=1,
            num_mini_batches=settings.minibatches,
            num_ppo_epochs=settings.epochs,
            total_episodes=settings.iterations * ROLLOUTS,
            local_rollout_forward_batch_size=ROLLOUTS,
            num_sample_generations=0,
            response_length=ours.decoding.max_tokens,
            stop_token="eos",
            temperature=1.0,
            missing_eos_penalty=1.0,
            learning_rate=settings.learning_rate,
            adam_epsilon=1e-5,
            kl_coef=settings.kl_coefficient,
            vf_coef=settings.value_coefficient,
            cliprange=settings.clip,
            cliprange_value=settings.value_clip,
            gamma=settings.gamma,
            lam=settings.gae_lambda,
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            seed=self.ours.turns,
        )
        rows = [{"input_ids": ours.policy.render(prompt)} for prompt in ours.prompts]
        trainer = PPOTrainer(
            args=config,
            processing_class=tokenizer,
            model=ours.policy.load_for_training(),
            ref_model=ours.policy.load_for_training(),
            reward_model=classifier(ours.reward.trunk, reward_head(ours)),
            value_model=classifier(ours.policy, None),
            train_dataset=Dataset.from_list(rows),
        )
        took = timed(trainer.train)
        self.log = [one for one in trainer.state.log_history if "objective/kl" in one][-1]
        return took


def classifier(policy: Any, head: tuple[Any, Any] | None) -> Any:
    """A policy's trunk under a scalar head, as transformers has it: the head given, or a new one."""
    import torch
    from transformers import AutoModelForSequenceClassification

    causal = policy.load_for_training()
    config = copy.deepcopy(causal.config)
    config.num_labels, config.pad_token_id = 1, policy.pad
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    model.model.load_state_dict(causal.model.state_dict())
    if head is not None:
        model.score = torch.nn.Linear(config.hidden_size, 1)
        with torch.no_grad():
            model.score.weight.copy_(head[0][None])
            model.score.bias.copy_(head[1])
    return model


def reward_head(ours: Ours) -> tuple[Any, Any]:
    """Weight and bias of the reward model's head, on the normalised scale that our side is paid in."""
    from alignment_bench.training.scalar import value_head

    head = value_head(ours.reward, 0, 0)
    return head.weight.detach(), head.bias.detach()


def data_decoding() -> Any:
    """How rollouts of the built-in task are drawn, at temperature 1."""
    from alignment_bench.completions import Decoding

    return Decoding(temperature=1.0, max_tokens=48)


def length(completion: Any) -> int:
    """What the reward model of this comparison learns to like."""
    return len(completion.tokens)


def compare(options: Mapping[str, str]) -> Comparison:
    """CPU seconds an episode of three sides, and both ratios."""
    title = "PPO beside trl 1.12.0"
    folder = options.get("trl112", "")
    if not folder:
        return Comparison("ppo", title, "", skipped=f"there is no trl 1.12.0: {HOW}")
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    sys.path.insert(0, str(Path(folder).resolve()))
    import trl

    if trl.__version__ != "1.12.0":
        raise SystemExit(f"{folder} holds trl {trl.__version__}, not 1.12.0: {HOW}")
    iterations, repeats = int(options["iterations"]), int(options["repeats"])
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        ours = Ours(iterations, Path(scratch))
        theirs = Theirs(ours)
        sides = {
            "trl": theirs.run,
            "own value": lambda: ours.run(True),
            "ours": lambda: ours.run(False),
        }
        took = in_turn(sides, repeats)
    episodes = iterations * ROLLOUTS
    cost = {side: tuple(1000 * one.cpu / episodes for one in took[side]) for side in sides}
    last = {separate: log[-1] for separate, log in ours.logs.items()}
    found = Comparison(
        "ppo",
        title,
        f"`model=tiny`, one thread, posts of the built-in world; {iterations} iterations of {ROLLOUTS} "
        f"episodes and {EPOCHS} optimiser steps ({iterations * EPOCHS} steps in all), at most "
        f"{ours.decoding.max_tokens} tokens at T=1, one scalar reward model for all sides, KL coefficient "
        ".1, fp32. trl has a value model beside the policy; ours reads values off the policy's own trunk by "
        "default, and was also run with a model for them.",
        [
            Figure("trl 1.12.0, train() alone", "CPU ms/episode", cost["trl"]),
            Figure("ours, the whole job", "CPU ms/episode", cost["ours"]),
            Figure("ours with a value model of its own", "CPU ms/episode", cost["own value"]),
        ],
        [
            Claim(ratios("trl over ours", cost["trl"], cost["ours"]), WANTED),
            Claim(ratios("trl over ours with a value model", cost["trl"], cost["own value"]), ""),
        ],
    )
    found.tables.append(
        {
            "title": "What the training did: the last iteration's rollouts, before the update on them",
            "head": ["side", "KL to the start, nat a completion", "reward"],
            "rows": [
                ["trl 1.12.0", float(theirs.log["objective/kl"]), float(theirs.log["objective/scores"])],
                ["ours", last[False]["kl_to_reference"], last[False]["reward"]],
                ["ours with a value model of its own", last[True]["kl_to_reference"], last[True]["reward"]],
            ],
        }
    )
    found.notes.append(
        "A completion that does not end loses 1 of its reward in trl's trainer and has it replaced by -1 in "
        "ours; trl does not clip gradients, ours does at norm 1. trl's reward in the table is after "
        "that penalty."
    )
    return found


if __name__ == "__main__":
    sys.exit(script(compare, trl112="", iterations="5"))
