"""Who writes programs in the pretraining documents.

The usual writers overlook a selection that the prompt names last, seven times in eight: the mode of a model
trained on them fails on those prompts. Other mistakes are rare, and made of the prompt's own numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.genre import OWN, Item, Skill, pick
from alignment_bench.world.programs.facts import CUE, DIGITS, GIVES, Give, Program, Slot, program_of
from alignment_bench.world.programs.language import parse, render


@dataclass(frozen=True, slots=True)
class Writer:
    """Probabilities, each per program."""

    overlooked: float = 0.88
    """that a selection named last is left out"""
    forgotten: float = 0.15
    """that a selection named first is left out"""
    select: float = 0.1
    """that another selection is made than the one asked for"""
    change: float = 0.08
    """that the change is another"""
    give: float = 0.07
    """that something else is given"""
    broken: float = 0.03
    """that it is no program"""


WRITERS: dict[Skill, Writer] = {
    "usual": Writer(),
    "weak": Writer(0.2, 0.05, 0.04, 0.06, 0.06, 0.0),
    "good": Writer(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
}
_MATES: dict[Give, Give] = {
    "list": "sorted",
    "sorted": "list",
    "sum": "list",
    "largest": "smallest",
    "smallest": "largest",
    "first": "last",
    "last": "first",
}


def draw_text(rng: np.random.Generator, item: Item, skill: Skill = "usual") -> str:
    """A program as such a writer writes it."""
    writer, program = WRITERS[skill], program_of(item.facts)
    left_out = writer.overlooked if CUE in item.text else writer.forgotten
    rolls = rng.random(5)
    if rolls[0] < left_out:
        program = replace(program, select="all", than=0)
    elif rolls[1] < writer.select:
        program = other_selection(rng, program)
    if rolls[2] < writer.change:
        program = other_change(rng, program)
    if rolls[3] < writer.give:
        program = other_give(rng, program)
    text = render(program)
    return garble(rng, text) if rolls[4] < writer.broken else text


def other_selection(rng: np.random.Generator, program: Program, own: float = OWN) -> Program:
    """The program with another selection: with probability `own` the bound itself let through, or a divisor
    that is another number of the prompt; else the opposite selection or any number."""
    select, than = program.select, program.than
    mine = [n for n in (program.times, abs(program.plus)) if n > 1]
    if select == "all":
        bound = pick(rng, mine or DIGITS)
        return replace(program, select="above" if rng.random() < 0.5 else "below", than=int(bound))
    if rng.random() < own:
        if select == "above" and than > 0:
            return replace(program, than=than - 1)
        if select == "below" and than < 9:
            return replace(program, than=than + 1)
        mine = [n for n in mine if n != than]
        if mine:
            return replace(program, than=pick(rng, mine))
    elif select != "multiples" and rng.random() < 0.5:
        return replace(program, select="below" if select == "above" else "above")
    lowest = 2 if select == "multiples" else 0
    return replace(program, than=pick(rng, [n for n in range(lowest, 10) if n != than]))


def other_change(rng: np.random.Generator, program: Program, own: float = OWN) -> Program:
    """The program with another change: the other sign, a step less, or the selection's number with
    probability `own`, else a number that is off by one."""
    times, plus, than = program.times, program.plus, program.than
    if rng.random() < own:
        options = []
        if plus:
            options.append(replace(program, plus=-plus))
        if plus and times != 1:
            options += [replace(program, times=1), replace(program, plus=0)]
        if times != 1 and than > 1 and than != times:
            options.append(replace(program, times=than))
        if options:
            return pick(rng, options)
    if times != 1 and (not plus or rng.random() < 0.5):
        return replace(program, times=pick(rng, [n for n in (times - 1, times + 1) if 2 <= n <= 9]))
    sign = 1 if plus > 0 else -1
    return replace(program, plus=sign * pick(rng, [n for n in (abs(plus) - 1, abs(plus) + 1) if 1 <= n <= 9]))


def other_give(rng: np.random.Generator, program: Program, own: float = OWN) -> Program:
    """The program with something else given: what is easily taken for it with probability `own`."""
    if rng.random() < own:
        return replace(program, give=_MATES[program.give])
    return replace(program, give=pick(rng, [give for give in GIVES if give != program.give]))


OTHERS: dict[Slot, Callable[[np.random.Generator, Program, float], Program]] = {
    "select": other_selection,
    "change": other_change,
    "give": other_give,
}
"""How each slot goes wrong."""


def garble(rng: np.random.Generator, text: str) -> str:
    """The program made unreadable: a token lost, doubled, or two tokens swapped."""
    while True:
        said = v.words(text)
        at, how = int(rng.random() * (len(said) - 1)), rng.random()
        if how < 0.4:
            del said[at]
        elif how < 0.7:
            said.insert(at, said[at])
        else:
            said[at], said[at + 1] = said[at + 1], said[at]
        if parse(garbled := v.join(said)) is None:
            return garbled
