"""The five tasks of the built-in world: which genre each draws its prompts from, and which of them it keeps.

Every generator takes a world's seed. Worlds from DEVELOPMENT on are for tuning methods, the others for
reporting: facts are reserved by digest for one kind, one split, or pretraining, so they never meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from alignment_bench.digests import digest, generator
from alignment_bench.prompts import Example, Key, Message, Prompt
from alignment_bench.task import TaskData
from alignment_bench.world import VERSION
from alignment_bench.world.genre import Facts, Use
from alignment_bench.world.genres import GENRES

TRAIN, TEST = 800, 200
DEVELOPMENT = 1000
"""Worlds from this seed on are development worlds: methods are tuned on them, never on the others."""
WORDING = ("post", "lead")
"""Facts about how a prompt is worded, not what it asks for: no two prompts differ in these alone."""

Keep = Callable[[Facts], bool]
"""Whether a task uses a prompt with these facts."""


def tldr(world: int) -> TaskData:
    """Posts to summarise."""
    return _task("tldr", "summary", world)


def toxicity(world: int) -> TaskData:
    """Messages that provoke: the reply should keep its temper."""
    return _task("toxicity", "reply", world, lambda facts: bool(facts["heated"]))


def dialogue(world: int) -> TaskData:
    """Messages that ask for something: the reply should help, politely and on topic."""
    return _task("dialogue", "reply", world, lambda facts: not facts["heated"])


def code(world: int) -> TaskData:
    """Descriptions of small functions, whose programs are run against tests."""
    return _task("code", "program", world)


def word_removal(world: int) -> TaskData:
    """Texts from which named words are to be left out, and nothing else."""
    return _task("word_removal", "removal", world)


TASKS: dict[str, Callable[[int], TaskData]] = {
    "tldr": tldr,
    "toxicity": toxicity,
    "dialogue": dialogue,
    "code": code,
    "word_removal": word_removal,
}
"""By name, in the order of the tables."""


def _task(name: str, genre: str, world: int, keep: Keep = lambda facts: True) -> TaskData:
    """The prompts of one world. Facts are distinct over the world, and reserved for its kind and split."""
    kind: Literal["evaluation", "development"] = "development" if world >= DEVELOPMENT else "evaluation"
    train_use: Use = "development train" if kind == "development" else "evaluation train"
    test_use: Use = "development test" if kind == "development" else "evaluation test"
    train = tuple(_examples(name, genre, world, "train", train_use, TRAIN, keep))
    test = tuple(_examples(name, genre, world, "test", test_use, TEST, keep))
    return TaskData(
        train=train,
        test=test,
        source=f"built-in world, version {VERSION}, {kind} seed {world}",
        digest=digest([[e.prompt.text, dict(e.key.facts), list(e.key.references)] for e in train + test]),
        notes=("synthetic prompts of a closed vocabulary; never a substitute for real data",),
    )


def _examples(
    name: str, genre: str, world: int, split: str, use: Use, count: int, keep: Keep
) -> Iterator[Example]:
    """The first `count` prompts of the stream that are kept, each with facts of its own."""
    source = GENRES[genre]
    rng = generator("world", name, VERSION, world, split)
    seen: set[str] = set()
    while len(seen) < count:
        item = source.draw(rng, use)
        identity = digest({name: fact for name, fact in item.facts.items() if name not in WORDING})
        if not keep(item.facts) or identity in seen:
            continue
        prompt = Prompt(f"{name}-{world}-{split}-{len(seen)}", (Message("user", item.text),))
        reference = source.write(rng, item, skill="good")
        seen.add(identity)
        yield Example(prompt, Key(prompt.id, (reference,), facts=dict(item.facts)))
