"""`bench run`: align, sample, score and store every cell of a plan, then print the table.

Cells are independent: one that fails is a row with its reason, and the others go on. A cell that is
stored is not done again; one that was interrupted goes on from its finished jobs.
"""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alignment_bench import launchers, results, sandbox, starts, tracking
from alignment_bench.aligning import align
from alignment_bench.config import RunRequest
from alignment_bench.controller import Controller
from alignment_bench.costs import expectations
from alignment_bench.errors import BadInput, BenchError, CorruptResult, NotApplicable, OverBudget
from alignment_bench.evaluate import Panel, draw, score
from alignment_bench.feedback import Judge
from alignment_bench.hosting import Host, host_of
from alignment_bench.incidents import collecting
from alignment_bench.jobs import JobStore
from alignment_bench.judging import cards
from alignment_bench.ledger import Ledger, metering
from alignment_bench.models.storage import base_policy
from alignment_bench.plan import Cell, Plan, Setting
from alignment_bench.planning import layouts_of, make_plan
from alignment_bench.policy import LogitPolicy
from alignment_bench.progress import Hearer, Reporter, say_plainly
from alignment_bench.recording import (
    blank_record,
    clusters_of,
    engine_notes,
    metric_scores,
    sandbox_notes,
    stored_samples,
)
from alignment_bench.results import CellRecord, Status, StoredSample
from alignment_bench.runtime import activate
from alignment_bench.tables.alarms import control_alarm
from alignment_bench.tables.page import Options, render_records
from alignment_bench.tuning import tuned
from alignment_bench.work import Work

NO_PLACE_TO_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""errors after which no other cell can be stored either"""


def run(request: RunRequest) -> int:
    """Runs the request and prints its table. Returns 0, or 1 where a cell failed.

    Raises BadInput before any work where the request cannot be carried out, BenchError where results
    cannot be written.
    """
    say = (lambda text: None) if request.quiet else say_plainly
    plan = make_plan(request, say)
    cells = list(plan.cells())
    reporter = Reporter(len(cells), request.quiet)
    announce(plan, cells, reporter)
    reporter.expect(expectations.remaining(cells))
    if any(setting.executes for setting in plan.settings):
        open_sandbox(request)
    with writing_to(request.results):
        records = carry_out(request, cells, reporter)
        tracking.mirror(request.tracker, request.results, records)
        return show(request, records)


def carry_out(request: RunRequest, cells: Sequence[Cell], reporter: Reporter) -> list[CellRecord]:
    """The record of every cell, in their order: stored, or done here or by the launcher's workers."""
    store = JobStore(request.results / "jobs", reporter.say)
    store.enter()  # until all cells are stored: nothing that they rest on is cleared away
    launcher, alone = launchers.named(request.launcher), request.launcher == "local"
    found: dict[str, CellRecord] = {}
    left = list(cells)
    if not alone or launcher.crew(request, cells) > 1:
        for cell in cells:
            if stored := stored_record(cell, reporter):
                found[cell.digest] = stored
                reporter.begin(cell.title)
                reporter.end("stored")
        left = list({cell.digest: cell for cell in cells if cell.digest not in found}.values())
    crew = launcher.crew(request, left)
    record = {**request.recorded(), "processes": crew}
    results.record_run(request.results, record, [cell.digest for cell in cells])
    with reporter.running():
        if left and (crew > 1 or not alone):
            reporter.say(launcher.announcement(crew, left))
            done = launcher.spread(request, left, crew, reporter)
            found |= {cell.digest: record for cell, record in zip(left, done, strict=True)}
        else:
            for cell in left:
                reporter.begin(cell.title)
                found[cell.digest] = stored_or_done(cell, reporter)
    return [as_asked(found[cell.digest], cell) for cell in cells]


def announce(plan: Plan, cells: Sequence[Cell], reporter: Reporter) -> None:
    """The plan in a few lines: what, on what, with whom, and how much of it is stored already."""
    for setting in plan.settings:
        data, fold = setting.data, f", fold {setting.fold + 1} of {setting.folds}" if setting.folds else ""
        reporter.say(
            f"{setting.task.name} on {data.source}{fold}: {len(data.train)} training and "
            f"{len(data.test)} test prompts; model {setting.source.name}; budget {setting.budget.name} = "
            f"{setting.amount:,.0f} {setting.teacher.paid_in}; teacher {setting.teacher_part.label}; "
            f"judge {setting.judge_part.label}; {setting.runtime.device}, {setting.runtime.threads} thread(s)"
        )
    ready = sum(results.cell_folder(plan.request.results, cell.digest).exists() for cell in cells)
    for line in dict.fromkeys(
        line
        for setting in plan.settings
        for line in tuned.lines(
            [*([setting.start] if setting.start else []), *setting.labels],
            f"{setting.task.name}, {setting.source.name}",
        )
    ):
        reporter.say(line)
    reporter.say(f"{len(cells)} cells, {ready} of them stored (those that are not ok are done again)")


def open_sandbox(request: RunRequest) -> None:
    """Says how well model-written programs are confined; loudly, even when quiet, where not fully."""
    sandbox.accept(request.sandbox)
    found = sandbox.protection()
    if found.level == "full":
        if not request.quiet:
            say_plainly(found.describe())
        return
    line = "!" * 80
    say_plainly(f"{line}\nmodel-written programs will run here; {found.describe()}\n{line}")


def stored_record(cell: Cell, reporter: Hearer) -> CellRecord | None:
    """The stored record of the cell, if there is one and it is ok."""
    try:
        stored = results.find_cell(cell.setting.request.results, cell.digest)
    except CorruptResult as error:
        reporter.say(f"done again: {error}")
        return None
    return as_asked(stored, cell) if stored is not None and stored.status == "ok" else None


def stored_or_done(cell: Cell, reporter: Hearer, notes: Sequence[str] = ()) -> CellRecord:
    """The stored record of the cell if it is ok, else that of doing it now, with these notes added."""
    if stored := stored_record(cell, reporter):
        reporter.end("stored")
        return stored
    record, samples = do(cell, reporter)
    record = replace(record, notes=(*record.notes, *notes))
    results.write_cell(cell.setting.request.results, record, samples)
    reason = record.reason.splitlines()[0] if record.reason else ""
    reporter.end(f"{record.status}{': ' + reason if reason else ''} ({record.seconds:.1f} s)")
    return record


def as_asked(stored: CellRecord, cell: Cell) -> CellRecord:
    """A stored record under the names of this request: a digest may have been typed in other words before."""
    now = blank_record(cell, datetime.now(UTC))
    names = ("label", "budget", "data", "model", "world", "captions", "tuning")
    return replace(stored, **{name: getattr(now, name) for name in names})


def do(cell: Cell, reporter: Hearer) -> tuple[CellRecord, list[StoredSample]]:
    """Aligns, samples and scores one cell. Whatever goes wrong inside becomes its status and reason."""
    started, clock = datetime.now(UTC), time.perf_counter()
    blank = blank_record(cell, started)
    activate(cell.setting.runtime)
    controller = controller_of(cell, work_of(cell.setting, reporter.say), reporter)
    status: Status = "failed"
    try:
        with collecting() as told:
            record, samples = finish(cell, blank, clock, reporter, controller)
        told = [note for note in told if note not in record.notes]
        return replace(record, notes=(*record.notes, *told)), samples
    except OverBudget as error:
        status, reason, trace = "over_budget", str(error), ""
    except NotApplicable as error:
        status, reason, trace = "not_applicable", str(error), ""
    except BenchError as error:
        reason, trace = str(error), traceback.format_exc()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_PLACE_TO_WRITE:
            raise
        reason, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
    ended = replace(
        blank,
        status=status,
        reason=reason,
        spend=controller.ledger.spent.to_json(),
        measures=dict(controller.measures),
        notes=tuple(controller.notes),
        seconds=time.perf_counter() - clock,
        code={**blank.code, "jobs": controller.jobs, **({"traceback": trace} if trace else {})},
    )
    return ended, []


def work_of(setting: Setting, say: Callable[[str], None] = say_plainly) -> Work:
    """The jobs of the setting's cells, stored under its results; `say` hears of what is waited for."""
    store = JobStore(setting.request.results / "jobs", say)
    return Work(store, setting.runtime, setting.source.parameters)


def finish(
    cell: Cell, blank: CellRecord, clock: float, reporter: Hearer, controller: Controller
) -> tuple[CellRecord, list[StoredSample]]:
    """The record and samples of a cell in which nothing goes wrong."""
    setting = cell.setting
    work = controller.work
    base = base_of(setting)
    aligned = align(cell, base, controller)
    panel = panel_of(cell, host_for(setting, work, reporter))
    reporter.step("sample the test prompts")
    samples, keys, test_spend = draw(work, aligned.policy, panel)
    base_samples, base_keys, _ = draw(work, base, panel)
    reporter.step("score")
    with metering() as scoring:
        scores = score(work, aligned.policy, base, panel, (samples, keys), (base_samples, base_keys))
    judged = [f"judge {panel.judge.name}: {took}"] if (took := scoring.total.spoken) else []
    record = replace(
        blank,
        status="ok",
        prompt_ids=tuple(example.prompt.id for example in panel.examples),
        clusters=clusters_of(setting),
        scores=tuple(metric_scores(panel, scores)),
        flags=flags_of(blank, panel.judge, controller),
        spend=aligned.spend.to_json(),
        test_spend=test_spend.to_json(),
        measures=dict(controller.measures),
        notes=(
            *aligned.notes,
            *engine_notes(aligned.policy, panel),
            *sandbox_notes(setting, scores),
            *judged,
        ),
        seconds=time.perf_counter() - clock,
        code={
            **blank.code,
            "policy": aligned.policy.digest,
            "policy_folder": starts.place_of(aligned.policy.folder, setting.request.results),
            "samples": keys,
            "jobs": controller.jobs,
        },
    )
    return record, stored_samples(panel, samples)


def flags_of(blank: CellRecord, judge: Judge, controller: Controller) -> tuple[str, ...]:
    """The cell's flags, and self-judged where the judge is, or seats, a reward model that it trained."""
    voters: Sequence[Any] = (judge, *getattr(judge, "seats", ()))
    own = any(getattr(one, "reward_digest", None) in controller.reward_models for one in voters)
    return tuple(dict.fromkeys((*blank.flags, *(["self-judged"] if own else []))))


def controller_of(cell: Cell, work: Work, reporter: Hearer) -> Controller:
    """The harness's side of one cell: its teacher, its Keys and a fresh account."""
    setting = cell.setting
    return Controller(
        work=work,
        teacher=host_of(setting.teacher, host_for(setting, work, reporter)),
        teacher_digest=setting.teacher_digest,
        examples=setting.data.train,
        data_digest=setting.data.digest,
        ledger=Ledger(setting.teacher.paid_in, setting.amount),
        seed=cell.seed,
        tier=setting.tier,
        rollout_decoding=setting.rollout_decoding,
        progress=reporter.step,
    )


def base_of(setting: Setting) -> LogitPolicy:
    """The unaligned base as a policy, stored once."""
    name = f"{setting.source.digest[:16]}-{setting.formatter.digest[:16]}"
    folder = setting.request.results / "bases" / name
    return base_policy(setting.source, setting.formatter, setting.runtime, folder)


def host_for(setting: Setting, work: Work, reporter: Hearer) -> Host:
    """What a teacher or judge that does heavy work is lent."""
    return Host(work.store, setting.runtime, reporter.step, layouts_of(setting.task, setting.data))


def panel_of(cell: Cell, host: Host | None = None) -> Panel:
    """Who scores the cell, on what; without a host its judge may only be named and described."""
    setting = cell.setting
    return Panel(
        evaluators=setting.evaluators,
        evaluator_digests=setting.evaluator_digests,
        judge=setting.judge if host is None else host_of(setting.judge, host),
        judge_digest=setting.judge_digest,
        examples=setting.data.test,
        data_digest=setting.data.digest,
        decoding=setting.decoding,
        seed=cell.seed,
    )


def show(request: RunRequest, records: Sequence[CellRecord]) -> int:
    """Prints or writes the table; 1 where a cell failed, or where strict=true and the control alarm fires."""
    records = cards.marked(records, request.results)
    options = Options(sweep=len(request.budgets) > 1)
    text = render_records(records, request.format, options=options)
    if request.out is None:
        print(text, end="")
    else:
        request.out.write_text(text, "utf-8")
    failed = any(record.status == "failed" for record in records)
    alarmed = request.strict and control_alarm(records) != ""
    return 1 if failed or alarmed else 0


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turns a full disk or a vanished folder into one clear line; what is stored stays."""
    try:
        yield
    except BadInput:
        raise
    except OSError as error:
        raise BenchError(
            f"results: cannot write under {folder}: {error.strerror or error} "
            "(free some space or choose another folder with results=; finished work is kept)"
        ) from error
