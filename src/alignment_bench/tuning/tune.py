"""`bench tune`: the same number of trials, at the same budget, for every method, on a development world.

A trial is an ordinary cell (stored, resumed, done by workers) scored by the task's main metric at its
evaluation decoding; trial 0 is the method as it is. The best of a label goes with all of its trials and
their whole cost into `results/tuned/<task>-<model>.toml`, which `bench run tuned=` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Any

from alignment_bench import __version__, provenance, registry
from alignment_bench.errors import BadInput, Problem
from alignment_bench.evaluation import Metric
from alignment_bench.labels import ResolvedLabel
from alignment_bench.plan import Cell, Setting, parts_of
from alignment_bench.planning import make_plan
from alignment_bench.progress import Reporter, say_plainly
from alignment_bench.results import CellRecord
from alignment_bench.run import announce, carry_out, open_sandbox, writing_to
from alignment_bench.tuning import tuned
from alignment_bench.tuning.files import Entry, Head, Trial, TunedFile, read, write
from alignment_bench.tuning.request import TuneRequest, main_metric
from alignment_bench.tuning.search import Fields, searched, trials_of
from alignment_bench.tuning.table import Curve, render


@dataclass(frozen=True)
class Search:
    """The trials of one label in one setting: what was drawn, and the cells (one a seed) that try it."""

    setting: Setting
    label: ResolvedLabel
    drawn: tuple[Fields, ...]
    cells: tuple[tuple[Cell, ...], ...]


def tune(request: TuneRequest) -> int:
    """Searches, writes the files and prints the table. Returns 0, or 1 where a label has no scored trial.

    Raises BadInput before any work where the request cannot be carried out, BenchError where results
    cannot be written.
    """
    say = (lambda text: None) if request.quiet else say_plainly
    plans = [make_plan(run, say) for run in request.runs]
    searches = [
        search_of(setting, label, request.trials)
        for plan in plans
        for setting in plan.settings
        for label in setting.request.labels
    ]
    settings = [setting for plan in plans for setting in plan.settings]
    before = {file_of(setting): _kept(setting) for setting in settings}
    curves: list[Curve] = []
    for plan in plans:
        own = [search for search in searches if search.setting.request is plan.request]
        cells = list({c.digest: c for one in own for row in one.cells for c in row}.values())
        # all trials of a seed together, so that those who share stages meet in the job store
        cells.sort(key=lambda cell: (plan.settings.index(cell.setting), cell.seed))
        reporter = Reporter(len(cells), request.quiet)
        announce(plan, cells, reporter)
        for one in own:
            for line in _about(one, request.trials):
                reporter.say(line)
        if any(setting.executes for setting in plan.settings):
            open_sandbox(plan.request)
        with writing_to(plan.request.results):
            found = carry_out(plan.request, cells, reporter)
            records = {record.digest: record for record in found}
            for setting in plan.settings:
                mine = [entry_of(one, records) for one in own if one.setting is setting]
                path, head = file_of(setting), head_of(setting)
                kept = before[path]
                new = {entry.key: entry for entry in mine}
                stored = [entry for entry in (kept.entries if kept else ()) if entry.key not in new]
                write(path, head, tuple(sorted([*stored, *mine], key=lambda entry: entry.label)))
                reporter.say(f"written: {path}")
                curves += [Curve(head, entry) for entry in mine]
                if unequal := _unequal([*stored, *mine]):
                    reporter.say(unequal)
    text = render(curves, request.format)
    if request.out is None:
        print(text, end="")
    else:
        request.out.parent.mkdir(parents=True, exist_ok=True)
        request.out.write_text(text, "utf-8")
    return 1 if any(curve.entry.best is None for curve in curves) else 0


def search_of(setting: Setting, label: ResolvedLabel, count: int) -> Search:
    """The trials of a label as cells. Raises BadInput where its declared ranges or tuned= cannot be used."""
    problems: list[Problem] = []
    try:
        trials = trials_of(label, count)
    except ValueError as error:
        raise BadInput([Problem("methods", str(error), "correct its tune= metadata")]) from None
    file = tuned.file_for(setting.request.tuned, setting.task.name, setting.source)
    rows = []
    for _, trial in trials:
        whole = tuned.filled(trial, file, problems)
        parts = parts_of(whole, setting.start)
        rows.append(tuple(Cell(setting, whole, seed, parts) for seed in setting.request.seeds))
    if problems:
        raise BadInput(list(dict.fromkeys(problems)))
    return Search(setting, label, tuple(fields for fields, _ in trials), tuple(rows))


def file_of(setting: Setting) -> Path:
    """Where the values for the setting's task and model are written."""
    name = tuned.file_name(setting.task.name, tuned.name_of(setting.source))
    return setting.request.results / "tuned" / name


def head_of(setting: Setting) -> Head:
    """What values searched in this setting hold for."""
    metric = main_metric(setting.task)
    return Head(
        task=setting.task.name,
        task_version=setting.task.version,
        model=setting.source.name,
        model_digest=setting.source.digest,
        world=str(setting.request.task_options.world),
        data_digest=setting.data.digest,
        budget=setting.budget.name,
        budget_amount=setting.amount,
        currency=setting.teacher.paid_in,
        seeds=setting.request.seeds,
        objective=metric.name,
        better=metric.better,
        teacher=setting.teacher_part.label,
        judge=setting.judge_part.label,
        init=setting.init,
    )


def entry_of(search: Search, records: dict[str, CellRecord]) -> Entry:
    """The outcome of a search: the best trial's values, every trial, and what they cost together."""
    metric = main_metric(search.setting.task)
    trials = [
        trial_of(fields, [records[cell.digest] for cell in row], metric)
        for fields, row in zip(search.drawn, search.cells, strict=True)
    ]
    sign = -1.0 if metric.better == "lower" else 1.0
    scored = [number for number, trial in enumerate(trials) if trial.score is not None]
    # of equal trials the first, so that the defaults stay where nothing beats them
    best = max(scored, key=lambda number: (sign * (trials[number].score or 0.0), -number), default=None)
    values: dict[str, Any] = {}
    if best is not None:
        parts = search.cells[best][0].label.parts
        values = {f"{part.name}.{key}": value for part in parts for key, value in part.tuned.items()}
        values |= search.drawn[best]
    label = search.label
    return Entry(
        label=label.text,
        parts=tuple(part.name for part in label.parts),
        fixed={f"{part.name}.{key}": part.fields[key] for part in label.parts for key in sorted(part.given)},
        values=values,
        best=best,
        trials=tuple(trials),
        spend={key: fsum(trial.spend[key] for trial in trials) for key in tuned.SPENT},
        code={
            "version": __version__,
            **provenance.code(),
            **{f"methods/{part.name}": registry.digest("methods", part.name) for part in label.parts},
        },
    )


def trial_of(fields: Fields, records: Sequence[CellRecord], metric: Metric) -> Trial:
    """One trial: the mean of the metric over prompts and seeds, or why there is none; what it cost anyway."""
    spend = {
        key: fsum(float(spent.get(key, 0.0)) for one in records for spent in (one.spend, one.test_spend))
        for key in tuned.SPENT
    }
    for record in records:
        if record.status != "ok":
            return Trial(fields, record.status, None, record.reason, spend)
    found = [one for record in records for one in record.scores if one.name == metric.name]
    values = [value for one in found for value in one.values if value == value]
    if not values:
        reason = next((one.missing for one in found if one.missing), f"no {metric.name} was measured")
        return Trial(fields, "not_applicable", None, reason, spend)
    return Trial(fields, "ok", fsum(values) / len(values), "", spend)


def _kept(setting: Setting) -> TunedFile | None:
    """The file that earlier searches wrote, if there is one. Raises BadInput where its terms differ."""
    path, head = file_of(setting), head_of(setting)
    if not path.exists():
        return None
    stored = read(path)
    differing = [
        f"{name} {was!r}, not {value!r}"
        for name, value in vars(head).items()
        if (was := getattr(stored.head, name)) != value
    ]
    if differing:
        what = f"{path} holds values searched on other terms: {'; '.join(differing)}"
        raise BadInput([Problem("results", what, "search on the same terms, or move that file away")])
    return stored


def _about(search: Search, asked: int) -> list[str]:
    ranges = searched(search.label)
    if not ranges:
        return [f"{search.label.text}: no field of it is tuned, one trial"]
    said = "; ".join(f"{key} {one}" for key, one in ranges.items())
    short = "" if len(search.drawn) == asked else f", there are no more than {len(search.drawn)} trials"
    return [f"{search.label.text}: {said}{short}"]


def _unequal(entries: Sequence[Entry]) -> str:
    """What to say where the methods of one file had different numbers of trials."""
    counts = {entry.label: len(entry.trials) for entry in entries if len(entry.trials) > 1}
    if len(set(counts.values())) < 2:
        return ""
    return "not equally many trials: " + ", ".join(f"{label} {count}" for label, count in counts.items())
