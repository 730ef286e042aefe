"""Texts as rows of clauses: what the little grammars of summaries and replies have in common.

Each clause is attached to the one before by a full stop, a comma or "and", and the row ends with a full
stop. A genre says how a clause is worded and read; whatever it does not know is a ``broken`` clause, so
parsing never fails, and `parse(render(row))` gives back every row that a writer made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.genre import pick

Kind = Literal["event", "advice", "feeling", "wish", "aside", "insult", "padding", "broken"]
Joint = Literal[".", ",", "and"]
_JOINTS: dict[str, Joint] = {".": ".", ",": ",", "and": "and"}


@dataclass(frozen=True, slots=True)
class Clause:
    """One statement.

    `values` are the facts of an event or an advice, "" where unsaid; the feeling; the wish; or the words
    themselves for the other kinds. `form` picks the wording, `insult` stands before who, and `joint`
    attaches the clause to the one before it.
    """

    kind: Kind
    values: tuple[str, ...]
    form: int = 0
    insult: str = ""
    joint: Joint = "."


@dataclass(frozen=True, slots=True)
class Row:
    """Clauses in order. `finished` says whether the closing full stop is there."""

    clauses: tuple[Clause, ...]
    finished: bool = True

    def swap(self, place: int, clause: Clause) -> Row:
        """With another clause at this place."""
        return replace(self, clauses=(*self.clauses[:place], clause, *self.clauses[place + 1 :]))

    def without(self, place: int) -> Row:
        """Without the clause at this place."""
        return replace(self, clauses=self.clauses[:place] + self.clauses[place + 1 :])

    def before(self, clause: Clause) -> Row:
        """With a clause before all others."""
        return replace(self, clauses=(clause, *self.clauses))

    def then(self, clause: Clause) -> Row:
        """With a clause after all others."""
        return replace(self, clauses=(*self.clauses, clause))


@dataclass(frozen=True, slots=True)
class Change:
    """A remark and the row that takes it up."""

    remark: str
    row: Row


@dataclass(frozen=True, slots=True)
class Grammar:
    """How the clauses of a genre are worded and read."""

    say: Callable[[Clause], str]
    """a clause in words"""
    read: Callable[[str], Clause]
    """the clause that words say; how it is attached is not its business"""

    def render(self, row: Row) -> str:
        """The text of a row."""
        parts: list[str] = []
        for place, clause in enumerate(row.clauses):
            if place:
                parts.append(" and " if clause.joint == "and" else clause.joint + " ")
            parts.append(self.say(clause))
        return "".join(parts) + ("." if row.finished else "")

    def parse(self, text: str) -> Row:
        """The row that a text says."""
        clauses: list[Clause] = []
        joint: Joint = "."
        said: list[str] = []
        tokens = v.words(text)
        for token in tokens:
            if following := _JOINTS.get(token):
                clauses.append(_attached(self.read(v.join(said)), joint))
                joint, said = following, []
            else:
                said.append(token)
        if said:
            clauses.append(_attached(self.read(v.join(said)), joint))
        return Row(tuple(clauses), finished=bool(tokens) and tokens[-1] == ".")

    def garble(self, rng: np.random.Generator, row: Row) -> Row:
        """The row with one clause made unreadable: a word lost, doubled, or two words swapped."""
        while True:
            place = int(rng.random() * len(row.clauses))
            said = v.words(self.say(row.clauses[place]))
            at, how = int(rng.random() * (len(said) - 1)), rng.random()
            if how < 0.4:
                del said[at]
            elif how < 0.7:
                said.insert(at, said[at])
            else:
                said[at], said[at + 1] = said[at + 1], said[at]
            garbled = self.parse(v.join(said)).clauses[0]
            if garbled.kind == "broken":
                return row.swap(place, replace(garbled, joint=row.clauses[place].joint))


def _attached(clause: Clause, joint: Joint) -> Clause:
    return clause if clause.joint == joint else replace(clause, joint=joint)


def draw_joint(rng: np.random.Generator) -> Joint:
    """How a clause is attached to the one before it."""
    return "." if rng.random() < 0.65 else "and"


def pad(rng: np.random.Generator, row: Row) -> tuple[Row, Clause]:
    """The row with a phrase that says nothing, before or after the others, and that phrase."""
    if rng.random() < 0.6:
        first = replace(row.clauses[0], joint=",")
        padding = Clause("padding", (pick(rng, v.PADDING),))
        return row.swap(0, first).before(padding), padding
    return pad_end(rng, row)


def pad_end(rng: np.random.Generator, row: Row) -> tuple[Row, Clause]:
    """The row, which may be empty, with a phrase that says nothing at its end, and that phrase."""
    padding = Clause("padding", (pick(rng, v.LAST_PADDING),))
    return row.then(padding), padding


def fixed_wordings(
    feelings: Sequence[str], wishes: Sequence[str], insults: Sequence[str]
) -> Mapping[str, Clause]:
    """Clauses by their words: the forms of feelings and wishes with every value, insults, and padding."""
    table: dict[str, Clause] = {}
    for (form, pattern), feeling in product(enumerate(feelings), v.FEELINGS):
        table[pattern.format(feeling)] = Clause("feeling", (feeling,), form)
    for (form, pattern), wish in product(enumerate(wishes), v.WISHES):
        table[pattern.format(wish)] = Clause("wish", (wish,), form)
    table |= {text: Clause("insult", (text,)) for text in insults}
    return table | {text: Clause("padding", (text,)) for text in (*v.PADDING, *v.LAST_PADDING)}


def either(options: Sequence[str]) -> str:
    """The regular expression for any of the options."""
    return "|".join(options)


def pattern_of(templates: Sequence[str]) -> re.Pattern[str]:
    """What matches any of the templates with any values in their slots."""
    values = {
        "who": v.WHO, "wish": v.WISHES, "feeling": v.FEELINGS, "past": v.PAST, "action": v.ACTIONS,
        "object": v.OBJECTS,
    }  # fmt: skip
    slots = {slot: f"(?:{either(options)})" for slot, options in values.items()}
    return re.compile(either([template.format(**slots) for template in templates]))
