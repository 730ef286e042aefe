"""Figures as parts of a page: the SVG files of `alignment_bench.figures`, made fit to stand inside HTML.

Every id gets a prefix of its own, so that two figures in one page do not share glyphs or clips; comments,
metadata and style sheets go; what is drawn stays.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from alignment_bench.comparison import Block
from alignment_bench.errors import CorruptResult

BLOCKS = 6
"""blocks of which figures are drawn"""
LARGEST = 700_000
"""bytes of one figure; a larger one is left to `bench figures`"""
ROWS, COLUMNS = 60, 14
"""of a figure's data that is shown"""
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_LEFT_OUT = {f"{{{_SVG}}}metadata", f"{{{_SVG}}}style", f"{{{_SVG}}}script"}
_INNER = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True)
class Drawing:
    """One figure in the page."""

    name: str
    svg: str
    caption: str
    points: float
    """its width on paper"""
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    hidden: int
    """rows of its data that are not shown"""


@dataclass(frozen=True)
class Drawings:
    """What was drawn, and what was not with the reason."""

    done: tuple[Drawing, ...]
    skipped: tuple[str, ...]


def drawings(blocks: Sequence[Block], root: Path) -> Drawings:
    """Every figure that the blocks give."""
    from alignment_bench.figures import FIGURES, draw

    done: list[Drawing] = []
    skipped: list[str] = []
    if len(blocks) > BLOCKS:
        skipped.append(f"figures of {len(blocks) - BLOCKS} more blocks: bench figures draws those of all")
    with TemporaryDirectory() as folder:
        for name in FIGURES:
            try:
                found = draw(blocks[:BLOCKS], Path(folder), [name], ("svg",), root)
            except CorruptResult as error:
                skipped.append(f"{name}: {error}")
                continue
            for one in found:
                if one.skipped or one.csv is None or one.caption is None:
                    skipped.append(f"{one.name}: {one.skipped}")
                    continue
                text = one.files[0].read_text("utf-8")
                if len(text) > LARGEST:
                    skipped.append(
                        f"{one.name}: too large for a page ({len(text):,} bytes), see bench figures"
                    )
                    continue
                words = re.sub(r" Data: \S+\.csv\.$", "", one.caption.read_text("utf-8").strip())
                svg, points = embedded(text, f"f{len(done)}-", words)
                done.append(_drawing(one.name, svg, points, words, one.csv))
    return Drawings(tuple(done), _joined(skipped))


def embedded(text: str, prefix: str, alt: str) -> tuple[str, float]:
    """The SVG file as an element of a page, its ids prefixed, with its text, and its width in points."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    tree = ElementTree.fromstring(text)  # comments and doctype are not kept
    for parent in list(tree.iter()):
        for child in [one for one in parent if one.tag in _LEFT_OUT]:
            parent.remove(child)
    for node in tree.iter():
        for key, value in list(node.attrib.items()):
            if key == "id":
                node.set(key, prefix + value)
            elif key in (f"{{{_XLINK}}}href", "href") and value.startswith("#"):
                node.set(key, f"#{prefix}{value[1:]}")
            elif "url(#" in value:
                node.set(key, _INNER.sub(lambda found: f"url(#{prefix}{found[1]})", value))
    points = float(tree.get("width", "0").removesuffix("pt"))
    for name in ("width", "height", "version"):
        tree.attrib.pop(name, None)
    tree.set("role", "img")
    tree.set("aria-label", alt)
    tree.set("style", "stroke-linejoin:round;stroke-linecap:butt")
    return ElementTree.tostring(tree, encoding="unicode"), points


def _drawing(name: str, svg: str, points: float, caption: str, data: Path) -> Drawing:
    with data.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    shown = tuple(tuple(map(_short, row[:COLUMNS])) for row in rows[:ROWS])
    return Drawing(name, svg, caption, points, tuple(header[:COLUMNS]), shown, len(rows) - len(shown))


def _short(cell: str) -> str:
    """A number in four digits; anything else as it is."""
    try:
        return cell if len(cell) < 8 else f"{float(cell):.4g}"
    except ValueError:
        return cell


def _joined(skipped: Sequence[str]) -> tuple[str, ...]:
    """One line a reason, with the figures that it is of."""
    names: dict[str, list[str]] = {}
    for one in skipped:
        name, _, why = one.partition(": ")
        names.setdefault(why, []).append(name)
    return tuple(f"{', '.join(whose)}: {why}" for why, whose in names.items())
