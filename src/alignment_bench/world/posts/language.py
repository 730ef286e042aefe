"""The little grammar of summaries: how their clauses are worded, and how they are read back.

Of an event, a clause's values are who, action and object.
"""

from __future__ import annotations

import re

from alignment_bench.world import vocabulary as v
from alignment_bench.world.clauses import Clause, Grammar, either, fixed_wordings, pattern_of


def say_event(who: str, action: str, thing: str, insult: str = "") -> str:
    """The event in words; what is "" stays vague. An insult needs somebody to insult."""
    if not (who or action or thing):
        return "something happened"
    subject = f"my {insult} {who}" if who and insult else f"my {who}" if who else "someone"
    if action:
        return f"{subject} {action} {'the ' + thing if thing else 'something'}"
    return f"{subject} did something{' to the ' + thing if thing else ''}"


def say(clause: Clause) -> str:
    """A clause in words."""
    if clause.kind == "event":
        who, action, thing = clause.values
        return say_event(who, action, thing, clause.insult)
    if clause.kind == "feeling":
        return v.FEELING_FORMS[clause.form].format(*clause.values)
    if clause.kind == "wish":
        return v.WISH_FORMS[clause.form].format(*clause.values)
    return clause.values[0]


def _read(text: str) -> Clause:
    if known := _KNOWN.get(text):
        return known
    if match := _EVENT.fullmatch(text):
        insult, who, action, thing = (match[name] or "" for name in ("insult", "who", "action", "thing"))
        return Clause("event", (who, action, thing or match["target"] or ""), insult=insult)
    if text == "something happened":
        return Clause("event", ("", "", ""))
    return Clause("aside" if _ASIDE.fullmatch(text) else "broken", (text,))


_KNOWN = fixed_wordings(v.FEELING_FORMS, v.WISH_FORMS, v.OUTBURSTS)
_EVENT = re.compile(
    rf"(?:someone|my (?:(?P<insult>{either(v.INSULTS)}) )?(?P<who>{either(v.WHO)})) "
    rf"(?:(?P<action>{either(v.ACTIONS)}) (?:something|the (?P<thing>{either(v.OBJECTS)}))"
    rf"|did something(?: to the (?P<target>{either(v.OBJECTS)}))?)"
)
_ASIDE = pattern_of(v.ASIDES)
GRAMMAR = Grammar(say, _read)
render, parse = GRAMMAR.render, GRAMMAR.parse
