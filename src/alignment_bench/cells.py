"""What one cell of a comparison is, as stored: its configuration, scores, samples and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray

from alignment_bench.budgets import Currency
from alignment_bench.completions import End
from alignment_bench.evaluation import Better

SCHEMA = 1
"""version of the stored layout; a reader migrates older ones and refuses newer ones"""

Status = Literal["ok", "failed", "over_budget", "not_applicable"]


class Values(Sequence[float]):
    """Floats read back from a file: a tuple to its readers, eight bytes each in memory.

    Equal to a sequence of the same numbers, nan being equal to nan.
    """

    __slots__ = ("_array",)

    def __init__(self, values: Sequence[float | None] | NDArray[np.float64]) -> None:
        """`None` becomes nan. Raises ValueError or TypeError on what is no number."""
        self._array = np.array(values, dtype=np.float64)
        if self._array.ndim != 1:
            raise ValueError("values must be a list of numbers")
        self._array.flags.writeable = False

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._array, dtype=dtype, copy=copy)

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> Values: ...
    def __getitem__(self, place: int | slice) -> float | Values:
        return Values(self._array[place]) if isinstance(place, slice) else float(self._array[place])

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[float]:
        return iter(self._array.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Values | tuple | list):
            return NotImplemented
        return len(self) == len(other) and np.array_equal(
            self._array, np.asarray(other, float), equal_nan=True
        )

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


@dataclass(frozen=True)
class MetricScores:
    """One metric of one cell: `values[i]` belongs to `prompt_ids[i]` (nan: not scored), or why none."""

    name: str
    unit: str
    better: Better
    values: Sequence[float] = ()
    missing: str = ""
    note: str = ""


@dataclass(frozen=True)
class StoredSample:
    """One completion as stored: its prompt, sample spec, index among the n, and the ids as drawn."""

    prompt_id: str
    spec: str
    sample: int
    completion: str
    tokens: tuple[int, ...]
    end: End


@dataclass(frozen=True, kw_only=True)
class CellRecord:
    """One cell: a method on a task with one seed (and fold), its scores, and what it cost.

    `digest` names the folder; `label` is the row's name as typed; `method` its resolved configuration.
    Raises ValueError where the arrays do not match or a word is not one of those allowed.
    """

    digest: str
    label: str
    method: Any
    task: str
    task_version: str
    model: str
    model_digest: str
    data: str
    data_digest: str
    world: str | None
    budget: str
    budget_amount: float
    currency: Currency
    teacher: str
    judge: str
    init: str
    format_digest: str
    decoding: dict[str, Any]
    evaluators: tuple[str, ...]
    seed: int
    fold: int = 0
    folds: int = 0
    status: Status = "ok"
    reason: str = ""
    prompt_ids: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    """one a prompt: prompts of one cluster share a source and are not independent"""
    scores: tuple[MetricScores, ...] = ()
    spend: dict[str, Any] = field(default_factory=dict)
    """what training cost: acts, words, annotator_seconds, calls, tokens_*, flops, seconds"""
    test_spend: dict[str, Any] = field(default_factory=dict)
    """what answering the test prompts cost, same keys"""
    notes: tuple[str, ...] = ()
    """footnotes of the row"""
    measures: dict[str, float] = field(default_factory=dict)
    """numbers a method measured of itself, as its reward model's accuracy"""
    tuning: dict[str, Any] = field(default_factory=dict)
    """file and digest of its tuned values, and the trials and spend that found them; empty: not tuned"""
    flags: tuple[str, ...] = ()
    """marks of the row, such as "self-judged" """
    captions: tuple[str, ...] = ()
    """lines for the caption of the block"""
    versions: dict[str, str] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)
    """`core`: its version; `plugins`: digest of every plugin used, as `methods/ilf`; `commit`: of git;
    `jobs`: key to kind of every job that alignment was charged for; `samples`: keys of the sampling jobs.
    Cells whose core or other plugins than the method differ are never compared."""
    seconds: float = 0.0
    started: str = ""
    """ISO 8601, UTC"""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise ValueError(f"status is {self.status!r}, allowed: {', '.join(get_args(Status))}")
        if self.currency not in get_args(Currency):
            raise ValueError(f"currency is {self.currency!r}, allowed: {', '.join(get_args(Currency))}")
        if len(self.clusters) != len(self.prompt_ids):
            raise ValueError(f"{len(self.prompt_ids)} prompt ids but {len(self.clusters)} clusters")
        if len(set(self.prompt_ids)) != len(self.prompt_ids):
            raise ValueError("a prompt id occurs twice")
        if len({metric.name for metric in self.scores}) != len(self.scores):
            raise ValueError("a metric occurs twice")
        for metric in self.scores:
            if metric.better not in get_args(Better):
                raise ValueError(f"{metric.name}: better is {metric.better!r}")
            if metric.missing and metric.values:
                raise ValueError(f"{metric.name}: has values and a reason for having none")
            if not metric.missing and len(metric.values) != len(self.prompt_ids):
                raise ValueError(
                    f"{metric.name}: {len(metric.values)} values for {len(self.prompt_ids)} prompts"
                )
