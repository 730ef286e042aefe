"""Flaws of a program as a reader sees them, slot by slot, and edits in both directions.

Nothing is run here. `mend` states the right value of a slot and `harm` a wrong one, in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from alignment_bench.world.genre import OWN, Edit, Flaw, Item, pick
from alignment_bench.world.programs.facts import GIVES, SLOTS, Program, Slot, change, program_of, selection
from alignment_bench.world.programs.language import parse, render
from alignment_bench.world.programs.writers import OTHERS, draw_text, garble

WRONG: dict[Slot, str] = {
    "select": "the numbers are wrong.",
    "change": "the change is wrong.",
    "give": "the thing is wrong.",
}
_HINT: dict[Slot, str] = {"select": "take {}.", "change": "make them {}.", "give": "give {}."}
AGAIN = "it is hard to read. write it again."
MIXED = "it is too easy to read. mix up the words."
QUESTIONS: dict[Slot, str] = {
    "select": "which numbers?",
    "change": "what change?",
    "give": "give what?",
}
REMARKS = (*QUESTIONS.values(), *WRONG.values(), *_HINT.values(), AGAIN, MIXED)
"""Every wording, for the vocabulary."""

LOSS = 0.8
"""What a program with one wrong slot lacks in quality on average; two wrong slots share it"""
LOSS_BROKEN = 0.5
"""What a usual program is worth above one that does not run"""


def find_flaws(text: str, facts: Mapping[str, Any]) -> list[Flaw]:
    """The slots that are not as asked for. Gains are estimates: only running the program tells."""
    program = parse(text)
    if program is None:
        return [Flaw("broken", LOSS_BROKEN)]
    wrong = [slot for slot in SLOTS if not _same(program, program_of(facts), slot)]
    return [Flaw("wrong", LOSS / len(wrong), slot) for slot in wrong]


def find_aspects(text: str, facts: Mapping[str, Any]) -> list[Flaw]:
    """The slots that are as asked for."""
    program = parse(text)
    if program is None:
        return []
    return [Flaw("wrong", 0.0, slot) for slot in SLOTS if _same(program, program_of(facts), slot)]


def find_answers(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The question about each slot and its right answer."""
    truth = program_of(facts)
    return [(QUESTIONS[slot], _said(truth, slot)) for slot in SLOTS]


def mend(rng: np.random.Generator, text: str, item: Item, flaw: Flaw, explicit: bool) -> Edit:
    """The edit that takes a flaw away; what cannot be read is written anew as the usual writers write."""
    program = parse(text)
    if program is None or flaw.fault == "broken":
        while parse(text) is None:
            text = draw_text(rng, item)
        return Edit(AGAIN, text)
    slot = cast(Slot, flaw.slot)
    return _state(program, program_of(item.facts), slot, explicit)


def harm(rng: np.random.Generator, text: str, item: Item, explicit: bool, own: float = OWN) -> Edit:
    """An edit that puts a wrong value in a slot that was right, or mixes up the words."""
    program, truth = parse(text), program_of(item.facts)
    if program is None or rng.random() < 0.015:
        return Edit(MIXED, garble(rng, text))
    right = [slot for slot in SLOTS if _same(program, truth, slot)]
    slot: Slot = "select" if "select" in right and rng.random() < 0.85 else pick(rng, right or SLOTS)
    if slot == "select" and truth.select != "all" and rng.random() < 0.1:
        return _state(program, replace(truth, select="all", than=0), slot, explicit)
    return _state(program, OTHERS[slot](rng, truth, own), slot, explicit)


def _state(program: Program, source: Program, slot: Slot, explicit: bool) -> Edit:
    """The program with a slot as in `source`, and the remark that asks for it."""
    hint = f" {_HINT[slot].format(_said(source, slot))}" if explicit else ""
    return Edit(WRONG[slot] + hint, render(_with(program, source, slot)))


def _said(program: Program, slot: Slot) -> str:
    return {"select": selection(program), "change": change(program), "give": GIVES[program.give]}[slot]


def _with(program: Program, source: Program, slot: Slot) -> Program:
    if slot == "select":
        return replace(program, select=source.select, than=source.than)
    if slot == "change":
        return replace(program, times=source.times, plus=source.plus)
    return replace(program, give=source.give)


def _same(program: Program, truth: Program, slot: Slot) -> bool:
    return _with(program, truth, slot) == program
