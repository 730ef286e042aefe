"""Scoring: exact next-token distributions along completions, at temperature 1 and in float32.

Completions of one prompt share its prefill, and logits are computed at completion tokens only. Nothing
here has a gradient: training has its own forward pass (`alignment_bench.training.batches`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from alignment_bench.models.fitting import fitting
from alignment_bench.models.prefill import extend, prefill

CHUNK = 2**23
"""logits that are normalised at once: 32 MiB, of the hundreds that a batch with a large vocabulary has"""


@dataclass
class Block:
    """One batch's float32 logits, a row a token: the first of each pair, then the others pair by pair."""

    pairs: Sequence[int]
    lengths: list[int]
    first: torch.Tensor
    """[pairs, vocabulary]"""
    rest: torch.Tensor
    """[the other tokens, vocabulary]"""

    def slices(self) -> Iterator[torch.Tensor]:
        """All rows in order, about `CHUNK` logits at a time."""
        rows = max(1, CHUNK // self.first.shape[-1])
        for part in (self.first, self.rest):
            for low in range(0, len(part), rows):
                yield part[low : low + rows]

    def targets(self, completions: Sequence[Sequence[int]]) -> torch.Tensor:
        """The tokens that were sampled, in the order of the rows."""
        chosen = [completions[i] for i in self.pairs]
        flat = [ids[0] for ids in chosen] + [token for ids in chosen for token in ids[1:]]
        return torch.tensor(flat, device=self.first.device)

    def split(self, values: torch.Tensor) -> Iterator[tuple[int, list[float]]]:
        """(pair, its values in token order), from one value a row."""
        flat = values.tolist()
        at = len(self.pairs)
        for place, (pair, length) in enumerate(zip(self.pairs, self.lengths, strict=True)):
            yield pair, [flat[place], *flat[at : at + length - 1]]
            at += length - 1


def batches(
    prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], rows: int
) -> list[list[int]]:
    """Indices of non-empty pairs in batches of at most `rows`: alike lengths together, and the completions
    of one prompt in one batch wherever they fit, so that its prefill is not repeated."""
    order = sorted(
        (i for i in range(len(prompts)) if len(completions[i])),
        key=lambda i: (len(prompts[i]), tuple(prompts[i]), len(completions[i])),
    )
    found: list[list[int]] = []
    for _, group in itertools.groupby(order, key=lambda i: tuple(prompts[i])):
        pairs = list(group)
        if found and len(found[-1]) + len(pairs) <= rows:
            found[-1] += pairs
        else:
            found += [pairs[low : low + rows] for low in range(0, len(pairs), rows)]
    return found


@torch.inference_mode()
def block(
    model: Any, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], pairs: Sequence[int]
) -> Block:
    """Logits of one batch of (prompt, completion) pairs, every distinct prompt prefilled once."""
    distinct: dict[tuple[int, ...], int] = {}
    places = [distinct.setdefault(tuple(prompts[i]), len(distinct)) for i in pairs]
    start = prefill(model, list(distinct))
    rows = torch.tensor(places, device=start.mask.device)
    lengths = [len(completions[i]) for i in pairs]
    longest = max(lengths) - 1  # the last token is only ever predicted, never read
    if not longest:
        return Block(pairs, lengths, start.logits[rows], start.logits[:0])
    ids = torch.zeros((len(pairs), longest), dtype=torch.long)
    real = torch.zeros((len(pairs), longest), dtype=torch.long)
    for row, i in enumerate(pairs):
        ids[row, : lengths[row] - 1] = torch.tensor(completions[i][:-1], dtype=torch.long)
        real[row, : lengths[row] - 1] = 1
    ids, real = ids.to(rows.device), real.to(rows.device)
    first, mask = start.logits[rows], torch.cat([start.mask[rows], real], dim=1)
    positions = start.lengths[rows][:, None] + torch.arange(longest, device=rows.device)
    cache = start.expand(rows, longest)
    del start  # its own cache is as large again
    return Block(pairs, lengths, first, extend(model, cache, ids, mask, positions, keep=real.bool()))


@torch.inference_mode()
def logprobs(
    model: Any, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], rows: int
) -> list[list[float]]:
    """Natural-log probability of every completion token, one list a pair, at most `rows` pairs a batch."""
    found: list[list[float]] = [[] for _ in prompts]

    def score(pairs: Sequence[int]) -> list[tuple[int, list[float]]]:
        part = block(model, prompts, completions, pairs)
        return list(part.split(chosen_logprobs(part, part.targets(completions))))

    for _, scored in fitting(batches(prompts, completions, rows), score):
        for pair, numbers in scored:
            found[pair] = numbers
    return found


def chosen_logprobs(part: Block, targets: torch.Tensor) -> torch.Tensor:
    """log softmax(logits)[targets]: a value a row of the block, [tokens]."""
    parts, at = [], 0
    for logits in part.slices():
        wanted = targets[at : at + len(logits), None]
        parts.append(logits.gather(-1, wanted).squeeze(-1) - logits.logsumexp(dim=-1))
        at += len(logits)
    return torch.cat(parts)


@torch.inference_mode()
def divergence(first: Block, second: Block) -> torch.Tensor:
    """KL(first || second) in nats a row, over the whole vocabulary, of two blocks of the same completions."""
    parts = []
    for one, other in zip(first.slices(), second.slices(), strict=True):
        ours, theirs = one.log_softmax(dim=-1), other.log_softmax(dim=-1)
        parts.append(torch.nn.functional.kl_div(theirs, ours, log_target=True, reduction="none").sum(-1))
    return torch.cat(parts)


@torch.inference_mode()
def next_token_probabilities(
    model: Any, prompts: Sequence[Sequence[int]], answers: Sequence[int], rows: int
) -> list[list[float]]:
    """Probability of each answer token right after each prompt, one row a prompt."""
    found: list[list[float]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))

    def score(part: Sequence[int]) -> list[list[float]]:
        logits = prefill(model, [prompts[i] for i in part]).logits
        chosen: list[list[float]] = logits.softmax(dim=-1)[:, list(answers)].tolist()
        return chosen

    for part, chosen in fitting([order[low : low + rows] for low in range(0, len(order), rows)], score):
        for i, row in zip(part, chosen, strict=True):
            found[i] = row
    return found
