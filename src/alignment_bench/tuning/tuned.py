"""Tuned values in a run: which file holds for a task and model, and which fields of a label it fills.

Only fields that nobody typed are filled, before cells are named: a tuned configuration and the same one
typed by hand are one cell. Values of a plain method go to all its variants, so that a method and its
controls share hyperparameters; values searched with fields held fixed go only where those fields are so.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alignment_bench.errors import BadInput, Problem
from alignment_bench.labels import ResolvedLabel, ResolvedPart
from alignment_bench.models.catalog import ModelSource
from alignment_bench.tuning.files import Entry, TunedFile, own_fields, read, show

SHIPPED = "shipped"
OFF = "none"
SPENT = ("annotator_seconds", "calls", "tokens_generated", "tokens_trained", "flops", "seconds")
"""what is added up over trials"""


def shipped_folder() -> Path:
    """Where the values lie that come with this package."""
    return Path(str(importlib.resources.files("alignment_bench.methods"))) / "tuned"


def file_name(task: str, model: str) -> str:
    """The name of the file for a task and a model: tiny:0 makes tldr-tiny-0.toml."""
    return f"{task}-{re.sub(r'[^A-Za-z0-9._]+', '-', model).strip('-')}.toml"


def name_of(source: ModelSource) -> str:
    """What a model is called in file names: its name, or, of one in a folder, that folder's and a digest."""
    if source.kind in ("folder", "gguf"):
        return f"{Path(source.name).name}-{source.digest[:8]}"
    return source.name


def file_for(tuned: str, task: str, source: ModelSource) -> TunedFile | None:
    """The file that `tuned=` means for a task and model, or None. Raises BadInput where it cannot be used.

    In a folder (the shipped one, or one that is named) the file of the very model is taken, else that of
    its family: tldr-tiny-1.toml, then tldr-tiny.toml. A file that is named is taken for its own task.
    """
    if tuned == OFF:
        return None
    folder = shipped_folder() if tuned == SHIPPED else Path(tuned)
    if tuned != SHIPPED and not os.path.isdir(folder):
        found = read(folder)
        return found if found.head.task == task else None
    family = source.name.partition(":")[0] if source.kind == "shipped" else ""
    for model in filter(None, (name_of(source), family)):
        if (path := folder / file_name(task, model)).is_file():
            return read(path)
    return None


def unusable(tuned: str, tasks: Sequence[str]) -> list[Problem]:
    """What is wrong with a file or folder that `tuned=` names, for these tasks."""
    if tuned in (SHIPPED, OFF):
        return []
    path = Path(tuned)
    # os.path, because it says no, and raises nothing, of what can be no path at all
    files = sorted(path.glob("*.toml")) if os.path.isdir(path) else [path]
    problems: list[Problem] = []
    about = set()
    for file in files:
        try:
            about.add(read(file).head.task)
        except BadInput as error:
            problems += error.problems
    if not problems and tasks and not about & set(tasks):
        what = f"{tuned} holds values for {', '.join(sorted(about)) or 'no task'}, not for {', '.join(tasks)}"
        problems.append(Problem("tuned", what, "name another file, or write tuned=none"))
    return problems


def filled(label: ResolvedLabel, file: TunedFile | None, problems: list[Problem]) -> ResolvedLabel:
    """The label with the file's values in the fields that nobody typed.

    Values searched for the same composition come first, then those of each part by itself. A problem is
    appended where a method refuses the values beside what was typed, or where two searches hold equally
    much of the label fixed.
    """
    if file is None:
        return label
    names = tuple(part.name for part in label.parts)
    try:
        whole = _best(file, names, label.parts)
        each = [whole or _best(file, (part.name,), [part]) for part in label.parts]
    except BadInput as error:
        problems += error.problems
        return label
    parts, used = [], []
    for part, entry in zip(label.parts, each, strict=True):
        if entry is None or len(entry.trials) < 2:
            parts.append(part)
            continue
        try:
            new = _part(part, entry, file, problems)
        except (BadInput, ValueError) as error:
            why = "; ".join(one.message for one in error.problems) if isinstance(error, BadInput) else error
            what = f"{file.path}: its values for {part.name} do not go with {label.text!r}: {why}"
            problems.append(Problem("tuned", what, "set those fields yourself, or write tuned=none"))
            return label
        parts.append(new)
        counts = new.tuned or not any(key.startswith(f"{part.name}.") for key in entry.values)
        if counts and entry not in used:
            used.append(entry)
    if not used:
        return label
    return dataclasses.replace(label, parts=tuple(parts), tuning=_cost(file, used))


def together(tunings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One account of several: of a label, and of what it starts from."""
    found = [one for one in tunings if one]
    if not found:
        return {}
    sums = {key: sum(one[key] for one in found) for key in ("trials", *SPENT)}
    return {**found[0], **sums}


def source(tuning: Mapping[str, Any]) -> str:
    """Where tuned values come from, in words."""
    return f"{tuning['file']} ({tuning['digest'][:8]}), searched on {tuning['terms']}"


def lines(labels: Sequence[ResolvedLabel], where: str) -> list[str]:
    """One line a label that tuned values fill, for the plan."""
    said = []
    for label in labels:
        if label.tuning:
            values = [
                f"{p.name}.{name}={show(value)}" for p in label.parts for name, value in p.tuned.items()
            ]
            chosen = " ".join(values) or "its defaults"
            said.append(f"{where}: {label.text} tuned: {chosen} from {source(label.tuning)}")
    return said


def _best(file: TunedFile, names: tuple[str, ...], parts: Sequence[ResolvedPart]) -> Entry | None:
    """The entry for those parts that fixes most of what they have, none of it otherwise.

    Raises BadInput where two of them fix equally much: nothing tells which is meant.
    """
    own = {f"{part.name}.{key}": show(value) for part in parts for key, value in part.fields.items()}
    fitting = [
        entry
        for entry in file.entries
        if entry.parts == names and all(own.get(key) == show(value) for key, value in entry.fixed.items())
    ]
    most = max((len(entry.fixed) for entry in fitting), default=0)
    closest = [entry for entry in fitting if len(entry.fixed) == most]
    if len(closest) > 1:
        label = "+".join(names)
        both = " and ".join(entry.label for entry in closest)
        what = f"{file.path}: {both} both hold values for a {label} that is set like both"
        fix = f"tune that {label} itself, set its fields, or write tuned=none"
        raise BadInput([Problem("tuned", what, fix)])
    return closest[0] if closest else None


def _part(part: ResolvedPart, entry: Entry, file: TunedFile, problems: list[Problem]) -> ResolvedPart:
    values = own_fields(part.name, entry.values, problems, file.path)
    free = {name: value for name, value in values.items() if name not in part.given}
    if not free:
        return part
    new = ResolvedPart(part.name, dataclasses.replace(part.plugin, **free), part.given)
    return dataclasses.replace(new, tuned={name: new.fields[name] for name in free})


def _cost(file: TunedFile, entries: Sequence[Entry]) -> dict[str, Any]:
    sums = {key: sum(float(entry.spend.get(key, 0.0)) for entry in entries) for key in SPENT}
    head = file.head
    return {
        "file": file.path.name,
        "digest": file.digest,
        "terms": f"{head.model} ({head.model_digest[:8]}), world {head.world}, budget {head.budget}",
        "trials": sum(len(entry.trials) for entry in entries),
        **sums,
    }
