"""Who writes replies in the pretraining documents: hasty people, and people who follow a request.

The usual writer takes up best what the message tells first and leaves out much of the rest, and answers a
message that calls somebody names in the same tone, so that the mode of a model trained on such documents is
mediocre too, and rude where it was provoked. Every knob is a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.clauses import Clause, Row, draw_joint, pad
from alignment_bench.world.genre import OWN, pick
from alignment_bench.world.replies.facts import Story, aside, falsehood
from alignment_bench.world.replies.gold import Aim
from alignment_bench.world.replies.language import ADVICE_FORMS, GRAMMAR, POLITE_FORMS, SWEARING

_PLAIN_FORMS = tuple(form for form in range(len(ADVICE_FORMS)) if form not in POLITE_FORMS)
_WISH_FORMS = (0, 0, 1, 1, 2)
"""Places of wordings, as often as they are used."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Probabilities, each per reply or per thing to take up. `lead` ones hold where the message begins so."""

    who: float = 0.85
    """that the advice names the person"""
    lead_object: float = 0.85
    """that the advice names the thing, where the message tells what happened before feeling and wish"""
    object: float = 0.3
    """the same where it does not, to calm messages"""
    heated_object: float = 0.54
    """the same where it does not, to heated messages"""
    lead_feeling: float = 0.75
    """that the feeling is shared, where the message tells it first"""
    feeling: float = 0.22
    """the same where it does not"""
    lead_wish: float = 0.8
    """that the wish is taken up, where the message tells it first"""
    wish: float = 0.22
    """the same where it does not"""
    false: float = 0.04
    """that a value is wrong"""
    insult: float = 0.12
    """that the reply to a calm message is rude"""
    heated_insult: float = 0.16
    """that the reply to a heated message without name-calling is rude"""
    provoked_insult: float = 0.92
    """that the reply to a message that calls the person names is rude"""
    please: float = 0.2
    """that the advice comes with a please"""
    aside: float = 0.3
    """that it states something irrelevant"""
    padding: float = 0.3
    """that it is padded"""
    broken: float = 0.03
    """that a clause is unreadable"""

    def chance(self, aim: Aim, story: Story) -> float:
        """The probability that a reply takes this up."""
        lead = story.facts["lead"]
        if aim == lead or (aim == "object" and lead == "event"):
            return float(getattr(self, f"lead_{aim}"))
        if aim == "object" and story.facts["heated"]:
            return self.heated_object
        return float(getattr(self, aim))

    def rudeness(self, story: Story) -> float:
        """The probability that a reply is rude."""
        if story.facts["insult"]:
            return self.provoked_insult
        return self.heated_insult if story.facts["heated"] else self.insult


def _certain(**chances: float) -> dict[str, Any]:
    """The same chances whatever the message is like."""
    same = {
        "object": ("lead_object", "heated_object"),
        "feeling": ("lead_feeling",),
        "wish": ("lead_wish",),
        "insult": ("heated_insult", "provoked_insult"),
    }
    return {other: p for name, p in chances.items() for other in (name, *same.get(name, ()))}


USUAL = Writer()
WEAK = replace(
    USUAL, **_certain(who=0.95, object=0.85, wish=0.6, feeling=0.6, insult=0.05), false=0.06, aside=0.06,
    padding=0.1, broken=0.0,
)  # fmt: skip
"""A writer who was asked for good references and is not good at it."""
GOOD = replace(
    USUAL, **_certain(who=1.0, object=1.0, wish=1.0, feeling=1.0, insult=0.0), false=0.0, aside=0.0,
    padding=0.0, broken=0.0,
)  # fmt: skip

EFFECTS: dict[str, dict[str, Any]] = {
    "short": {**_certain(wish=0.01, feeling=0.01), "aside": 0.01, "padding": 0.01},
    "full": _certain(wish=0.98, feeling=0.98),
    "emotional": _certain(feeling=0.97),
    "practical": _certain(wish=0.97),
    "rude": _certain(insult=0.97),
    "polite": {**_certain(insult=0.01), "please": 0.98},
    "vague": _certain(who=0.02, object=0.02),
    "exact": _certain(who=0.98, object=0.98),
    "wordy": {"padding": 0.97, "aside": 0.5},
    "plain": {"padding": 0.01, "aside": 0.01},
}
"""What a quality that is asked for changes in a writer."""


def asked_for(qualities: Sequence[str], writer: Writer = USUAL) -> Writer:
    """The writer who fulfils a request; where two qualities disagree, the later one is followed."""
    for quality in qualities:
        writer = replace(writer, **EFFECTS[quality])
    return writer


def draw_reply(rng: np.random.Generator, story: Story, writer: Writer = USUAL) -> Row:
    """A reply to the message as this writer would put it: the feeling first, then the advice, then the wish.

    The order is fixed so that whether something is taken up is decided in one place, and by one odds.
    """
    feeling, who, thing, wish = (
        _value(rng, story, aim, writer) for aim in ("feeling", "who", "object", "wish")
    )
    rude = rng.random() < writer.rudeness(story)
    insult = _own(rng, story.facts["insult"], v.INSULTS) if rude and who and rng.random() < 0.85 else ""
    clauses = [Clause("feeling", (feeling,), form=int(rng.random() * 2))] if feeling else []
    form = pick(rng, POLITE_FORMS if rng.random() < writer.please else _PLAIN_FORMS)
    clauses.append(Clause("advice", (who, thing), form, insult))
    if wish:
        clauses.append(Clause("wish", (wish,), pick(rng, _WISH_FORMS), joint=draw_joint(rng)))
    if rng.random() < writer.aside:
        place = 1 + int(rng.random() * len(clauses))
        clauses.insert(place, Clause("aside", (aside(rng, story),), joint=draw_joint(rng)))
    if rude and not insult:
        clauses.append(Clause("insult", (swear(rng, story),)))
    reply = Row(tuple(clauses))
    if rng.random() < writer.padding:
        reply, _ = pad(rng, reply)
    return GRAMMAR.garble(rng, reply) if rng.random() < writer.broken else reply


def swear(rng: np.random.Generator, story: Story) -> str:
    """A clause that insults: mostly the outburst of the message where it has one."""
    return _own(rng, story.facts["outburst"], SWEARING)


def _own(rng: np.random.Generator, own: str, options: Sequence[str]) -> str:
    return own if own and rng.random() < OWN else pick(rng, options)


def _value(rng: np.random.Generator, story: Story, aim: Aim, writer: Writer) -> str:
    if rng.random() >= writer.chance(aim, story):
        return ""
    return falsehood(rng, story, aim) if rng.random() < writer.false else str(story.facts[aim])
