"""Who plays teacher and judge: the ones asked for, or the first of the task's that fit the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from alignment_bench import registry
from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import Channel, Teacher
from alignment_bench.labels import ResolvedLabel, ResolvedPart
from alignment_bench.method import Method
from alignment_bench.prompts import Example, Key
from alignment_bench.task import Task, TaskData
from alignment_bench.tiers import Tier

Role = Literal["teacher", "judge"]


def cast(role: Role, task: Task, examples: TaskData, asked: ResolvedPart | None) -> ResolvedPart:
    """The part that plays the role. Raises BadInput where it, or every candidate, is unfit for the data."""
    keys = keys_for(role, examples)
    if asked is not None:
        if reason := asked.plugin.unfit(keys):
            what = f"{asked.name} knows nothing of this data: {reason}"
            raise BadInput([Problem(role, what, f"choose another, or leave {role}= out")])
        return asked
    reasons = []
    for name in task.teachers if role == "teacher" else task.judges:
        part = ResolvedPart(name, registry.load(_GROUPS[role], name)())
        reason = part.plugin.unfit(keys)
        if reason is None:
            return part
        reasons.append(f"{name}: {reason}")
    raise BadInput([Problem(role, f"none fits this data ({'; '.join(reasons)})", f"name one with {role}=")])


def keys_for(role: Role, examples: TaskData) -> list[Key]:
    """The Keys the role works with: teachers see training examples, judges test examples."""
    return [example.key for example in (examples.train if role == "teacher" else examples.test)]


def mute(
    teacher: Teacher,
    labels: Sequence[ResolvedLabel],
    tier: Tier | None = None,
    examples: Sequence[Example] | None = None,
) -> list[Problem]:
    """A problem for every label that needs answers which the teacher does not give.

    What it is not asked afresh it may replay, to methods that take records there (`from_record`), as far as
    the training `examples` have any. Without a `tier`, when models are not known yet, what methods need with
    some sizes only is passed over; without examples, what the data lacks.
    """
    held = None if examples is None else {record.channel for record in teacher.recorded(examples)}
    problems = []
    for label in labels:
        fresh: set[Channel] = set()
        absent: set[Channel] = set()
        for part in label.parts:
            lacking = set(wanted_by(part.plugin, tier)) - set(teacher.channels)
            replayed = lacking & set(from_record(part.plugin))
            if teacher.channels and held is not None:
                replayed &= held
            fresh |= lacking - replayed
            absent |= replayed - held if held is not None else set()
        fix = f"leave {label.text} out, or choose another teacher: bench list teachers"
        if fresh:
            what = f"{teacher.name} cannot be asked to {', '.join(sorted(fresh))}, which {label.text} needs"
            problems.append(Problem("teacher", what, fix))
        elif absent:
            what = f"{teacher.name} has no {', '.join(sorted(absent))} on this data, which {label.text} needs"
            problems.append(Problem("teacher", what, fix))
    return problems


def from_record(method: Method) -> tuple[Channel, ...]:
    """The channels on which a method takes records where the teacher gives no fresh answers."""
    found: tuple[Channel, ...] = getattr(method, "from_record", ())
    return found


def wanted_by(method: Method, tier: Tier | None) -> tuple[Channel, ...]:
    """The channels a method needs with a model of this size: its `wants_at(tier)`, or its `wants`."""
    wants_at = getattr(method, "wants_at", None)
    found: tuple[Channel, ...] = method.wants if wants_at is None or tier is None else wants_at(tier)
    return found


_GROUPS: dict[Role, registry.Group] = {"teacher": "teachers", "judge": "judges"}
