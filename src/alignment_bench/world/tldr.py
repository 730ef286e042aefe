"""Task tldr of the built-in world: summarise a post so that all that matters is said, once and kindly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from alignment_bench.digests import digest, generator
from alignment_bench.prompts import Example, Key, Message, Prompt
from alignment_bench.task import TaskData
from alignment_bench.world import VERSION
from alignment_bench.world.facts import SLOTS, Use, draw_facts, tell
from alignment_bench.world.writers import GOOD, write

TRAIN, TEST = 800, 200
DEVELOPMENT = 1000
"""Worlds from this seed on are development worlds: methods are tuned on them, never on the others."""


def tldr(world: int) -> TaskData:
    """Posts of one world seed. Facts are distinct over the world, and reserved for its kind and split."""
    kind: Literal["evaluation", "development"] = "development" if world >= DEVELOPMENT else "evaluation"
    train_use: Use = "development train" if kind == "development" else "evaluation train"
    test_use: Use = "development test" if kind == "development" else "evaluation test"
    train = tuple(_examples(world, "train", train_use, TRAIN))
    test = tuple(_examples(world, "test", test_use, TEST))
    return TaskData(
        train=train,
        test=test,
        source=f"built-in world, version {VERSION}, {kind} seed {world}",
        digest=digest([[e.prompt.text, dict(e.key.facts), list(e.key.references)] for e in train + test]),
        notes=("synthetic posts of a closed vocabulary; never a substitute for real data",),
    )


def _examples(world: int, split: str, use: Use, count: int) -> Iterator[Example]:
    rng = generator("world-tldr", VERSION, world, split)
    seen: set[str] = set()
    while len(seen) < count:
        facts = draw_facts(rng, use)
        name = digest([facts[slot] for slot in SLOTS])
        if name in seen:
            continue
        story = tell(rng, facts)
        prompt = Prompt(f"tldr-{world}-{split}-{len(seen)}", (Message("user", story.post),))
        reference = write(rng, story, GOOD)
        seen.add(name)
        yield Example(prompt, Key(prompt.id, (reference,), facts={slot: facts[slot] for slot in SLOTS}))
