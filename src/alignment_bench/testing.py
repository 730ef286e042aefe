"""Checks for plugin authors: each raises one AssertionError that lists everything that breaks a contract.

    from alignment_bench.testing import check_method

    def test_my_method() -> None:
        check_method("my_method")

The same checks run over every plugin that ships. They look at the declaration and, for everything but
methods, call the plugin on a few made-up or built-in examples; `check_method(..., run_in=folder)` also
runs a whole small benchmark with it.
"""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from alignment_bench import registry
from alignment_bench.errors import BenchError
from alignment_bench.evaluation import Better, Metric, Needs, Scores
from alignment_bench.feedback import CHANNELS, COMPLETIONS_SHOWN, Ask, FeedbackRecord
from alignment_bench.fields import Unsuitable, convert, describe, out_of_range, settable, show_value
from alignment_bench.formatter import fill
from alignment_bench.hosting import Host, Hosted
from alignment_bench.prompts import Example, Key, Prompt
from alignment_bench.registry import Group
from alignment_bench.stand_ins import made_up_evidence, made_up_examples
from alignment_bench.task import Task, TaskOptions
from alignment_bench.tuning.search import space

_HEAVY = ("torch", "transformers", "datasets", "pandas", "scipy")


def check_method(name: str, *, run_in: Path | None = None) -> None:
    """Checks an installed method. With `run_in`, also runs it there on the built-in world, budget smoke."""
    faults, plugin = _class_faults("methods", name)
    if not isinstance(getattr(plugin, "wrapper", None), bool):
        faults.append("`wrapper` must be a class attribute, True or False: may the method follow a +?")
    wants = getattr(plugin, "wants", ())
    if not isinstance(wants, property) and not (isinstance(wants, tuple) and set(wants) <= set(CHANNELS)):
        faults.append(f"`wants` must be a tuple of channels ({', '.join(CHANNELS)}), empty for none")
    faults += _signature_faults(plugin, "align", ("policy", "prompts", "lab"))
    try:
        space(plugin)
    except ValueError as error:
        faults.append(str(error))
    _raise(f"method {name}", faults)
    if run_in is not None:
        from alignment_bench.config import parse
        from alignment_bench.run import run

        asked = [f"methods={name}", "task=tldr", "budget=smoke", f"results={run_in}", "quiet=true"]
        if code := run(parse(asked)):
            _raise(f"method {name}", [f"`bench run {' '.join(asked)}` ended with exit code {code}"])


def check_evaluator(name: str) -> None:
    """Checks an installed evaluator, and calls it on completions that are ordinary, empty and cut off."""
    faults, plugin = _class_faults("evaluators", name)
    evaluator = _instance(plugin, faults)
    metrics = getattr(evaluator, "metrics", ())
    if not (isinstance(metrics, tuple) and metrics and all(isinstance(m, Metric) for m in metrics)):
        faults.append("`metrics` must be a non-empty tuple of Metric")
        metrics = ()
    if len({m.name for m in metrics}) < len(metrics):
        faults.append("two metrics have the same name")
    faults += [
        f"metric {m.name}: `better` must be {get_args(Better)}"
        for m in metrics
        if m.better not in get_args(Better)
    ]
    if not isinstance(getattr(evaluator, "needs", None), Needs):
        faults.append("`needs` must be an evaluation.Needs")
    faults += _signature_faults(plugin, "__call__", ("evidence",))
    if not faults:
        faults += _score_faults(evaluator, metrics)
    _raise(f"evaluator {name}", faults)


def check_task(name: str) -> None:
    """Checks an installed task: its declaration, its layouts, and its built-in data where it has some."""
    task = registry.load("tasks", name)
    faults = _import_faults("tasks", name)
    if not isinstance(task, Task):
        _raise(f"task {name}", [f"PLUGIN must be an alignment_bench.task.Task, not {task!r}"])
    if task.name != name:
        faults.append(f"its `name` is {task.name!r}, but it is registered as {name!r}")
    for field in ("version", "summary", "licence", "citation", "main_metric"):
        if not getattr(task, field):
            faults.append(f"`{field}` is empty")
    offers: tuple[Group, ...] = ("teachers", "judges", "evaluators")
    for group in offers:
        unknown = sorted(set(getattr(task, group)) - set(registry.names(group)))
        faults += [f"`{group}` names {n!r}, which is not installed" for n in unknown]
    if "answer" not in task.layouts:
        faults.append("`layouts` has no `answer`, the layout in which prompts are put")
    slots = dict.fromkeys(("prompt", "completion", "critique", "condition", "next_condition"), "x")
    for layout_name, layout in task.layouts.items():
        try:
            fill(layout.user, slots), fill(layout.opening, slots)
        except (BenchError, ValueError, KeyError, IndexError) as error:
            faults.append(f"layout {layout_name!r} cannot be filled: {error}")
    if task.builtin is not None:
        faults += _data_faults(task)
    _raise(f"task {name}", faults)


def check_teacher(
    name: str,
    examples: Sequence[Example] | None = None,
    *,
    host: Host | None = None,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Checks an installed teacher on examples that suit it (default: made-up ones with a reference).

    One that needs a host answers only where it gets one, with these fields; else only its declaration is
    checked.
    """
    faults, plugin = _class_faults("teachers", name)
    teacher = _instance(plugin, faults, host, fields)
    faults += _identity_faults(teacher, name)
    if getattr(teacher, "paid_in", None) not in ("seconds", "calls"):
        faults.append("`paid_in` must be seconds (it stands for people) or calls (a machine)")
    channels = getattr(teacher, "channels", None)
    if not isinstance(channels, tuple) or not set(channels) <= set(CHANNELS):
        faults.append(f"`channels` must be a tuple out of {', '.join(CHANNELS)}")
        channels = ()
    if host is None and isinstance(teacher, Hosted):
        _raise(f"teacher {name}", faults)
        return
    shown = examples or made_up_examples()
    if not faults and (reason := teacher.unfit([e.key for e in shown])) is not None:
        faults.append(f"it says that it cannot answer about the examples ({reason}): pass ones that it can")
    for channel in () if faults else channels:
        asks = [Ask(e.prompt, e.key, ("a short answer", "no")[: COMPLETIONS_SHOWN[channel]]) for e in shown]
        answers = teacher.answer(channel, asks, seed=1)
        if [(r.prompt_id, r.channel) for r in answers] != [(a.prompt.id, channel) for a in asks]:
            faults.append(f"{channel}: it must give one record per ask, in order, of that channel")
        if list(reversed(teacher.answer(channel, asks[::-1], seed=1))) != answers:
            faults.append(f"{channel}: answers must not depend on the order of the asks, nor on the call")
        faults += sorted({f"{channel}: {fault}" for r in answers if (fault := _record_fault(r))})
    _raise(f"teacher {name}", faults)


def check_judge(
    name: str,
    examples: Sequence[Example] | None = None,
    *,
    host: Host | None = None,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Checks an installed judge on examples that suit it (default: made-up ones with a reference).

    One that needs a host judges only where it gets one, with these fields; else only its declaration is
    checked.
    """
    faults, plugin = _class_faults("judges", name)
    judge = _instance(plugin, faults, host, fields)
    faults += _identity_faults(judge, name)
    if not isinstance(getattr(judge, "against_reference", None), bool):
        faults.append(
            "`against_reference` must be True or False: may it compare an answer with the reference?"
        )
    if host is None and isinstance(judge, Hosted):
        _raise(f"judge {name}", faults)
        return
    if not faults:
        shown = examples or made_up_examples()
        prompts, keys = [e.prompt for e in shown], [e.key for e in shown]
        unfit = judge.unfit(keys)
        if unfit is not None:
            faults.append(f"it says that it cannot judge the examples ({unfit}): pass ones that it can")
        else:
            faults += _verdict_faults(judge, prompts, keys)
        if not judge.caption().strip():
            faults.append("`caption()` is empty: say what it is, and how well it agrees with people")
    _raise(f"judge {name}", faults)


def _raise(what: str, faults: Sequence[str]) -> None:
    if faults:
        raise AssertionError("\n".join([f"{what} breaks its contract:", *(f"- {fault}" for fault in faults)]))


def _class_faults(group: Group, name: str) -> tuple[list[str], Any]:
    """What is wrong with a plugin class as a declaration, whatever its group; and the class."""
    plugin = registry.load(group, name)
    faults = _import_faults(group, name)
    if not (isinstance(plugin, type) and dataclasses.is_dataclass(plugin)):
        _raise(f"{group[:-1]} {name}", [f"PLUGIN must be a dataclass, not {plugin!r}"])
    if not plugin.__dataclass_params__.frozen:
        faults.append("the dataclass must be frozen=True")
    if not registry.summary(group, name):
        faults.append("the class has no docstring; its first line is what `bench list` shows")
    faults += [f"field {row.name!r} has no docstring below it" for row in describe(plugin) if not row.help]
    hints = typing.get_type_hints(plugin)
    for field in settable(plugin):
        default = field.default_factory() if callable(field.default_factory) else field.default
        if default is dataclasses.MISSING:
            faults.append(f"field {field.name!r} has no default")
            continue
        try:
            same = convert(show_value(default), hints[field.name]) == default
        except Unsuitable as error:
            faults.append(f"field {field.name!r} cannot be set from the command line: {error}")
            continue
        if not same or out_of_range(default, field.metadata):
            faults.append(
                f"field {field.name!r}: its default {default!r} is not a value of its own type and range"
            )
    return faults, plugin


def _import_faults(group: Group, name: str) -> list[str]:
    """Whether loading the plugin, in a process of its own, imports what listing must not wait for."""
    code = f"from alignment_bench import registry; registry.load({group!r}, {name!r}); import sys"
    code += f"; print(*[m for m in {_HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return [f"it cannot be imported in a fresh process: {done.stderr.strip().splitlines()[-1]}"]
    return [f"importing it imports {m}: import that inside a function" for m in done.stdout.split()]


def _signature_faults(plugin: type, method: str, wanted: tuple[str, ...]) -> list[str]:
    function = getattr(plugin, method, None)
    if function is None:
        return [f"it has no {method}({', '.join(wanted)})"]
    names = tuple(inspect.signature(function).parameters)[1:]
    return [] if names == wanted else [f"{method} takes ({', '.join(names)}), not ({', '.join(wanted)})"]


def _identity_faults(plugin: Any, name: str) -> list[str]:
    faults = []
    if getattr(plugin, "name", None) != name:
        faults.append(f"`name` must be {name!r}, as it is registered")
    if not getattr(plugin, "family", ""):
        faults.append("`family` is empty: teacher and judge of one family mark a cell as self-judged")
    return faults


def _instance(
    plugin: type,
    faults: list[str],
    host: Host | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Any:
    try:
        made = plugin(**(fields or {}))
        return made.hosted(host) if host is not None and isinstance(made, Hosted) else made
    except (TypeError, ValueError, BenchError) as error:
        faults.append(f"{plugin.__name__}() fails: {error}")
        return None


def _score_faults(evaluator: Any, metrics: Sequence[Metric]) -> list[str]:
    examples, evidence = made_up_examples(), made_up_evidence(evaluator.needs)
    found = evaluator(evidence)
    faults = []
    for metric in metrics:
        scores = found.get(metric.name)
        if not isinstance(scores, Scores):
            faults.append(f"it returns no Scores for its metric {metric.name!r}")
        elif bool(scores.values) == bool(scores.missing):
            faults.append(f"{metric.name!r} must have either values or the reason in `missing`")
        elif scores.values and len(scores.values) != len(examples):
            faults.append(f"{metric.name!r} has {len(scores.values)} values for {len(examples)} prompts")
    faults += [
        f"it returns {n!r}, which `metrics` does not declare" for n in set(found) - {m.name for m in metrics}
    ]
    return faults


def _data_faults(task: Task) -> list[str]:
    from alignment_bench.data import task_data

    (data,), (again,) = task_data(task, TaskOptions()), task_data(task, TaskOptions())
    everything = [*data.train, *data.test]
    ids = [e.prompt.id for e in everything]
    faults = []
    if not data.train or not data.test:
        faults.append("its built-in data has an empty split")
    if len(set(ids)) < len(ids):
        faults.append("prompt ids are not unique over both splits")
    if any(e.key.prompt_id != e.prompt.id for e in everything):
        faults.append("a Key's prompt_id is not its Prompt's id")
    shared = {e.prompt.group for e in data.train if e.prompt.group} & {e.prompt.group for e in data.test}
    if shared:
        faults.append(f"{len(shared)} groups are in both splits")
    if again.digest != data.digest or again.test != data.test:
        faults.append("its built-in data is different on a second call with the same world")
    return faults


def _record_fault(record: FeedbackRecord) -> str | None:
    """What an answered record of its channel lacks."""
    if not record.ok:
        return None if record.reason else "a record with ok=False needs a reason"
    held = {"score": record.value, "prefer": record.preference}.get(record.channel, record.text)
    where = {"score": "value", "prefer": "preference"}.get(record.channel, "text")
    return f"an answer has no `{where}`" if held is None else None


def _verdict_faults(judge: Any, prompts: Sequence[Prompt], keys: Sequence[Key]) -> list[str]:
    first, second = ["a bike was sold"] * len(prompts), ["nobody talks at work, and more"] * len(prompts)
    there = [v.value for v in judge.compare(prompts, keys, first, second)]
    back = [v.value for v in judge.compare(prompts, keys, second, first)]
    same = [v.value for v in judge.compare(prompts, keys, first, first)]
    scores = judge.score(prompts, keys, ["", *first[1:]])
    faults = []
    if len(there) != len(prompts) or not all(0 <= value <= 1 for value in there):
        faults.append("compare must give one verdict in [0, 1] per pair")
    if any(abs(a + b - 1) > 1e-9 for a, b in zip(there, back, strict=True)):
        faults.append("compare must be symmetric: swapping a pair turns value into 1 - value")
    if any(value != 0.5 for value in same):
        faults.append("a text against itself must be a tie, .5")
    if scores is not None and not (len(scores) == len(prompts) and all(0 <= s <= 1 for s in scores)):
        faults.append("score must be None or one number in [0, 1] per text")
    return faults
