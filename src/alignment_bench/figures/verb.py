"""`bench figures`: parses the command, draws what is stored, and lists what was not drawn, and why."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alignment_bench.checks import no_results, unwritable
from alignment_bench.comparison import BASE, compare, pick
from alignment_bench.config import pairs
from alignment_bench.config_values import FILTERS
from alignment_bench.config_values import listed as elements_of
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import values
from alignment_bench.figures.draw import FIGURES, FORMATS, INDEX, Drawn, draw
from alignment_bench.registry import suggest

HELP = """\
bench figures out=DIR: figures of what is stored, each with its data (.csv) and its caption (.txt)

  out=DIR        folder for the figures and index.json, which lists them
  results=DIR    folder of everything stored (default results)
  format=        some of pdf,svg,png (default all)
  names=         some of these (default all); those with * can show another metric, as
                 metric_by_method:rouge_l
{figures}
  task= methods= model= data= world= budget= teacher= judge= seeds=
                 keep only what has one of these values; base always stays, to compare with

Figures are 3.3 to 6.9 inches wide. One for which nothing is stored is named with the reason.
"""


@dataclass(frozen=True)
class FiguresRequest:
    """What `bench figures` was asked for."""

    out: Path = Path("figures")
    results: Path = Path("results")
    format: tuple[str, ...] = FORMATS
    names: tuple[str, ...] | None = None
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_KEYS = ("out", "results", "format", "names")


def parse_figures(arguments: Sequence[str]) -> FiguresRequest:
    """The request of `bench figures`. Raises one BadInput with all that is wrong with the arguments."""
    problems: list[Problem] = []
    given = pairs(arguments, problems)
    lists = {
        key: elements_of(key, value, problems)
        for key, value in given.items()
        if key in (*FILTERS, "names", "format")
    }
    for key in given:
        if key not in (*FILTERS, *_KEYS):
            fix = suggest(key, (*FILTERS, *_KEYS))
            problems.append(Problem(key, "is no key of bench figures", fix))
    for one in lists.get("format", ()):
        if one and one not in FORMATS:
            problems.append(Problem("format", f"{one!r} is no format of a figure", suggest(one, FORMATS)))
    for one in lists.get("names", ()):
        if one and one.partition(":")[0] not in FIGURES:
            problems.append(Problem("names", f"no figure is called {one!r}", suggest(one, FIGURES)))
    plain = values(
        FiguresRequest, {key: given[key] for key in ("out", "results") if key in given}, "", problems
    )
    if "out" not in given:
        problems.append(Problem("out", "is missing", "write out=DIR"))
    elif out := plain.get("out"):
        problems += unwritable("out", out)
    problems += no_results(plain.get("results", FiguresRequest.results))
    if problems:
        raise BadInput(problems)
    filters = {key: lists[key] for key in FILTERS if key in lists}
    return FiguresRequest(
        **plain, format=lists.get("format", FORMATS), names=lists.get("names"), filters=filters
    )


def figures_command(arguments: Sequence[str]) -> int:
    """Draws, prints a line a figure, and returns 0; what is damaged and control alarms go to stderr."""
    request = parse_figures(arguments)
    from alignment_bench.tables.alarms import alarms
    from alignment_bench.tables.page import stored

    cells, unreadable = stored(request.results, request.filters)
    blocks = compare(cells)
    for remark in [*map(str, alarms(blocks)), *(f"in no figure: {one.reason}" for one in unreadable)]:
        print(remark, file=sys.stderr)
    if labels := request.filters.get("methods"):
        picked = (pick(block, {*labels, BASE}) for block in blocks)
        blocks = [block for block in picked if any(line.label in labels for line in block.lines)]
    done = draw(blocks, request.out, request.names, request.format, request.results)
    print(listed(done, request.out))
    return 0


def listed(done: Sequence[Drawn], out: Path) -> str:
    """One line a figure: its files, or why there are none."""
    drawn = [f"{one.name}: {', '.join(file.name for file in one.files)}" for one in done if not one.skipped]
    skipped = [f"not drawn: {one.name}: {one.skipped}" for one in done if one.skipped]
    count = f"{len(drawn)} figures in {out}, listed in {INDEX}, each with its data (.csv) and caption (.txt)"
    return "\n".join([*drawn, *skipped, count])


def help_text() -> str:
    """The help of the verb, with every figure."""
    width = max(map(len, FIGURES)) + 1
    lines = [f"    {one.name + '*' * one.takes_metric:<{width}}  {one.summary}" for one in FIGURES.values()]
    return HELP.format(figures="\n".join(lines))
