"""From a request to its plan: data, models, who plays teacher and judge, and what is compared.

Everything that can be wrong with a request is found here, before any work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from alignment_bench import data, registry
from alignment_bench.budgets import amount_of
from alignment_bench.casting import cast, mute
from alignment_bench.completions import Decoding
from alignment_bench.config import RunRequest
from alignment_bench.config_values import Budget
from alignment_bench.errors import BadInput, Problem
from alignment_bench.labels import ResolvedLabel, evaluator_part, refuse_twins
from alignment_bench.layouts import Layout
from alignment_bench.models import catalog
from alignment_bench.models.catalog import ModelSource
from alignment_bench.models.storage import formatter_of
from alignment_bench.plan import Plan, Setting, default_part, parts_of
from alignment_bench.runtime import resolve
from alignment_bench.task import Task, TaskData
from alignment_bench.tiers import Tier, tier_of
from alignment_bench.tuning import tuned


def make_plan(request: RunRequest, say: Callable[[str], None]) -> Plan:
    """Everything the request asks for, checked. Raises BadInput with all problems found at once."""
    problems: list[Problem] = []
    settings: list[Setting] = []
    for name in request.tasks:
        task: Task = registry.load("tasks", name)
        try:
            folds = data.task_data(task, request.task_options)
        except BadInput as error:
            problems += error.problems
            continue
        seen: dict[str, str] = {}
        for model in request.model:
            try:
                source = catalog.prepare(model, trust=request.trust, say=say)
                if (twin := seen.setdefault(source.digest, model)) != model:
                    what = f"{model} and {twin} are the same model"
                    raise BadInput([Problem("model", what, "keep one of the two")])
                compared = _compared(request, task, source)
                for fold, one in enumerate(folds):
                    for budget in request.budgets:
                        setting = _setting(request, task, one, fold, len(folds), source, budget, *compared)
                        settings.append(setting)
            except BadInput as error:
                problems += error.problems
    if problems:
        raise BadInput(list(dict.fromkeys(problems)))
    return Plan(request, tuple(settings))


def _compared(
    request: RunRequest, task: Task, source: ModelSource
) -> tuple[tuple[ResolvedLabel, ...], ResolvedLabel | None]:
    """The labels and what they start from, with what is tuned for the task and model filled in."""
    problems: list[Problem] = []
    file = tuned.file_for(request.tuned, task.name, source)
    labels = tuple(tuned.filled(label, file, problems) for label in request.labels)
    start = None
    if request.init == "sft":
        start = tuned.filled(ResolvedLabel("sft", (default_part("sft"),)), file, problems)
    if file is not None and not problems:
        refuse_twins(labels, problems)
    if problems:
        raise BadInput(problems)
    return labels, start


def _setting(
    request: RunRequest,
    task: Task,
    examples: TaskData,
    fold: int,
    folds: int,
    source: ModelSource,
    budget: Budget,
    labels: tuple[ResolvedLabel, ...],
    start: ResolvedLabel | None,
) -> Setting:
    plain_english = source.kind != "shipped"
    base_decoding = task.real_decoding if plain_english and task.real_decoding else task.decoding
    decoding = Decoding(**{**asdict(base_decoding), **request.decoding})
    rollouts = task.rollout_decoding or Decoding(max_tokens=decoding.max_tokens, stop=decoding.stop)
    teacher = cast("teacher", task, examples, request.teacher)
    judge = cast("judge", task, examples, request.judge)
    evaluators = {label: evaluator_part(label).plugin for label in (request.evaluators or task.evaluators)}
    started = start is not None and any(parts_of(label, start) != label.parts for label in labels)
    first = [replace(start, text="init=sft")] if start is not None and started else []
    problems = mute(teacher.plugin, [*first, *labels], _tier(request, source), examples.train)
    try:
        amount = amount_of(budget.name, budget.amount, budget.currency, teacher.plugin.paid_in)
    except BadInput as error:
        problems += error.problems
    if problems:
        raise BadInput(problems)
    here = resolve(
        request.device,
        request.dtype,
        request.threads,
        source.parameters,
        request.engine,
        request.trust,
        request.training_processes,
        request.sharding,
        elsewhere=request.launcher != "local",
    )
    return Setting(
        request=request,
        task=task,
        data=examples,
        fold=fold,
        folds=folds if request.task_options.folds else 0,
        source=source,
        runtime=here,
        tier=_tier(request, source, here.device),
        formatter=formatter_of(source, layouts_of(task, examples), task.prompt_tokens),
        decoding=decoding,
        rollout_decoding=rollouts,
        budget=budget,
        amount=amount,
        teacher_part=teacher,
        judge_part=judge,
        evaluators=evaluators,
        labels=labels,
        start=start,
    )


def layouts_of(task: Task, data: TaskData) -> Mapping[str, Layout]:
    """How prompts are put in plain English: the task's layouts, the data's source's own before them."""
    return {**task.layouts, **(data.layouts or {})}


def _tier(request: RunRequest, source: ModelSource, device: str = "cpu") -> Tier:
    tier = tier_of(source.parameters, device)
    return tier if request.lora is None else replace(tier, lora_rank=request.lora)
