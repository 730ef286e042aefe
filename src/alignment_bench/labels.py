"""Labels: what is compared, as typed on the command line.

    label = part ("+" wrapper)*        ilf:rounds=3+best_of_n:n=16
    part  = name (":" field "=" value)*

Lists are `[a,b]`; commas separate labels only outside brackets. `ilf.rounds=3` sets the field of every
`ilf` part, and an inline field wins over it. A label names its row exactly as typed; what it *is* is its
configuration, and two labels with one configuration are an error.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alignment_bench import registry
from alignment_bench.digests import canonical
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import Unsuitable, build, settable, show_value, split
from alignment_bench.method import Method
from alignment_bench.registry import Group

# A "+" inside a number such as 1e+5 joins no wrapper; a ":" that starts no field (http://...) is a value's.
_FIELD = re.compile(r"[A-Za-z_]\w*=")
_EXPONENT = re.compile(r"[0-9.][eE]$")
_GRAMMAR = "write name:field=value:field=value, such as ilf:rounds=3"


@dataclass(frozen=True, slots=True)
class Part:
    """A name and its inline fields, still as text."""

    name: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """A parsed label: the text as typed, and its parts."""

    text: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class ResolvedPart:
    """A plugin with its fields set: an instance of the plugin's dataclass."""

    name: str
    plugin: Any
    given: frozenset[str] = field(default=frozenset(), compare=False)
    """the fields that were typed, in the label or as `name.field=`"""
    tuned: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """the fields that tuned values filled, as JSON can hold them"""

    @property
    def fields(self) -> dict[str, Any]:
        """Every field's value, defaults included, as JSON can hold it (tuples as lists)."""
        return {f.name: _plain(getattr(self.plugin, f.name)) for f in settable(type(self.plugin))}

    @property
    def keyed_fields(self) -> dict[str, Any]:
        """The fields that can change a number: all but those whose metadata hold `keyed` False."""
        return {f.name: self.fields[f.name] for f in _keyed(self.plugin)}

    @property
    def label(self) -> str:
        """The shortest way to write what it is: the name, and the keyed fields that are not at their
        defaults. Results reached at another address or speed stand under one name."""
        text = self.name
        for f in _keyed(self.plugin):
            default = f.default_factory() if callable(f.default_factory) else f.default
            value = getattr(self.plugin, f.name)
            if value != default:
                text += f":{f.name}={show_value(value)}"
        return text


@dataclass(frozen=True)
class ResolvedLabel:
    """A label whose parts are method instances, in the order in which they are applied."""

    text: str
    parts: tuple[ResolvedPart, ...]
    tuning: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """where its tuned values come from and what they cost (`tuning.tuned`); empty: not tuned"""

    @property
    def configuration(self) -> list[dict[str, Any]]:
        """What the label is, whatever it was typed as: name and all fields of every part, as JSON.

        A wrapper on its own wraps the base, so `best_of_n` and `base+best_of_n` are one configuration.
        """
        parts = [{"name": part.name, "fields": part.fields} for part in self.parts]
        return parts[1:] if len(parts) > 1 and parts[0] == {"name": "base", "fields": {}} else parts


def parse_label(text: str) -> Label:
    """The parts of one label. Raises BadInput where it is not in the grammar."""
    try:
        pieces = _joined(split(text, "+"))
    except Unsuitable as error:
        raise BadInput([Problem("methods", str(error), error.fix)]) from None
    return Label(text, tuple(parse_part(piece, "methods", text) for piece in pieces))


def parse_part(text: str, key: str, whole: str = "") -> Part:
    """A name with inline fields, as in `teacher=annotators:critic_noise=.2`; `key` names the input."""
    try:
        head, *assignments = _fields_apart(split(text.strip(), ":"))
    except Unsuitable as error:
        raise BadInput([Problem(key, str(error), error.fix)]) from None
    within = f" in {whole!r}" if whole and whole != text else ""
    if not re.fullmatch(r"\w+", head):
        what = f"{text!r}{within} is not a name with fields" if text.strip() else f"a name is missing{within}"
        raise BadInput([Problem(key, what, _GRAMMAR)])
    pairs = [tuple(assignment.split("=", 1)) for assignment in assignments]
    names = [name for name, _ in pairs]
    for name, value in pairs:
        if not value:
            raise BadInput([Problem(f"{key} {head}:{name}", "its value is empty", _GRAMMAR)])
        if names.count(name) > 1:
            raise BadInput([Problem(f"{key} {head}:{name}", "is given twice", "keep one of the two")])
    return Part(head, tuple((name, value) for name, value in pairs))


def parse_labels(text: str, problems: list[Problem]) -> list[Label]:
    """The labels of `methods=`; `all` stands for every shipped method, without wrappers.

    Problems are appended; a label that has one is left out.
    """
    try:
        texts = [piece.strip() for piece in split(text)]
    except Unsuitable as error:
        problems.append(Problem("methods", str(error), error.fix))
        return []
    labels: list[Label] = []
    for piece in texts:
        if piece == "all":
            labels += [Label(name, (Part(name),)) for name in _alone()]
            continue
        if not piece:
            problems.append(Problem("methods", f"{text!r} has an empty label", "remove the extra comma"))
            continue
        try:
            labels.append(parse_label(piece))
        except BadInput as error:
            problems.extend(error.problems)
    return labels


def resolve_labels(
    labels: Sequence[Label], overrides: Mapping[str, Mapping[str, str]], problems: list[Problem]
) -> tuple[ResolvedLabel, ...]:
    """The labels with their methods built. `overrides[name][field]` are the texts of `name.field=`.

    Appends a problem for every unknown name, field or value, for a `+` before something that is no
    wrapper, for two labels with one configuration, and for an override of a method that no label has.
    """
    resolved: list[ResolvedLabel] = []
    for label in labels:
        parts = [
            resolve_part("methods", part, overrides.get(part.name, {}), "methods", problems)
            for part in label.parts
        ]
        for later in parts[1:]:
            if later is not None and not later.plugin.wrapper:
                what = f"{later.name} in {label.text!r} is not a wrapper, so it cannot follow a +"
                problems.append(
                    Problem("methods", what, f"wrappers are {', '.join(wrappers()) or 'not installed'}")
                )
        whole = [part for part in parts if part is not None]
        if len(whole) == len(parts):
            resolved.append(ResolvedLabel(label.text, tuple(whole)))
    used = {part.name for label in labels for part in label.parts}
    for name, fields in overrides.items():
        if name not in used:
            what = f"no label of methods= contains {name}"
            problems.extend(
                Problem(f"{name}.{field}", what, f"add {name} to methods=, or leave this out")
                for field in fields
            )
    refuse_twins(resolved, problems)
    return tuple(resolved)


def resolve_part(
    group: Group, part: Part, overrides: Mapping[str, str], key: str, problems: list[Problem]
) -> ResolvedPart | None:
    """The plugin with its fields set, or None with problems appended. Inline fields win over overrides."""
    try:
        plugin = registry.load(group, part.name, key)
    except BadInput as error:
        problems.extend(p for p in error.problems if p not in problems)
        return None
    found: list[Problem] = []
    prefix = f"{part.name}." if group == "methods" else f"{key}={part.name}:"
    given = {**overrides, **dict(part.fields)}
    instance = build(plugin, given, prefix, found, show=part.name)
    # Several labels with one override report its problem once.
    problems.extend(p for p in found if p not in problems)
    return None if instance is None else ResolvedPart(part.name, instance, frozenset(given))


def evaluator_part(label: str) -> ResolvedPart:
    """The evaluator that a label names, with its fields set. Raises BadInput with what is wrong with it."""
    problems: list[Problem] = []
    part = resolve_part("evaluators", parse_part(label, "evaluators"), {}, "evaluators", problems)
    if part is None:
        raise BadInput(problems)
    return part


def wrappers() -> tuple[str, ...]:
    """The names of all methods that may follow a `+`."""
    return tuple(name for name in registry.names("methods") if registry.load("methods", name).wrapper)


def _alone() -> list[str]:
    """Shipped methods that make a row of their own: all but wrappers that need something to wrap."""
    every: dict[str, type[Method]] = {n: registry.load("methods", n) for n in registry.shipped("methods")}
    return [n for n, method in every.items() if getattr(method, "stands_alone", not method.wrapper)]


def refuse_twins(labels: Sequence[ResolvedLabel], problems: list[Problem]) -> None:
    """Appends a problem for every label that resolves to the same configuration as one before it."""
    seen: dict[str, str] = {}
    for label in labels:
        key = canonical(label.configuration)
        if key in seen:
            what = f"{seen[key]!r} and {label.text!r} are the same configuration"
            problems.append(Problem("methods", what, "remove one of them, or change a field"))
        else:
            seen[key] = label.text


def _joined(pieces: list[str]) -> list[str]:
    """Puts back together what a `+` inside a number took apart."""
    whole = [pieces[0]]
    for piece in pieces[1:]:
        if _EXPONENT.search(whole[-1]) and piece[:1].isdigit():
            whole[-1] += f"+{piece}"
        else:
            whole.append(piece)
    return whole


def _fields_apart(pieces: list[str]) -> list[str]:
    """Puts a `:` that starts no field back into what it took apart."""
    whole = [pieces[0]]
    for piece in pieces[1:]:
        if _FIELD.match(piece):
            whole.append(piece)
        else:
            whole[-1] += f":{piece}"
    return whole


def _keyed(plugin: Any) -> tuple[dataclasses.Field[Any], ...]:
    return tuple(f for f in settable(type(plugin)) if f.metadata.get("keyed", True))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
