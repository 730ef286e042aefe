"""Edits of a summary and the words that ask for them, in both directions.

`mend` takes away a flaw, `harm` puts one in. Their remarks are of the same kinds, because a model that is
pretrained on both alike learns to follow feedback and learns nothing about quality.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.clauses import Change, Clause, Row, draw_joint, pad, pad_end
from alignment_bench.world.genre import OWN, Facts, Flaw, pick
from alignment_bench.world.posts.facts import SLOTS, Slot, Story, aside, falsehood
from alignment_bench.world.posts.gold import claims
from alignment_bench.world.posts.language import GRAMMAR, say, say_event
from alignment_bench.world.posts.writers import NAMING
from alignment_bench.world.remarks import (
    AGAIN,
    DROP,
    HINT,
    LEAVE,
    MISSING,
    MIX,
    REMARKS,
    TOO_KIND,
    TOO_SHORT,
    WRONG,
)

__all__ = ["REMARKS", "harm", "mend"]


def mend(rng: np.random.Generator, summary: Row, flaw: Flaw, facts: Facts, explicit: bool) -> Change:
    """The edit that takes a flaw away; `explicit` remarks name the right value."""
    if flaw.slot == "event":
        hint = f" {say_event(facts['who'], facts['action'], facts['object'])}." if explicit else ""
        return Change(MISSING["event"] + hint, _with_event(summary, facts))
    if flaw.slot:
        slot = cast(Slot, flaw.slot)
        return _state(rng, summary, slot, facts[slot], explicit, flaw.place)
    clauses = summary.clauses
    if flaw.fault == "unfinished":
        left = clauses if clauses and clauses[-1].kind != "broken" else clauses[:-1]
        return Change(AGAIN["unfinished"], _restated(Row(left), facts))
    clause = clauses[flaw.place]
    if flaw.fault == "insult" and clause.insult:
        mended = summary.swap(flaw.place, replace(clause, insult=""))
        return Change(f"{LEAVE['insult']} {clause.insult}.", mended)
    mended = summary.without(flaw.place)
    if not mended.clauses:
        mended = _with_event(mended, facts)
    if flaw.fault == "broken":
        return Change(AGAIN["broken"], _restated(mended, facts))
    if flaw.fault == "repeat":
        return Change(AGAIN["repeat"], mended)
    return Change(f"{LEAVE[flaw.fault]} {say(clause)}.", mended)


def harm(rng: np.random.Generator, summary: Row, story: Story, explicit: bool, own: float = OWN) -> Change:
    """An edit that makes the summary worse, in one of the ways in which it could be better.

    `own` is the share of false values that the post mentions.
    """
    stated = {slot: said[slot] for clause in summary.clauses for said in (claims(clause),) for slot in said}
    right = [slot for slot in SLOTS if stated.get(slot) == story.facts[slot]]
    absent = [slot for slot in SLOTS if slot not in stated]
    roll = rng.random()
    if right and roll < 0.45:
        slot = pick(rng, right)
        return _state(rng, summary, slot, falsehood(rng, story, slot, own), explicit)
    if right and roll < 0.6:
        slot = pick(rng, right)
        return Change(DROP[slot], _unstate(summary, slot))
    if absent and roll < 0.75:
        slot = pick(rng, absent)
        return _state(rng, summary, slot, falsehood(rng, story, slot, own), explicit)
    if roll < 0.9:
        return _insult(rng, summary)
    if roll < 0.95:
        clause = Clause("aside", (aside(rng, story),), joint=draw_joint(rng))
        return Change(f"{TOO_SHORT} that {say(clause)}.", summary.then(clause))
    if roll < 0.98 or not summary.clauses or any(clause.kind == "broken" for clause in summary.clauses):
        padded, new = (pad if summary.clauses else pad_end)(rng, summary)
        return Change(f"{TOO_SHORT} {say(new)}.", padded)
    return Change(MIX, GRAMMAR.garble(rng, summary))


def _state(
    rng: np.random.Generator, summary: Row, slot: Slot, value: str, explicit: bool, place: int = -1
) -> Change:
    """States the value in the clause at `place`, or in the first that claims the slot, or in a new one."""
    hint = f" {HINT[slot].format(value)}" if explicit else ""
    if place < 0:
        place = next((i for i, clause in enumerate(summary.clauses) if slot in claims(clause)), -1)
    if place >= 0:
        clause = summary.clauses[place]
        values = list(clause.values)
        values[SLOTS.index(slot) if clause.kind == "event" else 0] = value
        return Change(WRONG[slot] + hint, summary.swap(place, replace(clause, values=tuple(values))))
    remark = MISSING[slot] + hint
    if slot == "wish" or slot == "feeling":
        clause = Clause(slot, (value,), form=0 if explicit else int(rng.random() * 3), joint=draw_joint(rng))
        return Change(remark, summary.then(clause))
    for place, clause in enumerate(summary.clauses):
        if clause.kind == "event":
            values = list(clause.values)
            values[SLOTS.index(slot)] = value
            return Change(remark, summary.swap(place, replace(clause, values=tuple(values))))
    event = Clause("event", tuple(value if name == slot else "" for name in SLOTS[:3]))
    return Change(remark, summary.before(event))


def _unstate(summary: Row, slot: Slot) -> Row:
    for place, clause in enumerate(summary.clauses):
        if slot in claims(clause):
            if clause.kind != "event":
                return summary.without(place)
            values = list(clause.values)
            values[SLOTS.index(slot)] = ""
            insult = clause.insult if values[0] else ""
            return summary.swap(place, replace(clause, values=tuple(values), insult=insult))
    return summary


def _insult(rng: np.random.Generator, summary: Row) -> Change:
    for place, clause in enumerate(summary.clauses):
        if clause.kind == "event" and clause.values[0] and not clause.insult and rng.random() < NAMING:
            insult = pick(rng, v.INSULTS)
            return Change(f"{TOO_KIND} {insult}.", summary.swap(place, replace(clause, insult=insult)))
    clause = Clause("insult", (pick(rng, v.OUTBURSTS),), joint=draw_joint(rng))
    return Change(f"{TOO_KIND} {say(clause)}.", summary.then(clause))


def _with_event(summary: Row, facts: Facts) -> Row:
    event = Clause("event", (facts["who"], facts["action"], facts["object"]))
    for place, clause in enumerate(summary.clauses):
        if clause.kind == "event":
            return summary.swap(place, replace(event, joint=clause.joint))
    return summary.before(event)


def _restated(summary: Row, facts: Facts) -> Row:
    return (
        summary if any(clause.kind == "event" for clause in summary.clauses) else _with_event(summary, facts)
    )
