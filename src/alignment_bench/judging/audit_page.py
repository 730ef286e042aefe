"""An audit written out: as text, as markdown, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import Any

from alignment_bench.judging.audit import Audit, Card
from alignment_bench.judging.rules import RULES, written

FORMATS = ("text", "markdown", "json")
WIDTH = 110
TITLES: Mapping[str, str] = {
    "agreement": "agreement with people",
    "balanced_agreement": "agreement, lengths balanced",
    "kappa": "Cohen's kappa",
    "length_slope": "length slope beyond people's",
    "prefers_longer": "prefers the longer",
    "people_prefer_longer": "people prefer the longer",
    "swap_consistency": "swap consistency",
    "first_slot_advantage": "first-slot advantage",
    "self_preference": "self-preference beyond people's",
    "ties": "ties",
    "unparsed": "unparsable",
}
LEGEND = (
    "agreement: share of the pairs decided by people, ties half; lengths balanced: mean of it where "
    "people chose the longer and where they chose the shorter text, .5 for any rule on length; kappa: over "
    "first, second and tie; slopes and preferences are shares; intervals 95 %, clustered by group",
    "pass, fail: the interval lies on one side of the limit; open: on both; agreement fails unless shown",
)


def render(audit: Audit, format: str) -> str:
    """The audit in one of FORMATS, ending with a newline."""
    if format == "json":
        return json.dumps(as_json(audit), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return _markdown(audit) if format == "markdown" else _text(audit)


def as_json(audit: Audit) -> dict[str, Any]:
    """Every number of the audit, and the rules it was held against."""
    return {
        "source": audit.source,
        "judge": _card(audit.card),
        "controls": [_card(card) for card in audit.controls],
        "rules": [asdict(rule) for rule in RULES],
    }


def _card(card: Card) -> dict[str, Any]:
    out = {name: value for name, value in vars(card).items() if name not in ("values", "cost")}
    out["failed"], out["own"] = list(card.failed), list(card.own)
    out["values"] = {name: None if one is None else asdict(one) for name, one in card.values.items()}
    out["cost"] = {**asdict(card.cost), "spend": card.cost.spend.to_json()}
    return out


def verdict(card: Card) -> str:
    """One line: whether the judge passed."""
    if card.failed:
        return f"{card.judge} FAILS: {'; '.join(card.failed)}"
    undecided = [name.replace("_", " ") for name, outcome in card.outcomes.items() if outcome == "open"]
    return f"{card.judge} passes" + (
        f"; not decided by these pairs: {', '.join(undecided)}" if undecided else ""
    )


def _rows(audit: Audit) -> list[list[str]]:
    limits = {rule.measure: rule for rule in RULES}
    rows = [["", *(card.judge for card in audit.cards), "limit"]]
    for name, title in TITLES.items():
        rule = limits.get(name)
        sign = "" if rule is None else ("> " if rule.side == "above" else "<= ")
        bound = "" if rule is None else f"{sign}{'+-' if rule.both_sides else ''}{rule.limit:g}"
        cells = []
        for card in audit.cards:
            outcome = card.outcomes.get(name, "n/a")
            cells.append(written(card.values[name]) + ("" if outcome == "n/a" else f" {outcome}"))
        rows.append([title, *cells, bound])
    rows.append(["cost", *(_cost(card) for card in audit.cards), ""])
    return rows


def _cost(card: Card) -> str:
    spend, tokens = card.cost.spend, card.cost.spend.tokens_generated + card.cost.spend.tokens_scored
    counts = ((card.cost.questions, "questions"), (spend.calls, "calls"))
    parts = [f"{count:,} {what}" for count, what in counts if count]
    parts.append(spend.spoken or (f"{tokens:,} tokens" if tokens else ""))
    return ", ".join([*filter(None, parts), f"{card.cost.seconds:.1f} s"])


def _remarks(audit: Audit) -> list[str]:
    card = audit.card
    lines = [verdict(one) for one in audit.cards]
    if card.left_out:
        lines.append(f"{card.left_out} pairs left out, which it cannot judge: {card.why_left_out}")
    if card.own:
        lines.append(f"its own models: {', '.join(card.own)}")
    limits = [f"{rule.measure.replace('_', ' ')} {rule.limit:g}: {rule.source}" for rule in RULES]
    return [*lines, *LEGEND, "limits: " + ". ".join(limits)]


def _title(audit: Audit) -> str:
    card = audit.card
    return f"audit of {card.judge} on {audit.source}: {card.pairs} pairs in {card.groups} groups"


def _text(audit: Audit) -> str:
    rows = _rows(audit)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [_title(audit), *_wrapped(audit.card.caption), ""]
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines += ["", *(line for remark in _remarks(audit) for line in _wrapped(f"- {remark}"))]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> Sequence[str]:
    return wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _markdown(audit: Audit) -> str:
    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    header, *rows = _rows(audit)
    table = [row(header), "| --- |" + " ---: |" * (len(header) - 1), *map(row, rows)]
    remarks = "\n".join(f"- {remark}" for remark in _remarks(audit))
    return "\n\n".join([f"### {_title(audit)}", audit.card.caption, "\n".join(table), remarks]) + "\n"
