"""`bench show world`: what the built-in world is, and what was measured of its bases.

Measuring takes minutes, so the page shows what stands beside the shipped bases unless it is asked to measure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alignment_bench.errors import BadInput, Problem
from alignment_bench.models import catalog
from alignment_bench.world import VERSION
from alignment_bench.world.acceptance import check
from alignment_bench.world.diagnostics import PARTS, TASK_NAMES, Record, measure, options_of

RECORD = "diagnostics.json"
"""beside a base's weights"""
KNOWN = {
    "format": "text",
    "measure": "false",
    "model": "",
    "world": 1000,
    "prompts": 200,
    "parts": PARTS,
    "tasks": TASK_NAMES,
}
"""options of the page; all after `model` are for measuring"""


def show_world(arguments: Sequence[str]) -> str:
    """The page as text or JSON, for key=value words of KNOWN. Raises BadInput with all problems."""
    options = options_of(arguments, KNOWN)
    problems = [
        Problem(key, f"{options[key]!r} is not one of its values", f"give {' or '.join(allowed)}")
        for key, allowed in (("format", ("text", "json")), ("measure", ("true", "false")))
        if options[key] not in allowed
    ]
    afresh = options["measure"] == "true"
    given = {argument.partition("=")[0] for argument in arguments}
    if not afresh and (early := sorted(given & {"world", "prompts", "parts", "tasks"})):
        what = "is for measuring, and what is recorded is shown as it is"
        problems += [Problem(key, what, "add measure=true, or drop it") for key in early]
    if problems:
        raise BadInput(problems)
    shipped = [name for name in catalog.names() if name.startswith("tiny:")]
    page = world_page(shipped)
    for name in [options["model"]] if options["model"] else shipped[:1] if afresh else shipped:
        if afresh:
            folder = catalog.resolve(name).located
            sizes = {key: options[key] for key in ("parts", "tasks", "world", "prompts")}
            page["bases"][name] = _measured(measure(folder, **sizes), "measured just now")
        else:
            page["bases"][name] = recorded(name)
    return json.dumps(page, indent=1) if options["format"] == "json" else _text(page)


def world_page(shipped: Sequence[str]) -> dict[str, Any]:
    """Version, genres, tasks and the digests of the shipped bases; `bases` is to be filled."""
    from alignment_bench.world.genres import GENRES
    from alignment_bench.world.tasks import DEVELOPMENT, TASKS, TEST, TRAIN

    return {
        "version": VERSION,
        "genres": {genre.name: {"described as": list(genre.qualities)} for genre in GENRES.values()},
        "tasks": {name: (make.__doc__ or "").strip() for name, make in TASKS.items()},
        "prompts": f"{TRAIN} train and {TEST} test a world; worlds from {DEVELOPMENT} on are for tuning",
        "digests": {name: catalog.resolve(name).digest for name in shipped},
        "bases": {},
    }


def recorded(name: str) -> dict[str, Any]:
    """What is recorded of a base. Raises BadInput where nothing is, or it is of other weights."""
    source = catalog.resolve(name)
    file = source.located / RECORD
    fix = f"measure it: bench show world model={name} measure=true"
    if not file.is_file():
        raise BadInput([Problem("model", f"nothing is recorded of {name}", fix)])
    record = Record.loads(file.read_text("utf-8"))
    if record.model != source.digest or record.version != VERSION:
        raise BadInput([Problem("model", f"what is recorded of {name} is of other weights", fix)])
    return _measured(record, f"recorded in {RECORD}")


def read_record(folder: Path) -> Record:
    """The record beside a base's weights. Raises BadInput where there is none."""
    if not (folder / RECORD).is_file():
        fix = f"python -m alignment_bench.world.diagnostics {folder} out={folder / RECORD}"
        raise BadInput([Problem(RECORD, f"there is none in {folder}", fix)])
    return Record.loads((folder / RECORD).read_text("utf-8"))


def _measured(record: Record, how: str) -> dict[str, Any]:
    plain = asdict(record)
    return {
        "how": f"{how}: {record.prompts} test prompts of world {record.world}, {record.samples} answers each",
        "model": record.model,
        "cpu seconds": plain["seconds"],
        "rows": [row._asdict() for row in record.rows],
        "outside the bounds": check(record.rows),
    }


def _text(page: dict[str, Any]) -> str:
    lines = [f"built-in world, version {page['version']}", page["prompts"], "", "genres:"]
    for name, about in page["genres"].items():
        qualities = ", ".join(about["described as"])
        lines.append(f"  {name}" + (f": answers can be described as {qualities}" if qualities else ""))
    lines += ["", "tasks:", *(f"  {name}: {about}" for name, about in page["tasks"].items())]
    lines += ["", "shipped bases:", *(f"  {name} {digest}" for name, digest in page["digests"].items())]
    for name, about in page["bases"].items():
        lines += ["", f"{name}, {about['how']}; mean and 95 % interval over prompts"]
        width = max((len(row["name"]) for row in about["rows"]), default=0)
        for row in about["rows"]:
            lines.append(
                f"  {row['name']:<{width}}  {row['mean']:6.3f}  [{row['low']:.3f}, {row['high']:.3f}]"
            )
        lines += [f"  outside the bounds: {fault}" for fault in about["outside the bounds"]]
    return "\n".join(lines)
