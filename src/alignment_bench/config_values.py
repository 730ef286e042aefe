"""Values of keys that are lists of names, parts, seeds or budgets, read from what was typed.

Every function appends what is wrong to `problems` and returns what could be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from alignment_bench import registry
from alignment_bench.budgets import NAMED_BUDGETS, Currency
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import Unsuitable, convert, elements, split
from alignment_bench.labels import ResolvedPart, parse_part, resolve_part
from alignment_bench.registry import Group

FILTERS = ("task", "methods", "model", "data", "world", "budget", "teacher", "judge", "seeds")
"""keys by which `bench table` picks cells"""
_BUDGET = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|s|calls)")
_BUDGET_FIX = "smoke, small or paper, or an amount as 15h, 54750s or 2000calls"


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget as typed: a named size (`amount` None) or an explicit amount; see `budgets.amount_of`."""

    name: str
    amount: float | None = None
    currency: Currency | None = None


def listed(key: str, text: str, problems: list[Problem]) -> tuple[str, ...]:
    """The elements of a comma list; an empty or repeated one is a problem."""
    try:
        # Filters may hold labels, whose own lists stand in brackets: only outer commas separate.
        parts = [p.strip() for p in split(text)] if key in FILTERS else elements(text)
    except Unsuitable as error:
        problems.append(Problem(key, str(error), error.fix))
        return ()
    if not all(parts):
        problems.append(Problem(key, f"{text!r} has an empty element", "remove the extra comma"))
    for repeated in sorted({p for p in parts if parts.count(p) > 1}):
        problems.append(Problem(key, f"{repeated!r} is given twice", "keep one of the two"))
    return tuple(parts)


def known(group: Group, key: str, text: str, problems: list[Problem]) -> tuple[str, ...]:
    """The elements, each of them the name of a plugin of the group, or a problem."""
    found = listed(key, text, problems) if text else ()
    for name in found:
        try:
            registry.load(group, name, key)
        except BadInput as error:
            problems.extend(error.problems)
    return found


def part_of(group: Group, key: str, text: str, problems: list[Problem]) -> ResolvedPart | None:
    """One plugin with its fields, as annotators:critic_noise=.2."""
    try:
        return resolve_part(group, parse_part(text, key), {}, key, problems)
    except BadInput as error:
        problems.extend(error.problems)
        return None


def seeds_of(text: str, problems: list[Problem]) -> tuple[int, ...]:
    """Seeds, each of them once."""
    seeds = []
    for part in listed("seeds", text, problems):
        try:
            seeds.append(int(convert(part, int)))
        except Unsuitable as error:
            problems.append(Problem("seeds", str(error), "a list of whole numbers, as seeds=0,1,2"))
            continue
        if seeds[-1] < 0:
            problems.append(Problem("seeds", f"{part} is negative", "count from 0, as seeds=0,1,2"))
    for repeated in sorted({s for s in seeds if seeds.count(s) > 1}):
        if not any(p.field == "seeds" and "twice" in p.message for p in problems):
            problems.append(Problem("seeds", f"{repeated} is given twice", "keep one of the two"))
    return tuple(seeds)


def budgets_of(text: str, problems: list[Problem]) -> tuple[Budget, ...]:
    """Budgets: named ones, and amounts with their unit."""
    budgets = []
    for part in listed("budget", text, problems):
        if part in NAMED_BUDGETS:
            budgets.append(Budget(part))
        elif match := _BUDGET.fullmatch(part):
            number, unit = float(match[1]), match[2]
            if not 0 < number < 1e12:
                problems.append(Problem("budget", f"{part} is no amount to spend", _BUDGET_FIX))
            currency: Currency = "calls" if unit == "calls" else "seconds"
            budgets.append(Budget(part, number * 3600 if unit == "h" else number, currency))
        else:
            problems.append(Problem("budget", f"{part!r} is no budget", _BUDGET_FIX))
    return tuple(budgets)
