"""The formats of a table: those that people read, from sheets, and those for machines, from rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from alignment_bench.errors import BadInput, Problem
from alignment_bench.tables import html, latex, markdown, text
from alignment_bench.tables.sheets import Sheet

WIDTH = 120
"""columns of a table that is not printed to a terminal"""
_SETTERS: Mapping[str, Callable[[Sequence[str], Sequence[Sheet], int], str]] = {
    "text": text.page,
    "markdown": markdown.page,
    "latex": latex.page,
    "html": html.page,
}
_WIDTHS = {"latex": latex.WIDTH, "html": html.WIDTH}
MACHINES = ("csv", "json")
FORMATS = (*_SETTERS, *MACHINES)


def set_sheets(sheets: Sequence[Sheet], format: str, width: int = WIDTH, alarms: Sequence[str] = ()) -> str:
    """Sheets in a format that people read, `alarms` above all of them, ending with a newline."""
    return _SETTERS[format](alarms, sheets, width)


def set_sheet(page: Sheet, format: str) -> str:
    """One sheet in a format that people read."""
    return set_sheets([page], format)


def width_of(format: str, otherwise: int = WIDTH) -> int:
    """How many characters wide the grids of a format should be."""
    return _WIDTHS.get(format, otherwise)


def check(format: str) -> None:
    """Raises BadInput where this is no format."""
    if format not in FORMATS:
        raise BadInput([Problem("format", f"{format!r} is no format", f"one of {', '.join(FORMATS)}")])
