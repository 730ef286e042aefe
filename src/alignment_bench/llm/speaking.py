"""What is asked of a language model and what comes back, wherever the model runs.

A `Speaker` answers questions in any order and number; an answer depends on its question alone. `ask` puts
questions until their answers can be read, a bounded number of times: what stays unreadable is said to be,
with the reason, and never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from alignment_bench.ledger import Spend
from alignment_bench.prompts import Message

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Question:
    """A conversation to go on with, and how.

    `options` are single words of which the answer is to be one: a speaker that knows how probable each is
    says so. `attempt` counts from 0; a later one is another draw where the speaker can draw. Where the
    temperature is not 0, another `seed` is another draw too.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = 0.0
    seed: int = 0
    options: tuple[str, ...] = ()
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that were read and written for an answer, as the endpoint counts them, and their price.

    `untold` counts answers of an endpoint that did not say.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    money: float = 0.0
    untold: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.money + other.money,
            self.untold + other.untold,
        )

    @property
    def spend(self) -> Spend:
        """As the ledger books it."""
        return Spend(tokens_read=self.tokens_in, tokens_written=self.tokens_out, money=self.money)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `text` None or a `reason` means that it is of no use; `final`, that asking again is no use.

    `weights` are the probabilities of the question's options as the answer's first token, None where unknown.
    """

    text: str | None
    reason: str = ""
    weights: tuple[float, ...] | None = None
    usage: Usage = field(default_factory=Usage)
    final: bool = False


class Speaker(Protocol):
    """A language model that answers."""

    @property
    def draws(self) -> bool:
        """Whether asking the same at temperature 0 again may bring another answer."""

    def answer(self, questions: Sequence[Question], *, kept: bool = False) -> list[Reply]:
        """One reply a question, in their order; equal questions get equal replies and are asked once.

        `kept`: only what was answered before; a question that was not gets a reply of no use, at no cost.
        """


class Unreadable(ValueError):
    """A reply that is not of the form that was asked for; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Heard(Generic[Value]):
    """What was read in the last answer to a question (None: nothing, and why), and all that it took."""

    value: Value | None
    reason: str = ""
    usage: Usage = field(default_factory=Usage)
    attempts: int = 1


def ask(
    speaker: Speaker,
    questions: Sequence[Question],
    read: Callable[[Reply], Value],
    tries: int,
    *,
    kept: bool = False,
) -> list[Heard[Value]]:
    """Asks every question up to `tries` times, until `read` takes the reply (it raises Unreadable).

    Questions that are equal are asked once, and each hears all of it. `kept`: only what is stored already.
    """
    heard: dict[Question, Heard[Value]] = {}
    waiting = list(dict.fromkeys(questions))
    for attempt in range(max(1, tries)):
        if not waiting:
            break
        replies = speaker.answer([replace(one, attempt=attempt) for one in waiting], kept=kept)
        again = []
        for one, reply in zip(waiting, replies, strict=True):
            usage = heard[one].usage + reply.usage if one in heard else reply.usage
            value, reason = _read(reply, read)
            heard[one] = Heard(value, reason, usage, attempt + 1)
            if reason and not reply.final and (speaker.draws or one.temperature != 0):
                again.append(one)
        waiting = again
    return [heard[one] for one in questions]


def _read(reply: Reply, read: Callable[[Reply], Value]) -> tuple[Value | None, str]:
    if reply.reason:
        return None, reply.reason
    try:
        return read(reply), ""
    except Unreadable as error:
        return None, str(error)
