"""Rows of one shared prefix and several blocks as tensors: block-diagonal attention, positions restarted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from alignment_bench.world import vocabulary as v
from alignment_bench.world.corpus import ON_POST, Piece, Row


@dataclass(frozen=True, slots=True)
class Batch:
    """A packed batch of R rows of L tokens."""

    tokens: torch.Tensor
    """(R, L) ids"""
    positions: torch.Tensor
    """(R, L) distance from the start of the post, as if the token's block were the only one"""
    attention: torch.Tensor
    """(R, 1, L, L) additive mask: 0 where a token sees another, the smallest float elsewhere"""
    targets: torch.Tensor
    """(R, L) the id that follows within the block"""
    weights: torch.Tensor
    """(R, L) weight of the loss on `targets`; 0 where nothing follows"""


def pack(rows: Sequence[Row], ids: Mapping[str, int]) -> Batch:
    """Posts with their blocks. No loss falls on the first word of a block, which many blocks could follow."""
    encoded = [_encode(post, blocks, ids) for post, blocks in rows]
    longest = max(len(row[0]) for row in encoded)

    def grid(column: int, fill: float, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor([row[column] + [fill] * (longest - len(row[0])) for row in encoded], dtype=dtype)

    segments = grid(2, -1, torch.long)
    asking, asked = segments[:, :, None], segments[:, None, :]
    sees = ((asked == 0) | (asked == asking)) & torch.ones(longest, longest, dtype=torch.bool).tril()
    attention = torch.full(sees.shape, torch.finfo(torch.float32).min).masked_fill_(sees, 0.0)
    return Batch(
        tokens=grid(0, 0, torch.long),
        positions=grid(1, 0, torch.long),
        attention=attention[:, None],
        targets=grid(3, 0, torch.long),
        weights=grid(4, 0.0, torch.float32),
    )


def _encode(
    post: str, blocks: Sequence[Sequence[Piece]], ids: Mapping[str, int]
) -> tuple[list[int], list[int], list[int], list[int], list[float]]:
    tokens = [ids[word] for word in v.words(post)]
    shared = len(tokens)
    positions, segments = list(range(shared)), [0] * shared
    targets = [*tokens[1:], 0]
    weights = [ON_POST] * (shared - 1) + [0.0]
    for number, block in enumerate(blocks, start=1):
        said = [(ids[word], weight) for text, weight in block for word in v.words(text)]
        tokens += [token for token, _ in said]
        positions += range(shared, shared + len(said))
        segments += [number] * len(said)
        targets += [token for token, _ in said[1:]] + [0]
        weights += [weight for _, weight in said[1:]] + [0.0]
    return tokens, positions, segments, targets, weights
