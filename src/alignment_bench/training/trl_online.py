"""Online DPO, GRPO and RLOO by trl's trainers, on rollouts that we draw and judge.

Overridden, each as narrowly as trl allows: where prompts become ids, where completions are sampled, and for
online DPO the pass that scores them: trl's projects prompts onto the vocabulary as well, lets padding into
its KL, and prefers the first of two completions of equal reward (here such a pair has no gradient). Its
step, too, forgets to divide by the number of accumulated micro-batches.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

from alignment_bench.digests import derive_seed
from alignment_bench.training.batches import Batch, Row, collate, completion_logits, token_logprobs
from alignment_bench.training.start import Start
from alignment_bench.training.through_trl import (
    Planned,
    Untold,
    arguments,
    check_reference,
    metered,
    optimisers,
    quietly,
    size_of,
    train,
    without_reference,
)
from alignment_bench.training.trl_rollouts import Rollouts

GROUP_KEYS = {
    "kl": "kl_a_token",
    "entropy": "entropy",
    "reward_std": "reward_spread",
    "frac_reward_zero_std": "groups_without_spread",
    "clip_ratio/region_mean": "clipped",
}
PAIR_KEYS = {
    "kl/sequence": "kl_to_reference",
    "rewards/accuracies": "accuracy",
    "rewards/margins": "margin",
}


class _Groups(Untold):
    """GRPO and RLOO: rows come in groups that share a prompt."""

    rollouts: Rollouts
    accelerator: Any
    model: Any

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        self._taken = self.rollouts.take(self.accelerator.unwrap_model(self.model), prompts)
        return [list(drawn.prompt) for drawn in self._taken], None, {}


class GRPO(_Groups, GRPOTrainer):  # type: ignore[misc]
    """trl's GRPOTrainer on our rollouts."""

    def _generate_single_turn(self, *rest: Any, **more: Any) -> tuple[list[list[int]], None]:
        return [list(drawn.completion.tokens) for drawn in self._taken], None


class RLOO(_Groups, RLOOTrainer):  # type: ignore[misc]
    """trl's RLOOTrainer on our rollouts."""

    def _generate_single_turn(self, *rest: Any, **more: Any) -> list[list[int]]:
        return [list(drawn.completion.tokens) for drawn in self._taken]


class OnlineDPO(Planned, OnlineDPOTrainer):  # type: ignore[misc]
    """trl's OnlineDPOTrainer on our rollouts."""

    rollouts: Rollouts
    _batch: Batch
    _decided: Tensor
    """[rows], False for both of a pair whose rewards are equal: trl would prefer the first of them"""
    _sums: Tensor

    def _generate(self, model: Any, prompts: list[str], images: Any = None) -> tuple[Any, ...]:
        taken = self.rollouts.take(self.accelerator.unwrap_model(self.model), prompts)
        first, second = taken[::2], taken[1::2]
        both = [*first, *second]  # the order that trl wants
        self.rollouts.regroup(both)
        rows = [Row(drawn.prompt, drawn.completion.tokens) for drawn in both]
        self._batch = batch = collate(rows, self.rollouts.start.pad, str(self.accelerator.device))
        decided = [a.reward != b.reward for a, b in zip(first, second, strict=True)]
        self._decided = torch.tensor(decided * 2, device=batch.ids.device)
        before = batch.prompt_columns
        mask = batch.attention[:, :before]
        return batch.ids[:, :before], mask, batch.completion, batch.mask.long(), None

    def _forward(self, model: Any, *rest: Any) -> Tensor:
        temperature = self.rollouts.decoding.temperature
        values = token_logprobs(completion_logits(model, self._batch), self._batch, temperature)
        sums = values.detach().sum(1)
        if torch.is_grad_enabled():
            self._sums = sums
        else:  # the reference, which trl asks second
            self.stats.setdefault("kl/sequence", []).append(float((self._sums - sums).mean()))
        return values.masked_fill(~self._decided.unsqueeze(1), 0.0)

    def _calculate_rewards_from_functions(
        self, prompts: Any, completions: Any, completion_ids_list: Any, **rest: Any
    ) -> Tensor:
        # trl hands over padded rows.
        lengths = self._batch.mask.sum(1).tolist()
        real = [ids[:length] for ids, length in zip(completion_ids_list, lengths, strict=True)]
        rewards: Tensor = super()._calculate_rewards_from_functions(prompts, completions, real, **rest)
        return rewards


def train_online(rollouts: Rollouts, seed: int, folder: Path) -> tuple[Any, list[dict[str, float]]]:
    """The model after training on the rollouts, and one row of diagnostics per optimiser step."""
    settings = rollouts.settings
    with quietly(rollouts.start.device):
        trainer = online_trainer(rollouts, seed, folder)
        rows = train(trainer, PAIR_KEYS if settings.algorithm == "online_dpo" else GROUP_KEYS)
    log: list[dict[str, float]] = []
    for k, row in enumerate(rows):
        drawn = rollouts.log[k // settings.iterations]
        if "kl_a_token" in row:
            row["kl_to_reference"] = row.pop("kl_a_token") * drawn["tokens"]
        elif k % settings.iterations and "kl_to_reference" in log[-1]:
            row["kl_to_reference"] = log[-1]["kl_to_reference"]  # RLOO measures it once, as it draws
        log.append({**row, **drawn})
    return without_reference(trainer.model), log


def online_trainer(rollouts: Rollouts, seed: int, folder: Path) -> Any:
    """trl's trainer, ready to train a fresh model of the policy that the rollouts start from."""
    settings, start = rollouts.settings, rollouts.start
    model = start.load_for_training(settings.lora_rank, seed)
    if not settings.lora_rank:
        # The reference will be loaded from here, whatever the policy is made of.
        model.save_pretrained(folder / "start")
        model.config._name_or_path = str(folder / "start")
    pairs = settings.algorithm == "online_dpo"
    items, rows_per_item = (settings.prompts, 2) if pairs else (settings.rollouts, 1)
    parts = accumulation(items, rows_per_item, settings.micro_batch)
    common = arguments(
        folder,
        start.device,
        micro=items // parts,
        accumulation=parts,
        max_grad_norm=settings.max_grad_norm,
        bf16=settings.bf16,
        seed=derive_seed("trl", seed) % 2**31,
    )
    steps = settings.steps * settings.iterations
    parameters = size_of(model)
    given = {
        "model": model,
        "reward_funcs": rollouts.reward,
        "train_dataset": Dataset.from_dict({"prompt": rollouts.names()}),
        "processing_class": copy.deepcopy(start.tokenizer),
        "optimizers": optimisers(model, settings.learning_rate, steps, warmup=0.0),
    }
    trainer = _pair_trainer(given, common, rollouts) if pairs else _group_trainer(given, common, rollouts)
    trainer.rollouts = rollouts
    metered(trainer.model, parameters)
    if trainer.ref_model is not None and not isinstance(trainer.ref_model, Start):  # which calls the model
        metered(trainer.ref_model, parameters)
    return trainer


def _pair_trainer(given: dict[str, Any], common: dict[str, Any], rollouts: Rollouts) -> Any:
    settings, start = rollouts.settings, rollouts.start
    if settings.lora_rank:
        reference = Start(given["model"], fresh_adapter=start.fresh_adapter(settings.lora_rank))
    else:
        reference = start.load_for_training(0).requires_grad_(False)
    config = OnlineDPOConfig(
        **common,
        beta=[settings.beta],
        loss_type=settings.loss,
        max_new_tokens=rollouts.decoding.max_tokens,
        temperature=rollouts.decoding.temperature,
    )
    trainer = OnlineDPO(
        **given,
        args=config,
        ref_model=reference,
        data_collator=lambda rows: {"prompt": [row["prompt"] for row in rows]},
    )
    micro, parts = common["per_device_train_batch_size"], common["gradient_accumulation_steps"]
    names = range(settings.steps * settings.prompts)
    trainer.planned = [list(names[k : k + micro]) for k in range(0, len(names), micro)]
    backward = trainer.accelerator.backward
    trainer.accelerator.backward = lambda loss, **rest: backward(loss / parts, **rest)
    return trainer


def _group_trainer(given: dict[str, Any], common: dict[str, Any], rollouts: Rollouts) -> Any:
    settings = rollouts.settings
    shared = {
        **common,
        "beta": settings.beta,
        "num_generations": settings.group,
        "num_iterations": settings.iterations,
        "epsilon": settings.clip,
        "steps_per_generation": common["gradient_accumulation_steps"],
        "max_completion_length": rollouts.decoding.max_tokens,
        "temperature": rollouts.decoding.temperature,
        "shuffle_dataset": False,
    }
    if settings.algorithm == "grpo":
        config = GRPOConfig(
            **shared,
            loss_type=settings.loss,
            scale_rewards="group" if settings.scale_advantages else "none",
            use_bias_correction_kl=False,  # the paper's plain k3; trl multiplies it by the probability ratio
        )
        trainer = GRPO(**given, args=config)
    else:
        trainer = RLOO(**given, args=RLOOConfig(**shared, normalize_advantages=settings.scale_advantages))
    if settings.beta:
        check_reference(trainer)
    return trainer


def accumulation(items: int, rows_per_item: int, micro_batch: int) -> int:
    """The smallest number of equal micro-batches whose rows fit `micro_batch` (items one by one at worst)."""
    fits = (k for k in range(1, items + 1) if items % k == 0 and items // k * rows_per_item <= micro_batch)
    return next(fits, items)
