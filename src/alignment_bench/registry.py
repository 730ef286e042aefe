"""Finds plugins by name, in five groups, without importing them.

A plugin that ships is a file: `methods/ilf.py` is the method `ilf`, and its module-level `PLUGIN` is the
class (for a task: the `Task` value). Anybody else's is an entry point in the group
`alignment_bench.methods` (and so on) of an installed distribution, pointing at such a module or at the
object itself. Listing reads file names, entry points and source text only; `load` imports one plugin.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import importlib.metadata
import importlib.resources
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Literal, get_args

from alignment_bench.digests import digest_file
from alignment_bench.errors import BadInput, Problem

Group = Literal["tasks", "methods", "evaluators", "teachers", "judges"]
GROUPS: tuple[Group, ...] = get_args(Group)
SHIPPED = "alignment-bench"
"""the distribution whose plugins are files"""

_PACKAGES: dict[Group, str] = {
    "tasks": "alignment_bench.benchmarks",
    "methods": "alignment_bench.methods",
    "evaluators": "alignment_bench.evaluators",
    "teachers": "alignment_bench.teachers",
    "judges": "alignment_bench.judges",
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = {"all", "task", "decoding", "teacher", "judge", "world"}
"""names with a meaning of their own on the command line"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one plugin is: `module` and `attribute` to load, and the distribution it came with."""

    group: Group
    name: str
    module: str
    attribute: str | None
    distribution: str

    @property
    def origin(self) -> str:
        """The distribution and the module, as error messages name them."""
        return f"{self.distribution} ({self.module})"


def names(group: Group) -> tuple[str, ...]:
    """All plugins of a group, sorted. Raises BadInput where two distributions claim one name."""
    return tuple(sorted(entries(group)))


def shipped(group: Group) -> tuple[str, ...]:
    """The plugins of a group that come with this package, sorted."""
    return tuple(sorted(e.name for e in entries(group).values() if e.distribution == SHIPPED))


def origin(group: Group, name: str) -> str:
    """Which distribution and module a plugin comes from."""
    return find(group, name).origin


def find(group: Group, name: str, field: str | None = None) -> Entry:
    """The entry of that name. Raises BadInput, with the nearest names, where there is none.

    `field` is what the message calls the input (default: the group).
    """
    known = entries(group)
    if name in known:
        return known[name]
    raise BadInput([Problem(field or group, f"no {group[:-1]} is called {name!r}", suggest(name, known))])


def load(group: Group, name: str, field: str | None = None) -> Any:
    """Imports one plugin and returns its class (for a task, the Task).

    Raises BadInput naming the distribution when somebody else's plugin cannot be imported or is not
    what its group holds; a plugin of this package that cannot be imported is a bug and raises as it is.
    """
    return _load(find(group, name, field))


def digest(group: Group, name: str) -> str:
    """sha256 of the plugin's source file: part of every key of a result that it made."""
    entry = find(group, name)
    source = _source(entry.module)
    if source is None:
        raise BadInput([_broken(entry, "its source file cannot be found", "install it with its .py files")])
    return digest_file(source)


def summary(group: Group, name: str) -> str:
    """One line on a plugin, read from its source without importing it.

    The first line of the class's docstring, or a Task's `summary`; empty where there is neither.
    """
    entry = find(group, name)
    source = _source(entry.module)
    if source is None:
        return ""
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except SyntaxError as error:
        return f"(cannot be read: {error.msg}, line {error.lineno})"
    return _summary(tree, entry.attribute or "PLUGIN")


def suggest(name: str, known: Iterable[str]) -> str:
    """The fix for a name that does not exist: the nearest ones, or all of them."""
    choices = sorted(known)
    if near := difflib.get_close_matches(name, choices, n=3, cutoff=0.6):
        return f"did you mean {' or '.join(near)}?"
    return f"choose from {', '.join(choices)}" if choices else "there are none"


@functools.cache
def entries(group: Group) -> dict[str, Entry]:
    """Every plugin of a group by name. `entries.cache_clear()` makes a later call look again.

    Raises BadInput listing every collision (with both origins) and every unusable name.
    """
    found: dict[str, Entry] = {}
    problems: list[Problem] = []
    for entry in [*_files(group), *_entry_points(group)]:
        if not _NAME.fullmatch(entry.name) or entry.name in _TAKEN:
            fix = "rename its entry point: lower-case letters, digits and _, and none of " + ", ".join(
                sorted(_TAKEN)
            )
            problems.append(_broken(entry, "its name cannot be used on the command line", fix))
        elif entry.name in found:
            both = f"{found[entry.name].origin} and {entry.origin} both call a {group[:-1]} {entry.name!r}"
            problems.append(
                Problem(group, both, f"uninstall or rename one: pip uninstall {entry.distribution}")
            )
        else:
            found[entry.name] = entry
    if problems:
        raise BadInput(problems)
    return found


def _files(group: Group) -> Iterator[Entry]:
    package = _PACKAGES[group]
    for file in importlib.resources.files(package).iterdir():
        name, _, suffix = file.name.rpartition(".")
        if suffix == "py" and not name.startswith("_"):
            yield Entry(group, name, f"{package}.{name}", None, SHIPPED)


def _entry_points(group: Group) -> Iterator[Entry]:
    # A distribution reachable through two sys.path entries is listed twice; it is still one plugin.
    seen: set[Entry] = set()
    for point in importlib.metadata.entry_points(group=f"alignment_bench.{group}"):
        distribution = point.dist.name if point.dist is not None else "an unnamed distribution"
        entry = Entry(group, point.name, point.module, point.attr or None, distribution)
        if entry not in seen:
            seen.add(entry)
            yield entry


@functools.cache
def _load(entry: Entry) -> Any:
    attribute = entry.attribute or "PLUGIN"
    if entry.distribution == SHIPPED:
        return getattr(importlib.import_module(entry.module), attribute)
    try:
        plugin: Any = importlib.import_module(entry.module)
        for part in attribute.split("."):
            plugin = getattr(plugin, part)
    except Exception as error:
        # Somebody else's code: whatever it raises is one clear line, not our traceback.
        fix = f"repair it, or pip uninstall {entry.distribution}"
        what = f"it cannot be imported: {type(error).__name__}: {error}"
        raise BadInput([_broken(entry, what, fix)]) from error
    if wrong := _unlike(entry.group, plugin):
        raise BadInput([_broken(entry, wrong, "see CONTRIBUTING.md, and alignment_bench.testing checks it")])
    return plugin


def _unlike(group: Group, plugin: Any) -> str | None:
    """Why an object cannot be a plugin of this group, or None where it can."""
    if group == "tasks":
        from alignment_bench.task import Task

        return None if isinstance(plugin, Task) else f"{plugin!r} is not an alignment_bench.task.Task"
    if not isinstance(plugin, type) or not hasattr(plugin, "__dataclass_fields__"):
        return f"{plugin!r} is not a dataclass"
    needed = {
        "methods": ("align", "wrapper", "wants"),
        "evaluators": ("__call__", "metrics", "needs"),
        "teachers": ("unfit", "answer", "recorded"),
        "judges": ("unfit", "score", "compare", "caption"),
    }[group]
    # A field without a default is no class attribute, but is there on every instance.
    missing = [n for n in needed if not hasattr(plugin, n) and n not in plugin.__dataclass_fields__]
    return f"{plugin.__name__} lacks {', '.join(missing)}" if missing else None


def _broken(entry: Entry, what: str, fix: str) -> Problem:
    return Problem(entry.group, f"plugin {entry.name!r} of {entry.origin}: {what}", fix)


def _source(module: str) -> Path | None:
    """The source file of a module, found without importing it or its parents."""
    path: Iterable[str] | None = None
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for depth in range(len(parts)):
        spec = _spec(".".join(parts[: depth + 1]), path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    found = Path(spec.origin) if spec and spec.origin else None
    return found if found and found.suffix == ".py" and found.exists() else None


def _spec(name: str, path: Iterable[str] | None) -> ModuleSpec | None:
    locations = None if path is None else list(path)
    for finder in sys.meta_path:
        if (look := getattr(finder, "find_spec", None)) and (spec := look(name, locations)):
            assert isinstance(spec, ModuleSpec)
            return spec
    return None


def _summary(tree: ast.Module, attribute: str) -> str:
    """First docstring line of the class that `attribute` names, following `PLUGIN = Class` and Task(...)."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            return (ast.get_docstring(node) or "").partition("\n")[0]
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        if not any(isinstance(t, ast.Name) and t.id == attribute for t in targets):
            continue
        if isinstance(value, ast.Name):
            return _summary(tree, value.id)
        if isinstance(value, ast.Call):
            for keyword in value.keywords:
                if keyword.arg == "summary":
                    return str(ast.literal_eval(keyword.value)).partition("\n")[0]
    return ""
