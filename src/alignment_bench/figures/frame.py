"""What an axis shows: all means, and of intervals as much as leaves the means apart.

With few seeds an interval can be many times as long as all means are apart, and a picture of it whole shows
nothing else. An end that lies outside is drawn as an arrow head at the edge, the caption says so, and the CSV
has the number. A metric between 0 and 1 is never shown beyond them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10, sqrt
from statistics import median
from typing import TYPE_CHECKING

from alignment_bench.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = Iterable[tuple[float, float | None, float | None]]
"""means with the ends of their intervals"""
BOUNDED = ("0-1", "share")
"""units of metrics that lie between 0 and 1"""


@dataclass(frozen=True)
class Frame:
    """The ends of an axis, and whether an interval goes on beyond them."""

    low: float
    high: float
    cut: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caption owes the reader."""
        return ("arrow heads at the edge: the interval goes on, its end is in the CSV",) if self.cut else ()

    def clipped(self, ends: tuple[float, float]) -> tuple[float, float]:
        """The part of an interval that is inside."""
        return max(self.low, min(ends[0], self.high)), min(self.high, max(ends[1], self.low))


def of(values: Values, unit: str = "", also: Sequence[float] = ()) -> Frame:
    """The frame of these values; `also` must be inside as well.

    Beyond the outermost means it reaches as far as half of the distance between them, or the half-width of
    the median interval where that is more.
    """
    found = list(values)
    inside = [mean for mean, _, _ in found] + list(also)
    lows = [low for _, low, _ in found if low is not None]
    highs = [high for _, _, high in found if high is not None]
    widths = [(high - low) / 2 for _, low, high in found if low is not None and high is not None]
    least, most = min(inside), max(inside)
    reach = max((most - least) / 2, 1.1 * median(widths) if widths else 0.0)
    low, high = max(min([least, *lows]), least - reach), min(max([most, *highs]), most + reach)
    if unit in BOUNDED:
        low, high = max(low, min(0.0, least)), min(high, max(1.0, most))
    pad = 0.04 * (high - low) or 0.05 * abs(high) or 0.5
    frame = Frame(low - pad, high + pad)
    return Frame(
        low - pad, high + pad, any(one < frame.low for one in lows) or any(one > frame.high for one in highs)
    )


def root(value: float) -> float:
    """Where a KL stands on an axis of roots; one estimated below 0 stands at 0."""
    return sqrt(max(0.0, value))


def roots(values: Values) -> Frame:
    """The frame of KLs on an axis of roots."""
    return of(
        [
            (root(mean), None if low is None else root(low), None if high is None else root(high))
            for mean, low, high in values
        ],
        also=(0.0,),
    )


def root_axis(panel: Axes, frame: Frame, label: str, sizes: Mapping[float, str], ruler: str) -> None:
    """An axis of roots that shows the values themselves; above it marks at `sizes` with names, as room is."""
    panel.set_xlim(frame.low, frame.high)
    ticks = round_roots(frame.high**2)
    panel.set_xticks([root(one) for one in ticks], [f"{one:g}" for one in ticks])
    panel.set_xlabel(label)
    inside: list[tuple[float, str]] = []
    for value, name in sizes.items():
        room = 0.045 * (frame.high - frame.low)
        if root(value) < frame.high and (not inside or root(value) - inside[-1][0] > room):
            inside.append((root(value), name))
    if not inside:
        return
    above = panel.secondary_xaxis("top")
    above.set_xticks([place for place, _ in inside], [name for _, name in inside])
    above.set_xlabel(ruler, fontsize=style.SMALL, color=style.GREY)
    above.tick_params(colors=style.GREY, labelsize=style.SMALL, length=2)
    above.spines["top"].set_color(style.GREY)


def round_roots(most: float) -> list[float]:
    """0 and round numbers up to `most` whose roots are about evenly spaced."""
    if most <= 0:
        return [0.0]
    size = 10.0 ** floor(log10(most))
    powers = (0.001, 0.01, 0.1, 1.0)
    allowed = [f * p * size for p in powers for f in (1, 1.5, 2, 3, 4, 5, 6, 8) if f * p * size <= most]
    wanted = [sqrt(most) * place / 6 for place in range(1, 7)]
    nearest = {min(allowed, key=lambda one, w=w: abs(sqrt(one) - w)) for w in wanted}  # type: ignore[misc]
    kept = [0.0]
    for one in sorted(nearest):
        if sqrt(one) - sqrt(kept[-1]) > 0.09 * sqrt(most):
            kept.append(round(one, 12))
    return kept
