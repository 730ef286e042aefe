"""What a plan will cost: every cell rehearsed, every job priced, what is stored taken off.

A method whose rehearsal fails is named with its reason and left out of all sums.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alignment_bench.costs import units
from alignment_bench.costs.clock import peak_bytes, processor_seconds
from alignment_bench.costs.dry import DryStore, DryWork, Planned
from alignment_bench.costs.measuring import seconds_of
from alignment_bench.costs.memory import memory
from alignment_bench.costs.probe import Measuring, NotMeasured, Probe
from alignment_bench.costs.rehearsing import Repeating, rehearse, repeating
from alignment_bench.costs.schedule import makespan
from alignment_bench.costs.stand_ins import Rehearsal
from alignment_bench.costs.sums import Estimate, Part, PlannedCell, Row
from alignment_bench.errors import BenchError, CorruptResult
from alignment_bench.launchers import crew as crews
from alignment_bench.ledger import Spend
from alignment_bench.models.storage import STANDING_IN, base_policy
from alignment_bench.results import find_cell
from alignment_bench.runtime import activate

if TYPE_CHECKING:
    from alignment_bench.plan import Cell, Plan, Setting


@dataclass(frozen=True)
class Start:
    """What a process takes before its first cell."""

    seconds: float = 0.0
    bytes: float = 0.0

    @staticmethod
    def of_this_process() -> Start:
        """What this one took so far, with everything imported that a cell needs."""
        import alignment_bench.models.loading
        import alignment_bench.training.finetune  # noqa: F401

        return Start(processor_seconds(), peak_bytes())


def estimate(
    plan: Plan, workers: int, *, probe: Measuring, start: Start, say: Callable[[str], None]
) -> Estimate:
    """The cost of a plan; the machine is measured as `probe` says. Raises BenchError where it says not to,
    and a rate is not known."""
    began = time.perf_counter()
    places: dict[int, list[PlannedCell]] = {}
    order: list[PlannedCell] = []
    for place, cell in enumerate(plan.cells()):
        one = PlannedCell(cell, place)
        places.setdefault(id(cell.setting), []).append(one)
        order.append(one)
    parts = [_part(cells[0].cell.setting, cells, probe, start, say) for cells in places.values()]
    left = [one for one in order if not one.stored and not one.failed]
    crew = crews.count(workers, [one.cell for one in left]) if left else 1
    first = start.seconds if left else 0.0
    wall, busy = 0.0, [first] * crew
    expected: dict[str, float] = {}
    for part in parts:
        expected |= {one.cell.digest: 0.0 for one in part.cells if one.stored}
        turn = [one.place for one in part.cells if not one.stored and not one.failed]
        if not turn:
            continue
        slow = _slowness(part)
        span, used = makespan(turn, part.jobs, part.rates, crew, 0.0)
        wall += span * slow
        busy = [a + b for a, b in zip(busy, used, strict=True)]
        expected |= _expected(part, turn)
    return Estimate(
        parts=parts,
        workers=crew,
        start=first,
        seconds=sum(busy),
        wall=wall + first,
        expected=expected,
        planning=time.perf_counter() - began,
    )


def _slowness(part: Part) -> float:
    """Wall seconds of a CPU second: below 1 where a job keeps several threads busy."""
    threads = part.setting.runtime.threads
    if part.setting.runtime.device != "cpu" or threads == 1:
        return 1.0
    return 1.0 / min(float(threads), max(1.0, part.share))


def _expected(part: Part, turn: Sequence[int]) -> dict[str, float]:
    """Seconds of each cell when cells are done in this order by one process."""
    done: set[str] = set()
    paid: set[str] = set()
    found = {}
    cells = {one.place: one for one in part.cells}
    for place in turn:
        total = 0.0
        for job in cells[place].jobs:
            if job.key in done or job.stored:
                continue
            done.add(job.key)
            asked = {name: number for name, number in job.units.items() if name not in paid}
            paid |= {name for name in asked if units.once(name)}
            total += seconds_of(asked, part.rates)
        found[cells[place].cell.digest] = total * _slowness(part)
    return found


def _part(
    setting: Setting,
    cells: list[PlannedCell],
    measuring: Measuring,
    start: Start,
    say: Callable[[str], None],
) -> Part:
    with tempfile.TemporaryDirectory(prefix="bench-plan-") as folder, _quiet():
        activate(setting.runtime)
        scratch = Path(folder)
        base = base_policy(setting.source, setting.formatter, setting.runtime, scratch / "base")
        probe = Probe(setting, base, measuring)
        store = DryStore(scratch / "jobs", setting.request.results / "jobs")
        rehearsal = Rehearsal(base, probe.draw)
        work = DryWork(store, rehearsal, setting.runtime, setting.source.parameters)
        teacher = repeating(setting.teacher, probe.clock, probe.survey, runs_programs=setting.task.executes)
        standing = rehearsal.restore(base.folder, {"digest": base.digest, "weights": "base"}, base.runtime)
        token = STANDING_IN.set(rehearsal.restore)
        try:
            for one in cells:
                one.stored = _is_stored(one.cell, say)
                if one.stored:
                    continue
                _rehearsed(one, standing, work, teacher, say)
        finally:
            STANDING_IN.reset(token)
        jobs = [job for job in store.jobs.values() if job.cells]
        needed = {name for job in jobs if not job.stored for name in job.units}
        if needed:
            asks = {name for name in needed if name.startswith(units.ASK)}
            probe.measure(needed - asks)
        _teaching(teacher, probe)
        probe.keep()
        return _summed(setting, cells, jobs, probe, (*rehearsal.longest(), start.bytes))


def _is_stored(cell: Cell, say: Callable[[str], None]) -> bool:
    """Whether the run would find the cell done."""
    try:
        stored = find_cell(cell.setting.request.results, cell.digest)
    except CorruptResult as error:
        say(f"done again: {error}")
        return False
    return stored is not None and stored.status == "ok"


def _rehearsed(
    one: PlannedCell, base: object, work: DryWork, teacher: Repeating, say: Callable[[str], None]
) -> None:
    """Rehearses one cell; what goes wrong in a plugin becomes its reason."""
    store = work.dry
    store.cell = one.place
    try:
        rehearse(one.cell, base, work, teacher)  # type: ignore[arg-type]
    except NotMeasured:
        raise
    except Exception as error:  # whatever a plugin raises on stand-ins: told, and left out of all sums
        one.failed = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        say(f"{one.cell.title} cannot be planned: {one.failed}")
        for job in store.jobs.values():
            job.cells = [place for place in job.cells if place != one.place]
        return
    one.jobs = [job for job in store.jobs.values() if one.place in job.cells]


def _teaching(teacher: Repeating, probe: Probe) -> None:
    """Rates of asking the teacher, as far as it was asked."""
    for channel, each in teacher.seconds.items():
        probe.rates[units.ASK + channel] = each
    for channel in teacher.channels:
        unit = units.ASK + channel
        if unit not in probe.rates and teacher.mute:
            probe.unknown[unit] = f"teacher {teacher.name} runs a model or programs, or calls an endpoint"


def _summed(
    setting: Setting,
    cells: list[PlannedCell],
    jobs: list[Planned],
    probe: Probe,
    sizes: tuple[int, int, float],
) -> Part:
    labels = {one.place: one.cell.label.text for one in cells}
    rows = {label: Row(label) for label in dict.fromkeys(labels.values())}
    shared = Row("shared")
    for one in cells:
        row = rows[labels[one.place]]
        row.cells += 1
        row.stored += one.stored
        row.failed = row.failed or one.failed
    paid: set[str] = set()
    for job in jobs:
        users = {labels[place] for place in job.cells}
        row = shared if len(users) > 1 else rows[next(iter(users))]
        if len(users) > 1:
            for label in users:
                rows[label].shared += 1
        row.own += 1
        if job.stored:
            row.done += 1
            continue
        asked = {name: number for name, number in job.units.items() if name not in paid}
        paid |= {name for name in asked if units.once(name)}
        row.seconds += seconds_of(asked, probe.rates)
        row.spend = row.spend + job.spend + _evaluating(job, probe)
    kinds = {job.kind for job in jobs if not job.stored}
    return Part(
        setting=setting,
        cells=cells,
        jobs=jobs,
        rates=dict(probe.rates),
        unknown={
            unit: reason
            for unit, reason in probe.unknown.items()
            if any(unit in job.units for job in jobs if not job.stored)
        },
        rows=list(rows.values()),
        shared=shared,
        memory=memory(setting, kinds, *sizes, probe.peak),
        share=probe.share,
        kept=probe.kept,
    )


def _evaluating(job: Planned, probe: Probe) -> Spend:
    """What an evaluator's own passes over models come to."""
    total = Spend()
    for unit, number in job.units.items():
        name = unit.removeprefix(units.EVALUATE)
        if unit.startswith(units.EVALUATE) and name in probe.spends:
            each = probe.spends[name]
            total = total + Spend(tokens_scored=round(number * each.tokens_scored), flops=number * each.flops)
    return total


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of libraries between the lines of a table."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
