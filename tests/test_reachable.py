"""The search for secrets finds them wherever Python lets one hide something."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any

import pytest

from alignment_bench.ledger import Ledger
from alignment_bench.prompts import Example, Key, Message, Prompt
from alignment_bench.world.posts.gold import quality

KEY = Key("tldr-0-test-1", ("a reference",), facts={"who": "nobody"})


class Slotted:
    """Hides something in a slot."""

    __slots__ = ("__hidden", "open")

    def __init__(self, secret: Any) -> None:
        self.__hidden = secret

    def method(self) -> Any:
        """Something to bind."""
        return self.__hidden

    def get(self, _owner: Any) -> Any:
        """Something for a property."""
        return self.__hidden


class Plain:
    """Hides something in an attribute."""

    def __init__(self, secret: Any) -> None:
        self.deep = {"deeper": [(secret,)]}

    def method(self) -> Any:
        """Something to bind."""
        return self.deep


def closure_over(secret: Any) -> Callable[[], Any]:
    """A function that remembers."""
    return lambda: secret


def default_of(secret: Any) -> Callable[..., Any]:
    """A function with the secret as default value."""

    def function(known: Any = secret) -> Any:
        return known

    return function


def keyword_default_of(secret: Any) -> Callable[..., Any]:
    """A function with the secret as a keyword's default value."""

    def function(*, known: Any = secret) -> Any:
        return known

    return function


def decorated(secret: Any) -> Callable[..., Any]:
    """A function that wraps one that remembers."""
    inner = closure_over(secret)

    @functools.wraps(inner)
    def outer() -> Any:
        return None

    return outer


def attribute_of_function(secret: Any) -> Callable[..., Any]:
    """A function with an attribute."""

    def function() -> None:
        return None

    function.__dict__["note"] = secret
    return function


def running_generator(secret: Any) -> Iterator[int]:
    """A generator that has begun, with the secret in a local variable."""

    def generator() -> Iterator[int]:
        kept = secret
        yield 1
        yield len(str(kept))

    started = generator()
    next(started)
    return started


def holder(name: str, value: Any) -> Any:
    """An instance of a class of its own that has `name` as an attribute."""
    return type("Holder", (), {name: value, "__module__": __name__})()


HIDING_PLACES: dict[str, Callable[[Any], Any]] = {
    "itself": lambda secret: secret,
    "attribute": Plain,
    "slot": Slotted,
    "closure": closure_over,
    "default": default_of,
    "keyword default": keyword_default_of,
    "wrapped function": decorated,
    "function attribute": attribute_of_function,
    "partial": lambda secret: functools.partial(print, secret),
    "partial keyword": lambda secret: functools.partial(print, sep=secret),
    "bound self": lambda secret: Plain(secret).method,
    "bound self with slots": lambda secret: Slotted(secret).method,
    "bound built-in": lambda secret: [secret].append,
    "generator": running_generator,
    "class attribute": lambda secret: holder("held", secret),
    "nested dict": lambda secret: {"a": {"b": {"c": secret}}},
    "dict key": lambda secret: {(1, secret.prompt_id): 0, ("x", Slotted(secret)): 1},
    "mapping proxy": lambda secret: MappingProxyType({"a": secret}),
    "set": lambda secret: frozenset({Slotted(secret)}),
    "deque": lambda secret: deque([secret]),
    "iterator": lambda secret: iter([secret]),
    "dict values": lambda secret: {"a": secret}.values(),
    "chain": lambda secret: itertools.chain([1], [secret]),
    "property": lambda secret: holder("p", property(Slotted(secret).get)),
    "cached property": lambda secret: holder(
        "p", functools.cached_property(functools.partial(print, secret))
    ),
    "static method": lambda secret: holder("m", staticmethod(closure_over(secret))),
}


@dataclass
class Lablike:
    """A lab that is not careful."""

    feedback: Any


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_the_walk_finds_a_planted_key(place: str, reachable: ModuleType) -> None:
    """Wherever a Key is hidden, and says on which way it can be reached."""
    secrets = reachable.Secrets(types=(Key,))
    assert secrets.leaks(policy=object(), prompts=[], lab=Lablike(None)) == []
    leaks = secrets.leaks(policy=object(), prompts=[], lab=Lablike(HIDING_PLACES[place](KEY)))
    assert leaks
    assert all(leak.startswith("lab.feedback") and leak.endswith("is a Key") for leak in leaks)


@pytest.mark.parametrize(
    "secret",
    [
        quality,
        functools.partial(quality, "text"),
        Ledger("seconds", 1.0),
        Prompt("tldr-0-test-1", (Message("user", "a post"),)),
        {"note": "he said that the test post reads: nobody knows this post"},
        b"in bytes: nobody knows this post",
    ],
    ids=["gold", "gold in a partial", "ledger", "test prompt", "test text", "test text in bytes"],
)
def test_the_walk_finds_other_secrets(secret: Any, reachable: ModuleType) -> None:
    """Gold functions, accounts, test prompts by id and by text."""
    train, test = _example("train-1", "a training post"), _example("tldr-0-test-1", "nobody knows this post")
    secrets = reachable.secrets_of(test=[test], train=[train])
    assert secrets.leaks(prompts=[train.prompt], lab=Lablike(None)) == []
    assert secrets.leaks(prompts=[train.prompt], lab=Lablike(closure_over([secret])))


def _example(name: str, post: str) -> Any:
    return Example(Prompt(name, (Message("user", post),)), Key(name, (f"in short: {post}",)))
