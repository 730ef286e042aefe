"""From stored cells to verdicts: a contrast per mechanism, its interval, and what that says.

A run is one base with one seed. Scores of a contrast form an array [runs, prompts], analysed like every
number of this package (two-way random effects). The bases are the ones that ship, not a sample of all
possible ones; what differs between them counts as spread between runs, which makes intervals wider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from alignment_bench.cells import CellRecord
from alignment_bench.confirmation.mechanisms import Contrast, Diagnosed, Measured, Mechanism
from alignment_bench.statistics import Array, interval

Verdict = Literal["holds", "contradicted", "inconclusive", "reported", "not run"]
Cells = Mapping[tuple[str, str, int], CellRecord]
"""(label, model, seed) to its stored cell"""


class Estimate(NamedTuple):
    """A mean with its interval and detectable effect."""

    mean: float | None
    low: float | None
    high: float | None
    detectable: float | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One mechanism's evidence: a mean over runs and prompts with its 95 % interval, and the verdict.

    `per_run` are the means of the single runs, in the order of `runs`; `detectable` is the smallest true
    effect that would have been seen with 80 % power.
    """

    name: str
    verdict: Verdict
    mean: float | None
    low: float | None
    high: float | None
    detectable: float | None
    per_run: tuple[float, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything one confirmation ran: its cells, the (model, seed) of every run, and by model the rows of
    the base's diagnostics."""

    cells: Cells
    runs: tuple[tuple[str, int], ...]
    diagnosed: Mapping[str, Mapping[str, float]]


def findings(mechanisms: Sequence[Mechanism], trial: Trial) -> list[Finding]:
    """A finding for every mechanism, in order."""
    return [finding(one, trial) for one in mechanisms]


def finding(mechanism: Mechanism, trial: Trial) -> Finding:
    """What the trial says about one mechanism; `not run` with the reason where something is missing."""
    evidence, cells, runs = mechanism.evidence, trial.cells, trial.runs
    try:
        if isinstance(evidence, Diagnosed):
            values = np.array([[_diagnosed(trial, model, evidence)] for model in trial.diagnosed])
            estimate = _over_runs(values[:, 0])
        elif isinstance(evidence, Measured):
            values = np.array([[_measured(cells, evidence, run)] for run in runs])
            estimate = _over_runs(values[:, 0])
        else:
            table = contrast(cells, evidence, runs)
            values = np.nanmean(table, axis=1, keepdims=True)
            found = interval(table)
            estimate = Estimate(found.mean, found.low, found.high, found.mde)
    except Missing as missing:
        return Finding(mechanism.name, "not run", None, None, None, None, (), str(missing))
    verdict = "reported" if not mechanism.asserted else verdict_of(estimate.low, estimate.high)
    per_run = tuple(round(float(v), 6) for v in values[:, 0])
    return Finding(mechanism.name, verdict, *estimate, per_run)


def verdict_of(low: float | None, high: float | None) -> Verdict:
    """By the interval of a contrast that should be above 0."""
    if low is not None and low > 0:
        return "holds"
    return "contradicted" if high is not None and high < 0 else "inconclusive"


class Missing(Exception):
    """A cell or a number that a contrast needs is not there."""


def contrast(cells: Cells, evidence: Contrast, runs: Sequence[tuple[str, int]]) -> Array:
    """The weighted sum of the labels' scores, [runs, prompts]."""
    rows, ids = [], None
    for model, seed in runs:
        row = None
        for label, weight in evidence.weights:
            cell = _cell(cells, label, model, seed)
            scores = {metric.name: metric for metric in cell.scores}
            metric = scores.get(evidence.metric)
            if metric is None or metric.missing:
                why = "is not among its metrics" if metric is None else metric.missing
                raise Missing(f"{label} on {model} seed {seed}: {evidence.metric} {why}")
            if ids is not None and ids != cell.prompt_ids:
                raise Missing(f"{label} on {model} seed {seed} was scored on other prompts")
            ids = cell.prompt_ids
            part = weight * np.array(metric.values)
            row = part if row is None else row + part
        if row is None:
            raise Missing("the contrast has no labels")
        rows.append(row - evidence.above)
    return np.array(rows)


def _diagnosed(trial: Trial, model: str, evidence: Diagnosed) -> float:
    if evidence.row not in trial.diagnosed[model]:
        raise Missing(f"the diagnostics of {model} have no row {evidence.row!r}")
    return trial.diagnosed[model][evidence.row] - evidence.above


def _measured(cells: Cells, evidence: Measured, run: tuple[str, int]) -> float:
    cell = _cell(cells, evidence.label, *run)
    total = -evidence.above
    for name, weight in evidence.weights:
        if name not in cell.measures:
            raise Missing(f"{evidence.label} on {run[0]} seed {run[1]} measured no {name!r}")
        total += weight * cell.measures[name]
    return total


def _cell(cells: Cells, label: str, model: str, seed: int) -> CellRecord:
    cell = cells.get((label, model, seed))
    if cell is None:
        raise Missing(f"there is no cell of {label} on {model} seed {seed}")
    if cell.status != "ok":
        raise Missing(f"{label} on {model} seed {seed} is {cell.status}: {cell.reason.splitlines()[0]}")
    return cell


def _over_runs(values: Array) -> Estimate:
    """Mean of one number a run with a t interval over runs."""
    from scipy.special import stdtrit

    mean, n = float(values.mean()), len(values)
    if n < 2:
        return Estimate(mean, None, None, None)
    se, df = float(values.std(ddof=1)) / n**0.5, n - 1
    reach = float(stdtrit(df, 0.975)) * se
    return Estimate(mean, mean - reach, mean + reach, reach + float(stdtrit(df, 0.8)) * se)
