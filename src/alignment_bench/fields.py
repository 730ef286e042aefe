"""Turns the text of `field=value` into the value that a dataclass field wants, or says why it cannot.

Types: int, float, bool, str, Path, Literal, Optional and other unions, tuples. A field's metadata may hold
`min` and `max` (both allowed values) and, for numbers that must stay strictly inside, `above` and `below`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import math
import sys
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alignment_bench.errors import BadInput, Problem
from alignment_bench.registry import suggest

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_IDENTITY = frozenset(("name", "family", "paid_in", "channels", "metrics", "needs", "wrapper", "wants"))
"""what a plugin declares about itself, for its contract: fields or not, nobody sets them from outside"""
_BRACKETS = {"[": 1, "]": -1}


@dataclass(frozen=True, slots=True)
class FieldHelp:
    """What `bench show` says of one field: its type and default as text, and the docstring under it."""

    name: str
    type: str
    default: str
    help: str


class Unsuitable(ValueError):
    """A text that is no value of the wanted type; `fix` says what would be."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def split(text: str, separator: str = ",") -> list[str]:
    """The parts of a text between separators outside brackets. Raises Unsuitable on unbalanced brackets."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += _BRACKETS.get(letter, 0)
        if depth < 0:
            break
        if letter == separator and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    if depth:
        raise Unsuitable(f"the brackets in {text!r} do not match", "write lists as [a,b]")
    return [*parts, text[start:]]


def elements(text: str) -> list[str]:
    """The elements of a list, written `[a,b]` or `a,b`; `[]` is empty."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not inner.strip():
        return []
    parts = [part.strip() for part in split(inner)]
    if not all(parts):
        raise Unsuitable(f"{text!r} has an empty element", "remove the extra comma")
    return parts


def convert(text: str, wanted: Any) -> Any:
    """The value of type `wanted` that the text writes. Raises Unsuitable."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Literal:
        for choice in arguments:
            if text == str(choice):
                return choice
        raise Unsuitable(f"{text!r} is not one of its values", _choices(text, [str(a) for a in arguments]))
    if origin in (typing.Union, types.UnionType):
        return _member(text, wanted, arguments)
    if origin is tuple:
        return _tuple(text, wanted, arguments)
    if wanted is bool:
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
        raise Unsuitable(f"{text!r} is not true or false", "write true or false")
    if wanted is int:
        try:
            return int(text.encode("ascii"))
        except ValueError:
            raise Unsuitable(f"{text!r} is not a whole number", "write digits, such as 3") from None
    if wanted is float:
        try:
            number = float(text)
        except ValueError:
            raise Unsuitable(f"{text!r} is not a number", "write a number, such as 0.3 or 1e-4") from None
        if not math.isfinite(number):
            raise Unsuitable(f"{text!r} is not a finite number", "write a number, such as 0.3 or 1e-4")
        return number
    if wanted in (str, Path):
        return wanted(text)
    raise Unsuitable(f"a {spell(wanted)} cannot be given on the command line", "set it from Python")


def values(
    cls: type,
    given: Mapping[str, str],
    prefix: str,
    problems: list[Problem],
    *,
    show: str = "",
    limits: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """The fields of a dataclass that texts set, converted and within their ranges.

    A problem is appended for each that cannot be, with `prefix` + its name as the problem's field. `show`
    is what `bench show` calls the class. `limits` are ranges for fields that declare none themselves.
    """
    found: dict[str, Any] = {}
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in settable(cls)}
    for name, text in given.items():
        where = f"{prefix}{name}"
        if name not in known:
            fix = suggest(name, known) if known else f"{show or cls.__name__} takes no fields"
            problems.append(Problem(where, f"{show or cls.__name__} has no field {name!r}", fix))
            continue
        try:
            value = convert(text, hints[name])
        except Unsuitable as error:
            problems.append(Problem(where, str(error), f"{spell(hints[name])}: {error.fix}"))
            continue
        bounds = {**known[name].metadata, **(limits or {}).get(name, {})}
        if fault := out_of_range(value, bounds):
            problems.append(Problem(where, f"{text} is out of range", f"it {fault}"))
            continue
        found[name] = value
    return found


def build(
    cls: type, given: Mapping[str, str], prefix: str, problems: list[Problem], *, show: str = ""
) -> Any | None:
    """An instance of a dataclass from texts, or None (with problems appended) where something is wrong.

    What the class's own `__post_init__` raises, as BadInput or ValueError, is such a problem too.
    """
    before = len(problems)
    found = values(cls, given, prefix, problems, show=show)
    for f in settable(cls):
        absent = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if absent and f.name not in given:
            where = f"{prefix}{f.name}"
            problems.append(Problem(where, "has no default and was not given", f"write {where}=VALUE"))
    if len(problems) > before:
        return None
    try:
        return cls(**found)
    except BadInput as error:
        problems.extend(_prefixed(problem, prefix) for problem in error.problems)
    except ValueError as error:
        fix = f"see bench show {show}" if show else "correct its fields"
        problems.append(Problem(prefix.rstrip(".:") or cls.__name__, str(error), fix))
    return None


def out_of_range(value: Any, bounds: Mapping[Any, Any]) -> str | None:
    """What the allowed range is, where a number (or one of a tuple's numbers) lies outside; else None."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        inside = (
            ("min" not in bounds or number >= bounds["min"])
            and ("max" not in bounds or number <= bounds["max"])
            and ("above" not in bounds or number > bounds["above"])
            and ("below" not in bounds or number < bounds["below"])
        )
        if not inside:
            words = {"min": "at least", "max": "at most", "above": "more than", "below": "less than"}
            return "must be " + " and ".join(f"{w} {bounds[k]:g}" for k, w in words.items() if k in bounds)
    return None


def spell(wanted: Any) -> str:
    """A type as a person would write it: `int`, `none or int`, `right | none`, `[str,...]`."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Literal:
        return " | ".join(str(a) for a in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("none" if a is type(None) else spell(a) for a in arguments)
    if origin is tuple:
        return f"[{','.join('...' if a is Ellipsis else spell(a) for a in arguments)}]"
    return str(getattr(wanted, "__name__", wanted))


def show_value(value: Any) -> str:
    """A value as the command line takes it: none, true, [a,b]."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{','.join(show_value(v) for v in value)}]"
    return str(value)


def settable(cls: type) -> tuple[dataclasses.Field[Any], ...]:
    """The fields that a user may set: all but what a plugin declares of itself (its family, say)."""
    return tuple(f for f in dataclasses.fields(cls) if f.init and f.name not in _IDENTITY)


def describe(cls: type) -> tuple[FieldHelp, ...]:
    """Every field of a dataclass that can be set, with the docstring under it (searched in its bases too)."""
    documents: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            documents |= _documents(base)
    hints = typing.get_type_hints(cls)
    rows = []
    for f in settable(cls):
        default = f.default
        if f.default_factory is not dataclasses.MISSING:
            default = f.default_factory()
        text = "(required)" if default is dataclasses.MISSING else show_value(default)
        rows.append(FieldHelp(f.name, spell(hints[f.name]), text, documents.get(f.name, "")))
    return tuple(rows)


def _documents(cls: type) -> dict[str, str]:
    """Field name to the string literal below it, from the class's source."""
    if cls.__module__ not in sys.modules:
        return {}
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found = {}
    for field, below in itertools.pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[field.target.id] = inspect.cleandoc(str(below.value.value))
    return found


def _member(text: str, wanted: Any, members: Sequence[Any]) -> Any:
    """The first member of a union that takes the text; `none` is None where None is a member."""
    if type(None) in members and text.lower() == "none":
        return None
    last: Unsuitable | None = None
    for member in members:
        if member is type(None):
            continue
        try:
            return convert(text, member)
        except Unsuitable as error:
            last = error
    alone = [m for m in members if m is not type(None)]
    if last is not None and len(alone) == 1:
        fix = f"{last.fix}, or none" if type(None) in members else last.fix
        raise Unsuitable(str(last), fix)
    raise Unsuitable(f"{text!r} fits none of its types", f"write {spell(wanted)}")


def _tuple(text: str, wanted: Any, arguments: Sequence[Any]) -> tuple[Any, ...]:
    parts = elements(text)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(convert(part, arguments[0]) for part in parts)
    if len(parts) != len(arguments):
        raise Unsuitable(
            f"{text!r} has {len(parts)} elements, not {len(arguments)}", f"write {spell(wanted)}"
        )
    return tuple(convert(part, argument) for part, argument in zip(parts, arguments, strict=True))


def _choices(text: str, choices: Sequence[str]) -> str:
    hint = suggest(text, choices)
    every = ", ".join(choices)
    return hint if hint.startswith("choose") else f"{hint} Allowed: {every}"


def _prefixed(problem: Problem, prefix: str) -> Problem:
    return (
        problem
        if problem.field.startswith(prefix)
        else dataclasses.replace(problem, field=f"{prefix}{problem.field}")
    )
