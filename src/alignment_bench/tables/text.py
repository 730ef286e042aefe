"""Sheets for a terminal: no colours, no lines wider than asked."""

from __future__ import annotations

import io
from collections.abc import Sequence
from textwrap import wrap

from alignment_bench.tables.sheets import Grid, Sheet
from alignment_bench.tables.spend import ACTS


def page(alarms: Sequence[str], sheets: Sequence[Sheet], width: int) -> str:
    """The sheets under each other."""
    top = [line for alarm in alarms for line in _wrapped("!! " + alarm, width)]
    return "\n".join([*(["\n".join(top) + "\n"] if top else []), *(_sheet(one, width) for one in sheets)])


def _sheet(sheet: Sheet, width: int) -> str:
    lines = [sheet.title]
    lines += [line for text in sheet.alarms for line in _wrapped("!! " + text, width)]
    for group in (sheet.verdict, sheet.caption):
        if group:
            lines += ["", *(line for text in group for line in _wrapped(text, width))]
    for grid in sheet.grids:
        lines += ["", *_rich(grid, width)]
    if sheet.footnotes:
        lines += ["", *(line for text in sheet.footnotes for line in _wrapped("- " + text, width))]
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
            Text(header), justify="right" if place and header != ACTS else "left", overflow="fold"
        )
    for row in grid.rows:
        table.add_row(*map(Text, row))
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]
