"""`bench baseline` and `bench check`: what they were asked for, and doing it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alignment_bench.amounts import counted
from alignment_bench.checks import no_file, no_results
from alignment_bench.config import pairs
from alignment_bench.config_values import FILTERS, listed
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import values
from alignment_bench.gate.margins import Margin, parse_margin
from alignment_bench.registry import suggest

if TYPE_CHECKING:
    from alignment_bench.gate.baseline import Baseline

BASELINE_HELP = """\
bench baseline out=FILE: keep what is stored as the baseline of later runs, or update one and say what changed

  out=FILE       the baseline; one that is there already is updated: cells that the filters below leave out
                 stay as they are
  results=DIR    folder of everything stored (default results)
  margin=        how much worse still passes: .05, or .05,perplexity:2 for a metric of another unit
                 (default .05)
  metrics=       what is kept and gated (default: each task's main metric; one without a better side is
                 kept and shown, not gated)
  task= methods= model= data= world= budget= teacher= judge= seeds=
                 keep only what has one of these values
"""
CHECK_HELP = """\
bench check BASELINE.json: is a run worse than a stored baseline?

  results=DIR    the run (default results)
  margin=        instead of the baseline's own
  metrics=       gate only these, show the others
  format=        text, markdown, junit or json (default text)
  out=FILE       write there instead of printing
  task= methods= model= data= world= budget= teacher= judge= seeds=
                 check only cells of the baseline that have one of these values

Exit code: 0 no cell is worse by its margin, 1 one is, or is missing or failed, 2 the two cannot be compared,
3 one cannot be told.
"""
HELPS = {"baseline": BASELINE_HELP, "check": CHECK_HELP}
CheckFormat = Literal["text", "markdown", "junit", "json"]


@dataclass(frozen=True)
class BaselineRequest:
    """What `bench baseline` was asked for."""

    out: Path
    results: Path = Path("results")
    margin: Margin | None = None
    """None: the old baseline's, else the usual one"""
    metrics: tuple[str, ...] = ()
    filters: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckRequest:
    """What `bench check` was asked for."""

    baseline: Path
    results: Path = Path("results")
    format: CheckFormat = "text"
    out: Path | None = None
    margin: Margin | None = None
    metrics: tuple[str, ...] = ()
    filters: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Plain:
    """The keys that are converted by their type."""

    results: Path = Path("results")
    format: CheckFormat = "text"
    out: Path | None = None


def parse_baseline(arguments: Sequence[str]) -> BaselineRequest:
    """The request of `bench baseline`. Raises one BadInput with everything that is wrong."""
    problems: list[Problem] = []
    found = _parsed("baseline", arguments, ("results", "out"), problems)
    out = found.pop("out", None)
    if out is None and not any(problem.field == "out" for problem in problems):
        problems.append(Problem("out", "is missing", "write out=results/baselines/NAME.json"))
    if problems:
        raise BadInput(problems)
    assert isinstance(out, Path)
    return BaselineRequest(out, **found)


def parse_check(arguments: Sequence[str]) -> CheckRequest:
    """The request of `bench check`. Raises one BadInput with everything that is wrong."""
    problems: list[Problem] = []
    words = [one for one in arguments if "=" not in one]
    given = [one for one in arguments if "=" in one]
    if len(words) != 1:
        what = "a baseline is missing" if not words else f"takes one baseline, not {', '.join(words)}"
        problems.append(Problem("check", what, "write bench check BASELINE.json"))
    elif not os.path.isfile(words[0]):
        fix = "name a file that bench baseline wrote"
        problems.append(Problem(words[0], "there is no such file", fix))
    found = _parsed("check", given, ("results", "format", "out"), problems)
    if problems:
        raise BadInput(problems)
    return CheckRequest(Path(words[0]), **found)


def baseline_command(arguments: list[str]) -> int:
    """`bench baseline`: writes the file and says what changed."""
    request = parse_baseline(arguments)
    from alignment_bench.gate import baseline, choosing, making
    from alignment_bench.results import read_all

    records, unreadable = read_all(request.results)
    old, problems = _old(request.out)
    fix = "a baseline holds whole results: repair or delete it first"
    problems += [Problem("results", one.reason, fix) for one in unreadable]
    if problems:
        raise BadInput(problems)
    blocks = choosing.blocks_of(records, request.filters)
    margin = request.margin or (old.margin if old else Margin())
    stays = choosing.others_of(old, request.filters) if old else ()
    made = making.make(blocks, margin, request.metrics, kept=stays)
    if problems := _idle_margins(request.margin, _metrics(made.baseline), str(request.out)):
        raise BadInput(problems)
    baseline.write(request.out, made.baseline)
    lines = [f"left out: {one}" for one in made.left_out]
    if old is None:
        cells = [(group, cell) for group in made.baseline.groups for cell in group.cells]
        lines += [
            f"{group.setting['task']} {cell.label} {cell.metric}: {counted(len(cell.seeds), 'seed')}, "
            f"{counted(len(group.prompts), 'prompt')}{'' if cell.gated else ' (shown, not gated)'}"
            for group, cell in cells
        ]
    else:
        lines += making.changes(old, made.baseline) or ["nothing changed"]
    kib = request.out.stat().st_size / 1024
    verb = "written" if old is None else "updated"
    print(
        f"{request.out}: {verb}, {counted(made.baseline.gated, 'gated cell')}, margin {margin}, {kib:.0f} KiB"
    )
    print("\n".join(lines))
    return 0


def check_command(arguments: list[str]) -> int:
    """`bench check`: prints the report and returns its code."""
    request = parse_check(arguments)
    from alignment_bench.comparison import compare
    from alignment_bench.gate import baseline, checking, choosing
    from alignment_bench.gate.rendering import headline, render
    from alignment_bench.results import read_all

    records, unreadable = read_all(request.results)
    try:
        kept = choosing.baseline_of(baseline.read(request.baseline), request.filters)
        _refuse_vacuous(kept, request)
    except BadInput as error:  # whatever else is damaged is told with it
        fix = "repair or delete it as well"
        damaged = [Problem("results", one.reason, fix) for one in unreadable]
        raise BadInput([*error.problems, *damaged]) from error
    report = checking.check(kept, compare(records), unreadable, request.margin, request.metrics)
    if request.filters:  # what the filters left out is not news
        report = replace(report, notes=())
    text = render(report, request.format, str(request.baseline))
    if request.out is None:
        print(text, end="")
    else:
        request.out.parent.mkdir(parents=True, exist_ok=True)
        request.out.write_text(text, "utf-8")
        print(headline(report), file=sys.stderr)
    return report.code


def _old(path: Path) -> tuple[Baseline | None, list[Problem]]:
    """The baseline that is to be updated, or why it cannot be read."""
    from alignment_bench.gate import baseline

    try:
        return (baseline.read(path) if path.exists() else None), []
    except BadInput as error:
        return None, list(error.problems)


def _refuse_vacuous(kept: Any, request: CheckRequest) -> None:
    """A gate that checks nothing would pass everything."""
    known = _metrics(kept)
    problems = _idle_margins(request.margin, known, str(request.baseline))
    problems += [
        Problem("metrics", f"{one!r} is not in {request.baseline}", f"there are: {', '.join(sorted(known))}")
        for one in request.metrics
        if one not in known
    ]
    if not problems and not any(
        cell.gated and (not request.metrics or cell.metric in request.metrics)
        for group in kept.groups
        for cell in group.cells
    ):
        problems.append(
            Problem(str(request.baseline), "nothing of it is gated here", "keep more of its cells")
        )
    if problems:
        raise BadInput(problems)


def _metrics(kept: Any) -> set[str]:
    return {cell.metric for group in kept.groups for cell in group.cells}


def _idle_margins(margin: Margin | None, known: set[str], where: str) -> list[Problem]:
    """Margins of metrics that are not there: a misspelt one would leave the usual margin in its place."""
    named = margin.of if margin else {}
    fix = f"there are: {', '.join(sorted(known))}"
    return [Problem("margin", f"{one!r} is not in {where}", fix) for one in named if one not in known]


def _parsed(
    verb: str, arguments: Sequence[str], own: tuple[str, ...], problems: list[Problem]
) -> dict[str, Any]:
    """The fields that the keys of a gate's verb set."""
    given = pairs(arguments, problems)
    found: dict[str, Any] = {"filters": {}}
    for key, text in given.items():
        if key in FILTERS:
            found["filters"][key] = listed(key, text, problems)
        elif key == "metrics":
            found["metrics"] = listed(key, text, problems)
        elif key == "margin":
            found["margin"] = parse_margin(text, problems)
        elif key not in own:
            fix = suggest(key, (*FILTERS, *own, "metrics", "margin"))
            problems.append(Problem(key, f"is no key of bench {verb}", fix))
    found |= values(_Plain, {key: given[key] for key in own if key in given}, "", problems)
    problems += no_results(found.get("results", Path("results")))
    problems.extend(no_file("out", found["out"]) if "out" in found else ())
    return found
