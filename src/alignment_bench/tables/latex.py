"""Sheets as LaTeX with booktabs rules, every character escaped, in ASCII.

A grid of up to 40 methods is a float; a longer one is a longtable, which breaks across pages. Verdict,
caption and footnotes are paragraphs after the grids, so that they may break too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from alignment_bench.tables.sheets import Grid, Sheet
from alignment_bench.tables.spend import ACTS

WIDTH = 76
"""characters of a row that fit the text width of an article in footnotesize"""
FLOAT_ROWS = 40
"""rows that fit one page with a caption"""
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "Δ": r"$\Delta$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "±": r"$\pm$",
    "\u00d7": r"$\times$",
    "\u2013": "--",
    "\u2014": "---",
    "\u2019": "'",
    **{one: "\\" + one for one in "&%$#_{}"},
}


def page(alarms: Sequence[str], sheets: Sequence[Sheet], width: int) -> str:
    """The sheets after each other; the packages they need stand in a comment above."""
    top = [r"% \usepackage{booktabs,longtable}"]
    top += [_alarm(one) for one in alarms]
    return "\n".join([*top, *map(_sheet, sheets)])


def escaped(text: str) -> str:
    """Plain text as LaTeX sets it; a character that has no ASCII form here becomes its code point."""
    out = "".join(_LATEX.get(one, one) for one in " ".join(text.split()))
    out = "".join(one if one.isascii() and one.isprintable() else f"[U+{ord(one):04X}]" for one in out)
    # a hyphen before a digit is a minus, and a bracket at the start of a row would be read as an argument
    out = re.sub(r"(?<![\w}])-(?=\d)", "$-$", out)
    return "{[}" + out[1:] if out.startswith("[") else out


def _sheet(sheet: Sheet) -> str:
    lines = [_alarm(one) for one in sheet.alarms]
    for place, grid in enumerate(sheet.grids, start=1):
        part = f" ({place} of {len(sheet.grids)})" if len(sheet.grids) > 1 else ""
        lines += (_float if len(grid.rows) <= FLOAT_ROWS else _long)(grid, escaped(sheet.title) + part)
    remarks = [*sheet.verdict, *sheet.caption, *sheet.footnotes]
    if remarks:
        lines += [r"\begin{flushleft}", r"\scriptsize"]
        lines += [escaped(text) + r"\par" for text in remarks]
        lines.append(r"\end{flushleft}")
    return "\n".join(lines) + "\n"


def _float(grid: Grid, title: str) -> list[str]:
    return [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{title}}}",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{{_columns(grid)}}}",
        r"\toprule",
        _row(grid.headers),
        r"\midrule",
        *map(_row, grid.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def _long(grid: Grid, title: str) -> list[str]:
    return [
        r"\begingroup\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{longtable}}{{{_columns(grid)}}}",
        rf"\caption{{{title}}} \\",
        r"\toprule",
        _row(grid.headers),
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        *map(_row, grid.rows),
        r"\end{longtable}",
        r"\endgroup",
    ]


def _columns(grid: Grid) -> str:
    return "l" + "".join("l" if header == ACTS else "r" for header in grid.headers[1:])


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"


def _alarm(text: str) -> str:
    return rf"{{\raggedright\noindent\textbf{{{escaped(text)}}}\par}}"
