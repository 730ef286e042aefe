"""What a program must do: which numbers it takes, what it makes of each, and what it gives.

A prompt names the selection first, or last with the word "only": the usual writers overlook it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from alignment_bench.world.genre import Item, Use, pick, use_of

Select = Literal["all", "above", "below", "multiples"]
Give = Literal["list", "sorted", "sum", "largest", "smallest", "first", "last"]
Slot = Literal["select", "change", "give"]
SLOTS: tuple[Slot, ...] = ("select", "change", "give")

SELECTIONS: dict[Select, str] = {
    "all": "all numbers",
    "above": "those above {than}",
    "below": "those below {than}",
    "multiples": "the multiples of {than}",
}
GIVES: dict[Give, str] = {
    "list": "the list",
    "sorted": "the sorted list",
    "sum": "the sum",
    "largest": "the largest",
    "smallest": "the smallest",
    "first": "the first",
    "last": "the last",
}
POINTLESS = {("above", "largest"), ("below", "smallest")}
"""Selections that cannot matter to what is given: no prompt asks for them."""

SELECTION_FIRST = "write f: take {selection}, make them {change}, and give {give}."
SELECTION_LAST = "write f: take the numbers, make them {change}, and give {give}, but only of {selection}."
CUE = "but only of"
"""How a prompt names the selection last."""
DIGITS = tuple(range(10))


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the family: each number y of the list x that `select` lets through becomes
    ``y * times + plus``, and `give` says what to give of them.

    `than` is the bound or the divisor of the selection, 0 where all numbers are taken.
    """

    select: Select
    than: int
    times: int
    plus: int
    give: Give


def program_of(facts: Mapping[str, Any]) -> Program:
    """The right program."""
    return Program(facts["select"], facts["than"], facts["times"], facts["plus"], facts["give"])


def facts_of(program: Program) -> dict[str, Any]:
    """What is true of a prompt that asks for this program, as JSON."""
    return {"genre": "program", **asdict(program)}


def identity(program: Program) -> str:
    """What decides the use of a prompt."""
    return f"program|{program.select}|{program.than}|{program.times}|{program.plus}|{program.give}"


def takes(program: Program, number: int) -> bool:
    """Whether the program selects this number."""
    if program.select == "above":
        return number > program.than
    if program.select == "below":
        return number < program.than
    return program.select == "all" or number % program.than == 0


def selection(program: Program) -> str:
    """The selection in words."""
    return SELECTIONS[program.select].format(than=program.than)


def change(program: Program) -> str:
    """What becomes of each number, in words."""
    said = [f"times {program.times}"] if program.times != 1 else []
    if program.plus:
        said.append(f"{'plus' if program.plus > 0 else 'minus'} {abs(program.plus)}")
    return " ".join(said)


def draw_program(rng: np.random.Generator) -> Program:
    """A program worth asking for: every slot is drawn on its own, a change has two steps mostly."""
    roll = rng.random()
    select: Select = (
        "all" if roll < 0.04 else "above" if roll < 0.42 else "below" if roll < 0.8 else "multiples"
    )
    than = int(rng.random() * 10)
    if select == "all":
        than = 0
    elif select == "multiples":
        than = 2 + int(rng.random() * 8)
    roll = rng.random()
    times = 2 + int(rng.random() * 8) if roll < 0.9 else 1
    plus = (1 + int(rng.random() * 9)) * (1 if rng.random() < 0.5 else -1) if not 0.8 < roll < 0.9 else 0
    give = pick(rng, [name for name in GIVES if (select, name) not in POINTLESS])
    return Program(select, than, times, plus, give)


def ask(rng: np.random.Generator, program: Program) -> str:
    """A prompt for the program: in 58 % the selection is named last."""
    last = program.select != "all" and rng.random() < 0.6
    pattern = SELECTION_LAST if last else SELECTION_FIRST
    chosen = selection(program)
    if not last:
        chosen = chosen.replace("those", "the numbers")
    return pattern.format(selection=chosen, change=change(program), give=GIVES[program.give])


def draw_item(rng: np.random.Generator, use: Use) -> Item:
    """A prompt of one use."""
    while True:
        program = draw_program(rng)
        if use_of(identity(program)) == use:
            return Item(ask(rng, program), facts_of(program))


def phrases() -> list[str]:
    """Every wording of prompts."""
    changes = ["times", "plus", "minus"]
    return [
        SELECTION_FIRST,
        SELECTION_LAST,
        *SELECTIONS.values(),
        *GIVES.values(),
        *changes,
        *map(str, DIGITS),
    ]
