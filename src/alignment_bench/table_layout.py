"""Tables as text, markdown and LaTeX for people, and as CSV and JSON for machines."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, fields
from textwrap import wrap

from alignment_bench.comparison import Block, pick
from alignment_bench.errors import BadInput, Problem
from alignment_bench.results import Unreadable
from alignment_bench.sheets import Grid, Sheet, sheet
from alignment_bench.table import Row, alarms, block_rows

WIDTH = 120
"""columns of a table that is not printed to a terminal"""


def render_blocks(
    blocks: Sequence[Block],
    format: str,
    unreadable: Sequence[Unreadable] = (),
    labels: Collection[str] | None = None,
) -> str:
    """The blocks in one of FORMATS, ending with a newline; what could not be read is never left unsaid.

    `labels` picks the methods to show; a control raises its alarm shown or not. CSV and JSON have no place
    for remarks: there unreadable files and alarms go to stderr.
    """
    shown = [(block, block if labels is None else pick(block, labels)) for block in blocks]
    shown = [(whole, part) for whole, part in shown if part.lines]
    raised = alarms([whole for whole, _ in shown])
    if format in ("csv", "json"):
        for remark in [*map(str, raised), *(f"not in the table: {one.reason}" for one in unreadable)]:
            print(remark, file=sys.stderr)
        rows = block_rows(part for _, part in shown)
        return _csv(rows) if format == "csv" else _json(rows)
    if format not in _SETTERS:
        raise BadInput([Problem("format", f"{format!r} is no format", f"one of {', '.join(FORMATS)}")])
    width = shutil.get_terminal_size().columns if format == "text" and sys.stdout.isatty() else WIDTH
    sheets = [
        sheet(part, [str(alarm) for alarm in raised if alarm.block is whole], width) for whole, part in shown
    ]
    if unreadable:
        lost = tuple(one.reason for one in unreadable)
        sheets.append(Sheet("stored but not readable, and not in any table", (), (), lost))
    return "\n".join(_SETTERS[format](one, width) for one in sheets)


def set_sheet(page: Sheet, format: str) -> str:
    """One sheet in a format that people read: text, markdown or latex."""
    return _SETTERS[format](page, WIDTH)


def _text(page: Sheet, width: int) -> str:
    lines = [page.title, *(line for text in page.caption for line in _wrapped(text, width))]
    for grid in page.grids:
        lines += ["", *_rich(grid, width)]
    if page.footnotes:
        lines += ["", *(line for text in page.footnotes for line in _wrapped("- " + text, width))]
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int) -> list[str]:
    # a path stays in one piece, to be copied
    return wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _rich(grid: Grid, width: int) -> list[str]:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    # Text, not str: brackets and colons of intervals and labels are no markup
    for place, header in enumerate(grid.headers):
        table.add_column(
            Text(header), justify="right" if place and header != "acts" else "left", overflow="fold"
        )
    for row in grid.rows:
        table.add_row(*map(Text, row))
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _markdown(page: Sheet, width: int) -> str:
    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(_markdown_escaped, cells)) + " |"

    parts = [f"### {_markdown_escaped(page.title)}"]
    if page.caption:
        parts.append("\n".join(f"- {_markdown_escaped(line)}" for line in page.caption))
    for grid in page.grids:
        rule = "| " + " | ".join(["---"] + ["---:"] * (len(grid.headers) - 1)) + " |"
        parts.append("\n".join([row(grid.headers), rule, *map(row, grid.rows)]))
    if page.footnotes:
        parts.append("\n".join(f"- {_markdown_escaped(note)}" for note in page.footnotes))
    return "\n\n".join(parts) + "\n"


def _markdown_escaped(text: str) -> str:
    escaped = re.sub(r"([\\|*_`<>])", r"\\\1", text)
    return " ".join(escaped.split())


def _latex(page: Sheet, width: int) -> str:
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{_latex_escaped(page.title)}}}",
        r"\footnotesize",
    ]
    for grid in page.grids:
        # one length for all: the grids of one sheet stand under each other
        lines += [r"\setlength{\tabcolsep}{4pt}", rf"\begin{{tabular}}{{l{'r' * (len(grid.headers) - 1)}}}"]
        lines += [r"\toprule", _latex_row(grid.headers), r"\midrule", *map(_latex_row, grid.rows)]
        lines += [r"\bottomrule", r"\end{tabular}", r"\par\medskip"]
    remarks = [*page.caption, *page.footnotes]
    if remarks:
        lines += [r"\begin{flushleft}", r"\scriptsize"]
        lines += [_latex_escaped(text) + r"\par" for text in remarks]
        lines.append(r"\end{flushleft}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_latex_escaped, cells)) + r" \\"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "Δ": r"$\Delta$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    **{one: "\\" + one for one in "&%$#_{}"},
}


def _latex_escaped(text: str) -> str:
    escaped = "".join(_LATEX.get(one, one) for one in " ".join(text.split()))
    # a hyphen before a digit is a minus, and a bracket at the start of a row would be read as an argument
    escaped = re.sub(r"(?<![\w}])-(?=\d)", "$-$", escaped)
    return "{[}" + escaped[1:] if escaped.startswith("[") else escaped


def _csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [one.name for one in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return out.getvalue()


def _json(rows: Sequence[Row]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False, allow_nan=False) + "\n"


_SETTERS: dict[str, Callable[[Sheet, int], str]] = {"text": _text, "markdown": _markdown, "latex": _latex}
FORMATS = (*_SETTERS, "csv", "json")
