"""An estimate in words and numbers for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from alignment_bench.amounts import duration
from alignment_bench.costs.machine import machine
from alignment_bench.costs.sums import Estimate, Part, Row
from alignment_bench.ledger import Spend

SCHEMA = 1
HEAD = (
    "label",
    "cells",
    "stored",
    "own jobs",
    "shared jobs",
    "tokens generated",
    "scored",
    "trained",
    "FLOPs",
    "time",
)


def as_text(found: Estimate, rate: float) -> str:
    """The estimate for people, ending with a newline."""
    lines: list[str] = []
    for part in found.parts:
        lines += [_title(part), *_grid(part), ""]
    for cell in found.failed:
        lines.append(f"!! {cell.cell.title} cannot be planned, and is in no sum: {cell.failed}")
    spend, flops = _spend(found), _spend(found).flops
    on_cpu = all(part.setting.runtime.device == "cpu" for part in found.parts)
    kind = "processor time" if on_cpu else "device time"
    lines.append(
        f"in all: {spend.tokens_generated:,} tokens generated, {spend.tokens_scored:,} scored, "
        f"{spend.tokens_trained:,} trained; {flops:.2e} FLOPs; {duration(found.seconds)} of {kind}, "
        f"{duration(found.start)} of it to start each of {found.workers} worker(s)"
    )
    lines.append(f"expected: {duration(found.wall)} with {found.workers} worker(s), nobody else at work")
    if slower := _busy(found):
        lines.append(slower)
    if rate:
        lines.append(f"price: {price(found, rate):,.2f} at {rate:g} an hour of the device")
    for part in found.parts:
        memory, model = part.memory, part.setting.source.name
        lines.append(
            f"memory at the peak of a worker: {memory.total / 1e9:.1f} GB (libraries "
            f"{memory.libraries / 1e9:.1f}, weights {memory.weights / 1e9:.1f}, training "
            f"{memory.training / 1e9:.1f} or sampling {memory.sampling / 1e9:.1f}); {model}"
        )
    return "\n".join([*lines, "", *(f"* {line}" for line in caveats(found))]) + "\n"


def as_json(found: Estimate, rate: float) -> str:
    """The estimate for programs."""
    whole: dict[str, Any] = {
        "schema": SCHEMA,
        "machine": machine(),
        "workers": found.workers,
        "seconds": found.seconds,
        "wall_seconds": found.wall,
        "start_seconds": found.start,
        "planning_seconds": found.planning,
        "price": price(found, rate) if rate else None,
        "rate": rate,
        **_tokens(_spend(found)),
        "settings": [
            {
                "task": part.setting.task.name,
                "data": part.setting.data.source,
                "fold": part.setting.fold,
                "model": part.setting.source.name,
                "budget": part.setting.budget.name,
                "device": part.setting.runtime.device,
                "threads": part.setting.runtime.threads,
                "rows": [{**_row(row)} for row in part.rows],
                "shared": _row(part.shared),
                "memory_bytes": {**asdict(part.memory), "total": part.memory.total},
                "rates": dict(part.rates),
                "not_included": dict(part.unknown),
                "probe_kept": part.kept,
            }
            for part in found.parts
        ],
        "failed": {one.cell.title: one.failed for one in found.failed},
        "caveats": caveats(found),
    }
    return json.dumps(whole, indent=1) + "\n"


def price(found: Estimate, rate: float) -> float:
    """Money for the device's time at so much an hour."""
    return rate * found.wall / 3600


def caveats(found: Estimate) -> list[str]:
    """What the numbers rest on, and what is not in them."""
    lines = [
        "jobs, their sizes and what cells share are the methods' own, rehearsed on stand-ins; lengths of "
        "answers, ties and what a method filters away are estimates from a few samples of the base",
        "FLOPs are 2 a weight and token forward and 6 in training, as in the ledger: scale them to devices "
        "that are not here",
    ]
    kept = any(part.kept for part in found.parts)
    source = "as an earlier plan on this machine measured them" if kept else "measured just now"
    lines.append(f"rates are those of {machine()}, {source}; planning took {duration(found.planning)}")
    for part in found.parts:
        if (many := part.setting.runtime.processes) > 1:
            lines.append(
                f"NOT in the time: what {many} processes that train together take to start and to meet, nor "
                "what they save; training counts as in one process"
            )
        for unit, reason in sorted(part.unknown.items()):
            if not unit.startswith("evaluate once"):
                lines.append(f"NOT in the time: {unit} ({reason})")
    return list(dict.fromkeys(lines))


def _busy(found: Estimate) -> str:
    """A line where others left the probe less than its processors; else empty."""
    shares = [
        part.share / part.setting.runtime.threads
        for part in found.parts
        if part.setting.runtime.device == "cpu" and part.share
    ]
    if not shares or min(shares) > 0.8:
        return ""
    return (
        f"while the probe ran, others left it {min(shares):.0%} of its processors: at that pace "
        f"{duration(found.wall / min(shares))}"
    )


def _title(part: Part) -> str:
    setting = part.setting
    fold = f", fold {setting.fold + 1} of {setting.folds}" if setting.folds else ""
    return (
        f"{setting.task.name} on {setting.data.source}{fold}; model {setting.source.name}; budget "
        f"{setting.budget.name}; {setting.runtime.device}, {setting.runtime.threads} thread(s)"
    )


def _grid(part: Part) -> list[str]:
    rows = [_cells(row) for row in part.rows]
    if part.shared.own:
        rows.append(["shared", "", "", "", str(part.shared.own), *_cells(part.shared)[5:]])
    table = [list(HEAD), *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(HEAD))]
    return [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _cells(row: Row) -> list[str]:
    counts = [row.label, str(row.cells), str(row.stored)]
    if row.failed:
        return [*counts, *[""] * 6, "cannot be planned"]
    stored = f" ({row.done} stored)" if row.done else ""
    numbers = (row.spend.tokens_generated, row.spend.tokens_scored, row.spend.tokens_trained)
    return [
        *counts,
        f"{row.own}{stored}",
        str(row.shared),
        *(f"{number:,}" for number in numbers),
        f"{row.spend.flops:.1e}",
        duration(row.seconds),
    ]


def _row(row: Row) -> dict[str, Any]:
    return {
        "label": row.label,
        "cells": row.cells,
        "stored_cells": row.stored,
        "own_jobs": row.own,
        "shared_jobs": row.shared,
        "stored_jobs": row.done,
        **_tokens(row.spend),
        "seconds": row.seconds,
        "failed": row.failed or None,
    }


def _tokens(spend: Spend) -> dict[str, float]:
    return {
        "tokens_generated": spend.tokens_generated,
        "tokens_scored": spend.tokens_scored,
        "tokens_trained": spend.tokens_trained,
        "flops": spend.flops,
    }


def _spend(found: Estimate) -> Spend:
    rows: Sequence[Row] = [row for part in found.parts for row in (*part.rows, part.shared)]
    return sum((row.spend for row in rows), Spend())
