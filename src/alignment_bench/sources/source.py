"""The contract of a published data set: one file in this folder each, as a value named SOURCE.

A source knows the schema as its authors released it: which columns there are and how rows become examples,
with the splits, the references and the feedback that they hold. A file of that schema and the data set on
the hub go through the same `make`, so that what is tested on files holds for the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from alignment_bench.errors import Problem
from alignment_bench.layouts import Layout
from alignment_bench.prompts import Example

Split = Literal["train", "test"]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """One example and its own word on the split; None leaves the split to the group's digest."""

    example: Example
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What rows came to: examples in the rows' order, every bad row as a problem, and what a reader must know
    (rows skipped and why, splits held apart, what was cut); `notes` go to the caption."""

    made: tuple[Made, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HubFiles:
    """Where a data set lies on the hub: its id, the pinned revision, and what to load.

    `config` and `splits` are those of `datasets.load_dataset`; the rows of all `splits` are read in order,
    each with its split's name in the column `split_column`. An empty revision is one that nobody could pin:
    a run must name its own. `files`, one path in the repository a split, are read instead where the
    repository brings a loading script, which `datasets` does not run any more.
    """

    id: str
    revision: str
    config: str | None = None
    splits: tuple[str, ...] = ("train",)
    split_column: str = "hub_split"
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """One published data set."""

    name: str
    """as typed: task.data=slf5k"""
    summary: str
    hub: HubFiles | None
    """None: it is not on the hub, a file is needed"""
    licence: str
    noncommercial: bool
    """whether its licence forbids commercial use: a run then needs accept=nc"""
    citation: str
    columns: tuple[str, ...]
    """columns that every file of this schema has; by them a file is recognised"""
    make: Callable[[Sequence[Row]], Reading]
    """rows, numbered from 1, to examples; never raises on bad rows, but names them"""
    notes: tuple[str, ...] = field(default_factory=tuple)
    """what a reader of any table made with it must know"""
    subsets: Literal["digest", "first"] = "digest"
    """what task.limit=N takes: N examples by digest, or, as its authors do, the first N of each part"""
    packaged: Callable[[], Sequence[Row]] | None = None
    """reads the rows from an installed Python package that carries them; BadInput names what to install"""
    layouts: Mapping[str, Layout] | None = None
    """how its prompts are put to models that read plain English; None: as the task puts its own"""
