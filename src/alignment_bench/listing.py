"""What `bench list` and `bench show` print, as text or JSON."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from typing import Any

from alignment_bench import registry, sources
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import describe
from alignment_bench.method_docs import text_of
from alignment_bench.registry import GROUPS, Group, suggest
from alignment_bench.sources.source import Source
from alignment_bench.task import Task, TaskOptions
from alignment_bench.tuning.search import space

NONCOMMERCIAL = "NON-COMMERCIAL data needs accept=nc once; it is remembered, and every table says so."


def list_groups(as_json: bool) -> str:
    """The five groups and how many plugins each holds; imports no plugin."""
    rows = [{"group": group, "plugins": list(registry.names(group))} for group in GROUPS]
    if as_json:
        return json.dumps(rows, indent=1)
    lines = [f"{row['group']:<11} {' '.join(row['plugins'])}" for row in rows]
    return "\n".join(
        [*lines, "", "bench list GROUP says what each is; bench show NAME what it can be set to."]
    )


def list_group(group: Group, as_json: bool) -> str:
    """One line a plugin: its name, what it is, and its distribution where that is not this one."""
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "summary": registry.summary(group, name),
            "distribution": registry.find(group, name).distribution,
        }
        for name in registry.names(group)
    ]
    if group == "tasks":
        rows = [{**row, **_terms(registry.load("tasks", row["name"]))} for row in rows]
    if as_json:
        return json.dumps(rows, indent=1)
    width = max((len(row["name"]) for row in rows), default=0)
    lines = []
    for row in rows:
        mark = "" if row["distribution"] == registry.SHIPPED else f"  [{row['distribution']}]"
        lines.append(f"{row['name']:<{width}}  {row['summary']}{mark}")
        if group == "tasks":
            lines.append(f"{'':<{width}}    licence: {row['licence']}")
            lines += [f"{'':<{width}}    {_place(source)}" for source in row["sources"]]
    if any(source["noncommercial"] for row in rows for source in row.get("sources", ())):
        lines.append(f"  {NONCOMMERCIAL}")
    return "\n".join(lines)


def _terms(task: Task) -> dict[str, Any]:
    """The task's licence, and the published data sets that it reads, each with its own."""
    return {"licence": task.licence, "sources": [_source(sources.load(name)) for name in task.sources]}


def _source(source: Source) -> dict[str, Any]:
    hub = source.hub
    return {
        "name": source.name,
        "summary": source.summary,
        "hub": None if hub is None else hub.id,
        "revision": None if hub is None else hub.revision,
        "packaged": source.packaged is not None,
        "licence": source.licence,
        "noncommercial": source.noncommercial,
        "citation": source.citation,
        "columns": list(source.columns),
    }


def _place(source: dict[str, Any]) -> str:
    """One line: the source's name, where it comes from, and its licence."""
    where = "a package or a file" if source["packaged"] else "a file"
    if source["hub"] is not None:
        where = f"{source['hub']}@{source['revision'][:12] or 'REVISION (task.revision=)'}"
    mark = "; NON-COMMERCIAL" if source["noncommercial"] else ""
    return f"task.data={source['name']}: {where}; {source['licence']}{mark}"


def show(name: str, as_json: bool) -> str:
    """Everything about one plugin, by name or `group/name` where two groups have one of that name."""
    group, plain = _found(name)
    page = _page(group, plain)
    return json.dumps(page, indent=1) if as_json else _text(page)


def _found(name: str) -> tuple[Group, str]:
    wanted, slash, plain = name.rpartition("/")
    if slash and wanted not in GROUPS:
        raise BadInput([Problem("show", f"no group is called {wanted!r}", suggest(wanted, GROUPS))])
    if slash:
        group = GROUPS[GROUPS.index(wanted)]
        registry.find(group, plain)
        return group, plain
    holders = [group for group in GROUPS if name in registry.names(group)]
    if len(holders) == 1:
        return holders[0], name
    if holders:
        ways = " or ".join(f"{group}/{name}" for group in holders)
        raise BadInput([Problem("show", f"{name!r} is in several groups", f"write {ways}")])
    everything = {known for group in GROUPS for known in registry.names(group)}
    raise BadInput([Problem("show", f"nothing is called {name!r}", suggest(name, everything))])


def _page(group: Group, name: str) -> dict[str, Any]:
    plugin = registry.load(group, name)
    page: dict[str, Any] = {"name": name, "group": group, "origin": registry.origin(group, name)}
    if isinstance(plugin, Task):
        page["text"] = plugin.summary
        page["facts"] = {
            "version": plugin.version,
            "licence": plugin.licence,
            "citation": plugin.citation,
            "main metric": plugin.main_metric,
            "teachers": ", ".join(plugin.teachers),
            "judges": ", ".join(plugin.judges),
            "evaluators": ", ".join(plugin.evaluators),
            "decoding": str(plugin.decoding),
            "decoding of models that read plain English": str(plugin.real_decoding or plugin.decoding),
            "layouts": ", ".join(plugin.layouts),
        }
        page["data sets"] = _terms(plugin)["sources"]
        page["set with"] = "task.FIELD=value"
        page["fields"] = [dataclasses.asdict(row) for row in describe(TaskOptions)]
        return page
    page["text"] = textwrap.dedent(plugin.__doc__ or "").strip()
    facts = {}
    if group == "methods":
        said = text_of(plugin)
        page["text"] = "\n\n".join([said.title, *said.about, *said.deviations])
        facts["papers"] = ", ".join(f"arXiv {one}" for one in said.papers)
        facts["may follow a +"] = "yes" if plugin.wrapper else "no"
        facts["asks the teacher to"] = _words(plugin().wants)
    if group == "evaluators" and isinstance(plugin.metrics, tuple):
        facts["metrics"] = ", ".join(f"{m.name} ({m.unit}, {m.better} is better)" for m in plugin.metrics)
    if group == "teachers":
        facts["paid in"] = _words(getattr(plugin, "paid_in", ""))
        facts["channels"] = _words(getattr(plugin, "channels", ""))
    page["facts"] = {key: value for key, value in facts.items() if value}
    ways = {
        "methods": f"{name}:FIELD=value or {name}.FIELD=value",
        "evaluators": f"evaluators={name}:FIELD=value",
    }
    page["set with"] = ways.get(group, f"{group[:-1]}={name}:FIELD=value")
    page["fields"] = [dataclasses.asdict(row) for row in describe(plugin)]
    if group == "methods":
        ranges = {one.field: str(one) for one in space(plugin)}
        page["fields"] = [{**row, "tuned_over": ranges.get(row["name"], "")} for row in page["fields"]]
    return page


def _words(value: Any) -> str:
    """A class attribute as words; nothing where only an instance could say it."""
    if isinstance(value, str):
        return value
    return (", ".join(value) or "nothing") if isinstance(value, tuple) else ""


def _text(page: dict[str, Any]) -> str:
    lines = [f"{page['name']}  ({page['group']}, from {page['origin']})", "", page["text"], ""]
    lines += [f"{key}: {value}" for key, value in page["facts"].items()]
    if held := page.get("data sets"):
        lines += ["", "published data sets, by name or as a file with these columns:"]
        for one in held:
            lines += [f"  {_place(one)}", f"      {one['summary']}"]
            lines += [f"      columns: {', '.join(one['columns'])}; {one['citation']}"]
        if any(one["noncommercial"] for one in held):
            lines.append(NONCOMMERCIAL)
    lines += ["", f"fields, set with {page['set with']}:" if page["fields"] else "no fields"]
    for row in page["fields"]:
        lines.append(f"  {row['name']}: {row['type']} = {row['default']}")
        if row["help"]:
            lines.append(textwrap.indent(textwrap.fill(" ".join(row["help"].split()), 96), "      "))
        if row.get("tuned_over"):
            lines.append(f"      bench tune: {row['tuned_over']}")
    return "\n".join(lines)
