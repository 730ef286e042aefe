"""Units of work: what a job asks of a machine, counted without doing it and priced by a probe.

A unit is a name for something whose time grows in proportion to its number on one machine: a token drawn,
a step of a batch, an optimiser step, a prompt scored by an evaluator. The counts here follow how
`models.sampling`, `models.scoring` and `training` cut their work into batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alignment_bench.training.settings import Settings

Units = dict[str, float]
"""how many of each unit"""
DRAW_CALL, DRAW_STEP, DRAW_TOKEN, DRAW_READ = "draw.batch", "draw.step", "draw.token", "draw.read"
"""sampling: a batch, a step of a batch, a token drawn, a prompt token read"""
SCORE_BATCH, SCORE_TOKEN = "score.batch", "score.token"
"""scoring: a batch, a token of prompt or completion"""
TRAIN_STEP, TRAIN_TOKEN = "train.step", "train.token"
"""training: an optimiser step, a token forward and backward"""
LOAD, LOAD_TRAIN, SAVE = "load", "load for training", "save"
"""a model read for inference or for training, and one written"""
JOB = "job"
"""what the job store itself takes"""
TRL, TRL_STEP = "trl", "trl.step"
"""a trainer of trl made, and what one of its optimiser steps takes beyond a step of our own loop"""
TRL_IMPORT = "import trl"
"""what a process takes before its first trainer of trl"""
EVALUATE, EVALUATE_ONCE, ASK = "evaluate ", "evaluate once ", "ask "
"""before a name: a prompt scored by that evaluator, its first call in a process, an act on that channel"""
UNREAD = ", no probabilities"
"""after an evaluator's name: of a policy that has none to read"""

_OPEN: ContextVar[Units | None] = ContextVar("units", default=None)


@contextmanager
def counting() -> Iterator[Units]:
    """Collects the units that are counted inside the block."""
    units: Units = {}
    token = _OPEN.set(units)
    try:
        yield units
    finally:
        _OPEN.reset(token)


def count(units: Mapping[str, float]) -> None:
    """Adds to what the innermost open block collects; without one, dropped."""
    found = _OPEN.get()
    if found is not None:
        add(found, units)


def add(to: Units, units: Mapping[str, float]) -> None:
    """Adds up in place."""
    for name, number in units.items():
        to[name] = to.get(name, 0.0) + number


def drawn(prompts: Sequence[int], completions: Sequence[Sequence[int]], rows: int) -> Units:
    """Units of drawing completions of these lengths for prompts of these, `rows` at a time."""
    order = sorted(range(len(prompts)), key=lambda i: prompts[i])
    most = max((len(row) for row in completions), default=1)
    size = max(1, rows // max(1, most))
    batches = steps = 0
    for low in range(0, len(order), size):
        lengths = [length for i in order[low : low + size] for length in completions[i]]
        for start in range(0, len(lengths), rows):
            batches += 1
            steps += max(lengths[start : start + rows], default=0)
    tokens = sum(map(sum, completions))
    return {
        DRAW_CALL: float(batches),
        DRAW_STEP: float(steps),
        DRAW_TOKEN: float(tokens),
        DRAW_READ: float(sum(prompts)),
    }


def scored(prompts: Sequence[int], completions: Sequence[int], distinct: int, rows: int) -> Units:
    """Units of scoring pairs, of whose prompts so many are distinct: each of those is read once."""
    pairs = len(prompts)
    if not pairs:
        return {}
    read = sum(prompts) * (distinct / pairs)
    return {SCORE_BATCH: float(-(-pairs // rows)), SCORE_TOKEN: float(read + sum(completions))}


def trained(lengths: Sequence[int], settings: Settings, rows_per_item: int = 1) -> Units:
    """Units of `epochs` over items of these lengths, which are `rows_per_item` rows each."""
    steps = settings.epochs * -(-len(lengths) // settings.batch_size)
    return {TRAIN_STEP: float(steps), TRAIN_TOKEN: float(settings.epochs * sum(lengths))}


def once(name: str) -> bool:
    """Whether a process pays for this unit once, however many of its jobs ask for it."""
    return name.startswith(EVALUATE_ONCE) or name == TRL_IMPORT
