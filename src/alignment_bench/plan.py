"""What is planned: which methods, on what, with which budget, teacher, judge and seed.

A `Setting` is everything that cells must share to be compared; a `Cell` adds label and seed. `planning`
makes them of a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alignment_bench import embedding, registry, starts
from alignment_bench.budgets import price
from alignment_bench.completions import Decoding
from alignment_bench.config import RunRequest
from alignment_bench.config_values import Budget
from alignment_bench.digests import digest
from alignment_bench.evaluation import Evaluator
from alignment_bench.feedback import CHANNELS, Judge, Teacher
from alignment_bench.formatter import Formatter
from alignment_bench.jobs import CORE_VERSION
from alignment_bench.labels import ResolvedLabel, ResolvedPart, evaluator_part, parse_part
from alignment_bench.models.catalog import ModelSource
from alignment_bench.runtime import Runtime
from alignment_bench.task import Task, TaskData
from alignment_bench.tiers import Tier
from alignment_bench.tuning import tuned

if TYPE_CHECKING:
    from collections.abc import Sequence

UNTRAINED = ("base", "base_copy")
"""methods that no init= applies to"""


@dataclass(frozen=True)
class Setting:
    """One task, model, budget, teacher and judge, on one split of the data."""

    request: RunRequest
    task: Task
    data: TaskData
    fold: int
    folds: int
    source: ModelSource
    runtime: Runtime
    tier: Tier
    formatter: Formatter
    decoding: Decoding
    rollout_decoding: Decoding
    budget: Budget
    amount: float
    teacher_part: ResolvedPart
    judge_part: ResolvedPart
    evaluators: Mapping[str, Evaluator]
    labels: tuple[ResolvedLabel, ...] = ()
    """what is compared, with the values tuned for this task and model filled in"""
    start: ResolvedLabel | None = None
    """what is trained before every label that trains, where init=sft"""

    @property
    def teacher(self) -> Teacher:
        """Who gives feedback."""
        teacher: Teacher = self.teacher_part.plugin
        return teacher

    @property
    def judge(self) -> Judge:
        """Who compares for the evaluators."""
        judge: Judge = self.judge_part.plugin
        return judge

    @cached_property
    def teacher_digest(self) -> str:
        """Digest of the teacher's source file and fields."""
        return _part_digest("teachers", self.teacher_part)

    @cached_property
    def judge_digest(self) -> str:
        """Digest of the judge's source file and fields, and of what it says it can do on this machine."""
        return digest([_part_digest("judges", self.judge_part), self.judge.caption()])

    @cached_property
    def init(self) -> str:
        """What training starts from: `base`, `sft`, or the name and digest of a stored policy."""
        if self.request.init in ("base", "sft"):
            return self.request.init
        return starts.find(self.request.init).identity

    @property
    def resolved(self) -> dict[str, Any]:
        """What fields left at their defaults came to, for the record: training sizes, sampling, machine."""
        return {
            "tier": asdict(self.tier),
            "rollouts": asdict(self.rollout_decoding),
            "runtime": self.runtime.keyed(),
            "share": self.request.share,
        }

    @cached_property
    def terms(self) -> str:
        """Digest of what cells must share to be pooled besides what a table prints."""
        return digest([self.resolved, self.identity["prices"], self.judge_digest])

    @cached_property
    def evaluator_digests(self) -> Mapping[str, str]:
        """Digest of each evaluator's source file, and of its fields where it has any."""
        return {label: _evaluator_digest(label) for label in self.evaluators}

    @property
    def executes(self) -> bool:
        """Whether model-written programs may run: the task's answers, or what an evaluator looks at."""
        return self.task.executes or any(evaluator.needs.executes for evaluator in self.evaluators.values())

    @property
    def self_judged(self) -> bool:
        """Whether the teacher is of the judge's family, or of that of one of a panel's members."""
        return self.teacher.family in (self.judge.family, *self.judge.family.split("+"))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything about the setting that can change a number."""
        return {
            "core": CORE_VERSION,
            "task": [self.task.name, self.task.version],
            "data": self.data.digest,
            "fold": [self.fold, self.folds],
            "model": self.source.digest,
            "format": self.formatter.digest,
            "decoding": asdict(self.decoding),
            "rollouts": asdict(self.rollout_decoding),
            "tier": asdict(self.tier),
            "budget": [self.amount, self.teacher.paid_in],
            "teacher": self.teacher_digest,
            "judge": self.judge_digest,
            "evaluators": dict(self.evaluator_digests),
            "init": self.init,
            "prices": {c: price(c, self.teacher.paid_in) for c in CHANNELS},
            "embedding": embedding.available() if self.judge.score([], [], []) is None else None,
            "share": self.request.share,
            "runtime": self.runtime.keyed(),
        }


@dataclass(frozen=True)
class Cell:
    """One row's share of one seed: a label in a setting."""

    setting: Setting
    label: ResolvedLabel
    seed: int
    parts: tuple[ResolvedPart, ...] = field(default=())
    """what is aligned in turn: the label's parts, after `sft` where init=sft"""

    @cached_property
    def plugins(self) -> dict[str, str]:
        """Source digest of every plugin that made the cell's numbers."""
        setting = self.setting
        names: list[tuple[registry.Group, str]] = [
            ("tasks", setting.task.name),
            ("teachers", setting.teacher_part.name),
            ("judges", setting.judge_part.name),
            *(("evaluators", parse_part(label, "evaluators").name) for label in setting.evaluators),
            *(("methods", part.name) for part in self.parts),
        ]
        return {f"{group}/{name}": registry.digest(group, name) for group, name in names}

    @cached_property
    def digest(self) -> str:
        """Names the cell's folder: equal exactly when nothing that can change a number differs."""
        methods = [[p.name, p.fields, registry.digest("methods", p.name)] for p in self.trained]
        return digest({**self.setting.identity, "methods": methods, "seed": self.seed})

    @property
    def trained(self) -> tuple[ResolvedPart, ...]:
        """The parts without a leading `base` that changes nothing: `base+best_of_n` is `best_of_n`."""
        leading = len(self.parts) > 1 and self.parts[0].name == "base" and self.setting.request.init == "base"
        return self.parts[1:] if leading else self.parts

    @property
    def title(self) -> str:
        """What progress and messages call the cell."""
        fold = f" fold {self.setting.fold}" if self.setting.folds else ""
        return f"{self.setting.task.name} {self.label.text} seed {self.seed}{fold}"

    @property
    def tuning(self) -> dict[str, Any]:
        """Where tuned values of the cell come from and what they cost; empty where it has none."""
        start = self.setting.start
        started = start is not None and len(self.parts) > len(self.label.parts)
        return tuned.together([start.tuning if start and started else {}, self.label.tuning])


@dataclass(frozen=True)
class Plan:
    """The cells of one request, in the order in which they run: base first in every setting."""

    request: RunRequest
    settings: tuple[Setting, ...]

    def cells(self) -> Iterator[Cell]:
        """All cells; `base` is always among them."""
        for setting in self.settings:
            for seed in self.request.seeds:
                for label in with_base(setting.labels):
                    yield Cell(setting, label, seed, parts_of(label, setting.start))


def with_base(labels: Sequence[ResolvedLabel]) -> list[ResolvedLabel]:
    """The labels, base first."""
    base = ResolvedLabel("base", (default_part("base"),))
    rest = [label for label in labels if label.configuration != base.configuration]
    return [base, *rest]


def parts_of(label: ResolvedLabel, start: ResolvedLabel | None) -> tuple[ResolvedPart, ...]:
    """The label's parts in the order of alignment, what training starts from included."""
    if start is not None and label.parts[0].name not in (*UNTRAINED, *(part.name for part in start.parts)):
        return (*start.parts, *label.parts)
    return label.parts


def default_part(method: str) -> ResolvedPart:
    """The method with its defaults."""
    return ResolvedPart(method, registry.load("methods", method)())


def _evaluator_digest(label: str) -> str:
    """Of the source, and where there are any of the fields and of what is read besides (`identity`)."""
    part = evaluator_part(label)
    source = registry.digest("evaluators", part.name)
    read = getattr(part.plugin, "identity", "")
    return digest([source, part.fields, read]) if part.fields or read else source


def _part_digest(group: registry.Group, part: ResolvedPart) -> str:
    """Of the part's source file and fields, and of what it reads besides (weights, a file of scores).

    Fields that change no number, an address say, are left out: their metadata hold `keyed` False.
    """
    read = getattr(part.plugin, "identity", "")
    source = registry.digest(group, part.name)
    return digest([part.name, part.keyed_fields, source, *([read] if read else [])])
