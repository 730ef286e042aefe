"""Rows of (prompt, completion) ids as padded batches, and the log-probabilities of completion tokens.

Prompts are padded on the left and completions on the right, so that all completions of a batch start in
the same column: the vocabulary projection then runs over completion positions only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Row:
    """One training row: the prompt's ids, and the ids of the completion that follows them.

    The rest is for supervised training: a factor on the loss, whether the completion is to become less
    likely, the prompt that the reference reads (None: the same), and a plain text beside the row.
    """

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    weight: float = 1.0
    unlikely: bool = False
    reference: tuple[int, ...] | None = None
    plain: tuple[int, ...] = ()
    seen: tuple[bool, ...] | None = None
    """which of its tokens may be attended to; None: all"""

    @property
    def length(self) -> int:
        """Tokens in all."""
        return len(self.prompt) + len(self.completion)


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows; P prompt columns (left-padded), then C completion columns (right-padded).

    `ids`, `attention` and `positions` are [B, P + C]; `completion` [B, C] and `mask` [B, C] (True on
    real completion tokens) belong to the completion columns alone.
    """

    ids: Tensor
    attention: Tensor
    positions: Tensor
    completion: Tensor
    mask: Tensor

    @property
    def prompt_columns(self) -> int:
        """P."""
        return int(self.ids.shape[1] - self.completion.shape[1])

    @property
    def tokens(self) -> int:
        """Real tokens, prompts included."""
        return int(self.attention.sum())


def collate(rows: Sequence[Row], pad: int, device: str) -> Batch:
    """The rows as one batch. `pad` fills ids under the mask only."""
    before = max(len(row.prompt) for row in rows)
    after = max(len(row.completion) for row in rows)
    ids = torch.full((len(rows), before + after), pad, dtype=torch.long)
    attention = torch.zeros((len(rows), before + after), dtype=torch.long)
    for i, row in enumerate(rows):
        start, stop = before - len(row.prompt), before + len(row.completion)
        ids[i, start:stop] = torch.tensor(row.prompt + row.completion)
        attention[i, start:stop] = 1
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    completion, mask = ids[:, before:].clone(), attention[:, before:].bool()
    tensors = (t.to(device) for t in (ids, attention, positions, completion, mask))
    return Batch(*tensors)


def completion_logits(model: Any, batch: Batch) -> Tensor:
    """Logits that predict each completion token, [B, C, V]."""
    columns = batch.completion.shape[1]
    output = model(
        input_ids=batch.ids,
        attention_mask=batch.attention,
        position_ids=batch.positions,
        logits_to_keep=columns + 1,
        use_cache=False,
    )
    logits: Tensor = output.logits
    return logits[:, :-1]


def token_logprobs(logits: Tensor, batch: Batch, temperature: float = 1.0) -> Tensor:
    """Natural-log probability of each completion token in fp32, [B, C]; 0 under the mask's padding."""
    logprobs = torch.log_softmax(logits.float() / temperature, dim=-1)
    chosen = logprobs.gather(-1, batch.completion.unsqueeze(-1)).squeeze(-1)
    return chosen.masked_fill(~batch.mask, 0.0)


def batches_by_length(
    lengths: Sequence[int], batch_size: int, generator: np.random.Generator
) -> Iterator[list[int]]:
    """One epoch of index batches: shuffled, then sorted by length within chunks of 8 batches."""
    order = generator.permutation(len(lengths))
    batches: list[list[int]] = []
    chunk = batch_size * 8
    for start in range(0, len(order), chunk):
        block = sorted((int(i) for i in order[start : start + chunk]), key=lambda i: lengths[i])
        batches += [block[k : k + batch_size] for k in range(0, len(block), batch_size)]
    for k in generator.permutation(len(batches)):
        yield batches[int(k)]
