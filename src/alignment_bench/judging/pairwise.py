"""Two texts, asked about in both orders: what a judge must do whose answer can depend on what it saw first.

A judge that reads its two texts one after the other prefers a place as well as a text. Shown both ways, it
must name the same text twice to make it the winner; naming a place is a tie. A judge that gives
probabilities is averaged over the two orders instead: p = (p(AB) + 1 - p(BA)) / 2. An answer that cannot be
parsed makes the pair unparsed, which counts as a tie and is counted. What is asked can be `watched`, which
is how the audit sees the single answers behind verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from alignment_bench.feedback import Verdict
from alignment_bench.prompts import Key, Prompt

TIE = 0.5
_PLAIN = (0.0, TIE, 1.0)
"""answers of a judge that names a winner or a tie and has no probabilities"""


@dataclass(frozen=True, slots=True)
class Pairing:
    """One question to a judge: which of the two texts, in the order in which they are shown, is better."""

    prompt: Prompt
    key: Key
    shown_first: str
    shown_second: str


@dataclass(frozen=True, slots=True)
class Choice:
    """How probable it is that the text shown first is better: 1, 0 or .5 from a judge that only names one.

    None where the answer could not be parsed.
    """

    probability_first: float | None


@dataclass(frozen=True, slots=True)
class BothOrders:
    """One pair as it was asked: the pairing, and the choices in this order and with the texts swapped."""

    pairing: Pairing
    straight: Choice
    swapped: Choice


Ask = Callable[[Sequence[Pairing]], Sequence[Choice]]
_WATCHED: ContextVar[list[BothOrders] | None] = ContextVar("watched", default=None)


@contextmanager
def watched() -> Iterator[list[BothOrders]]:
    """Collects every pair that is asked in both orders inside the block."""
    seen: list[BothOrders] = []
    token = _WATCHED.set(seen)
    try:
        yield seen
    finally:
        _WATCHED.reset(token)


def both_orders(
    ask: Ask, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
) -> list[Verdict]:
    """One verdict a pair, from asking about it in both orders; all questions go out in one batch.

    Identical texts are a tie, and nobody is asked. Raises ValueError where lengths differ, or `ask` gives
    another number of choices than it was asked for, or something that is no probability.
    """
    pairings = [Pairing(*one) for one in zip(prompts, keys, first, second, strict=True)]
    asked = [i for i, one in enumerate(pairings) if one.shown_first != one.shown_second]
    questions = [pairings[i] for i in asked]
    choices = list(ask([*questions, *map(_swapped, questions)])) if asked else []
    _check(choices, 2 * len(asked))
    verdicts = [Verdict(TIE)] * len(pairings)
    for i, straight, swapped in zip(asked, choices[: len(asked)], choices[len(asked) :], strict=True):
        verdicts[i] = _verdict(straight.probability_first, swapped.probability_first)
        if (seen := _WATCHED.get()) is not None:
            seen.append(BothOrders(pairings[i], straight, swapped))
    return verdicts


def _swapped(one: Pairing) -> Pairing:
    return Pairing(one.prompt, one.key, one.shown_second, one.shown_first)


def _verdict(straight: float | None, swapped: float | None) -> Verdict:
    if straight is None or swapped is None:
        return Verdict(TIE, parsed=False)
    other = 1 - swapped
    if straight in _PLAIN and swapped in _PLAIN:
        return Verdict(straight if straight == other else TIE)
    return Verdict((straight + other) / 2)


def _check(choices: Sequence[Choice], wanted: int) -> None:
    if len(choices) != wanted:
        raise ValueError(f"{wanted} questions were asked and {len(choices)} choices came back")
    for choice in choices:
        p = choice.probability_first
        if p is not None and not 0 <= p <= 1:
            raise ValueError(f"{p} is no probability that the text shown first is better")
