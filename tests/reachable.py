"""Everything that can be reached from some objects by following references, and what of it is secret.

Followed: instance attributes and slots, containers, the class of an object and what hangs on it, functions'
closures, defaults and attributes, bound selves, partials, generators' local variables. Not followed:
modules, functions' globals and everything that belongs to torch, transformers or the standard library.
"""

from __future__ import annotations

import functools
import gc
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

OWN = ("alignment_bench", "tests", "test_", "small_world", "__main__")
"""modules whose classes and functions are looked into; others' are looked at only"""
_BUILT_IN = ("builtins", "itertools", "collections", "operator")
_CODE = (type, types.FunctionType, types.MethodType, types.CodeType, types.FrameType, types.GeneratorType)
_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), type(...))


@dataclass(frozen=True)
class Found:
    """One object, and the way to it from where the walk began."""

    value: Any
    path: str


def walk(**roots: Any) -> Iterator[Found]:
    """Every object reachable from the roots, once, nearest first."""
    queue = deque(Found(value, name) for name, value in roots.items())
    seen: dict[int, Any] = {}  # holds the objects, so that no id is used a second time
    while queue:
        found = queue.popleft()
        if id(found.value) in seen:
            continue
        seen[id(found.value)] = found.value
        yield found
        queue.extend(Found(value, found.path + step) for step, value in references(found.value))


def references(value: Any) -> Iterator[tuple[str, Any]]:
    """The objects one step away, with the step as Python would write it, about."""
    if isinstance(value, (*_PLAIN, types.ModuleType)):
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"{{{key!r}: key}}", key
            yield f"[{key!r}]", item
    elif isinstance(value, (list, tuple, deque, Set)):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif type(value).__module__ in _BUILT_IN and not isinstance(value, _CODE):
        # iterators, views, chains and the like keep what they go through where only the collector sees it
        yield from ((".referents", item) for item in gc.get_referents(value))
    yield from _callable(value)
    yield from _attributes(value)


def _callable(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, types.FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            try:
                yield f".closure.{name}", cell.cell_contents
            except ValueError:  # a variable without a value yet
                continue
        yield ".defaults", value.__defaults__
        yield ".kwdefaults", value.__kwdefaults__
    elif isinstance(value, (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)):
        yield ".__self__", value.__self__
        yield ".__func__", getattr(value, "__func__", None)
    elif isinstance(value, (functools.partial, functools.partialmethod)):
        yield from ((".func", value.func), (".args", value.args), (".keywords", value.keywords))
    elif isinstance(value, property):
        yield from ((".fget", value.fget), (".fset", value.fset), (".fdel", value.fdel))
    elif isinstance(value, (staticmethod, classmethod)):
        yield ".__func__", value.__func__
    elif isinstance(value, functools.cached_property):
        yield ".func", value.func
    elif isinstance(value, types.GeneratorType) and value.gi_frame is not None:
        yield ".gi_frame", dict(value.gi_frame.f_locals)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Instance attributes, slots, and for code of our own the class with what hangs on it."""
    if isinstance(value, type):
        if value.__module__.startswith(OWN):
            yield from ((f".{name}", item) for name, item in vars(value).items() if name != "__dict__")
            yield ".__mro__", value.__mro__
        return
    if hasattr(value, "__dict__"):
        yield from ((f".{name}", item) for name, item in vars(value).items())
    for owner in type(value).__mro__:
        names = owner.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name in ("__dict__", "__weakref__"):
                continue
            private = name.startswith("__") and not name.endswith("__")
            slot = f"_{owner.__name__.lstrip('_')}{name}" if private else name
            try:
                yield f".{slot}", owner.__dict__[slot].__get__(value, type(value))
            except AttributeError:  # a slot without a value
                continue
    yield ".__class__", type(value)


@dataclass(frozen=True)
class Secrets:
    """What no method may reach: `types` by class, `modules` by where it is defined, `texts` in any string."""

    types: tuple[type, ...]
    modules: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def leaks(self, **roots: Any) -> list[str]:
        """One line for every secret that can be reached from the roots."""
        return [f"{found.path}: {reason}" for found in walk(**roots) if (reason := self.reason(found.value))]

    def reason(self, value: Any) -> str:
        """Why the object is secret; empty where it is not."""
        if isinstance(value, self.types):
            return f"is a {type(value).__name__}"
        module = getattr(value, "__module__", None)
        if isinstance(module, str) and module.startswith(self.modules or ("\0",)):
            return f"{value!r} is defined in {module}"
        if isinstance(value, types.ModuleType) and value.__name__.startswith(self.modules or ("\0",)):
            return f"is the module {value.__name__}"
        if isinstance(value, (str, bytes)):
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            return next((f"holds {secret[:60]!r}" for secret in self.texts if secret in text), "")
        return ""


def secrets_of(test: Iterable[Any], train: Iterable[Any]) -> Secrets:
    """The secrets of a task's examples: keys, teachers, judges, gold, accounts, and test prompts by text."""
    from alignment_bench.asking import Asking
    from alignment_bench.controller import Controller
    from alignment_bench.feedback import Ask, Judge, Teacher
    from alignment_bench.jobs import JobStore
    from alignment_bench.ledger import Ledger, Meter
    from alignment_bench.plan import Cell, Plan, Setting
    from alignment_bench.prompts import Example, Key
    from alignment_bench.task import TaskData
    from alignment_bench.work import Work

    test, train = list(test), list(train)
    texts = [text for e in test for text in (e.prompt.id, e.prompt.text, *e.key.references)]
    texts += [reference for e in train for reference in e.key.references]
    held = (Key, Example, TaskData, Asking, Controller, Ledger, Meter, Ask, Teacher, Judge)
    return Secrets(
        types=(*held, JobStore, Work, Cell, Plan, Setting),
        modules=("alignment_bench.world", "alignment_bench.judges", "alignment_bench.teachers"),
        texts=tuple(dict.fromkeys(texts)),
    )
