"""The little grammar of summaries: clauses, their wording, and the parser that reads them back.

A summary is a row of clauses, each attached to the one before by a full stop, a comma or "and", and ends
with a full stop. Whatever the grammar does not know becomes a ``broken`` clause, so parsing never fails,
and `render(parse(text))` gives back every text that `render` wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Literal

from alignment_bench.world import vocabulary as v

Kind = Literal["event", "feeling", "wish", "aside", "insult", "padding", "broken"]
Joint = Literal[".", ",", "and"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One statement.

    `values` are (who, action, object) of an event, "" where unsaid; the feeling; the wish; or the words
    themselves for the other kinds. `form` picks the wording, `insult` stands before who, and `joint`
    attaches the clause to the one before it.
    """

    kind: Kind
    values: tuple[str, ...]
    form: int = 0
    insult: str = ""
    joint: Joint = "."


@dataclass(frozen=True, slots=True)
class Summary:
    """Clauses in order. `finished` says whether the closing full stop is there."""

    clauses: tuple[Clause, ...]
    finished: bool = True


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


def render(summary: Summary) -> str:
    """The text of a summary."""
    parts: list[str] = []
    for place, clause in enumerate(summary.clauses):
        if place:
            parts.append(" and " if clause.joint == "and" else clause.joint + " ")
        parts.append(say(clause))
    return "".join(parts) + ("." if summary.finished else "")


def parse(text: str) -> Summary:
    """The summary that a text says."""
    clauses: list[Clause] = []
    joint: Joint = "."
    said: list[str] = []
    tokens = v.words(text)
    for token in tokens:
        if token not in (".", ",", "and"):
            said.append(token)
            continue
        clauses.append(_clause(said, joint))
        joint, said = token, []  # type: ignore[assignment]
    if said:
        clauses.append(_clause(said, joint))
    return Summary(tuple(clauses), finished=bool(tokens) and tokens[-1] == ".")


def _clause(said: list[str], joint: Joint) -> Clause:
    text = v.join(said)
    if known := _KNOWN.get(text):
        kind, value, form = known
        return Clause(kind, (value,), form, joint=joint)
    if match := _EVENT.fullmatch(text):
        insult, who, action, thing = (match[name] or "" for name in ("insult", "who", "action", "thing"))
        thing = thing or match["target"] or ""
        return Clause("event", (who, action, thing), insult=insult, joint=joint)
    if text == "something happened":
        return Clause("event", ("", "", ""), joint=joint)
    if _ASIDE.fullmatch(text):
        return Clause("aside", (text,), joint=joint)
    return Clause("broken", (text,), joint=joint)


def _known() -> dict[str, tuple[Kind, str, int]]:
    table: dict[str, tuple[Kind, str, int]] = {}
    for (form, pattern), feeling in product(enumerate(v.FEELING_FORMS), v.FEELINGS):
        table[pattern.format(feeling)] = ("feeling", feeling, form)
    for (form, pattern), wish in product(enumerate(v.WISH_FORMS), v.WISHES):
        table[pattern.format(wish)] = ("wish", wish, form)
    table |= {text: ("insult", text, 0) for text in v.OUTBURSTS}
    table |= {text: ("padding", text, 0) for text in (*v.PADDING, *v.LAST_PADDING)}
    return table


def _either(options: tuple[str, ...]) -> str:
    return "|".join(options)


_KNOWN = _known()
_EVENT = re.compile(
    rf"(?:someone|my (?:(?P<insult>{_either(v.INSULTS)}) )?(?P<who>{_either(v.WHO)})) "
    rf"(?:(?P<action>{_either(v.ACTIONS)}) (?:something|the (?P<thing>{_either(v.OBJECTS)}))"
    rf"|did something(?: to the (?P<target>{_either(v.OBJECTS)}))?)"
)
_SLOTS = {
    "who": _either(v.WHO),
    "wish": _either(v.WISHES),
    "feeling": _either(v.FEELINGS),
    "past": _either(v.PAST),
    "action": _either(v.ACTIONS),
    "object": _either(v.OBJECTS),
}
_ASIDE = re.compile(_either(tuple(p.format(**{k: f"(?:{s})" for k, s in _SLOTS.items()}) for p in v.ASIDES)))
