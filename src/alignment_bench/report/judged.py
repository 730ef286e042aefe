"""The audit card of every judge behind the numbers, or the plain word that it was not audited here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_bench.cells import CellRecord
from alignment_bench.judging import cards
from alignment_bench.judging.audit_page import LEGEND, TITLES
from alignment_bench.judging.rules import RULES, written
from alignment_bench.statistics import Interval


@dataclass(frozen=True)
class AuditTable:
    """One stored audit: the judge beside the controls, on one file of pairs."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """One judge and the audits of it that are stored with the results."""

    judge: str
    captions: tuple[str, ...]
    """what it says of itself"""
    audits: tuple[AuditTable, ...]
    legend: tuple[str, ...] = LEGEND


def judged(root: Path, cells: Iterable[CellRecord]) -> tuple[tuple[Judged, ...], tuple[str, ...]]:
    """Every judge of these cells, and one line for each audit that cannot be read."""
    captions: dict[tuple[str, str], dict[str, None]] = {}
    for cell in cells:
        name = cell.judge.partition(":")[0]
        captions.setdefault(cards.judge_of(cell), {}).update(
            dict.fromkeys(c for c in cell.captions if c.startswith(name))
        )
    faults: list[str] = []
    found = []
    for (judge, source), said in captions.items():
        audits = []
        for path in sorted(cards.folder_of(root, judge, source).glob("*.json")):
            try:
                audits.append(_table(json.loads(path.read_bytes())))
            except (OSError, ValueError, KeyError, TypeError) as error:
                faults.append(f"{path} is no audit ({error}): delete it and run bench audit again")
        found.append(Judged(judge, tuple(said), tuple(audits)))
    return tuple(found), tuple(faults)


def _table(body: Mapping[str, Any]) -> AuditTable:
    audit = body["audit"]
    cards = [audit["judge"], *audit["controls"]]
    limits = {rule.measure: rule for rule in RULES}
    rows = []
    for name, title in TITLES.items():
        rule = limits.get(name)
        sign = "" if rule is None else "> " if rule.side == "above" else "≤ "
        bound = "" if rule is None else f"{sign}{'±' if rule.both_sides else ''}{rule.limit:g}"
        rows.append((title, *(_cell(card, name) for card in cards), bound))
    card = cards[0]
    title = f"{card['judge']} on {audit['source']}: {card['pairs']:,} pairs in {card['groups']:,} groups"
    headers = ("measure", *(str(one["judge"]) for one in cards), "limit")
    return AuditTable(title, headers, tuple(rows), tuple(map(str, body["failed"])))


def _cell(card: Mapping[str, Any], name: str) -> str:
    value, outcome = card["values"].get(name), card["outcomes"].get(name, "n/a")
    text = written(Interval(**value) if value else None)
    return text if outcome == "n/a" else f"{text} {outcome}"
