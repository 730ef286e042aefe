"""Batches that are halved where GPU memory runs out. What was done differently is told as an incident."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from alignment_bench.incidents import tell

T = TypeVar("T")


def fitting(
    batches: Sequence[Sequence[int]], work: Callable[[Sequence[int]], T]
) -> Iterator[tuple[Sequence[int], T]]:
    """Each batch of indices with what `work` makes of it, in order.

    One that does not fit into the GPU's memory is done in halves, and later ones in no larger parts. Raises
    where a single index does not fit.
    """
    waiting = list(reversed(batches))
    most = max(map(len, batches), default=0)
    while waiting:
        batch = waiting.pop()
        if len(batch) > most:
            waiting += [batch[most:], batch[:most]]
            continue
        try:
            done = work(batch)
        except torch.cuda.OutOfMemoryError:
            if len(batch) == 1:
                raise
        else:
            yield batch, done
            continue
        # Out here no traceback holds on to the tensors of the attempt.
        most = len(batch) // 2
        tell(f"out of GPU memory: scored with batches of {most} rows")
        torch.cuda.empty_cache()
        waiting.append(batch)
