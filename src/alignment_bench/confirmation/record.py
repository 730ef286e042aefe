"""One confirmation as it is stored and committed, and the page that lists them all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alignment_bench.confirmation.mechanisms import Mechanism
from alignment_bench.confirmation.verdicts import Finding

SCHEMA = 1
PAGE = "confirmations.md"


@dataclass(frozen=True)
class Record:
    """What one run of all mechanisms found. `number` counts the runs ever made, from 1."""

    number: int
    world: int
    """the seed drawn; no method, tuned value or mechanism was worked out on it"""
    versions: dict[str, str]
    """of the world, the core and the libraries; digests of bases, tuned values, mechanisms and plugins"""
    settings: dict[str, Any]
    runs: tuple[tuple[str, int], ...]
    """(base, seed) of every run"""
    claims: dict[str, str]
    """mechanism to its claim, as it was written at the time"""
    findings: tuple[Finding, ...]
    rows: dict[str, dict[str, tuple[float, float | None, float | None]]]
    """label to metric to mean and interval over all runs"""
    note: str = ""
    """what was changed since the run before it, and why"""

    def dumps(self) -> str:
        """JSON text."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def loads(text: str) -> Record:
        """The record that `dumps` wrote."""
        stored = json.loads(text)
        if stored.pop("schema") != SCHEMA:
            raise ValueError(f"this version reads confirmation records of schema {SCHEMA}")
        stored["findings"] = tuple(
            Finding(**{**one, "per_run": tuple(one["per_run"])}) for one in stored["findings"]
        )
        stored["runs"] = tuple((model, seed) for model, seed in stored["runs"])
        stored["rows"] = {
            label: {metric: tuple(values) for metric, values in metrics.items()}
            for label, metrics in stored["rows"].items()
        }
        return Record(**stored)


def stored(folder: Path) -> list[Record]:
    """The records in `folder`, in the order in which they were made."""
    records = [Record.loads(path.read_text("utf-8")) for path in folder.glob("*.json")]
    return sorted(records, key=lambda record: record.number)


def page(records: Sequence[Record], mechanisms: Sequence[Mechanism]) -> str:
    """Every confirmation ever run as one markdown page; the last one counts."""
    out = [
        "# Confirmations",
        "",
        "Claims about methods in the built-in world were written down, with the sign that each should have;",
        "then a world was drawn that nothing had been worked out on, and everything was run once on every",
        "shipped base. A mechanism *holds* where the 95 % interval of its contrast lies above 0, is",
        "*contradicted* where it lies below, and is *inconclusive* otherwise; *reported* ones are shown",
        "without a bet on their sign. `detectable` is the smallest true effect seen with 80 % power.",
        "All runs ever made are listed, in order; the last one counts. Written by",
        "`python -m alignment_bench.confirmation page=true`.",
    ]
    for record in records:
        out += ["", *_section(record)]
    known = {name for record in records[-1:] for name in record.claims}
    if fresh := [one.name for one in mechanisms if one.name not in known]:
        out += ["", f"Not in the last run yet: {', '.join(fresh)}."]
    return "\n".join(out) + "\n"


def _section(record: Record) -> list[str]:
    models = sorted({model for model, _ in record.runs})
    seeds = sorted({seed for _, seed in record.runs})
    head = ", ".join(f"{key} {value}" for key, value in sorted(record.settings.items()))
    lines = [
        f"## Run {record.number}: world {record.world}",
        "",
        *([record.note, ""] if record.note else []),
        f"Bases {', '.join(models)}; seeds {', '.join(map(str, seeds))}; {head}.",
        "",
        "| mechanism | claim | contrast | 95 % interval | detectable | runs from - to | verdict |",
        "|---|---|---:|---|---:|---|---|",
    ]
    for one in record.findings:
        lines.append(
            f"| {one.name} | {record.claims[one.name]} | {_signed(one.mean)} | "
            f"[{_signed(one.low)}, {_signed(one.high)}] | {_plain(one.detectable)} | {_span(one.per_run)} | "
            f"{_word(one)} |"
        )
    lines += ["", *_rows(record)]
    kept = ", ".join(f"{key} {value}" for key, value in sorted(record.versions.items()))
    return [*lines, "", f"<details><summary>versions</summary>{kept}</details>"]


def _rows(record: Record) -> list[str]:
    metrics = list(dict.fromkeys(metric for row in record.rows.values() for metric in row))
    lines = ["| label | " + " | ".join(metrics) + " |", "|---|" + "---|" * len(metrics)]
    for label, row in record.rows.items():
        cells = []
        for metric in metrics:
            mean, low, high = row.get(metric, (None, None, None))
            cells.append("" if mean is None else f"{mean:.3f} [{_plain(low)}, {_plain(high)}]")
        lines.append(f"| `{label}` | " + " | ".join(cells) + " |")
    return lines


def _word(finding: Finding) -> str:
    word = f"**{finding.verdict}**" if finding.verdict in ("holds", "contradicted") else finding.verdict
    return f"{word}: {finding.reason}" if finding.reason else word


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _span(values: Sequence[float]) -> str:
    return f"{min(values):+.3f} to {max(values):+.3f}" if values else "-"
