"""How much worse a cell may be: one number for all metrics, and another for some, as `.05,perplexity:2`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alignment_bench.errors import Problem
from alignment_bench.fields import Unsuitable, convert, elements

USUAL = 0.05
"""of a quality, rate or share between 0 and 1"""


@dataclass(frozen=True)
class Margin:
    """The largest loss that still passes, in the metric's own unit."""

    usual: float = USUAL
    of: Mapping[str, float] = field(default_factory=dict)
    """by metric, where it is another"""

    def for_metric(self, metric: str) -> float:
        """The margin of this metric."""
        return self.of.get(metric, self.usual)

    def to_json(self) -> dict[str, Any]:
        """As a baseline stores it."""
        return {"usual": self.usual, "of": dict(self.of)}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Margin:
        """What `to_json` gave. Raises ValueError where a margin is not above 0."""
        margin = Margin(float(stored["usual"]), {str(k): float(v) for k, v in stored["of"].items()})
        if not all(0 < value < float("inf") for value in (margin.usual, *margin.of.values())):
            raise ValueError("a margin must be above 0")
        return margin

    def __str__(self) -> str:
        named = "".join(f", {metric} {value:g}" for metric, value in self.of.items())
        return f"{self.usual:g}{named}"


def parse_margin(text: str, problems: list[Problem]) -> Margin | None:
    """The margin that a text writes, or None with a problem appended for each part that cannot be."""
    usual: list[float] = []
    named: dict[str, float] = {}
    fix = "a number above 0, and others by metric, as margin=.05,perplexity:2"
    try:
        parts = elements(text)
    except Unsuitable as error:
        problems.append(Problem("margin", str(error), error.fix))
        return None
    before = len(problems)
    for part in parts:
        metric, colon, number = part.rpartition(":")
        try:
            value = convert(number.strip(), float)
        except Unsuitable as error:
            problems.append(Problem("margin", str(error), fix))
            continue
        if value <= 0:
            problems.append(Problem("margin", f"{number} leaves no room: it must be above 0", fix))
        elif colon and metric.strip() in named:
            problems.append(Problem("margin", f"{metric.strip()} is given twice", "keep one of the two"))
        elif colon:
            named[metric.strip()] = value
        elif usual:
            problems.append(Problem("margin", "has two numbers for all metrics", fix))
        else:
            usual.append(value)
    return None if len(problems) > before else Margin(usual[0] if usual else USUAL, named)
