"""The two pictures most figures are: a row with an interval for every method, and points with a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignment_bench.figures import style
from alignment_bench.figures.frame import Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_PAD = 0.045
"""inches between two rows"""
KEY_CHARACTERS, ROW_CHARACTERS = 30, 27
"""of a label before it goes on in the next line"""


@dataclass(frozen=True)
class Bar:
    """One row: a mean with its interval; `filled` marks are told apart in the caption."""

    label: str
    mean: float
    low: float | None
    high: float | None
    filled: bool = True
    outer: tuple[float, float, float, float, float] | None = None
    """5, 25, 50, 75 and 95 % quantiles, drawn behind"""


@dataclass(frozen=True)
class Point:
    """One method in a plane, with intervals where there are any."""

    label: str
    x: float
    y: float
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
    bound: bool = False
    """whether x is an upper bound"""


def fits(labels: Sequence[str]) -> int:
    """How many of these rows, from the first on, two columns of a page can hold."""
    room = 2 * (style.TALLEST - 0.9)
    for place, label in enumerate(labels):
        room -= _height(label)
        if room < 0:
            return place
    return len(labels)


def rows(bars: Sequence[Bar], label: str, reference: Bar | None, frame: Frame) -> Canvas:
    """Bars below each other, the first on top; in two columns of a page where one would be too long."""
    heights = [_height(bar.label) for bar in bars]
    long = sum(heights) > 4.6
    count = 2 if long and len(bars) > 1 else 1
    split = _half(heights) if count == 2 else len(bars)
    parts = [bars[:split], bars[split:]][:count]
    tallest = max(sum(_height(bar.label) for bar in part) for part in parts)
    wide = count == 2 or any(len(bar.label) > 20 for bar in bars)
    figure = style.canvas(style.DOUBLE if count == 2 else 4.2 if wide else style.SINGLE, tallest + 0.5)
    panels = figure.subplots(1, count, sharex=True, squeeze=False)[0]
    for panel, part in zip(panels, parts, strict=True):
        _rows(panel, part, reference, frame)
        # equal heights of a row in both columns
        top = _PAD / 2
        panel.set_ylim(tallest + top, -top)
        panel.set_xlabel(label)
    return figure


def _rows(panel: Axes, bars: Sequence[Bar], reference: Bar | None, frame: Frame) -> None:
    places, below = [], 0.0
    for bar in bars:
        places.append(below + _height(bar.label) / 2)
        below += _height(bar.label)
    if reference is not None:
        if reference.low is not None and reference.high is not None:
            panel.axvspan(reference.low, reference.high, color="#ececec", lw=0, zorder=0)
        panel.axvline(reference.mean, color=style.GREY, lw=0.8, ls="--", zorder=1)
    for bar, y in zip(bars, places, strict=True):
        if bar.outer is not None:
            p5, p25, p50, p75, p95 = bar.outer
            panel.plot([p5, p95], [y, y], color=style.GREY, lw=0.7, zorder=2)
            panel.barh(y, p75 - p25, 0.09, p25, color="#c9d6e2", edgecolor=style.GREY, lw=0.5, zorder=2)
            panel.plot([p50] * 2, [y - 0.045, y + 0.045], color="black", lw=1.0, zorder=3)
        color = style.PALETTE[0]
        if bar.low is not None and bar.high is not None:
            whisker(panel, (bar.low, bar.high), y, color, frame, upright=False, width=1.1)
        face = color if bar.filled else "white"
        panel.plot([bar.mean], [y], "o", color=color, mfc=face, mew=0.9, ms=3.6, zorder=4)
    panel.set_yticks(places, [_row_label(bar.label) for bar in bars])
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="y", visible=False)
    panel.set_xlim(frame.low, frame.high)


def scatter(
    points: Sequence[Point],
    x: str,
    y: str,
    frames: tuple[Frame, Frame],
    reference: float | None = None,
    lines: Mapping[str, Any] | None = None,
) -> tuple[Canvas, Axes]:
    """Points with marks of their own and a key; those after the first MARKED labels small, grey, unnamed.

    `frames` are those of x and y; `lines` are the names of further lines for the key, with their looks.
    """
    named = list(dict.fromkeys(point.label for point in points))[: style.MARKED]
    figure = style.canvas(style.DOUBLE, max(2.9, key_height(named)))
    panel = figure.subplots()
    marks = {label: style.mark(place) for place, label in enumerate(named)}
    points_at(panel, points, marks, *frames)
    panel.set_xlim(frames[0].low, frames[0].high)
    panel.set_ylim(frames[1].low, frames[1].high)
    if reference is not None:
        panel.axhline(reference, color=style.GREY, lw=0.8, ls="--", zorder=1)
    panel.set_xlabel(x)
    panel.set_ylabel(y)
    key(figure, marks, "", any(point.label not in marks for point in points), extra=lines)
    return figure, panel


def points_at(
    panel: Axes, points: Sequence[Point], marks: Mapping[str, style.Mark], x: Frame | None, y: Frame
) -> None:
    """Draws points: those without a mark small and grey; an upper bound points to where the truth lies."""
    for point in points:
        found = marks.get(point.label)
        if found is None:
            panel.plot([point.x], [point.y], zorder=2, **_OTHER)
            continue
        if point.y_ends is not None:
            whisker(panel, point.y_ends, point.x, found.color, y)
        if point.x_ends is not None and x is not None:
            whisker(panel, point.x_ends, point.y, found.color, x, upright=False)
        if point.bound:
            arrow = {"arrowstyle": "<-", "color": found.color, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
            panel.annotate("", (point.x, point.y), (-11, 0), textcoords="offset points", arrowprops=arrow)
        panel.plot([point.x], [point.y], ls="", zorder=4, **drawn(found))


def whisker(
    panel: Axes,
    ends: tuple[float, float],
    at: float,
    color: str,
    frame: Frame,
    upright: bool = True,
    width: float = 0.8,
) -> None:
    """An interval as far as the frame shows it, with an arrow head where it goes on."""
    inside = frame.clipped(ends)
    along, across = list(inside), [at, at]
    pale: dict[str, Any] = {"color": color, "alpha": 0.7, "zorder": 3}
    panel.plot(*((across, along) if upright else (along, across)), lw=width, solid_capstyle="butt", **pale)
    for end, true, head in zip(inside, ends, _HEADS[upright], strict=True):
        if end != true:
            place = ([at], [end]) if upright else ([end], [at])
            panel.plot(*place, marker=head, ms=3.5, mew=0, ls="", **pale)


_HEADS = {True: (7, 6), False: (4, 5)}
"""matplotlib's carets, whose tips are at the point: down and up, left and right"""


def drawn(found: style.Mark) -> dict[str, Any]:
    """A mark as matplotlib's keywords."""
    return {"color": found.color, "marker": found.marker, "markerfacecolor": found.face, "mew": 0.8}


def key(
    figure: Canvas,
    marks: Mapping[str, style.Mark],
    title: str = "",
    others: bool = False,
    lines: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """The key of marks, to the right of everything, in the order of the ranking."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], label=style.wrapped(name, KEY_CHARACTERS), ls=one.line if lines else "", **drawn(one))
        for name, one in marks.items()
    ]
    if others:
        handles.append(Line2D([], [], label="others (in the CSV)", **_OTHER))
    handles += [Line2D([], [], label=name, **look) for name, look in (extra or {}).items()]
    figure.legend(
        handles=handles,
        loc="outside right upper",
        title=title or None,
        title_fontsize=style.SMALL,
        alignment="left",
    )


_OTHER: Mapping[str, Any] = {"ls": "", "marker": ".", "color": "#a8a8a8", "ms": 3.0}


def key_height(labels: Sequence[str]) -> float:
    """Inches that a figure with these labels in its key needs at least."""
    return 0.5 + style.LINE * 1.12 * style.line_count([style.wrapped(one, KEY_CHARACTERS) for one in labels])


def _row_label(label: str) -> str:
    return style.wrapped(label, ROW_CHARACTERS)


def _height(label: str) -> float:
    return style.LINE * style.line_count([_row_label(label)]) + _PAD


def _half(heights: Sequence[float]) -> int:
    """Where to break a column so that both are nearly as long."""
    total, above = sum(heights), 0.0
    for place, height in enumerate(heights):
        if above >= total / 2:
            return place
        above += height
    return len(heights)
