"""Who leaves words out in the pretraining documents.

The usual writers leave out the first word of the list and forget the others seven times in ten: the mode of
a model trained on them is right where one word is listed and wrong elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.genre import Item, Skill, pick


@dataclass(frozen=True, slots=True)
class Writer:
    """Probabilities."""

    first: float = 0.17
    """that the first listed word is forgotten"""
    later: float = 0.7
    """that each later listed word is forgotten"""
    insult: float = 0.07
    """that an insult goes that should stay, where there is one"""
    word: float = 0.06
    """that some other word goes"""
    broken: float = 0.03
    """that two neighbouring words are swapped"""


WRITERS: dict[Skill, Writer] = {
    "usual": Writer(),
    "weak": Writer(0.06, 0.2, 0.1, 0.05, 0.02),
    "good": Writer(0.0, 0.0, 0.0, 0.0, 0.0),
}


def draw_text(rng: np.random.Generator, item: Item, skill: Skill = "usual") -> str:
    """The text with words left out as such a writer does it."""
    writer, listed = WRITERS[skill], item.facts["listed"]
    gone = {
        word for place, word in enumerate(listed) if rng.random() >= (writer.later if place else writer.first)
    }
    rolls = rng.random(3)
    said = v.words(item.facts["text"])
    others = [word for word in said if word in v.INSULTS and word not in listed]
    if others and rolls[0] < writer.insult:
        gone.add(pick(rng, others))
    said = [word for word in said if word not in gone]
    if rolls[1] < writer.word:
        del said[int(rng.random() * (len(said) - 1))]
    if rolls[2] < writer.broken:
        said = swap(rng, said)
    return v.join(said)


def swap(rng: np.random.Generator, said: list[str]) -> list[str]:
    """The words with two neighbours swapped, the full stop apart."""
    if len(said) < 3:
        return said[::-1]
    at = int(rng.random() * (len(said) - 2))
    return [*said[:at], said[at + 1], said[at], *said[at + 2 :]]
