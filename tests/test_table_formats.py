"""What each format makes of a table: nothing lost, nothing read as markup, documents that compile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_cells import cell, three_seeds

from alignment_bench.tables import latex, markdown
from alignment_bench.tables.footnotes import over_seeds
from alignment_bench.tables.formats import FORMATS, set_sheets
from alignment_bench.tables.html import fragment
from alignment_bench.tables.page import render_records
from alignment_bench.tables.sheets import Grid, Sheet

HOSTILE = "ilf:x=50%_{a}#$&~^\\'\"`<script>[|é"
LATEX = r"""\documentclass{article}
\usepackage{booktabs,longtable}
\begin{document}
%s
\end{document}
"""


def loud() -> list[object]:
    """A table whose control differs from base."""
    calm = [record for record in three_seeds() if record.label != "base_copy"]
    return [*calm, *(cell("base_copy", seed, 0.1) for seed in (0, 1, 2))]


@pytest.mark.parametrize("format", FORMATS)
def test_the_alarm_stands_at_the_top_of_every_format(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = render_records(loud(), format)  # type: ignore[arg-type]
    body = made.partition("<div")[2] if format == "html" else made
    assert "CONTROL ALARM" in "".join(body.splitlines(keepends=True)[: 6 if format == "json" else 2]) or (
        format == "json" and list(json.loads(made))[1] == "alarms" and json.loads(made)["alarms"]
    )
    assert ("CONTROL ALARM" in capsys.readouterr().err) == (format == "csv")
    assert "CONTROL ALARM" not in render_records(three_seeds(), format)


@pytest.mark.parametrize("format", FORMATS)
def test_the_verdict_and_the_detectable_effect_are_in_every_format(format: str) -> None:
    made = render_records(three_seeds(), format)
    flat = " ".join(made.replace("\\", "").split())
    if format in ("csv", "json"):
        assert "tied_set" in flat and "mde" in flat
        return
    assert "smallest difference to base seen with 80 % power: quality" in flat
    assert "tied set" in flat
    (sentence, *_) = json.loads(render_records(three_seeds(), "json"))["verdicts"][0]["sentences"]
    assert flat.index(" ".join(sentence.split())[:40].replace("\\", "")) < flat.index("mean [95 % interval]")


def test_letters_say_which_methods_are_not_told_apart() -> None:
    stored = json.loads(render_records(three_seeds(), "json"))
    letters = {row["method"]: row["tied_set"] for row in stored["rows"] if row["metric"] == "quality"}
    assert letters["base"] == letters["base_copy"] != letters["ilf"] == "a"
    assert {row["tied_set"] for row in stored["rows"] if row["metric"] == "length"} == {None}
    sets = {one["letter"]: one["methods"] for one in stored["verdicts"][0]["tied_sets"]}
    assert sets["a"] == ["ilf"] and set(sets["b"]) == {"base", "base_copy"}
    assert stored["schema"] == 1 and stored["unreadable"] == [] == stored["alarms"]


def test_spend_is_there_for_machines_in_full_units() -> None:
    (ilf,) = [
        one for one in json.loads(render_records(three_seeds(), "json"))["spend"] if one["method"] == "ilf"
    ]
    assert ilf["spend"]["annotator_seconds"] == pytest.approx(54750.0)
    assert ilf["spend"]["acts"] == {"critique": pytest.approx(300.0)}
    assert ilf["spend"]["flops"] == 0.0 and ilf["test_spend"]["seconds"] == 0.0


def test_notes_that_differ_between_seeds_in_numbers_alone_are_one_footnote() -> None:
    kept = [f"round {one}: kept {one + seed} of 9" for seed in (0, 1) for one in (1, 2)]
    cells = (
        cell("ilf", 0, notes=(*kept[:2], "the same")),
        cell("ilf", 1, notes=(*kept[2:], "the same", "2 truncated")),
    )
    from alignment_bench.comparison import compare

    (line,) = compare(cells)[0].lines
    assert over_seeds(line) == [
        "round 1: kept 1 / 2 of 9",
        "round 2: kept 2 / 3 of 9",
        "the same",
        "2 truncated",
    ]


class Tags(HTMLParser):
    """Counts what is opened and closed, and collects the text of table cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened: dict[str, int] = {}
        self.closed: dict[str, int] = {}
        self.cells: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.opened[tag] = self.opened.get(tag, 0) + 1
        self._inside = tag in ("td", "th")
        if self._inside:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.closed[tag] = self.closed.get(tag, 0) + 1
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data


def test_html_is_well_formed_and_a_label_is_never_markup() -> None:
    odd = cell(HOSTILE, 0, 0.1, notes=("<img src=x onerror=alert(1)>",))
    found = Tags(render_records([*three_seeds(), odd], "html"))
    assert HOSTILE in found.cells
    assert "script" not in found.opened and "img" not in found.opened
    closable = {tag: n for tag, n in found.opened.items() if tag != "meta"}
    assert closable == found.closed
    assert found.opened["table"] == 2, "one of metrics and one of spend"


def test_the_html_fragment_needs_no_page() -> None:
    sheet = Sheet(
        "a & b", ("c",), (Grid(("method", "acts"), (("base", "-"),)),), ("note",), ("ALARM",), ("won",)
    )
    made = fragment([sheet], ["TOP"])
    assert made.startswith('<div class="bench">') and made.endswith("</div>\n")
    assert "a &amp; b" in made and "<html" not in made and "<style" not in made
    assert made.index("TOP") < made.index("ALARM") < made.index("won") < made.index("<table>")


def long_table(rows: int) -> Sheet:
    """A sheet with so many methods."""
    return Sheet("long", (), (Grid(("method", "quality"), tuple((f"m{i}", "0.1") for i in range(rows))),), ())


def test_latex_is_balanced_rectangular_and_escaped() -> None:
    odd = cell(HOSTILE, 0, 0.1)
    text = render_records([*three_seeds(), odd], "latex")
    assert r"ilf:x=50\%\_\{a\}\#\$\&\textasciitilde{}\textasciicircum{}\textbackslash{}" in text
    bare = re.sub(r"\\[\\{}%&#$_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert text.isascii() and "[U+00E9]" in text
    for name in ("table", "tabular", "flushleft"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") > 0
    tabulars = re.findall(r"\\begin\{tabular\}\{([lr]*)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert len(tabulars) >= 2
    for spec, body in tabulars:
        lines = [line for line in body.splitlines() if line.endswith(r" \\")]
        assert len(lines) == 5
        assert all(len(re.findall(r"(?<!\\)&", line)) == len(spec) - 1 for line in lines)
        assert body.startswith("\\toprule\n")
        assert body.endswith("\\bottomrule\n")
    assert "longtable}{" not in text
    assert r"\begin{longtable}{lr}" in set_sheets([long_table(41)], "latex")


def test_the_latex_compiles_and_no_line_is_too_wide(tmp_path: Path) -> None:
    engine = shutil.which("pdflatex") or shutil.which("tectonic")
    if engine is None:
        pytest.skip("neither pdflatex nor tectonic is installed")
    odd = cell(HOSTILE, 0, 0.1, notes=(f"a note with {HOSTILE} and 3 < 4 > 2 | 'so' \"so\"",))
    tables = {
        "hostile": render_records([*three_seeds(), odd], "latex"),
        "plain": render_records(loud(), "latex") + set_sheets([long_table(120)], "latex"),  # type: ignore[arg-type]
    }
    options = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in engine else []
    said = {}
    for name, text in tables.items():
        (tmp_path / f"{name}.tex").write_text(LATEX % text, "utf-8")
        done = subprocess.run(
            [engine, *options, f"{name}.tex"], cwd=tmp_path, capture_output=True, text=True, errors="replace"
        )
        assert done.returncode == 0, done.stdout[-2000:]
        assert (tmp_path / f"{name}.pdf").stat().st_size > 10_000
        said[name] = done.stdout
    assert "Overfull" not in said["plain"] and "Float too large" not in said["plain"]


def test_a_remark_is_no_markup_of_any_format() -> None:
    assert markdown.escaped("[a](b) ~c~ $d$ &lt; [1, 2]") == r"[a]\(b) \~c\~ \$d\$ \&lt; [1, 2]"
    assert latex.escaped("a\x1b[31mb") == "a[U+001B][31mb"
