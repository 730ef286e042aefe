"""What `bench tune` is asked for: the keys of `bench run`, but for what tuning decides by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from alignment_bench import registry
from alignment_bench.config import RunRequest, pairs, parse
from alignment_bench.errors import BadInput, Problem
from alignment_bench.evaluation import Metric
from alignment_bench.fields import values
from alignment_bench.task import Task

TuneFormat = Literal["text", "csv", "json"]
WORLD = 1000
"""the development world that tuning uses unless it is told another; none below is one"""
DECIDED = {
    "evaluators": "a trial is scored by the task's main metric",
    "strict": "there is no control among trials",
}
"""keys of bench run that tuning has no use for, and why"""
HELP = f"""\
bench tune key=value ...: search hyperparameters, equally long for every method

  methods=       labels; a field that a label sets is not searched, the others of its parts are
  task=          one or more tasks
  trials=K       configurations tried of every label, the label as it is among them (default 8)
  task.world=    development world, {WORLD} or above (default {WORLD})
  budget= seeds= model= teacher= judge= init= workers= results= and the rest
                 as in bench run; seeds are averaged
  tuned=         values for fields that are not searched (default none)
  format= out=   the table: text, csv or json (default text); csv holds best-so-far against trials

Writes results/tuned/TASK-MODEL.toml; bench run tuned=FILE uses it. bench show METHOD names what is searched.
"""


@dataclass(frozen=True)
class TuneRequest:
    """Everything that one `bench tune` was asked for; one run request a task, whose cells are the trials."""

    runs: tuple[RunRequest, ...] = ()
    trials: int = field(default=8, metadata={"min": 1, "max": 10_000})
    """configurations of every label, the label as it is among them"""
    format: TuneFormat = "text"
    """how the table is written"""
    out: Path | None = None
    """file for the table; default: print it"""
    quiet: bool = False
    """no progress on the terminal, only the table"""


def parse_tune(argv: Sequence[str]) -> TuneRequest:
    """The request of `bench tune`. Raises one BadInput with everything that is wrong with the arguments."""
    problems: list[Problem] = []
    given = pairs([a for a in argv if a.partition("=")[0].strip() in ("trials", "format")], problems)
    given |= pairs(argv, [])
    own = values(TuneRequest, {k: v for k, v in given.items() if k in ("trials", "format")}, "", problems)
    for key in DECIDED.keys() & given.keys():
        problems.append(Problem(key, "is no key of bench tune", f"leave it out: {DECIDED[key]}"))
    left_out = {"trials", "format", *DECIDED}
    rest = [argument for argument in argv if argument.partition("=")[0].strip() not in left_out]
    if "task.data" in given:
        what = "tuning is for the built-in world for now"
        problems.append(Problem("task.data", what, "leave task.data out, and set fields by hand"))
    elif "task.world" not in given:
        rest.append(f"task.world={WORLD}")
    if "tuned" not in given:
        rest.append("tuned=none")
    try:
        run = parse(rest, "tune")
    except BadInput as error:
        raise BadInput([*problems, *error.problems]) from None
    world = run.task_options.world
    if world < WORLD:
        what = f"{world} is a world that results are reported on"
        problems.append(Problem("task.world", what, f"tune on a development world: {WORLD} or above"))
    if run.init not in ("base", "sft"):
        what = "a stored policy may have learned from a world that results are reported on"
        problems.append(Problem("init", what, "tune with init=base or init=sft"))
    if len(run.budgets) > 1:
        problems.append(Problem("budget", "tuning takes one", "tune at the budget of the comparison"))
    for label in run.labels:
        names = [part.name for part in label.parts]
        for name in sorted({name for name in names if names.count(name) > 1}):
            what = f"{label.text!r} has {name} twice, whose fields have one name"
            problems.append(Problem("methods", what, "tune a label with one of them"))
    runs = []
    for name in run.tasks:
        task: Task = registry.load("tasks", name)
        try:
            evaluator = _evaluator(task)
            runs.append(replace(run, tasks=(name,), evaluators=(evaluator,)))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    return TuneRequest(tuple(runs), out=run.out, quiet=run.quiet, **own)


def main_metric(task: Task) -> Metric:
    """The objective: the task's main metric. Raises BadInput where no evaluator of the task gives it."""
    metrics: tuple[Metric, ...] = registry.load("evaluators", _evaluator(task)).metrics
    return next(metric for metric in metrics if metric.name == task.main_metric)


def _evaluator(task: Task) -> str:
    """The evaluator that gives the task's main metric."""
    for name in task.evaluators:
        metrics = registry.load("evaluators", name).metrics
        found = [one for one in metrics if one.name == task.main_metric] if isinstance(metrics, tuple) else []
        if found and found[0].better != "neither":
            return name
    what = f"no evaluator of {task.name} has its main metric {task.main_metric} with a better side"
    raise BadInput([Problem("task", what, "tune on another task")])
