"""A cell as it is stored: its configuration, scores, samples, captions and footnotes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime

from alignment_bench import provenance, sandbox
from alignment_bench.evaluate import Panel, Samples
from alignment_bench.evaluation import VIEW, Scores
from alignment_bench.models.conditioned import ConditionedPolicy
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.plan import Cell, Setting
from alignment_bench.policy import Policy
from alignment_bench.results import CellRecord, MetricScores, StoredSample
from alignment_bench.tuning import tuned


def clusters_of(setting: Setting) -> tuple[str, ...]:
    """One cluster a test prompt: its group, itself where it has none, or the fold when cross-fitting."""
    if setting.data.clusters == "folds":
        return tuple(f"fold {setting.fold}" for _ in setting.data.test)
    return tuple(example.prompt.group or example.prompt.id for example in setting.data.test)


def blank_record(cell: Cell, started: datetime) -> CellRecord:
    """Everything known of a cell before it is done."""
    setting = cell.setting
    return CellRecord(
        digest=cell.digest,
        label=cell.label.text,
        method=cell.label.configuration,
        task=setting.task.name,
        task_version=setting.task.version,
        model=setting.source.name,
        model_digest=setting.source.digest,
        data=setting.data.source,
        data_digest=setting.data.digest,
        world=None if setting.request.task_options.data else str(setting.request.task_options.world),
        budget=setting.budget.name,
        budget_amount=setting.amount,
        currency=setting.teacher.paid_in,
        teacher=setting.teacher_part.label,
        judge=setting.judge_part.label,
        init=setting.init,
        format_digest=setting.formatter.digest,
        decoding=_listed(asdict(setting.decoding)),
        evaluators=tuple(setting.evaluators),
        seed=cell.seed,
        fold=setting.fold,
        folds=setting.folds,
        flags=("self-judged",) if setting.self_judged else (),
        tuning=cell.tuning,
        captions=(*captions(setting), *tuned_from(cell)),
        versions=provenance.versions(),
        code={
            **provenance.code(),
            "plugins": cell.plugins,
            "terms": setting.terms,
            "resolved": setting.resolved,
        },
        started=started.isoformat(timespec="seconds"),
    )


def tuned_from(cell: Cell) -> list[str]:
    """The caption's line on where tuned values come from."""
    if not (found := cell.tuning):
        return []
    return [f"tuned values: {tuned.source(found)}; tuning: what finding them cost, in all"]


def captions(setting: Setting) -> tuple[str, ...]:
    """Lines for the caption of every table with this setting."""
    lines = [*setting.data.notes, setting.judge.caption()]
    if setting.self_judged:
        lines.append(f"self-judged: teacher and judge are one family ({setting.judge.family})")
    return tuple(line for line in lines if line)


def metric_scores(panel: Panel, scores: dict[str, dict[str, Scores]]) -> Iterator[MetricScores]:
    """Every declared metric as it is stored, then what the judge's members would have made of it."""
    for name, evaluator in panel.evaluators.items():
        for metric in evaluator.metrics:
            views = [one for one in scores[name] if one.startswith(metric.name + VIEW)]
            for stored in (metric.name, *views):
                found = scores[name][stored]
                yield MetricScores(
                    stored, metric.unit, metric.better, found.values, found.missing, found.note
                )


def engine_notes(policy: Policy, panel: Panel) -> list[str]:
    """What the engine had to do otherwise than planned: truncated prompts, smaller batches."""
    notes = list(getattr(policy, "notes", []))
    if isinstance(policy, ModelPolicy | ConditionedPolicy):
        cut = policy.truncated([example.prompt for example in panel.examples])
        if cut:
            notes.append(
                f"{cut} of {len(panel.examples)} test prompts were cut to fit the model's prompt limit"
            )
    return notes


def sandbox_notes(setting: Setting, scores: Mapping[str, Mapping[str, Scores]]) -> list[str]:
    """How model-written programs were confined, where any ran: a footnote, which stays with the cell."""
    ran = setting.task.executes or any(
        evaluator.needs.executes and not all(one.missing for one in scores[name].values())
        for name, evaluator in setting.evaluators.items()
    )
    return [f"model-written programs ran here; {sandbox.protection().describe()}"] if ran else []


def stored_samples(panel: Panel, samples: Samples) -> list[StoredSample]:
    """Every completion drawn for the evaluation."""
    return [
        StoredSample(example.prompt.id, spec, i, c.text, c.tokens, c.end)
        for spec, lists in samples.items()
        for example, row in zip(panel.examples, lists, strict=True)
        for i, c in enumerate(row)
    ]


def _listed(decoding: dict[str, object]) -> dict[str, object]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in decoding.items()}
