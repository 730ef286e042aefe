"""Prompts through the model once each, their key-value cache shared by every completion of a prompt.

Sampling draws n answers from one prefill, scoring reads several completions after one prefill. Prompts are
left-padded, so that every row's next position is the same column; positions count from each prompt's own
first token.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """A key-value layer with room for the tokens to come, so that a step writes one column.

    DynamicLayer concatenates, which copies the whole cache at every step: for a small model that is most
    of the time. `update` returns views [rows, heads, used, width] of the buffers.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, rows: torch.Tensor, room: int) -> None:
        """Rows `rows` of `keys`, `values` [prompts, heads, used, width], with `room` free columns after."""
        super().__init__()
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self._fill(keys, values, rows, room)

    def _fill(self, keys: torch.Tensor, values: torch.Tensor, rows: torch.Tensor, room: int) -> None:
        _, heads, self._used, width = keys.shape
        shape = (len(rows), heads, self._used + room)
        self.keys = keys.new_empty((*shape, width))
        self.values = values.new_empty((*shape, values.shape[-1]))
        self.keys[:, :, : self._used] = keys.index_select(0, rows)
        self.values[:, :, : self._used] = values.index_select(0, rows)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes the new columns [rows, heads, new, width] and returns everything written so far."""
        end = self._used + key_states.shape[-2]
        self.keys[:, :, self._used : end] = key_states
        self.values[:, :, self._used : end] = value_states
        self._used = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        """Columns written so far."""
        return self._used

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps only these rows."""
        room = self.keys.shape[-2] - self._used
        self._fill(self.keys[:, :, : self._used], self.values[:, :, : self._used], indices, room)


@dataclass
class Prefilled:
    """A batch of prompts after one forward pass.

    `mask` is [prompts, columns], 1 where there is a token; `lengths` [prompts]; `logits` [prompts,
    vocabulary] are those of each completion's first token, float32.
    """

    cache: Cache
    mask: torch.Tensor
    lengths: torch.Tensor
    logits: torch.Tensor

    def expand(self, rows: torch.Tensor, room: int) -> Cache:
        """A new cache whose row i continues prompt `rows[i]`, with `room` columns to come."""
        if all(type(layer) is DynamicLayer for layer in self.cache.layers):
            layers = [RoomyLayer(layer.keys, layer.values, rows, room) for layer in self.cache.layers]
            return Cache(layers=layers)
        cache = copy.deepcopy(self.cache)  # sliding windows and other layers keep their own rules
        cache.batch_select_indices(rows)
        return cache


def prefill(model: Any, prompts: Sequence[Sequence[int]]) -> Prefilled:
    """Runs prompts (token ids, each non-empty) through the model once, left-padded to the longest."""
    longest = max(len(ids) for ids in prompts)
    ids = torch.zeros((len(prompts), longest), dtype=torch.long)
    mask = torch.zeros((len(prompts), longest), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        mask[row, longest - len(prompt) :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    padded = any(len(prompt) != longest for prompt in prompts)
    # An index, not the number 1: a slice is not contiguous, and the vocabulary projection would then copy
    # its whole weight matrix once a row.
    last = torch.tensor([longest - 1], device=model.device)
    out = model(
        input_ids=ids,
        attention_mask=mask if padded else None,
        position_ids=(mask.cumsum(-1) - 1).clamp_min(0),
        past_key_values=DynamicCache(config=model.config),
        use_cache=True,
        logits_to_keep=last,
    )
    return Prefilled(out.past_key_values, mask, mask.sum(-1), out.logits[:, -1].float())


def extend(
    model: Any,
    cache: Cache,
    ids: torch.Tensor,
    mask: torch.Tensor | None,
    positions: torch.Tensor,
    keep: int | torch.Tensor = 1,
) -> torch.Tensor:
    """Logits after `ids` [rows, new] at `positions`, given a cache that it extends; float32.

    `mask` [rows, cached + new] marks real tokens (None: all are). `keep` is transformers'
    `logits_to_keep`: 1 gives [rows, 1, vocabulary], a boolean [rows, new] [true positions, vocabulary].
    """
    out = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=keep,
    )
    logits: torch.Tensor = out.logits
    return logits.float()
