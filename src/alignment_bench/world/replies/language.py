"""The little grammar of replies: how their clauses are worded, and how they are read back.

Of an advice, a clause's values are who and object.
"""

from __future__ import annotations

import re

from alignment_bench.world import vocabulary as v
from alignment_bench.world.clauses import Clause, Grammar, either, fixed_wordings, pattern_of

FEELING_FORMS = ("i understand that you feel {}", "it is normal to feel {}")
ADVICE_FORMS = ("talk to", "ask", "please talk to", "please ask")
POLITE_FORMS = (2, 3)
"""places of those with a please"""
WISH_FORMS = ("you should {}", "you can {}", "it is fine to {}")
ASIDES = (
    "your {who} thinks you should {wish}",
    "your {who} is {feeling}",
    "{past} your {who} {action} the {object}",
)
SWEARING = (*v.OUTBURSTS, *(f"you are {insult}" for insult in v.INSULTS))
"""Clauses that do nothing but insult."""
RUDE_WORDS = frozenset((*v.INSULTS, *(v.words(outburst)[-1] for outburst in v.OUTBURSTS)))
"""Words that insult wherever they stand."""
WORDING = (
    *FEELING_FORMS, *ADVICE_FORMS, *WISH_FORMS, *ASIDES, *SWEARING, *v.PADDING, *v.LAST_PADDING,
    "your the someone about it", "and , .",
)  # fmt: skip
"""Every wording of replies, slots in braces."""


def say_advice(who: str, thing: str, insult: str = "", form: int = 0) -> str:
    """Whom to talk to about what; what is "" stays vague. An insult needs somebody to insult."""
    person = f"your {insult} {who}" if who and insult else f"your {who}" if who else "someone"
    return f"{ADVICE_FORMS[form]} {person} about {'the ' + thing if thing else 'it'}"


def say(clause: Clause) -> str:
    """A clause in words."""
    if clause.kind == "advice":
        who, thing = clause.values
        return say_advice(who, thing, clause.insult, clause.form)
    if clause.kind == "feeling":
        return FEELING_FORMS[clause.form].format(*clause.values)
    if clause.kind == "wish":
        return WISH_FORMS[clause.form].format(*clause.values)
    return clause.values[0]


def _read(text: str) -> Clause:
    if known := _KNOWN.get(text):
        return known
    if match := _ADVICE.fullmatch(text):
        values = match["who"] or "", match["object"] or ""
        return Clause("advice", values, ADVICE_FORMS.index(match["form"]), match["insult"] or "")
    return Clause("aside" if ASIDE_PATTERN.fullmatch(text) else "broken", (text,))


_KNOWN = fixed_wordings(FEELING_FORMS, WISH_FORMS, SWEARING)
_ADVICE = re.compile(
    rf"(?P<form>{either(ADVICE_FORMS)}) "
    rf"(?:someone|your (?:(?P<insult>{either(v.INSULTS)}) )?(?P<who>{either(v.WHO)})) "
    rf"about (?:it|the (?P<object>{either(v.OBJECTS)}))"
)
ASIDE_PATTERN = pattern_of(ASIDES)
"""Matches every aside."""
GRAMMAR = Grammar(say, _read)
render, parse = GRAMMAR.render, GRAMMAR.parse
