"""What a kind of text owes the world: prompts with facts, writers, an exact quality, and edits in words.

Four genres implement `Genre`: summaries of posts, replies to messages, programs, and texts with words left
out. Pretraining, annotators, gold judge and diagnostics know nothing but this contract.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

T = TypeVar("T")

Use = Literal["evaluation train", "evaluation test", "development train", "development test", "pretraining"]
_USES: tuple[Use, ...] = (
    "evaluation train",
    "evaluation test",
    "development train",
    "development test",
    *(("pretraining",) * 6),
)
Skill = Literal["usual", "weak", "good"]
"""Who writes: the mediocre people of the pretraining documents, or a weak or good writer of references."""
Facts = Mapping[str, Any]
"""What is true of a prompt, as JSON: a Key's facts. ``genre`` names the genre that can read the rest."""

OWN = 0.85
"""Share of false values that come from the prompt's own other values, so that falsehoods are likely words."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to answer: the prompt's text and what is true of it."""

    text: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with an answer.

    `gain` is what mending it is worth in quality (0 for an aspect that is as it should be), `slot` the fact
    concerned and `place` the part to blame, where there are such.
    """

    fault: str
    gain: float
    slot: str = ""
    place: int = -1


@dataclass(frozen=True, slots=True)
class Edit:
    """A remark in words and the answer that takes it up."""

    remark: str
    text: str


class Genre(Protocol):
    """One kind of answer. All randomness comes from the generator passed in."""

    name: str
    """as in ``facts["genre"]``"""
    qualities: tuple[str, ...]
    """adjectives with which a request can describe the answer it wants"""

    def phrases(self) -> Iterable[str]:
        """Every wording of prompts, answers and remarks, slots in braces: the vocabulary is made of them."""

    def draw(self, rng: np.random.Generator, use: Use, most: int = 4) -> Item:
        """A prompt whose facts belong to this use; `most` below 4 makes it easier (fewer distractors)."""

    def write(
        self, rng: np.random.Generator, item: Item, asked: Sequence[str] = (), skill: Skill = "usual"
    ) -> str:
        """An answer as such a writer gives it, with the qualities that were asked for."""

    def questions(self, item: Item) -> Sequence[tuple[str, str]]:
        """Short questions about the prompt with their right answers, where there are any."""

    def quality(self, texts: Sequence[str], facts: Sequence[Facts]) -> list[float]:
        """Gold quality in [0, 1] of each answer to the prompt with these facts."""

    def flaws(self, text: str, facts: Facts) -> list[Flaw]:
        """Everything wrong with an answer, as a reader finds it; whoever mends all has quality 1."""

    def aspects(self, text: str, facts: Facts) -> list[Flaw]:
        """What a careless critic may remark on although nothing is wrong with it."""

    def mend(self, rng: np.random.Generator, text: str, item: Item, flaw: Flaw, explicit: bool) -> Edit:
        """The edit that takes a flaw away; an `explicit` remark names the right value where there is one."""

    def harm(self, rng: np.random.Generator, text: str, item: Item, explicit: bool, own: float = OWN) -> Edit:
        """An edit that makes the answer worse in one of the ways in which it could be better, in the same
        words; `own` is the share of false values that the prompt mentions."""

    def has(self, quality: str, text: str, facts: Facts) -> bool:
        """Whether an answer shows one of `qualities`."""

    def marks(self, texts: Sequence[str], facts: Sequence[Facts]) -> dict[str, list[bool]]:
        """Yes-or-no properties that metrics count, one list a property: ``rude``, ``passed``."""


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, uniformly."""
    return options[int(rng.random() * len(options))]


def use_of(identity: str) -> Use:
    """The one use that facts with this identity are reserved for: a tenth each, six tenths pretraining."""
    return _USES[hashlib.sha256(identity.encode()).digest()[0] % 10]
