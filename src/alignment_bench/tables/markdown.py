"""Sheets as GitHub-flavoured markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from alignment_bench.tables.sheets import Sheet
from alignment_bench.tables.spend import ACTS


def page(alarms: Sequence[str], sheets: Sequence[Sheet], width: int) -> str:
    """The sheets under each other, each under a heading of the third level."""
    return "\n".join([*([_alarms(alarms) + "\n"] if alarms else []), *map(_sheet, sheets)])


def escaped(text: str) -> str:
    """Plain text that markdown must not read as markup, on one line."""
    return " ".join(re.sub(r"([\\|*_`<>~$&]|(?<=\])\()", r"\\\1", text).split())


def _sheet(sheet: Sheet) -> str:
    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(escaped, cells)) + " |"

    parts = [f"### {escaped(sheet.title)}"]
    if sheet.alarms:
        parts.append(_alarms(sheet.alarms))
    parts += [escaped(line) for line in sheet.verdict]
    if sheet.caption:
        parts.append("\n".join(f"- {escaped(line)}" for line in sheet.caption))
    for grid in sheet.grids:
        sides = ["---" if header == ACTS else "---:" for header in grid.headers[1:]]
        rule = "| " + " | ".join(["---", *sides]) + " |"
        parts.append("\n".join([row(grid.headers), rule, *map(row, grid.rows)]))
    if sheet.footnotes:
        parts.append("\n".join(f"- {escaped(note)}" for note in sheet.footnotes))
    return "\n\n".join(parts) + "\n"


def _alarms(alarms: Sequence[str]) -> str:
    return "\n>\n".join(f"> **{escaped(one)}**" for one in alarms)
