"""Version 1 of the built-in world is frozen: whoever changes what it says must bump its version.

To make the file again after a wanted change, bump `alignment_bench.world.VERSION`, set
ALIGNMENT_BENCH_REMAKE_GOLDEN=1 and run this file; then pretrain the bases and remake the baselines.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from alignment_bench.digests import digest, generator
from alignment_bench.feedback import CHANNELS, COMPLETIONS_SHOWN, Ask
from alignment_bench.judges.gold import quality
from alignment_bench.models import catalog
from alignment_bench.teachers.annotators import Annotators
from alignment_bench.world import VERSION
from alignment_bench.world.corpus import FORMATTER, Mix, draw_row, vocabulary
from alignment_bench.world.genre import Item
from alignment_bench.world.genres import GENRES
from alignment_bench.world.tasks import TASKS

FROZEN = Path(__file__).with_name("world_frozen.json")
WORLDS = (0, 1, 1000)
EXAMPLES = 40


def answered(task: str) -> list[Ask]:
    """Training prompts of a world with two answers each, by the usual writer and harmed."""
    rng = generator("test-frozen", task)
    asks = []
    for example in TASKS[task](0).train[:EXAMPLES]:
        genre, item = GENRES[example.key.facts["genre"]], Item(example.prompt.text, example.key.facts)
        text = genre.write(rng, item)
        asks.append(Ask(example.prompt, example.key, (text, genre.harm(rng, text, item, True).text)))
    return asks


def gold(task: str) -> list[float]:
    """The quality of these answers."""
    asks = answered(task)
    return quality(
        [text for ask in asks for text in ask.completions], [ask.key.facts for ask in asks for _ in "12"]
    )


def feedback(task: str) -> list[Any]:
    """What the default annotators say of them on every channel."""
    said: list[Any] = []
    for channel in CHANNELS:
        shown = COMPLETIONS_SHOWN[channel]
        asks = [Ask(ask.prompt, ask.key, ask.completions[:shown]) for ask in answered(task)]
        records = Annotators().answer(channel, asks, seed=0)
        said.append([(record.text, record.value, record.preference) for record in records])
    return said


def documents() -> list[Any]:
    """The first documents of a pretraining stream."""
    rng = generator("test-frozen-documents")
    return [draw_row(rng, Mix()) for _ in range(200)]


def world_now() -> dict[str, Any]:
    """Digests of everything that version 1 is."""
    return {
        "version": VERSION,
        "vocabulary": digest(vocabulary()),
        "layouts": FORMATTER.digest,
        "documents": digest(documents()),
        "prompts": {
            task: {str(world): make(world).digest for world in WORLDS} for task, make in TASKS.items()
        },
        "gold": {task: digest([round(value, 6) for value in gold(task)]) for task in TASKS},
        "feedback": {task: digest(feedback(task)) for task in TASKS},
        "bases": {n: catalog.resolve(n).digest for n in catalog.names() if n.startswith("tiny:")},
    }


def test_the_world_is_what_its_version_says() -> None:
    """Prompts, gold, feedback, documents and weights; every difference is named."""
    now = world_now()
    if os.environ.get("ALIGNMENT_BENCH_REMAKE_GOLDEN"):
        FROZEN.write_text(json.dumps(now, indent=1) + "\n", "utf-8")
    then = json.loads(FROZEN.read_text("utf-8"))
    moved = sorted(key for key in {*now, *then} if now.get(key) != then.get(key))
    assert not moved, f"{', '.join(moved)} changed: bump the world's version (see this file's first lines)"


def test_three_bases_are_shipped() -> None:
    """Seeds of one recipe, each with weights of its own."""
    digests = json.loads(FROZEN.read_text("utf-8"))["bases"]
    assert list(digests) == ["tiny:0", "tiny:1", "tiny:2"]
    assert len(set(digests.values())) == 3


@pytest.mark.parametrize("task", TASKS)
def test_what_is_frozen_is_not_degenerate(task: str) -> None:
    """The digests cover good and bad answers, and all kinds of feedback."""
    values = gold(task)
    assert min(values) < 0.3 and max(values) > 0.5
    critiques, scores, preferences, *_ = feedback(task)
    assert len({text for text, _, _ in critiques}) > 4
    assert len({value for _, value, _ in scores}) > 3
    assert {preference for _, _, preference in preferences} >= {"first", "second"}
