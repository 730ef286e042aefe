"""How figures look: paper sizes, colours that colour-blind readers tell apart, and files equal byte by byte.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color) without the yellow, which is lost on white.
Colour is never the only sign: every method has a marker and a line style of its own, so that a greyscale copy
reads the same. Fonts are embedded in PDF and drawn as outlines in SVG: a page looks the same anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

SINGLE, DOUBLE, TALLEST = 3.3, 6.9, 9.0
"""inches: one column and two columns of a paper, and the height of its page"""
LINE = 0.115
"""inches of one line of small text"""
SMALL = 6.0
"""points of labels of methods"""
GREY = "#6b6b6b"
"""what stands behind: reference lines, bounds, methods without a mark of their own"""
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
LINES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)))
MARKED = 2 * len(MARKERS)
"""methods that can be told apart without colour: every marker filled and open"""
SHADES = "cividis"
"""colour map of values: brightness rises all along it, so that a greyscale copy keeps the order"""

_RC: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "axes.labelsize": 7.0,
    "axes.titlesize": 7.0,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.labelspacing": 0.35,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
    "savefig.dpi": 300,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "alignment-bench",
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}
_METADATA: Mapping[str, Mapping[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


@dataclass(frozen=True)
class Mark:
    """How one method is drawn."""

    color: str
    marker: str
    filled: bool
    line: Any

    @property
    def face(self) -> str:
        """Colour inside the marker."""
        return self.color if self.filled else "white"


def mark(place: int) -> Mark:
    """The mark of the method in that place of a ranking; different ones for the first MARKED places."""
    turn = place // len(MARKERS)
    return Mark(
        PALETTE[place % len(PALETTE)],
        MARKERS[place % len(MARKERS)],
        turn % 2 == 0,
        LINES[place % len(LINES)],
    )


@contextmanager
def applied() -> Iterator[None]:
    """Matplotlib's defaults with these changes, whatever a user's own matplotlibrc says."""
    import matplotlib
    import matplotlib.style

    with matplotlib.style.context(["default", dict(_RC)]):
        yield


def canvas(width: float, height: float) -> Canvas:
    """An empty figure of that size in inches whose layout keeps all text inside; of no window system."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, min(height, TALLEST)), layout="constrained")


def save(figure: Canvas, path: Path) -> None:
    """Writes a figure in the format that the file's ending names: the same bytes for the same figure."""
    form = path.suffix[1:]
    figure.savefig(path, format=form, metadata=dict(_METADATA[form]))


def wrapped(label: str, width: int) -> str:
    """A method's label on lines of at most `width` characters, broken after `:`, `+` or `,` if it can be."""
    lines = [""]
    for piece in re.findall(r"[^:+,]+[:+,]*|[:+,]+", label):
        for part in wrap(piece, width, break_on_hyphens=False) or [piece]:
            if lines[-1] and len(lines[-1]) + len(part) > width:
                lines.append("")
            lines[-1] += part
    return "\n".join(lines)


def line_count(labels: Sequence[str]) -> int:
    """Lines that these wrapped labels take below each other."""
    return sum(label.count("\n") + 1 for label in labels)
