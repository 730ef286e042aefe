"""What happened: five key facts, the distractors around them, and the post that tells both.

Facts are sorted by digest into classes that never meet: posts of evaluation worlds, of development
worlds and of pretraining, and within a world those of train and test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.language import parse

T = TypeVar("T")
Slot = Literal["who", "action", "object", "wish", "feeling"]
SLOTS: tuple[Slot, ...] = ("who", "action", "object", "wish", "feeling")
VALUES: dict[Slot, tuple[str, ...]] = {
    "who": v.WHO,
    "action": v.ACTIONS,
    "object": v.OBJECTS,
    "wish": v.WISHES,
    "feeling": v.FEELINGS,
}
Use = Literal["evaluation train", "evaluation test", "development train", "development test", "pretraining"]
_USES: tuple[Use, ...] = (
    "evaluation train",
    "evaluation test",
    "development train",
    "development test",
    *(("pretraining",) * 6),
)
OWN = 0.85
"""Share of false values that come from the post's own distractors, so that falsehoods are likely words."""
Facts = dict[Slot, str]
"""A value for each slot."""


@dataclass(frozen=True, slots=True)
class Story:
    """A post with what it says: the facts, the other values that its distractors mention, and asides."""

    post: str
    facts: Facts
    others: dict[Slot, tuple[str, ...]]
    asides: tuple[str, ...]


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, uniformly."""
    return options[int(rng.random() * len(options))]


def use_of(facts: Facts) -> Use:
    """The one use that these facts are reserved for."""
    name = "|".join(facts[slot] for slot in SLOTS)
    return _USES[hashlib.sha256(name.encode()).digest()[0] % 10]


def draw_facts(rng: np.random.Generator, use: Use) -> Facts:
    """Facts of one use, uniform over its class."""
    while True:
        facts = {slot: pick(rng, VALUES[slot]) for slot in SLOTS}
        if use_of(facts) == use:
            return facts


def tell(rng: np.random.Generator, facts: Facts, most: int = 4) -> Story:
    """A post about these facts: 1 to 4 distractors, an opening and a closing now and then, in any order.

    `most` below 4 keeps the first of the distractors only; 0 makes a post without any.
    """
    used: dict[Slot, list[str]] = {slot: [facts[slot]] for slot in SLOTS}

    def other(slot: Slot) -> str:
        while (value := pick(rng, VALUES[slot])) in used[slot]:
            pass
        used[slot].append(value)
        return value

    asides: list[str] = []
    sentences = [
        pick(rng, v.POST_EVENTS).format(now=pick(rng, v.NOW), **facts),
        pick(rng, v.POST_FEELINGS).format(**facts),
        pick(rng, v.POST_WISHES).format(**facts),
    ]
    kinds = [v.OTHER_EVENTS, v.OTHER_FEELINGS, v.OTHER_WISHES, pick(rng, (v.OTHER_EVENTS, v.OTHER_WISHES))]
    for place in rng.permutation(4)[: min(most, 1 + int(rng.random() * 4))]:
        pattern = pick(rng, kinds[place])
        slots = {slot: other(slot) for slot in SLOTS if f"{{{slot}}}" in pattern}
        sentence = pattern.format(past=pick(rng, v.PAST), **slots)
        sentences.append(sentence)
        if pattern in v.ASIDES:
            asides.append(sentence)
    sentences = [sentences[i] for i in rng.permutation(len(sentences))]
    if rng.random() < 0.5:
        sentences.insert(0, pick(rng, v.OPENINGS))
    if rng.random() < 0.4:
        sentences.append(pick(rng, v.CLOSINGS))
    others = {slot: tuple(used[slot][1:]) for slot in SLOTS}
    return Story(". ".join(sentences) + ".", facts, others, tuple(asides))


def reread(post: str, facts: Facts) -> Story:
    """The story of a post that was told before: what its distractors say is found in its words."""
    said = post.replace(".", " .")
    others = {
        slot: tuple(value for value in VALUES[slot] if value != facts[slot] and f" {value} " in said)
        for slot in SLOTS
    }
    return Story(post, facts, others, tuple(c.values[0] for c in parse(post).clauses if c.kind == "aside"))


def aside(rng: np.random.Generator, story: Story) -> str:
    """An irrelevant statement: one of the post's own where it has any, else an invented one."""
    if story.asides and rng.random() < OWN:
        return pick(rng, story.asides)
    slots = {slot: pick(rng, VALUES[slot]) for slot in SLOTS}
    return pick(rng, v.ASIDES).format(past=pick(rng, v.PAST), **slots)


def falsehood(rng: np.random.Generator, story: Story, slot: Slot, own: float = OWN) -> str:
    """A wrong value: where the post's distractors mention one, it is theirs with probability `own`."""
    if story.others[slot] and rng.random() < own:
        return pick(rng, story.others[slot])
    while (value := pick(rng, VALUES[slot])) == story.facts[slot]:
        pass
    return value
