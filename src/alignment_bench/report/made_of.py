"""Configuration and provenance: what was run, and which code, data and files the numbers are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_bench.cells import CellRecord
from alignment_bench.comparison import Block
from alignment_bench.digests import digest_file
from alignment_bench.results import cell_folder

CELLS = 2_000
"""cells listed in a report, at most"""


@dataclass(frozen=True)
class Configured:
    """One method as it was resolved."""

    label: str
    fields: str
    tuned: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Configuration:
    """One block: what was held fixed, and every method's own."""

    title: str
    shared: tuple[tuple[str, str], ...]
    methods: tuple[Configured, ...]
    sizes: tuple[tuple[str, str], ...]
    """methods, and the training sizes and runtime that were resolved for them"""


@dataclass(frozen=True)
class Provenance:
    """Versions, code and files."""

    versions: tuple[tuple[str, str], ...]
    commits: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]
    """plugin and digest of its source"""
    cells: tuple[tuple[str, ...], ...]
    hidden: int


CELL_HEADERS = ("method", "task", "model", "seed", "fold", "status", "started", "seconds", "file", "sha256")


def configuration(block: Block, title: str) -> Configuration:
    """What was run in one block."""
    setting = block.setting
    decoding = ", ".join(
        f"{key} {value}" for key, value in json.loads(setting.decoding).items() if value not in ([], None)
    )
    unit = "annotator seconds" if setting.currency == "seconds" else "teacher calls"
    shared = {
        "task": f"{setting.task}, version {setting.task_version}",
        "model": f"{setting.model}, digest {setting.model_digest}",
        "format": f"digest {setting.format_digest}",
        "data": f"{setting.data}, digest {setting.data_digest}",
        "budget a method": f"{setting.budget}: {setting.budget_amount:,.0f} {unit}",
        "teacher": setting.teacher,
        "judge": setting.judge,
        "evaluators": ", ".join(setting.evaluators),
        "decoding": decoding,
        "training starts from": setting.init,
        "folds": str(setting.folds or "none"),
    }
    sizes: dict[str, list[str]] = {}
    for line in block.lines:
        for cell in line.cells[:1]:
            if resolved := cell.code.get("resolved"):
                text = json.dumps(resolved, indent=1, ensure_ascii=False, sort_keys=True)
                sizes.setdefault(text, []).append(line.label)
    methods = []
    for line in block.lines:
        cell = line.cells[0]
        notes = dict.fromkeys(note for one in line.cells for note in one.notes)
        methods.append(Configured(line.label, _fields(cell.method), _tuned(cell), tuple(notes)))
    return Configuration(
        title,
        tuple(shared.items()),
        tuple(methods),
        tuple((", ".join(labels), text) for text, labels in sizes.items()),
    )


def provenance(cells: Sequence[CellRecord], root: Path) -> Provenance:
    """What the numbers of these cells are made of."""
    rows = []
    for cell in cells[:CELLS]:
        path = cell_folder(root, cell.digest) / "run.json"
        place = str(path.relative_to(root))
        plain = (cell.label, cell.task, cell.model, str(cell.seed), str(cell.fold) if cell.folds else "")
        rows.append((*plain, cell.status, cell.started, f"{cell.seconds:.1f}", place, digest_file(path)))
    return Provenance(
        _values((name, version) for cell in cells for name, version in cell.versions.items()),
        tuple(dict.fromkeys(str(cell.code.get("commit") or "not in a checkout") for cell in cells)),
        _values(
            (str(name), str(source)) for c in cells for name, source in c.code.get("plugins", {}).items()
        ),
        tuple(rows),
        len(cells) - len(rows),
    )


def _values(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Each name with every value that it has."""
    found: dict[str, dict[str, None]] = {}
    for name, value in pairs:
        found.setdefault(name, {})[value] = None
    return tuple((name, ", ".join(found[name])) for name in sorted(found))


def _fields(method: Any) -> str:
    """The parts of a label with their fields; those left to the model's size are not listed."""
    if not isinstance(method, list) or not all(isinstance(part, dict) and "name" in part for part in method):
        return json.dumps(method, ensure_ascii=False, sort_keys=True)
    said = []
    for part in method:
        given = {key: value for key, value in part.get("fields", {}).items() if value is not None}
        words = ", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in given.items())
        said.append(f"{part['name']}({words})")
    return " + ".join(said)


def _tuned(cell: CellRecord) -> str:
    if not cell.tuning:
        return "no"
    return ", ".join(f"{key} {value}" for key, value in cell.tuning.items())
