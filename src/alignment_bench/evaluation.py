"""The contract of an evaluator: what it measures, what it needs, and what it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Protocol, runtime_checkable

from alignment_bench.completions import Completion, Decoding
from alignment_bench.feedback import Judge
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Key, Prompt

Better = Literal["higher", "lower", "neither"]
VIEW = "@"
"""between a metric and one member of its judge: `win_rate_vs_base@only lm`. An evaluator may return such
scores beside the metric that it declares; they are stored, and shown where they are asked for"""


@dataclass(frozen=True, slots=True)
class Metric:
    """One column: its name, its unit, and which direction is better."""

    name: str
    unit: str
    better: Better


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """`n` completions a prompt, drawn with the task's decoding except where a field here says otherwise."""

    name: str
    n: int
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None

    def decoding(self, task: Decoding) -> Decoding:
        """The task's evaluation decoding with this spec's overrides."""
        return replace(
            task,
            temperature=task.temperature if self.temperature is None else self.temperature,
            top_p=task.top_p if self.top_p is None else self.top_p,
            top_k=task.top_k if self.top_k is None else self.top_k,
        )


AT_TASK = SampleSpec("task", n=4)
"""at the task's evaluation temperature, the one a user would deploy with"""
AT_ONE = SampleSpec("t1", n=4, temperature=1.0, top_p=1.0, top_k=0)
"""the policy's own distribution: temperature 1, no truncation"""
GREEDY = SampleSpec("greedy", n=1, temperature=0.0, top_p=1.0, top_k=0)
"""the policy's mode, so that mere sharpening can be told from learning"""


@dataclass(frozen=True, slots=True)
class Needs:
    """What an evaluator must be given: `logits` a LogitPolicy, `references` Keys that have one.

    `executes`: it runs model-written programs, in the sandbox, whatever the task is.
    """

    samples: tuple[SampleSpec, ...] = ()
    logits: bool = False
    references: bool = False
    base_samples: bool = False
    executes: bool = False


@dataclass(frozen=True)
class Evidence:
    """Everything about one cell that an evaluator may look at.

    `samples[spec][i]` are the completions of `prompts[i]`; `base_samples` those of the unaligned base on
    the same prompts and seed. `decoding` and `seed` are the cell's, for an evaluator that has to draw
    something of its own from the policy.
    """

    prompts: Sequence[Prompt]
    keys: Sequence[Key]
    samples: Mapping[str, Sequence[Sequence[Completion]]]
    base_samples: Mapping[str, Sequence[Sequence[Completion]]]
    policy: Policy
    base: LogitPolicy
    judge: Judge
    decoding: Decoding = field(default_factory=Decoding)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """One metric's values, one a prompt (`values[i]` belongs to `prompts[i]`), or why there are none.

    `note` becomes a footnote of the cell: a bound instead of a value, a count of unparsable verdicts.
    """

    values: tuple[float, ...] = ()
    missing: str = ""
    note: str = ""


@runtime_checkable
class Selective(Protocol):
    """An evaluator that can tell before any sampling that it will not use some of what it declares."""

    def used(self, policy: Policy, judge: Judge) -> tuple[SampleSpec, ...]:
        """The sample specs it will read for this policy under this judge."""


@runtime_checkable
class Evaluator(Protocol):
    """Scores one cell. A frozen dataclass; metrics it cannot compute come back with `missing` set."""

    metrics: ClassVar[tuple[Metric, ...]]
    needs: ClassVar[Needs]

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Per-prompt scores for every declared metric."""
