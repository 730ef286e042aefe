"""Scores once more, from the stored samples: each evaluator that needs nothing but texts and keys.

What a model's probabilities, a judge that must be asked or a sandbox is needed for is named with its reason,
and so is what was scored by a source that has changed since. Nothing is fetched and no program is run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isclose, isnan
from pathlib import Path
from typing import Any, ClassVar

from alignment_bench import registry, results
from alignment_bench.cells import CellRecord, MetricScores
from alignment_bench.comparison import BASE, Setting
from alignment_bench.completions import Completion, Decoding
from alignment_bench.data import task_data
from alignment_bench.errors import BadInput, NotApplicable, Problem
from alignment_bench.evaluation import Evaluator, Evidence, Scores
from alignment_bench.feedback import Judge, Verdict
from alignment_bench.hosting import Hosted
from alignment_bench.labels import evaluator_part, parse_part, resolve_part
from alignment_bench.prompts import Example, Key, Prompt
from alignment_bench.scoring.evidence import Given, Told, scores_of
from alignment_bench.task import TaskOptions

TOLERANCE = 1e-9
"""relative: what another machine's libraries may round differently"""


@dataclass
class Again:
    """What became of recomputing: metrics of cells that agree, those that do not, and why others were not."""

    agreed: int = 0
    faults: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """`metric: reason`, and in how many cells"""


@dataclass(frozen=True)
class Unasked:
    """In the place of a judge that cannot be asked again offline."""

    reason: str
    name: ClassVar[str] = "unasked"
    family: ClassVar[str] = "none"
    against_reference: ClassVar[bool] = True

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Nothing: what asks it learns why it does not answer."""
        return None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """Never: raises NotApplicable."""
        raise NotApplicable(self.reason)

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """Never: raises NotApplicable."""
        raise NotApplicable(self.reason)

    def caption(self) -> str:
        """One line for a caption."""
        return self.reason


def recompute(root: Path, records: Sequence[CellRecord]) -> Again:
    """Scores every stored ok cell again as far as texts allow, and compares."""
    again = Again()
    asked = requests(root)
    known: dict[str, tuple[Example, ...] | str] = {}
    bases = {_place(record): record for record in records if record.label == BASE and record.status == "ok"}
    for record in records:
        if record.status == "ok":
            examples = _examples(record, asked.get(record.digest), known)
            _cell(root, record, examples, bases.get(_place(record)), again)
    return again


def _cell(
    root: Path, record: CellRecord, examples: tuple[Example, ...] | str, base: CellRecord | None, again: Again
) -> None:
    if isinstance(examples, str):
        for metric in record.scores:
            again.left_out[f"{metric.name}: {examples}"] += 1
        return
    folder = results.cell_folder(root, record.digest)
    told: Any = Told()
    base_samples = {} if base is None else _samples(root, base, examples)
    evidence = Evidence(
        prompts=[example.prompt for example in examples],
        keys=[example.key for example in examples],
        samples=Given(_samples(root, record, examples), {}),
        base_samples=Given(
            base_samples, {spec: "base's samples are not stored" for spec in record.code["samples"]}
        ),
        policy=told,
        base=told,
        judge=_judge(record),
        decoding=Decoding(**{**record.decoding, "stop": tuple(record.decoding.get("stop", ()))}),
        seed=record.seed,
    )
    stored = {metric.name: metric for metric in record.scores}
    untold = dict.fromkeys(stored)
    for label in record.evaluators:
        part = evaluator_part(label)
        names = [metric.name for metric in part.plugin.metrics]
        reason = _hindrance(record, part.name, part.plugin)
        scores: Mapping[str, Scores] = {}
        if not reason:
            try:
                scores = scores_of(part.name, part.plugin, evidence)
            except Exception as error:  # an evaluator that asks for what a file cannot give: told, not hidden
                reason = f"could not be scored again: {type(error).__name__}: {error}"
        for name in dict.fromkeys((*names, *scores)):  # a panel's members give more than is declared
            untold.pop(name, None)
            if reason:
                again.left_out[f"{name}: {reason}"] += 1
            elif name in scores and name in stored:
                _compare(folder, stored[name], scores[name], record, again)
    for name in untold:
        again.left_out[f"{name}: no evaluator gave it when scored again"] += 1


def _compare(folder: Path, stored: MetricScores, found: Scores, record: CellRecord, again: Again) -> None:
    if found.missing or stored.missing:
        if bool(found.missing) == bool(stored.missing):
            again.agreed += 1
        else:
            why = (
                f"not from texts alone: {found.missing}" if found.missing else f"n/a there: {stored.missing}"
            )
            again.left_out[f"{stored.name}: {why}"] += 1
        return
    pairs = zip(record.prompt_ids, stored.values, found.values, strict=True)
    wrong = [(one, was, now) for one, was, now in pairs if not _same(was, now)]
    if not wrong:
        again.agreed += 1
        return
    prompt, was, now = wrong[0]
    again.faults.append(
        f"{folder / 'scores.json'} does not follow from the samples beside it: {record.label} "
        f"seed {record.seed}, {stored.name} of {prompt} is {was:.6g}, and {now:.6g} when scored again "
        f"({len(wrong)} prompts differ)"
    )


def _same(one: float, other: float) -> bool:
    return (isnan(one) and isnan(other)) or isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _hindrance(record: CellRecord, name: str, evaluator: Evaluator) -> str:
    """Why an evaluator is not asked again; empty where it is."""
    if evaluator.needs.logits:
        return "needs a model's probabilities"
    if evaluator.needs.executes:
        return "runs model-written programs"
    if registry.digest("evaluators", name) != record.code.get("plugins", {}).get(f"evaluators/{name}"):
        return "its source has changed since"
    return ""


def _judge(record: CellRecord) -> Judge:
    """The cell's judge where it is a program that gives the same answers here."""
    problems: list[Problem] = []
    try:
        part = resolve_part("judges", parse_part(record.judge, "judge"), {}, "judge", problems)
    except BadInput:
        part = None
    if part is None:
        return Unasked(f"judge {record.judge} is not installed here")
    judge: Judge = part.plugin
    if isinstance(judge, Hosted):
        return Unasked(f"judge {record.judge} must be asked")
    if part.name == "tests":
        return Unasked("runs model-written programs")
    if registry.digest("judges", part.name) != record.code.get("plugins", {}).get(f"judges/{part.name}"):
        return Unasked(f"judge {part.name}: its source has changed since")
    if judge.caption() and judge.caption() not in record.captions:
        return Unasked(f"judge {part.name} does not work here as it did: {judge.caption()}")
    return judge


def _samples(
    root: Path, record: CellRecord, examples: Sequence[Example]
) -> dict[str, list[list[Completion]]]:
    by_spec: dict[str, dict[str, list[Completion]]] = {}
    for row in results.read_samples(results.cell_folder(root, record.digest)):
        rows = by_spec.setdefault(row.spec, {}).setdefault(row.prompt_id, [])
        rows.append(Completion(text=row.completion, tokens=row.tokens, end=row.end))
    return {spec: [rows.get(example.prompt.id, []) for example in examples] for spec, rows in by_spec.items()}


def _place(record: CellRecord) -> tuple[Setting, int, int]:
    return Setting.of(record), record.seed, record.fold


def _examples(
    record: CellRecord, request: Mapping[str, Any] | None, known: dict[str, tuple[Example, ...] | str]
) -> tuple[Example, ...] | str:
    """The test examples that a cell was scored on, or why they are not at hand."""
    key = f"{record.task} {record.data_digest} {record.fold}"
    if key not in known:
        known[key] = _read_examples(record, request)
    return known[key]


def _read_examples(record: CellRecord, request: Mapping[str, Any] | None) -> tuple[Example, ...] | str:
    if record.task not in registry.names("tasks"):
        return f"task {record.task} is not installed here"
    task = registry.load("tasks", record.task)
    options = task_options(record, request)
    if options.data is not None and not Path(options.data).is_file():
        return f"its data ({record.data}) are not read again here"
    try:
        folds = task_data(task, options)
    except BadInput as error:
        return f"its data ({record.data}) cannot be read: {error}"
    if record.fold >= len(folds) or folds[record.fold].digest != record.data_digest:
        return f"the data here are not those it was scored on ({record.data})"
    examples = folds[record.fold].test
    if tuple(example.prompt.id for example in examples) != tuple(record.prompt_ids):
        return "its prompts are not those of the data here"
    return examples


def task_options(record: CellRecord, request: Mapping[str, Any] | None) -> TaskOptions:
    """The task options of a stored cell: those that a run asked with, else what its world or data name."""
    if request is None:
        return TaskOptions(world=int(record.world or 0)) if record.world else TaskOptions(data=record.data)
    told: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in request.items()
    }
    return TaskOptions(**told)


def requests(root: Path) -> dict[str, Mapping[str, Any]]:
    """By cell, the task options of a run that asked for it. The record of a run that cannot be read tells
    nothing: the data's digest decides in any case."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted((root / "runs").glob("*.json")):
        try:
            body = json.loads(path.read_bytes())
            options = dict(body["request"]["task_options"])
            if not set(options) <= {one.name for one in fields(TaskOptions)}:
                raise ValueError("options of another version")
            found |= {str(cell): options for cell in body["cells"]}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return found
