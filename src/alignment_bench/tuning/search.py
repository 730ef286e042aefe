"""Search spaces: which fields of a method are tuned, over which range, and the seeded draws from it.

A method says it itself, in the metadata of a field: `{"tune": ("log", 3e-4, 3e-3)}`, `("linear", 0.0, 1.0)`
or `("choice", (1, 2, 4))`. What a label fixes is not searched. Trial 0 is what the label is without any
draw; trial k is the same whatever the number of trials, so that a longer search continues a shorter one.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from alignment_bench.digests import canonical, generator
from alignment_bench.errors import BadInput
from alignment_bench.fields import Unsuitable, convert, out_of_range, settable, show_value, spell
from alignment_bench.labels import ResolvedLabel, ResolvedPart

Scale = Literal["log", "linear", "choice"]
SCALES: tuple[Scale, ...] = typing.get_args(Scale)
DIGITS = 3
"""significant digits of a drawn number: nobody needs, or could read, more"""
REDRAWS = 200
"""draws in a row, all tried before or refused by the method, after which its space counts as used up"""

Fields = dict[str, Any]
"""searched values by `part.field`, as on the command line"""


@dataclass(frozen=True)
class Range:
    """The values that one field is tuned over: between `low` and `high`, or one of `choices`."""

    field: str
    scale: Scale
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    whole: bool = False
    """whether only whole numbers will do"""

    def draw(self, noise: np.random.Generator) -> Any:
        """One value."""
        if self.scale == "choice":
            return self.choices[int(noise.integers(len(self.choices)))]
        at = float(noise.random())
        if self.scale == "log":
            value = math.exp(math.log(self.low) + at * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + at * (self.high - self.low)
        value = min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)
        return round(value) if self.whole else value

    def __str__(self) -> str:
        if self.scale == "choice":
            return "one of " + ", ".join(show_value(choice) for choice in self.choices)
        return f"{show_value(self.low)} to {show_value(self.high)} ({self.scale})"


def space(method: type) -> tuple[Range, ...]:
    """The ranges that a method's fields declare. Raises ValueError naming a field that declares nonsense."""
    hints = typing.get_type_hints(method)
    return tuple(
        _range(method, f, hints[f.name]) for f in settable(method) if f.metadata.get("tune") is not None
    )


def searched(label: ResolvedLabel) -> dict[str, Range]:
    """What is searched for a label: the declared ranges of all of its parts but for fields it fixes."""
    return {
        f"{part.name}.{one.field}": one
        for part in label.parts
        for one in space(type(part.plugin))
        if one.field not in part.given
    }


def trials_of(label: ResolvedLabel, count: int) -> list[tuple[Fields, ResolvedLabel]]:
    """The first `count` trials: the label as it is, then seeded draws that differ from all before.

    Fewer where the space has no more, one where nothing is searched.
    """
    ranges = searched(label)
    found: list[tuple[Fields, ResolvedLabel]] = [({}, label)]
    seen = {canonical(label.configuration)}
    for trial in range(1, count if ranges else 1):
        for attempt in range(REDRAWS):
            drawn = {
                key: one.draw(generator("tune", label.text, trial, attempt, key))
                for key, one in ranges.items()
            }
            try:
                changed = with_fields(label, drawn)
            except (BadInput, ValueError):
                continue  # the method refuses this combination of values: not in its space
            key = canonical(changed.configuration)
            if key not in seen:
                seen.add(key)
                found.append((drawn, changed))
                break
        else:
            break
    return found


def with_fields(label: ResolvedLabel, fields: Mapping[str, Any]) -> ResolvedLabel:
    """The label with these `part.field` values as if typed. Raises what the methods raise on bad ones."""
    parts = tuple(_part(part, fields) for part in label.parts)
    return ResolvedLabel("+".join(part.label for part in parts), parts)


def _part(part: ResolvedPart, fields: Mapping[str, Any]) -> ResolvedPart:
    own = {key.partition(".")[2]: value for key, value in fields.items() if key.startswith(f"{part.name}.")}
    return ResolvedPart(part.name, dataclasses.replace(part.plugin, **own), part.given | own.keys())


def _range(method: type, field: dataclasses.Field[Any], hint: Any) -> Range:
    declared = field.metadata["tune"]
    where = f"{method.__name__}.{field.name}: tune={declared!r}"
    if not isinstance(declared, Sequence) or not declared or declared[0] not in SCALES:
        raise ValueError(f"{where} is not (log, low, high), (linear, low, high) or (choice, (values...))")
    scale: Scale = declared[0]
    if scale == "choice":
        choices = declared[1] if len(declared) == 2 and isinstance(declared[1], tuple) else ()
        if len(choices) < 2:
            raise ValueError(f"{where} needs a tuple of two choices or more")
        for choice in choices:
            _check(where, choice, field, hint)
        return Range(field.name, scale, choices=choices)
    if len(declared) != 3 or not declared[1] < declared[2] or (scale == "log" and declared[1] <= 0):
        raise ValueError(f"{where} needs low < high" + (", both above 0" if scale == "log" else ""))
    for end in declared[1:]:
        _check(where, end, field, hint)
    numbers = {hint, *typing.get_args(hint)} & {int, float}
    if not numbers:
        raise ValueError(f"{where}: a {spell(hint)} is no number")
    return Range(field.name, scale, declared[1], declared[2], whole=float not in numbers)


def _check(where: str, value: Any, field: dataclasses.Field[Any], hint: Any) -> None:
    try:
        converted = convert(show_value(value), hint)
    except Unsuitable as error:
        raise ValueError(f"{where}: {error}") from None
    if converted != value:
        raise ValueError(f"{where}: {show_value(value)} is no {spell(hint)}")
    if fault := out_of_range(value, field.metadata):
        raise ValueError(f"{where}: {show_value(value)} {fault}")
