"""A task: data, decoding, layouts, teachers, judges and evaluators that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from alignment_bench.completions import Decoding
from alignment_bench.layouts import Layout
from alignment_bench.prompts import Example


@dataclass(frozen=True, slots=True)
class TaskData:
    """Examples of one task, split once. Ids are unique over both splits, and no group is in both.

    `source` and `digest` name what the examples are (a world and its seed, a file and its bytes);
    `notes` go to the caption: what was truncated, limited or held out, and how.
    """

    train: tuple[Example, ...]
    test: tuple[Example, ...]
    source: str
    digest: str
    notes: tuple[str, ...] = ()
    clusters: Literal["groups", "folds"] = "groups"
    layouts: Mapping[str, Layout] | None = None
    """how these prompts are put to models that read plain English, where not as the task puts its own"""


@dataclass(frozen=True)
class Task:
    """One file in `benchmarks/`, as a value named PLUGIN.

    `builtin` is "module:function" of a generator `(world: int) -> TaskData` for runs without data of
    their own; it is imported only when such a run asks for it. `layouts` are for models that read
    plain English; a model with a language of its own brings its own.
    """

    name: str
    version: str
    summary: str
    builtin: str | None
    decoding: Decoding
    layouts: Mapping[str, Layout]
    teachers: tuple[str, ...]
    judges: tuple[str, ...]
    evaluators: tuple[str, ...]
    licence: str
    citation: str
    main_metric: str
    columns: Mapping[str, str] = field(
        default_factory=lambda: {
            "id": "id",
            "prompt": "prompt",
            "reference": "reference",
            "group": "group",
            "split": "split",
        }
    )
    rollout_decoding: Decoding | None = None
    """how methods sample while training; None: the evaluation decoding at temperature 1"""
    real_decoding: Decoding | None = None
    """evaluation decoding of models that read plain English; None: `decoding`"""
    prompt_tokens: int = 256
    """tokens of the longest prompt put to models that read plain English; a longer one loses its end"""
    executes: bool = False
    """whether answers are programs that get run, in the sandbox"""
    sources: tuple[str, ...] = ()
    """published data sets that it reads, by the names of `alignment_bench.sources`; the first is its own"""


@dataclass(frozen=True)
class TaskOptions:
    """What `task.<field>=` sets: where the examples come from."""

    world: int = field(default=0, metadata={"min": 0})
    """seed of the built-in world (posts and annotator draws); 1000 and above are development worlds"""
    data: str | None = None
    """a source by name, a jsonl, csv or parquet file, or a hub dataset id; default: the built-in world"""
    source: str | None = None
    """which published schema a file or hub dataset has; default: the one that its columns are of, if any"""
    revision: str | None = None
    """revision of a hub dataset; required with a hub id, and another than the pinned one for a source"""
    columns: tuple[str, ...] = ()
    """renamed columns, as [prompt:post,reference:summary]"""
    holdout: float = 0.33
    """share of groups held out for testing where the data has no split column"""
    folds: int = 0
    """cross-fit over this many folds instead of one held-out part (0: off)"""
    limit: int = 0
    """use only N examples, the first by digest; of slf5k, as its authors do, the first N rows to train on and
    the first N to test on (0: all)"""
