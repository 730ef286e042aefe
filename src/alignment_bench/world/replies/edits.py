"""Edits of a reply and the words that ask for them, in both directions, as in `posts.edits`.

The remarks on persons, things, wishes and feelings are those on summaries, word for word: who learned to
follow the ones can follow the others. `mend` takes away a flaw, `harm` puts one in, in the same words.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.clauses import Change, Clause, Row, draw_joint, pad, pad_end
from alignment_bench.world.genre import OWN, Facts, Flaw, pick
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
from alignment_bench.world.replies.facts import Story, aside, falsehood
from alignment_bench.world.replies.gold import AIMS, Aim, claims
from alignment_bench.world.replies.language import GRAMMAR, say, say_advice
from alignment_bench.world.replies.writers import swear

__all__ = ["AGAIN", "DROP", "LEAVE", "MISSING", "MIX", "REMARKS", "TOO_KIND", "TOO_SHORT", "WRONG"]
__all__ += ["harm", "mend"]


def mend(rng: np.random.Generator, reply: Row, flaw: Flaw, facts: Facts, explicit: bool) -> Change:
    """The edit that takes a flaw away; `explicit` remarks name the right value."""
    if flaw.slot == "advice":
        return _advise(reply, facts["who"], facts["object"], explicit)
    if flaw.slot:
        aim = cast(Aim, flaw.slot)
        return _state(rng, reply, aim, facts[aim], explicit, flaw.place)
    clauses = reply.clauses
    if flaw.fault == "unfinished":
        left = clauses if clauses and clauses[-1].kind != "broken" else clauses[:-1]
        return Change(AGAIN["unfinished"], _restored(Row(left), facts, advice=True))
    clause = clauses[flaw.place]
    if flaw.fault == "insult" and clause.insult:
        kind = reply.swap(flaw.place, replace(clause, insult=""))
        return Change(f"{LEAVE['insult']} {clause.insult}.", kind)
    rest = reply.without(flaw.place)
    mended = _restored(rest, facts, advice=clause.kind == "broken")
    if flaw.fault in AGAIN:
        return Change(AGAIN[flaw.fault], mended)
    return Change(f"{LEAVE[flaw.fault]} {say(clause)}.", mended)


def harm(rng: np.random.Generator, reply: Row, story: Story, explicit: bool, own: float = OWN) -> Change:
    """An edit that makes the reply worse, in one of the ways in which it could be better.

    `own` is the share of false values that the message mentions.
    """
    stated: dict[Aim, str] = {}
    for clause in reply.clauses:
        stated = claims(clause) | stated
    right = [aim for aim in AIMS if stated.get(aim) == story.facts[aim]]
    absent = [aim for aim in AIMS if aim not in stated]
    roll = rng.random()
    if right and roll < 0.4:
        aim = pick(rng, right)
        return _state(rng, reply, aim, falsehood(rng, story, aim, own), explicit)
    if right and roll < 0.55:
        aim = pick(rng, right)
        return Change(DROP[aim], _unstate(reply, aim))
    if absent and roll < 0.65:
        if absent[:2] == ["who", "object"]:
            return _advise(
                reply, falsehood(rng, story, "who", own), falsehood(rng, story, "object", own), explicit
            )
        aim = pick(rng, absent)
        return _state(rng, reply, aim, falsehood(rng, story, aim, own), explicit)
    if roll < 0.9:
        return _insult(rng, reply, story)
    if roll < 0.95:
        clause = Clause("aside", (aside(rng, story),), joint=draw_joint(rng))
        return Change(f"{TOO_SHORT} that {say(clause)}.", reply.then(clause))
    if roll < 0.98 or not reply.clauses or any(clause.kind == "broken" for clause in reply.clauses):
        padded, new = (pad if reply.clauses else pad_end)(rng, reply)
        return Change(f"{TOO_SHORT} {say(new)}.", padded)
    return Change(MIX, GRAMMAR.garble(rng, reply))


def _advise(reply: Row, who: str, thing: str, explicit: bool) -> Change:
    hint = f" {say_advice(who, thing)}." if explicit else ""
    return Change(MISSING["advice"] + hint, _with_advice(reply, who, thing))


def _state(
    rng: np.random.Generator, reply: Row, aim: Aim, value: str, explicit: bool, place: int = -1
) -> Change:
    """States the value in the clause at `place`, or in the first that takes the aim up, or in a new one."""
    hint = f" {HINT[aim].format(value)}" if explicit else ""
    if place < 0:
        place = next((i for i, clause in enumerate(reply.clauses) if aim in claims(clause)), -1)
    if place >= 0:
        return Change(WRONG[aim] + hint, reply.swap(place, _valued(reply.clauses[place], aim, value)))
    remark = MISSING[aim] + hint
    if aim == "wish" or aim == "feeling":
        form = 0 if explicit else int(rng.random() * 2)
        return Change(remark, reply.then(Clause(aim, (value,), form, joint=draw_joint(rng))))
    for i, clause in enumerate(reply.clauses):
        if clause.kind == "advice":
            return Change(remark, reply.swap(i, _valued(clause, aim, value)))
    return Change(remark, reply.before(_valued(Clause("advice", ("", "")), aim, value)))


def _valued(clause: Clause, aim: Aim, value: str) -> Clause:
    values = list(clause.values)
    values[AIMS.index(aim) if clause.kind == "advice" else 0] = value
    return replace(clause, values=tuple(values), insult=clause.insult if values[0] else "")


def _unstate(reply: Row, aim: Aim) -> Row:
    """Without what is said first on this; an advice becomes vague, other clauses go."""
    place = next(i for i, clause in enumerate(reply.clauses) if aim in claims(clause))
    clause = reply.clauses[place]
    if clause.kind == "advice":
        return reply.swap(place, _valued(clause, aim, ""))
    rest = reply.without(place)
    return rest if rest.clauses else rest.before(Clause("advice", ("", "")))


def _insult(rng: np.random.Generator, reply: Row, story: Story) -> Change:
    for place, clause in enumerate(reply.clauses):
        if clause.kind == "advice" and clause.values[0] and not clause.insult and rng.random() < 0.7:
            insult = pick(rng, v.INSULTS)
            return Change(f"{TOO_KIND} {insult}.", reply.swap(place, replace(clause, insult=insult)))
    clause = Clause("insult", (swear(rng, story),))
    return Change(f"{TOO_KIND} {say(clause)}.", reply.then(clause))


def _with_advice(reply: Row, who: str, thing: str) -> Row:
    for place, clause in enumerate(reply.clauses):
        if clause.kind == "advice":
            return reply.swap(place, replace(clause, values=(who, thing)))
    return reply.before(Clause("advice", (who, thing)))


def _restored(reply: Row, facts: Facts, advice: bool) -> Row:
    """Advised where nothing else is left, or, if `advice`, where no advice is."""
    kinds = [clause.kind for clause in reply.clauses]
    lost = "advice" not in kinds if advice else not kinds
    return _with_advice(reply, facts["who"], facts["object"]) if lost else reply
