"""DPO and KTO by trl's trainers, on ids as they were sampled and against the policy they start from.

The reference's log-probabilities are computed once from the model before its first step, as in
`train_likelihood_ratio`, and handed to the trainers as columns: no reference is loaded from anywhere.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from alignment_bench.digests import derive_seed, generator
from alignment_bench.errors import NotApplicable
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.training.batches import Row
from alignment_bench.training.preference import PairRow, sequence_logprobs
from alignment_bench.training.settings import Settings
from alignment_bench.training.through_trl import (
    Planned,
    arguments,
    metered,
    micro_batches,
    optimisers,
    quietly,
    size_of,
    train,
    without_reference,
)
from alignment_bench.training.trl_settings import DPOSettings, KTOSettings

DPO_KEYS = {
    "rewards/accuracies": "accuracy",
    "rewards/margins": "margin",
    "logps/chosen": "logprob_preferred",
    "logps/rejected": "logprob_other",
}
KTO_KEYS = {"rewards/chosen": "desirable", "rewards/rejected": "undesirable", "kl": "kl_baseline"}


class _Tokenised(Planned):
    """The dataset holds ids and reference log-probabilities already."""

    def _prepare_dataset(self, dataset: Any, *rest: Any) -> Any:
        return dataset

    def _precompute_ref_logps(self, dataset: Any, *rest: Any) -> Any:
        return dataset


class DPO(_Tokenised, DPOTrainer):  # type: ignore[misc]
    """trl's DPOTrainer on our rows."""


class KTO(_Tokenised, KTOTrainer):  # type: ignore[misc]
    """trl's KTOTrainer on our rows."""


def train_dpo(
    start: ModelPolicy, pairs: Sequence[PairRow], settings: DPOSettings, seed: int, folder: Path
) -> tuple[Any, list[dict[str, float]]]:
    """The model after DPO on the pairs, and one row a step: loss, accuracy and margin of implicit rewards."""
    with quietly(start.device):
        trainer = dpo_trainer(start, pairs, settings, seed, folder)
        log = train(trainer, DPO_KEYS)
    return without_reference(trainer.model), log


def dpo_trainer(
    start: ModelPolicy, pairs: Sequence[PairRow], settings: DPOSettings, seed: int, folder: Path
) -> Any:
    """trl's trainer, ready to train a fresh model of the policy `start`."""
    options = settings.train
    model = start.load_for_training(options.lora_rank, seed)
    chosen = _logprobs(model, [pair.chosen for pair in pairs], options, start)
    rejected = _logprobs(model, [pair.rejected for pair in pairs], options, start)
    rows = [
        {
            "prompt_ids": list(pair.chosen.prompt),
            "chosen_ids": list(pair.chosen.completion),
            "rejected_ids": list(pair.rejected.completion),
            "ref_chosen_logps": a,
            "ref_rejected_logps": b,
        }
        for pair, a, b in zip(pairs, chosen, rejected, strict=True)
    ]
    lengths = [max(pair.chosen.length, pair.rejected.length) for pair in pairs]
    planned, parts = micro_batches(lengths, options, generator("dpo", seed), rows_per_item=2)
    config = DPOConfig(
        **_arguments(folder, start, options, parts, seed),
        beta=settings.beta,
        loss_type=[settings.loss],
        label_smoothing=settings.label_smoothing,
        max_length=None,
        precompute_ref_log_probs=True,
    )
    return _trainer(DPO, model, config, rows, planned, parts, options, start)


def train_kto(
    start: ModelPolicy,
    rows: Sequence[tuple[Row, bool]],
    settings: KTOSettings,
    seed: int,
    folder: Path,
) -> tuple[Any, list[dict[str, float]]]:
    """The model after KTO on (row, desirable), and one row a step: loss and mean implicit rewards."""
    with quietly(start.device):
        trainer = kto_trainer(start, rows, settings, seed, folder)
        log = train(trainer, KTO_KEYS)
    return without_reference(trainer.model), log


def kto_trainer(
    start: ModelPolicy, rows: Sequence[tuple[Row, bool]], settings: KTOSettings, seed: int, folder: Path
) -> Any:
    """trl's trainer, ready to train a fresh model of the policy `start`.

    The baseline of the loss, KL to the reference, is estimated as in the paper: every prompt of a
    micro-batch with the completion of the prompt before it.
    """
    if len(rows) < 2:
        raise NotApplicable("KTO needs two labelled completions at least: its baseline pairs them crosswise")
    options = settings.train
    model = start.load_for_training(options.lora_rank, seed)
    # Not sorted by length: the baseline is a mean over whatever shares a batch.
    planned, parts = micro_batches([0] * len(rows), options, generator("kto", seed), 1, least=2)
    crossed = [
        Row(rows[i][0].prompt, rows[batch[k - 1]][0].completion)
        for batch in planned
        for k, i in enumerate(batch)
    ]
    reference = _logprobs(model, [row for row, _ in rows], options, start)
    crossed_reference = _logprobs(model, crossed, options, start)
    places = [i for batch in planned for i in batch]
    table = [
        {
            "prompt_ids": list(rows[i][0].prompt),
            "completion_ids": list(rows[i][0].completion),
            "KL_completion_ids": list(other.completion),
            "label": rows[i][1],
            "ref_logps": reference[i],
            "ref_KL_logps": value,
        }
        for i, other, value in zip(places, crossed, crossed_reference, strict=True)
    ]
    counted = iter(range(len(table)))
    renumbered = [[next(counted) for _ in batch] for batch in planned]
    config = KTOConfig(
        **_arguments(folder, start, options, parts, seed),
        beta=settings.beta,
        loss_type=settings.loss,
        desirable_weight=settings.desirable_weight,
        undesirable_weight=settings.undesirable_weight,
        max_length=None,
        precompute_ref_log_probs=True,
    )
    return _trainer(KTO, model, config, table, renumbered, parts, options, start)


def _arguments(folder: Path, start: ModelPolicy, options: Settings, parts: int, seed: int) -> dict[str, Any]:
    return arguments(
        folder,
        start.device,
        micro=max(2, options.batch_size // parts),
        accumulation=parts,
        max_grad_norm=options.max_grad_norm,
        bf16=options.bf16,
        seed=derive_seed("trl", seed) % 2**31,
    )


def _logprobs(model: Any, rows: Sequence[Row], options: Settings, start: ModelPolicy) -> list[float]:
    found: list[float] = sequence_logprobs(
        model, rows, options.micro_batch, options.bf16, start.pad, start.device
    ).tolist()
    return found


def _trainer(
    kind: Any,
    model: Any,
    config: Any,
    rows: Sequence[dict[str, Any]],
    planned: list[list[int]],
    parts: int,
    options: Settings,
    start: ModelPolicy,
) -> Any:
    parameters = size_of(model)
    trainer = kind(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(list(rows)),
        processing_class=copy.deepcopy(start.tokenizer),  # trl may set its padding token
        optimizers=optimisers(model, options.learning_rate, len(planned) // parts, options.warmup),
    )
    trainer.planned = planned
    metered(trainer.model, parameters)
    return trainer
