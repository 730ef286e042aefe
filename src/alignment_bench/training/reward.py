"""Fitting a reward model to comparisons, and what is known of it afterwards."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alignment_bench.completions import Completion
from alignment_bench.digests import generator
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import Kind, RewardCard, RewardModel
from alignment_bench.training.batches import Row
from alignment_bench.training.preference import PairRow
from alignment_bench.training.settings import Settings

if TYPE_CHECKING:
    from alignment_bench.models.policy import ModelPolicy

Pair = tuple[Prompt, Completion, Completion]
"""a prompt, the completion preferred, and the one not"""


def split_pairs(pairs: Sequence[Pair], seed: int) -> tuple[list[Pair], list[Pair]]:
    """Nine tenths to train on and one tenth held out, no prompt on both sides; all of fewer than 20 train."""
    if len(pairs) < 20:
        return list(pairs), []
    ids = sorted({prompt.id for prompt, _, _ in pairs})
    order = generator("held-out comparisons", seed).permutation(len(ids))
    held = {ids[int(i)] for i in order[: max(1, len(ids) // 10)]}
    return [p for p in pairs if p[0].id not in held], [p for p in pairs if p[0].id in held]


def fit_reward_model(
    folder: Path,
    start: ModelPolicy,
    pairs: Sequence[Pair],
    kind: Kind,
    beta: float,
    settings: Settings,
    seed: int,
) -> None:
    """Trains and saves the weights of a reward model, in this process."""
    from alignment_bench.training.crew import Alone
    from alignment_bench.training.orders import Rewarding

    Rewarding(start, pair_rows(start, pairs), kind, beta, settings, seed).fit(folder, Alone())


def calibrated(model: RewardModel, train: Sequence[Pair], held_out: Sequence[Pair]) -> RewardCard:
    """The model's card with its normalisation (over training completions) and held-out accuracy."""

    def raw(pairs: Sequence[Pair]) -> tuple[list[float], list[float]]:
        prompts = [prompt for prompt, _, _ in pairs]
        return (
            model.raw(prompts, [chosen for _, chosen, _ in pairs]),
            model.raw(prompts, [rejected for _, _, rejected in pairs]),
        )

    chosen, rejected = raw(train)
    everything = chosen + rejected
    accuracy = None
    if held_out:
        wins, losses = raw(held_out)
        accuracy = sum((a > b) + 0.5 * (a == b) for a, b in zip(wins, losses, strict=True)) / len(held_out)
    return replace(
        model.card,
        mean=statistics.fmean(everything),
        scale=statistics.pstdev(everything) or 1.0,
        accuracy=accuracy,
    )


def pair_rows(start: ModelPolicy, pairs: Sequence[Pair]) -> list[PairRow]:
    """The comparisons as ids."""
    rows = []
    for prompt, chosen, rejected in pairs:
        ids = tuple(start.render(prompt))
        rows.append(PairRow(Row(ids, chosen.tokens), Row(ids, rejected.tokens)))
    return rows


def write_card(folder: Path, card: RewardCard) -> None:
    """Writes `reward.json`."""
    (folder / "reward.json").write_text(json.dumps(asdict(card), indent=1), "utf-8")
