"""What happened: five key facts, the distractors around them, and the post that tells both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.genre import OWN, Item, Use, pick, use_of
from alignment_bench.world.posts.language import parse

Slot = Literal["who", "action", "object", "wish", "feeling"]
SLOTS: tuple[Slot, ...] = ("who", "action", "object", "wish", "feeling")
VALUES: dict[Slot, tuple[str, ...]] = {
    "who": v.WHO,
    "action": v.ACTIONS,
    "object": v.OBJECTS,
    "wish": v.WISHES,
    "feeling": v.FEELINGS,
}
QUESTIONS: dict[Slot, str] = {
    "who": "who was it ?",
    "action": "what was done ?",
    "object": "to what ?",
    "wish": "what do i want ?",
    "feeling": "how do i feel ?",
}
FEWEST, MOST = 40, 90
"""words of a post, except of the easy ones that pretraining begins with"""
KEY_SENTENCES = ("event", "feeling", "wish")
KeySentence = Literal["event", "feeling", "wish"]


@dataclass(frozen=True, slots=True)
class Story:
    """A post with what it says: the facts, the other values that its distractors mention, and asides.

    `lead` is the key sentence that comes first: hasty writers remember that one best.
    """

    post: str
    facts: Mapping[str, Any]
    others: dict[Slot, tuple[str, ...]]
    asides: tuple[str, ...]
    lead: KeySentence


def identity(facts: Mapping[str, Any]) -> str:
    """What makes two posts tell the same."""
    return "|".join(facts[slot] for slot in SLOTS)


def draw_facts(rng: np.random.Generator, use: Use) -> dict[str, str]:
    """Facts of one use, uniform over its class."""
    while True:
        facts: dict[str, str] = {slot: pick(rng, VALUES[slot]) for slot in SLOTS}
        if use_of(identity(facts)) == use:
            return facts


def tell(rng: np.random.Generator, facts: Mapping[str, str], most: int = 4) -> Item:
    """A post about these facts: 1 to 4 distractors, scenes, an opening and a closing, in any order.

    `most` below 4 keeps so many of the distractors only and fewer scenes: easy posts to begin with.
    """
    used: dict[Slot, list[str]] = {slot: [facts[slot]] for slot in SLOTS}

    def other(slot: Slot) -> str:
        while (value := pick(rng, VALUES[slot])) in used[slot]:
            pass
        used[slot].append(value)
        return value

    keys = [
        pick(rng, v.POST_EVENTS).format(now=pick(rng, v.NOW), **facts),
        pick(rng, v.POST_FEELINGS).format(**facts),
        pick(rng, v.POST_WISHES).format(**facts),
    ]
    sentences = list(keys)
    kinds = [v.OTHER_EVENTS, v.OTHER_FEELINGS, v.OTHER_WISHES, pick(rng, (v.OTHER_EVENTS, v.OTHER_WISHES))]
    for place in rng.permutation(4)[: min(most, 1 + int(rng.random() * 4))]:
        pattern = pick(rng, kinds[place])
        slots = {slot: other(slot) for slot in SLOTS if f"{{{slot}}}" in pattern}
        sentences.append(pattern.format(past=pick(rng, v.PAST), **slots))
    opening = pick(rng, v.OPENINGS) if rng.random() < 0.5 else ""
    closing = pick(rng, v.CLOSINGS) if rng.random() < 0.4 else ""
    length = sum(len(v.words(text)) for text in (*sentences, opening, closing))
    scenes = [v.SCENES[i] for i in rng.permutation(len(v.SCENES))]
    enough = rng.random() * 25 + FEWEST if most == 4 else 5 * most
    while length < enough and length + len(v.words(scenes[-1])) <= MOST:
        sentences.append(scenes.pop())
        length += len(v.words(sentences[-1]))
    sentences = [sentences[i] for i in rng.permutation(len(sentences))]
    if opening:
        sentences.insert(0, opening)
    if closing:
        sentences.append(closing)
    post = ". ".join(sentences) + "."
    lead = min(KEY_SENTENCES, key=lambda kind: sentences.index(keys[KEY_SENTENCES.index(kind)]))
    return Item(post, {"genre": "summary", **facts, "lead": lead, "post": post})


def reread(item: Item) -> Story:
    """The story of a post: what its distractors say is found in its words."""
    facts = item.facts
    said = item.text.replace(".", " .")
    others = {
        slot: tuple(value for value in VALUES[slot] if value != facts[slot] and f" {value} " in said)
        for slot in SLOTS
    }
    asides = tuple(c.values[0] for c in parse(item.text).clauses if c.kind == "aside")
    return Story(item.text, facts, others, asides, facts["lead"])


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
