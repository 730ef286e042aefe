"""One-line programs: how they are written, read back, and what they do.

A program is ``def f(x): return sum([y * 2 + 1 for y in x if y > 3])`` with single-character operators
only; ``y % 3 < 1`` selects the multiples of 3. `parse` reads any spacing; what it does not know is None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from alignment_bench.world import vocabulary as v
from alignment_bench.world.programs.facts import Give, Program, Select, takes

FORMS: dict[Give, str] = {
    "list": "{}",
    "sorted": "sorted({})",
    "sum": "sum({})",
    "largest": "max({})",
    "smallest": "min({})",
    "first": "{} [0]",
    "last": "{} [- 1]",
}
_TESTS: dict[Select, str] = {
    "all": "",
    "above": " if y > {}",
    "below": " if y < {}",
    "multiples": " if y % {} < 1",
}
WORDING = (*FORMS.values(), *_TESTS.values(), "def f(x): return [y * + - for y in x]")
"""Everything that occurs in programs, but for numbers."""

_PROGRAM = re.compile(
    r"def f \( x \) : return (?:(?P<named>sorted|sum|max|min) \( )?"
    r"\[ y(?: \* (?P<times>\d))?(?: (?P<sign>[+-]) (?P<plus>\d))? for y in x"
    r"(?: if y (?:(?P<side>[<>]) (?P<bound>\d)|% (?P<divisor>[1-9]) < 1))? \]"
    r"(?P<closed> \))?(?P<place> \[ 0 \]| \[ - 1 \])?"
)
_NAMED: dict[str, Give] = {"sorted": "sorted", "sum": "sum", "max": "largest", "min": "smallest"}


def render(program: Program) -> str:
    """The program as text."""
    times = f" * {program.times}" if program.times != 1 else ""
    plus = f" {'+' if program.plus > 0 else '-'} {abs(program.plus)}" if program.plus else ""
    test = _TESTS[program.select].format(program.than)
    body = FORMS[program.give].format(f"[y{times}{plus} for y in x{test}]")
    return v.join(v.words(f"def f(x): return {body}"))


def parse(text: str) -> Program | None:
    """The program that a text is; None for a text that is none of the family."""
    found = _PROGRAM.fullmatch(" ".join(v.words(text)))
    if not found or bool(found["named"]) != bool(found["closed"]) or (found["named"] and found["place"]):
        return None
    give: Give = _NAMED[found["named"]] if found["named"] else "list"
    if found["place"]:
        give = "first" if "0" in found["place"] else "last"
    select: Select = "all"
    if found["side"]:
        select = "above" if found["side"] == ">" else "below"
    elif found["divisor"]:
        select = "multiples"
    than = int(found["bound"] or found["divisor"] or 0)
    plus = int(found["plus"] or 0) * (-1 if found["sign"] == "-" else 1)
    return Program(select, than, int(found["times"] or 1), plus, give)


def interpret(program: Program, numbers: Sequence[int]) -> int | list[int] | None:
    """What the program gives for a list, without running it; None where Python would raise an error."""
    made = [y * program.times + program.plus for y in numbers if takes(program, y)]
    if program.give == "list":
        return made
    if program.give == "sorted":
        return sorted(made)
    if program.give == "sum":
        return sum(made)
    if not made:
        return None
    if program.give == "largest":
        return max(made)
    if program.give == "smallest":
        return min(made)
    return made[0 if program.give == "first" else -1]
