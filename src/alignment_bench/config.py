"""The requests that `key=value` arguments make, checked wholly before any work.

`parse` collects every problem of every kind and raises them as one BadInput, so that nobody mends a
command one message at a time. Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from alignment_bench import licences, registry
from alignment_bench.checks import no_file, no_results, unworkable
from alignment_bench.completions import Decoding
from alignment_bench.config_values import FILTERS, Budget, budgets_of, known, listed, part_of, seeds_of
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import values
from alignment_bench.labels import ResolvedLabel, ResolvedPart, parse_labels, resolve_labels
from alignment_bench.launchers.options import LauncherName, SlurmOptions
from alignment_bench.licences import Terms
from alignment_bench.registry import suggest
from alignment_bench.task import TaskOptions
from alignment_bench.tracking import Tracker

TableFormat = Literal["text", "markdown", "csv", "latex", "html", "json"]

_DECODING_LIMITS: Mapping[str, Mapping[str, float]] = {
    "temperature": {"min": 0},
    "top_p": {"above": 0, "max": 1},
    "top_k": {"min": 0},
    "max_tokens": {"min": 1},
}


@dataclass(frozen=True)
class RunRequest:
    """Everything that one `bench run` was asked for. None means: the default that fits the task."""

    labels: tuple[ResolvedLabel, ...]
    """labels to compare, as ilf,ppo,ilf:rounds=3+best_of_n; all: every shipped method"""
    tasks: tuple[str, ...]
    """one or more tasks"""
    seeds: tuple[int, ...] = (0,)
    """a list, as 0,1,2: every seed is a training run of its own"""
    budgets: tuple[Budget, ...] = (Budget("small"),)
    """smoke, small or paper, or an amount as 15h, 54750s, 2000calls; a list is a sweep"""
    model: tuple[str, ...] = ("tiny",)
    """tiny, smollm2, a hub id, a local folder or a .gguf file"""
    init: str = "base"
    """what training starts from, its cost charged: base, sft, RESULTS/cells/<digest> or a policy's folder"""
    teacher: ResolvedPart | None = None
    """who gives feedback, fields as in teacher=annotators:critic_noise=.2; default: the first that fits"""
    judge: ResolvedPart | None = None
    """who compares answers for the evaluators, fields likewise; default: the first that fits"""
    evaluators: tuple[str, ...] | None = None
    """which evaluators score, fields as in lm_eval:tasks=[bbh,tydiqa]; default: those of the task"""
    decoding: Mapping[str, Any] = field(default_factory=dict)
    """temperature, top_p, top_k, max_tokens, stop: overrides of the task's evaluation decoding"""
    task_options: TaskOptions = field(default_factory=TaskOptions)
    """task.world, .data and more: where the examples come from"""
    results: Path = Path("results")
    """folder of everything stored"""
    format: TableFormat = "text"
    """how the table is written"""
    out: Path | None = None
    """file for the table; default: print it"""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N"""
    dtype: str = "auto"
    """precision of sampling: auto, float32 or bfloat16; scoring is always float32"""
    engine: str = "transformers"
    """what generates"""
    threads: int = field(default=0, metadata={"min": 0, "max": 1024})
    """CPU threads of a job; 0: by model size"""
    training_processes: int = field(default=1, metadata={"min": 1, "max": 1024})
    """processes that share each step of fine-tuning and reward models; on GPUs, one each"""
    sharding: Literal["ddp", "fsdp"] = "ddp"
    """what each of these holds of a model in training: all of it, or its share"""
    lora: int | None = field(default=None, metadata={"min": 0, "max": 1024})
    """rank of LoRA adapters; 0 trains all weights; default: by model size"""
    share: float | None = field(default=None, metadata={"above": 0, "below": 1})
    """share of the budget that the first part of a composition gets; default: equal shares"""
    tuned: str = "shipped"
    """values tuned for the task and model, for fields that are not set: shipped, none, or a file or folder"""
    workers: int = field(default=0, metadata={"min": 0, "max": 256})
    """processes that do cells side by side; 0: as many as cores, threads and memory allow"""
    launcher: LauncherName = "local"
    """who runs the workers: local, ray or slurm; all their machines must see the results folder"""
    address: str | None = None
    """Ray cluster to use, as auto or HOST:6379; default: one on this machine"""
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    """slurm.partition, .time and more: what Slurm is asked for"""
    retries: int = field(default=2, metadata={"min": 0, "max": 100})
    """how often a cell is done again after the worker that was at it died"""
    trust: bool = False
    """allow models that bring code of their own"""
    accept: Terms | None = None
    """nc: you may use data whose licence forbids commercial use; said once, it is remembered"""
    sandbox: Literal["full", "partial", "none"] = "partial"
    """least protection under which model-written programs run; none runs them unprotected: never at home"""
    strict: bool = False
    """exit with 1 where a control raises an alarm"""
    quiet: bool = False
    """no progress on the terminal, only the table"""
    tracker: Tracker = "none"
    """where finished cells are mirrored to: none or trackio, which must be installed"""

    def recorded(self) -> dict[str, Any]:
        """The request as JSON can hold it, for the record of the run."""
        return {
            "methods": {label.text: label.configuration for label in self.labels},
            "task": list(self.tasks),
            "seeds": list(self.seeds),
            "budget": [budget.name for budget in self.budgets],
            "model": list(self.model),
            "teacher": None if self.teacher is None else self.teacher.label,
            "judge": None if self.judge is None else self.judge.label,
            "evaluators": None if self.evaluators is None else list(self.evaluators),
            "decoding": {key: _json(value) for key, value in self.decoding.items()},
            "task_options": {k: _json(v) for k, v in dataclasses.asdict(self.task_options).items()},
            "slurm": {k: _json(v) for k, v in dataclasses.asdict(self.slurm).items()},
            **{key: _json(getattr(self, key)) for key in ("init", *_PLAIN)},
        }


@dataclass(frozen=True)
class TableRequest:
    """What `bench table` was asked for; `filters` keep the cells whose key has one of the values."""

    results: Path = Path("results")
    format: TableFormat = "text"
    out: Path | None = None
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sweep: bool = False
    """blocks that differ in nothing but the budget as one, the budget in the rows' names"""
    prices: Literal["half", "double"] | None = None
    """annotator time at half or double the prices that nobody measured"""
    judges: Literal["each"] | None = None
    """the same answers under each judge, each member of a panel, and a panel without each"""


_PLAIN = (
    "results",
    "format",
    "out",
    "device",
    "dtype",
    "engine",
    "threads",
    "training_processes",
    "sharding",
    "lora",
    "share",
    "tuned",
    "workers",
    "launcher",
    "address",
    "retries",
    "trust",
    "accept",
    "sandbox",
    "strict",
    "quiet",
    "tracker",
)
_KEY_OF_FIELD = {"labels": "methods", "tasks": "task", "budgets": "budget"}
_DOTTED = ("decoding", "task_options", "slurm")
_OWNERS: tuple[str, ...] = ("task", "decoding", "slurm")
"""what may stand before the dot of a key, besides the name of a method"""
KEYS: Mapping[str, str] = {
    _KEY_OF_FIELD.get(f.name, f.name): f.name for f in dataclasses.fields(RunRequest) if f.name not in _DOTTED
}
"""key of `bench run` to the field of RunRequest that it sets"""


def parse(argv: Sequence[str], verb: str = "run") -> RunRequest:
    """The request of `bench run`. Raises one BadInput with everything that is wrong with the arguments.

    `verb` is what messages say was typed, for verbs that take the same keys.
    """
    problems: list[Problem] = []
    given = pairs(argv, problems)
    plain, dotted = _routed(given, problems, verb)
    for key, example in (("methods", "methods=ilf,ppo"), ("task", "task=tldr")):
        if key not in plain:
            problems.append(Problem(key, "is missing", f"write {example}"))

    labels = resolve_labels(parse_labels(plain.get("methods", "base"), problems), _methods(dotted), problems)
    set_fields: dict[str, Any] = {"labels": labels}
    set_fields["tasks"] = known("tasks", "task", plain.get("task", ""), problems)
    for key in ("teacher", "judge"):
        if key in plain:
            set_fields[key] = part_of("teachers" if key == "teacher" else "judges", key, plain[key], problems)
    if "evaluators" in plain:
        set_fields["evaluators"] = evaluator_labels(plain["evaluators"], problems)
    if "model" in plain:
        set_fields["model"] = listed("model", plain["model"], problems)
    if "seeds" in plain:
        set_fields["seeds"] = seeds_of(plain["seeds"], problems)
    if "budget" in plain:
        set_fields["budgets"] = budgets_of(plain["budget"], problems)
    if "init" in plain:
        set_fields["init"] = plain["init"]
    set_fields["decoding"] = values(
        Decoding, dotted.get("decoding", {}), "decoding.", problems, show="decoding", limits=_DECODING_LIMITS
    )
    options = values(TaskOptions, dotted.get("task", {}), "task.", problems, show="task")
    set_fields["task_options"] = TaskOptions(**options)
    slurm = values(SlurmOptions, dotted.get("slurm", {}), "slurm.", problems, show="slurm")
    set_fields["slurm"] = SlurmOptions(**slurm)
    set_fields |= values(RunRequest, {k: plain[k] for k in _PLAIN if k in plain}, "", problems)
    request = RunRequest(**set_fields)
    problems.extend(p for p in unworkable(request) if p not in problems)
    if problems:
        raise BadInput(problems)
    if request.accept is not None:
        licences.remember(request.accept)
    return request


def parse_table(argv: Sequence[str]) -> TableRequest:
    """The request of `bench table`. Raises one BadInput with everything that is wrong with the arguments."""
    problems: list[Problem] = []
    given = pairs(argv, problems)
    filters: dict[str, tuple[str, ...]] = {}
    options = [one.name for one in dataclasses.fields(TableRequest) if one.name != "filters"]
    for key in given:
        if key in FILTERS:
            filters[key] = listed(key, given[key], problems)
        elif key not in options:
            problems.append(Problem(key, "is no key of bench table", suggest(key, (*FILTERS, *options))))
    plain = {k: v for k, v in given.items() if k in options}
    request = TableRequest(**values(TableRequest, plain, "", problems), filters=filters)
    problems += no_results(request.results)
    problems.extend(no_file("out", request.out) if request.out else ())
    if problems:
        raise BadInput(problems)
    return request


def pairs(argv: Sequence[str], problems: list[Problem]) -> dict[str, str]:
    """The arguments as key to value. Appends a problem for one that is no key=value, empty, or repeated."""
    given: dict[str, str] = {}
    for argument in argv:
        key, equals, value = argument.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key:
            fix = f"write {key.lstrip('-') or 'key'}=VALUE"
            problems.append(Problem(argument, "is not of the form key=value", fix))
        elif key in given:
            problems.append(Problem(key, "is given twice", "keep one of the two"))
        elif not value:
            problems.append(Problem(key, "has no value", f"write {key}=VALUE, or leave it out"))
        else:
            given[key] = value
    return given


def _routed(
    given: Mapping[str, str], problems: list[Problem], verb: str
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The plain keys, and the dotted ones by what stands before the dot; unknown ones become problems."""
    plain: dict[str, str] = {}
    dotted: dict[str, dict[str, str]] = {}
    try:
        owners = (*_OWNERS, *registry.names("methods"))
    except BadInput as error:
        problems.extend(error.problems)
        owners = _OWNERS
    for key, value in given.items():
        owner, dot, name = key.partition(".")
        if key in KEYS:
            plain[key] = value
        elif dot and owner in owners:
            dotted.setdefault(owner, {})[name] = value
        elif dot:
            what = f"{owner!r} is no method, task, decoding or slurm"
            problems.append(Problem(key, what, suggest(owner, owners)))
        elif key.startswith("-"):
            problems.append(Problem(key, "keys have no dashes", f"write {key.lstrip('-')}={value}"))
        else:
            problems.append(Problem(key, f"is no key of bench {verb}", suggest(key, KEYS)))
    return plain, dotted


def _methods(dotted: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    return {owner: fields for owner, fields in dotted.items() if owner not in _OWNERS}


def evaluator_labels(text: str, problems: list[Problem]) -> tuple[str, ...]:
    """The evaluators of a comma list, each as its shortest label; two of one name are a problem."""
    parts = [
        part_of("evaluators", "evaluators", one, problems) for one in listed("evaluators", text, problems)
    ]
    found: dict[str, str] = {}
    for part in parts:
        if part is not None and part.name in found:
            what = f"{found[part.name]} and {part.label} are one evaluator, whose metrics would be mixed up"
            problems.append(Problem("evaluators", what, "keep one of the two"))
        elif part is not None:
            found[part.name] = part.label
    return tuple(found.values())


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
