"""What is kept of everything else: greedy quality on the other built-in tasks of the same world, and text.

Only by request (`evaluators=quality,retention`): it answers the other tasks' test prompts as well. Against
the base, paired, it says what training on one task did to the rest. Prompt i of the row stands for the i-th
test prompt of every other task. Drawing these answers is not booked as anybody's cost.

`text_nll` asks the same of language itself: how surprising the held-out prompts' own words are, read as plain
text. Nothing is trained on them: methods train on answers to other prompts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import ClassVar

from alignment_bench import plain_text, registry
from alignment_bench.completions import Decoding
from alignment_bench.data import builtin
from alignment_bench.evaluation import Evidence, Metric, Needs, Scores
from alignment_bench.task import Task, TaskData

_ID = re.compile(r"(?P<task>\w+)-(?P<world>\d+)-test-\d+")


@dataclass(frozen=True)
class Retention:
    """Mean quality, by the judge's own scale, on the other tasks with built-in prompts; n/a elsewhere.

    `text_nll`: nats per token of the test prompts' text after its first token, without any layout or
    condition; it needs weights, and no world.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("retention", "0-1", "higher"),
        Metric("text_nll", "nat/token", "lower"),
    )
    needs: ClassVar[Needs] = Needs(executes=True)  # the answers to the code task

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """One value a prompt: the mean over the other tasks, and over the tokens of its own text."""
        return {"retention": _kept(evidence), "text_nll": _text(evidence)}


def _kept(evidence: Evidence) -> Scores:
    reason, others = _others(evidence)
    if reason:
        return Scores(missing=reason)
    columns = [_quality(evidence, task, data) for task, data in others]
    names = ", ".join(task.name for task, _ in others)
    means = tuple(fmean(values) for values in zip(*columns, strict=True))
    return Scores(means, note=f"greedy quality on {names}")


def _text(evidence: Evidence) -> Scores:
    model = plain_text.reader_of(evidence.policy)
    if model is None:
        return Scores(missing="the policy has no weights of its own to read text with")
    return Scores(tuple(model.nll([prompt.text for prompt in evidence.prompts])))


def _others(evidence: Evidence) -> tuple[str, list[tuple[Task, TaskData]]]:
    """Every other built-in task with its data in this world; or why there is nothing to compare with."""
    where = [_ID.fullmatch(prompt.id) for prompt in evidence.prompts]
    if any(match is None for match in where) or where[0] is None:
        return "these are not the test prompts of a built-in world", []
    # Shipped ones alone: this file's digest stands for them in the score's key, nobody else's is in it.
    tasks: dict[str, Task] = {name: registry.load("tasks", name) for name in registry.shipped("tasks")}
    task = tasks.get(where[0]["task"])
    if task is None:
        return f"no shipped task is called {where[0]['task']}", []
    formatter = getattr(evidence.base, "formatter", None)
    if formatter is None or dict(formatter.layouts) == dict(task.layouts):
        return "this model is asked in the words of this task, it has no language of its own", []
    world = int(where[0]["world"])
    others = [(o, builtin(o, world)) for o in tasks.values() if o.builtin and o.name != task.name]
    if any(len(data.test) < len(evidence.prompts) for _, data in others):
        return "another task has fewer test prompts", []
    if unfit := [r for _, d in others if (r := evidence.judge.unfit([e.key for e in d.test]))]:
        return f"judge {evidence.judge.name}: {unfit[0]}", []
    if evidence.judge.score([], [], []) is None:
        return f"judge {evidence.judge.name} compares, it has no scale of quality", []
    return "", others


def _quality(evidence: Evidence, task: Task, data: TaskData) -> list[float]:
    examples = data.test[: len(evidence.prompts)]
    prompts, keys = [e.prompt for e in examples], [e.key for e in examples]
    greedy: Decoding = replace(task.decoding, temperature=0.0, top_p=1.0, top_k=0)
    texts = [drawn.text for (drawn,) in evidence.policy.generate(prompts, n=1, decoding=greedy, seed=0)]
    values = evidence.judge.score(prompts, keys, texts)
    if values is None:
        raise ValueError(f"judge {evidence.judge.name} has a scale of quality but gave no scores")
    return values


PLUGIN = Retention
