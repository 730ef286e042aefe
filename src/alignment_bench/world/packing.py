"""Rows of prompts and their blocks as tensors: block-diagonal attention, positions restarted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from alignment_bench.world import vocabulary as v
from alignment_bench.world.corpus import ON_PROMPT, Group, Row


@dataclass(frozen=True, slots=True)
class Batch:
    """A packed batch of R rows of L tokens."""

    tokens: torch.Tensor
    """(R, L) ids"""
    positions: torch.Tensor
    """(R, L) distance from the start of the prompt, as if the token's block were the only one"""
    attention: torch.Tensor
    """(R, 1, L, L) additive mask: 0 where a token sees another, the smallest float elsewhere"""
    targets: torch.Tensor
    """(R, L) the id that follows within the block"""
    weights: torch.Tensor
    """(R, L) weight of the loss on `targets`; 0 where nothing follows"""


def pack(rows: Sequence[Row], ids: Mapping[str, int]) -> Batch:
    """Prompts with their blocks. No loss falls on the first word of a block: many blocks could follow."""
    encoded = [_encode(row, ids) for row in rows]
    longest = max(len(row[0]) for row in encoded)

    def grid(column: int, fill: float, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor([row[column] + [fill] * (longest - len(row[0])) for row in encoded], dtype=dtype)

    groups, segments = grid(5, -1, torch.long), grid(2, -1, torch.long)
    asking, asked = segments[:, :, None], segments[:, None, :]
    together = groups[:, :, None] == groups[:, None, :]
    sees = together & ((asked == 0) | (asked == asking))
    sees &= torch.ones(longest, longest, dtype=torch.bool).tril()
    attention = torch.full(sees.shape, torch.finfo(torch.float32).min).masked_fill_(sees, 0.0)
    return Batch(
        tokens=grid(0, 0, torch.long),
        positions=grid(1, 0, torch.long),
        attention=attention[:, None],
        targets=grid(3, 0, torch.long),
        weights=grid(4, 0.0, torch.float32),
    )


Columns = tuple[list[int], list[int], list[int], list[int], list[float], list[int]]
"""tokens, positions, segments (0: the prompt), targets, weights, groups"""


def _encode(row: Row, ids: Mapping[str, int]) -> Columns:
    tokens: list[int] = []
    positions: list[int] = []
    segments: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    groups: list[int] = []
    for number, group in enumerate(row):
        more = _encode_group(group, ids)
        tokens += more[0]
        positions += more[1]
        segments += more[2]
        targets += more[3]
        weights += more[4]
        groups += [number] * len(more[0])
    return tokens, positions, segments, targets, weights, groups


def _encode_group(
    group: Group, ids: Mapping[str, int]
) -> tuple[list[int], list[int], list[int], list[int], list[float]]:
    prompt, blocks = group
    tokens = [ids[word] for word in v.words(prompt)]
    shared = len(tokens)
    positions, segments = list(range(shared)), [0] * shared
    targets = [*tokens[1:], 0]
    weights = [ON_PROMPT] * (shared - 1) + [0.0]
    for number, block in enumerate(blocks, start=1):
        said = [(ids[word], weight) for text, weight in block for word in v.words(text)]
        tokens += [token for token, _ in said]
        positions += range(shared, shared + len(said))
        segments += [number] * len(said)
        targets += [token for token, _ in said[1:]] + [0]
        weights += [weight for _, weight in said[1:]] + [0.0]
    return tokens, positions, segments, targets, weights
