"""Running every label of the mechanisms on every shipped base, and collecting what came out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alignment_bench import results
from alignment_bench.cells import CellRecord
from alignment_bench.config import RunRequest, parse
from alignment_bench.confirmation.mechanisms import Diagnosed, Mechanism
from alignment_bench.confirmation.verdicts import Trial
from alignment_bench.errors import BenchError
from alignment_bench.models import catalog
from alignment_bench.plan import Plan
from alignment_bench.planning import make_plan
from alignment_bench.run import run
from alignment_bench.statistics import interval

TASK = "tldr"
EVALUATORS = ("quality", "kl", "length", "best_of_curve")


def labels_of(mechanisms: Sequence[Mechanism]) -> list[str]:
    """Every label that the mechanisms need, once, in the order in which they are first named."""
    return list(dict.fromkeys(label for one in mechanisms for label in one.labels))


def request_for(
    mechanisms: Sequence[Mechanism], world: int, models: Sequence[str], seeds: Sequence[int], **keys: str
) -> RunRequest:
    """The `bench run` of all these labels. Raises BadInput where a label is none."""
    arguments = {
        "methods": ",".join(label for label in labels_of(mechanisms) if label != "base") or "base",
        "task": TASK,
        "task.world": str(world),
        "model": ",".join(models),
        "seeds": ",".join(map(str, seeds)),
        "evaluators": ",".join(EVALUATORS),
        **keys,
    }
    return parse([f"{key}={value}" for key, value in arguments.items()])


def carry_out(
    mechanisms: Sequence[Mechanism], request: RunRequest, say: Callable[[str], None]
) -> tuple[Trial, Plan]:
    """Runs what is not stored yet, and collects all of it. Failed cells are part of the outcome."""
    run(request)
    plan = make_plan(request, lambda text: None)
    cells: dict[tuple[str, str, int], CellRecord] = {}
    for cell in plan.cells():
        record = results.find_cell(request.results, cell.digest)
        if record is None:
            raise BenchError(f"{cell.label.text} on {cell.setting.source.name} left no record")
        cells[cell.label.text, cell.setting.source.name, cell.seed] = record
    models = [setting.source.name for setting in plan.settings]
    runs = tuple((model, seed) for model in models for seed in request.seeds)
    wanted = any(isinstance(one.evidence, Diagnosed) for one in mechanisms)
    diagnosed = {model: diagnose(model, request.task_options.world) for model in models} if wanted else {}
    say(f"{len(cells)} cells of {len(runs)} runs")
    return Trial(cells, runs, diagnosed), plan


def diagnose(model: str, world: int) -> dict[str, float]:
    """The base's rows about rewriting under feedback and about reward models, on this world."""
    from alignment_bench.world.bench import Bench, open_base
    from alignment_bench.world.measures import refinement
    from alignment_bench.world.measures_feedback import reward

    folder = catalog.resolve(model).located
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(open_base(folder, Path(scratch) / "base"), world, 200, Path(scratch))
        return {row.name: row.mean for row in [*refinement(bench, [TASK]), *reward(bench, [TASK])]}


def rows_of(trial: Trial) -> dict[str, dict[str, tuple[float, float | None, float | None]]]:
    """Mean and interval of every metric of every label over all runs; labels with a failed cell are left
    to the mechanisms, which say so."""
    found: dict[str, dict[str, Any]] = {}
    for label in dict.fromkeys(label for label, _, _ in trial.cells):
        cells = [trial.cells[label, model, seed] for model, seed in trial.runs]
        if any(cell.status != "ok" for cell in cells):
            continue
        found[label] = {}
        for place, metric in enumerate(cells[0].scores):
            if any(cell.scores[place].missing for cell in cells):
                continue
            estimate = interval(np.array([cell.scores[place].values for cell in cells]))
            if estimate.mean is not None:
                found[label][metric.name] = (estimate.mean, estimate.low, estimate.high)
    return found
