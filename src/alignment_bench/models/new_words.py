"""Words that a shipped model knows by id but never trained on, made ready to carry a meaning.

Embeddings of unseen words drift towards a corner in which tied weights never predict them; trained on from
there, a condition made of such words is hardly read (measured in the built-in world). So they start afresh,
like those of words the model uses to describe answers, as Quark (arXiv 2205.13636) starts its new tokens
from the mean and spread of the whole matrix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from alignment_bench.models.catalog import ModelSource


def untrained(source: ModelSource, phrases: Sequence[str]) -> list[str]:
    """The words of the phrases that this model never trained on, sorted; none for models of others."""
    if source.kind != "shipped":
        return []
    from alignment_bench.world.vocabulary import FREE_WORDS

    free = {word for phrase in FREE_WORDS for word in phrase.split()}
    return sorted({word for phrase in phrases for word in re.findall(r"\w+", phrase)} & free)


def descriptive(source: ModelSource) -> list[str]:
    """The words with which a shipped model was taught to describe answers."""
    if source.kind != "shipped":
        return []
    from alignment_bench.world.genres import GENRES

    return sorted({word for genre in GENRES.values() for word in genre.qualities})


@torch.no_grad()
def renew(model: Any, ids: Sequence[int], like: Sequence[int], seed: int) -> None:
    """Draws the embeddings of `ids` from N(mean, std), per dimension, of those of `like`, in place."""
    matrices = {id(m.weight): m.weight for m in (model.get_input_embeddings(), model.get_output_embeddings())}
    noise = torch.Generator().manual_seed(seed)
    for weight in matrices.values():
        rows = weight[list(like)].float()
        mean, spread = rows.mean(0), rows.std(0)
        drawn = torch.randn((len(ids), weight.shape[1]), generator=noise).to(weight.device)
        weight[list(ids)] = (mean + spread * drawn).to(weight.dtype)
