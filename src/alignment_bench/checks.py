"""Checks of a whole request: values that are well formed one by one and still cannot work together."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alignment_bench import data, data_sources, licences, registry, runtime, starts, tracking
from alignment_bench.budgets import Currency, amount_of
from alignment_bench.casting import mute
from alignment_bench.errors import BadInput, Problem
from alignment_bench.launchers import options as launchers
from alignment_bench.models import catalog
from alignment_bench.tuning import tuned

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest
    from alignment_bench.config_values import Budget
    from alignment_bench.task import Task


def unworkable(request: RunRequest) -> list[Problem]:
    """What cannot work although every value on its own is well formed."""
    problems = runtime.check(request.device, request.dtype, request.threads, request.engine)
    problems += runtime.check_processes(request.training_processes, request.sharding, request.device)
    if request.engine == "vllm" and (request.lora or 0) > runtime.VLLM_MAX_RANK:
        what = f"vllm serves adapters of rank {runtime.VLLM_MAX_RANK} at most, not {request.lora}"
        problems.append(Problem("lora", what, "use a smaller one, or engine=transformers"))
    known = [registry.load("tasks", task) for task in request.tasks if task in registry.names("tasks")]
    for task in known:
        wrong = data.check(request.task_options, task)
        problems += wrong
        if not wrong and (source := data_sources.named(request.task_options)) is not None:
            problems += licences.unaccepted(source, request.accept)
    if any(runs_programs(task, request.evaluators) for task in known):
        from alignment_bench import sandbox

        problems += sandbox.unprotected(request.sandbox)
    problems += tuned.unusable(request.tuned, request.tasks)
    problems += unwritable("results", request.results)
    problems += tracking.missing(request.tracker)
    problems += launchers.unusable(request)
    if request.out is not None:
        problems += no_file("out", request.out)
    if request.init not in ("base", "sft"):
        try:
            starts.find(request.init)
        except BadInput as error:
            problems.extend(error.problems)
    for name in request.model:
        if name.partition(":")[0] == "tiny" and request.task_options.data is not None:
            what = f"model {name!r} reads only its own small language, not {request.task_options.data!r}"
            built_in = all(task.builtin is not None for task in known)
            fix = "leave task.data out, or choose model=smollm2" if built_in else "choose model=smollm2"
            problems.append(Problem("task.data", what, fix))
        try:
            catalog.resolve(name, trust=request.trust)
        except BadInput as error:
            problems.extend(error.problems)
    if request.teacher is not None:
        problems += mute(request.teacher.plugin, request.labels)
        problems += _in_another_currency(request.budgets, request.teacher.plugin.paid_in)
    return problems


def runs_programs(task: Task, evaluators: Sequence[str] | None) -> bool:
    """Whether a run of the task with these evaluators (None: its own) may run model-written programs."""
    chosen = task.evaluators if evaluators is None else evaluators
    plain = [label.partition(":")[0] for label in chosen]
    known = [registry.load("evaluators", name) for name in plain if name in registry.names("evaluators")]
    return task.executes or any(evaluator.needs.executes for evaluator in known)


def _in_another_currency(budgets: Sequence[Budget], currency: Currency) -> list[Problem]:
    """Explicit budgets that the teacher is not paid in."""
    problems: list[Problem] = []
    for budget in budgets:
        try:
            amount_of(budget.name, budget.amount, budget.currency, currency)
        except BadInput as error:
            problems.extend(error.problems)
    return problems


def no_results(folder: Path) -> list[Problem]:
    """Why nothing can be read from a results folder, where there is none."""
    if os.path.isdir(folder):  # False, and no error, for what can be no path at all
        return []
    fix = "name the results= folder of an earlier bench run"
    return [Problem("results", f"there is no folder {str(folder)!r}", fix)]


def no_file(key: str, file: Path) -> list[Problem]:
    """Why a file cannot be written there, if it cannot."""
    try:
        folder = file.is_dir()
    except OSError as error:
        return [Problem(key, f"is no usable path: {error.strerror}", f"choose another file with {key}=")]
    if file.exists() and not os.access(file, os.W_OK):
        what = f"{str(file)!r} may not be written to"
        return [Problem(key, what, f"choose another file with {key}=")]
    if folder:
        return [Problem(key, f"{str(file)!r} is a folder", f"name a file in it: {key}={file / 'table.txt'}")]
    return unwritable(key, file.parent)


def unwritable(key: str, folder: Path) -> list[Problem]:
    """Whether a folder, or the nearest existing one above it, takes a new file; tried, not guessed."""
    nearest = folder.absolute()
    fix = f"choose another folder with {key}="
    try:
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
    except OSError as error:
        return [Problem(key, f"is no usable path: {error.strerror}", fix)]
    if not nearest.is_dir():
        return [Problem(key, f"{str(nearest)!r} is a file, not a folder", fix)]
    try:
        handle, name = tempfile.mkstemp(dir=nearest, prefix=".writable-")
    except OSError as error:
        return [Problem(key, f"{str(nearest)!r} cannot be written to: {error.strerror}", fix)]
    os.close(handle)
    os.unlink(name)
    return []
