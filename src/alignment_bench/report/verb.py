"""`bench report`: what it was asked for, and writing the file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alignment_bench.checks import no_file, no_results
from alignment_bench.config import pairs
from alignment_bench.config_values import FILTERS, listed
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import values
from alignment_bench.registry import suggest

HELP = """\
bench report out=FILE.html: one HTML file with the verdict in words, tables, figures, the judge's audit,
samples side by side, what the methods were told, spend, configuration and provenance

  out=FILE       the file to write; nothing else is needed to read it, and it loads nothing
  results=DIR    folder of everything stored (default results)
  task= methods= model= data= world= budget= teacher= judge= seeds=
                 keep only what has one of these values; base always stays, to compare with
"""


@dataclass(frozen=True)
class ReportRequest:
    """What `bench report` was asked for."""

    out: Path = Path()
    results: Path = Path("results")
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def parse_report(arguments: Sequence[str]) -> ReportRequest:
    """The request of `bench report`. Raises one BadInput with everything that is wrong."""
    problems: list[Problem] = []
    given = pairs(arguments, problems)
    known = ("out", "results", *FILTERS)
    for key in given:
        if key not in known:
            problems.append(Problem(key, "is no key of bench report", suggest(key, known)))
    plain: dict[str, str] = {key: given[key] for key in ("out", "results") if key in given}
    request = ReportRequest(**values(ReportRequest, plain, "", problems))
    if "out" not in given:
        if not any(problem.field == "out" for problem in problems):
            problems.append(Problem("out", "is missing", "write out=report.html, the file to write"))
    else:
        problems.extend(no_file("out", request.out))
    problems += no_results(request.results)
    filters = {key: listed(key, given[key], problems) for key in FILTERS if key in given}
    if problems:
        raise BadInput(problems)
    return ReportRequest(request.out, request.results, filters)


def report_command(arguments: Sequence[str]) -> int:
    """`bench report`: writes the file and says where and how large."""
    request = parse_report(arguments)
    from alignment_bench.report.page import render

    page = render(request.results, request.filters)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    request.out.write_text(page.text, encoding="utf-8", newline="\n")
    for reason in page.unreadable:
        print(f"in the report by name only: {reason}", file=sys.stderr)
    print(f"{request.out}: {len(page.text.encode()) / 1e6:.1f} MB")
    return 0
