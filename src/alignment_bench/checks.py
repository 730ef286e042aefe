"""Checks of a whole request: values that are well formed one by one and still cannot work together."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from alignment_bench import data, registry, runtime
from alignment_bench.budgets import amount_of
from alignment_bench.errors import BadInput, Problem
from alignment_bench.models import catalog

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest
    from alignment_bench.labels import ResolvedPart


def unworkable(request: RunRequest) -> list[Problem]:
    """What cannot work although every value on its own is well formed."""
    problems = runtime.check(request.device, request.dtype, request.threads, request.engine)
    for task in request.tasks:
        if task in registry.names("tasks"):
            problems += data.check(request.task_options, registry.load("tasks", task))
    problems += unwritable("results", request.results)
    if request.out is not None:
        problems += unwritable("out", request.out.parent)
    if request.init not in ("base", "sft") and not (Path(request.init) / "policy.json").is_file():
        what = f"{request.init!r} is neither base nor sft nor the folder of a stored policy"
        problems.append(Problem("init", what, "write init=base, init=sft, or a folder with a policy.json"))
    for name in request.model:
        if name.partition(":")[0] == "tiny" and request.task_options.data is not None:
            what = f"model {name!r} reads only its own small language, not {request.task_options.data!r}"
            problems.append(Problem("task.data", what, "leave task.data out, or choose model=smollm2"))
        try:
            catalog.resolve(name, trust=request.trust)
        except BadInput as error:
            problems.extend(error.problems)
    if request.teacher is not None:
        problems += _mute(request, request.teacher)
    return problems


def _mute(request: RunRequest, teacher: ResolvedPart) -> list[Problem]:
    """What the chosen teacher cannot do: channels that a method wants, a budget in its currency."""
    problems = []
    channels = set(teacher.plugin.channels)
    for label in request.labels:
        wanted = {channel for part in label.parts for channel in part.plugin.wants}
        if lacking := sorted(wanted - channels):
            what = f"{teacher.name} cannot be asked to {', '.join(lacking)}, which {label.text} needs"
            fix = f"leave {label.text} out, or choose another teacher: bench list teachers"
            problems.append(Problem("teacher", what, fix))
    for budget in request.budgets:
        try:
            amount_of(budget.name, budget.amount, budget.currency, teacher.plugin.paid_in)
        except BadInput as error:
            problems.extend(error.problems)
    return problems


def unwritable(key: str, folder: Path) -> list[Problem]:
    """Whether a folder, or the nearest existing one above it, takes a new file; tried, not guessed."""
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    fix = f"choose another folder with {key}="
    if not nearest.is_dir():
        return [Problem(key, f"{str(nearest)!r} is a file, not a folder", fix)]
    try:
        handle, name = tempfile.mkstemp(dir=nearest, prefix=".writable-")
    except OSError as error:
        return [Problem(key, f"{str(nearest)!r} cannot be written to: {error.strerror}", fix)]
    os.close(handle)
    os.unlink(name)
    return []
