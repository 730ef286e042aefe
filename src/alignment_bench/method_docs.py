"""What a method says of itself: papers and deviations in its docstrings, feedback and work in its code.

A method's module docstring names its papers by arXiv id, or says "No paper"; a paragraph that begins with
"Deviations" (or "Deviation", "Other deviations") holds them, and list items may follow it. Nothing is run but
the method's constructor.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from alignment_bench.errors import BadInput
from alignment_bench.feedback import Channel
from alignment_bench.fields import settable, show_value

_ARXIV = re.compile(r"\b\d{4}\.\d{4,5}\b")
_NO_PAPER = re.compile(r"\bno paper\b", re.IGNORECASE)
_DEVIATIONS = re.compile(r"(Deviations?|Other deviations?)\b")
_ITEM = re.compile(r"[-*] ")
_CORE = "alignment_bench"


@dataclasses.dataclass(frozen=True)
class MethodText:
    """A method's docstrings, taken apart. `papers` are arXiv ids; paragraphs are as they stand."""

    title: str
    about: tuple[str, ...]
    deviations: tuple[str, ...]
    papers: tuple[str, ...]
    without_paper: bool
    """the docstring says that there is none"""


def text_of(plugin: type) -> MethodText:
    """The docstrings of a method's class and of its module."""
    own = inspect.cleandoc(plugin.__doc__ or "")
    title, _, more = own.partition("\n")
    module = inspect.cleandoc(sys.modules[plugin.__module__].__doc__ or "")
    paragraphs = [part.strip() for part in f"{module}\n\n{more}".split("\n\n") if part.strip()]
    about: list[str] = []
    deviations: list[str] = []
    into = about
    for part in paragraphs:
        if _DEVIATIONS.match(part):
            into = deviations
        elif not (into is deviations and _ITEM.match(part)):
            into = about
        into.append(part)
    whole = "\n\n".join([own, module])
    papers = tuple(dict.fromkeys(_ARXIV.findall(whole)))
    return MethodText(title, tuple(about), tuple(deviations), papers, bool(_NO_PAPER.search(whole)))


def feedback_of(plugin: type) -> dict[tuple[Channel, ...], list[str]]:
    """Which channels it wants: by default (no settings listed), and under which single settings otherwise."""
    usual: tuple[Channel, ...] = tuple(plugin().wants)
    found: dict[tuple[Channel, ...], list[str]] = {usual: []}
    for name, choice in choices_of(plugin):
        try:
            wants: tuple[Channel, ...] = tuple(plugin(**{name: choice}).wants)
        except (BadInput, ValueError):
            continue  # a choice that goes with other settings only
        if wants != usual:
            found.setdefault(wants, []).append(f"{name}={show_value(choice)}")
    return found


def choices_of(plugin: type) -> Iterator[tuple[str, Any]]:
    """Every value of every field that has few of them: words to choose from, and true or false."""
    hints = typing.get_type_hints(plugin)
    for field in settable(plugin):
        for member in _members(hints[field.name]):
            if typing.get_origin(member) is Literal:
                yield from ((field.name, choice) for choice in typing.get_args(member))
            elif member is bool:
                yield from ((field.name, choice) for choice in (True, False))


def work_of(plugin: type) -> tuple[str, ...]:
    """Names of the lab's jobs that its code calls, there or in the core's functions that it calls."""
    found: dict[str, None] = {}
    _collect(plugin.__module__, None, found, set())
    return tuple(found)


def tuned_range(plugin: type, field: str) -> str:
    """The range in which a field is tuned, as "log 0.0003 to 0.003"; empty where it is not."""
    metadata: Mapping[str, Any] = next(f for f in settable(plugin) if f.name == field).metadata
    if "tune" not in metadata:
        return ""
    scale, *limits = metadata["tune"]
    if scale == "choice":
        return " ".join(show_value(value) for value in limits[0])
    return f"{scale} {limits[0]:g} to {limits[1]:g}"


def _members(hint: Any) -> tuple[Any, ...]:
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else (hint,)


def _collect(
    module: str, name: str | None, found: dict[str, None], seen: set[tuple[str, str | None]]
) -> None:
    """Jobs called by one function or class of a module (None: all of it) and by what it calls in turn."""
    if (module, name) in seen:
        return
    seen.add((module, name))
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    owners = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    body = tree if name is None else owners.get(name)
    if body is None:
        return
    imported = {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_CORE)
        for alias in node.names
    }
    for node in ast.walk(body):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in owners:
            _collect(module, node.func.id, found, seen)
        elif isinstance(node.func, ast.Name) and node.func.id in imported:
            _collect(*imported[node.func.id], found, seen)
        elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            owner, called = node.func.value.id, node.func.attr
            if owner == "lab":
                found[called] = None
            elif inspect.ismodule(getattr(sys.modules[module], owner, None)) and owner in imported:
                _collect(".".join(imported[owner]), called, found, seen)
