"""A check's report as text, markdown for a job summary, JUnit XML, and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

from alignment_bench.amounts import counted
from alignment_bench.gate.checking import FAMILY, Finding, Report

SCHEMA = 1
WORDS: Mapping[int | None, str] = {
    0: "ok",
    1: "FAILED",
    2: "NOT COMPARABLE",
    3: "inconclusive",
    None: "not gated",
}
VERDICTS: Mapping[int, str] = {
    0: "no gated cell is worse than the baseline by its margin",
    1: "at least one gated cell is worse, missing or failed",
    2: "the run cannot be compared with this baseline",
    3: "at least one gated cell cannot be told: more seeds or prompts would",
}
COLUMNS = ("task", "method", "metric", "baseline", "run", "change, up is better", "margin")
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report, format: str, name: str) -> str:
    """The report in one of FORMATS, ending with a newline; `name` is what the baseline is called."""
    return FORMATS[format](report, name)


def headline(report: Report) -> str:
    """One line: the exit code and what it means."""
    return f"gate: exit {report.code}: {VERDICTS[report.code]}"


def _text(report: Report, name: str) -> str:
    rows: list[tuple[str, ...]] = [("", *COLUMNS)]
    rows += [_row(one) for one in report.findings]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [headline(report), *_terms(report, name), ""]
    for row, finding in zip(rows, [None, *report.findings], strict=True):
        lines.append("  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip())
        if finding is not None:
            lines += [f"    {part}" for part in (finding.reason, *finding.notes) if part]
    return "\n".join([*lines, *_remarks(report)]) + "\n"


def _markdown(report: Report, name: str) -> str:
    headers = (
        "verdict",
        "task",
        "method",
        "metric",
        "baseline",
        "run",
        "change, up is better",
        "margin",
        "why",
    )
    lines = [
        f"### {_escaped(headline(report))}",
        "",
        *(f"{_escaped(one)}  " for one in _terms(report, name)),
        "",
    ]
    lines += ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    for one in report.findings:
        why = "; ".join(part for part in (one.reason, *one.notes) if part)
        lines.append("| " + " | ".join(map(_escaped, (*_row(one), why))) + " |")
    lines += [f"\n- {_escaped(one)}" for one in _remarks(report)]
    return "\n".join(lines) + "\n"


def _junit(report: Report, name: str) -> str:
    """One test case a cell: 1 is a failure, 2 an error; 3 and what is not gated are skipped."""
    codes = [one.code for one in report.findings]
    suite = ElementTree.Element(
        "testsuite",
        name=f"bench check {name}",
        tests=str(len(codes) + len(report.unreadable)),
        failures=str(codes.count(1)),
        errors=str(codes.count(2) + len(report.unreadable)),
        skipped=str(codes.count(3) + codes.count(None)),
    )
    for one in report.findings:
        case = ElementTree.SubElement(
            suite, "testcase", classname=_legal(f"gate.{one.task}"), name=_legal(f"{one.label} {one.metric}")
        )
        tag = {1: "failure", 2: "error", 3: "skipped", None: "skipped"}.get(one.code)
        if tag:
            word = "inconclusive: " if one.code == 3 and not one.reason.startswith("inconclusive") else ""
            ElementTree.SubElement(case, tag, message=_legal(word + one.reason))
        told = ElementTree.SubElement(case, "system-out")
        told.text = _legal("\n".join(["  ".join(_row(one)), *one.notes]))
    for reason in report.unreadable:
        case = ElementTree.SubElement(suite, "testcase", classname="gate.results", name="unreadable")
        ElementTree.SubElement(case, "error", message=_legal(reason))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _json(report: Report, name: str) -> str:
    def interval(finding: Finding) -> dict[str, Any] | None:
        found = finding.difference
        if found is None:
            return None
        names = ("mean", "low", "high", "se", "df", "n_seeds", "n_prompts", "n_clusters")
        return {one: getattr(found, one) for one in names}

    body = {
        "schema": SCHEMA,
        "baseline": name,
        "exit": report.code,
        "verdict": VERDICTS[report.code],
        "gated": report.gated,
        "level": report.level,
        "family": 1 - FAMILY,
        "adjustment": "Bonferroni",
        "cells": [
            {
                "task": one.task,
                "method": one.label,
                "metric": one.metric,
                "unit": one.unit,
                "exit": one.code,
                "reason": one.reason,
                "margin": one.margin,
                "baseline": one.before,
                "run": one.now,
                "change": interval(one),
                "seeds": list(one.seeds),
                "notes": list(one.notes),
            }
            for one in report.findings
        ],
        "unreadable": list(report.unreadable),
        "notes": list(report.notes),
    }
    return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: Mapping[str, Callable[[Report, str], str]] = {
    "text": _text,
    "markdown": _markdown,
    "junit": _junit,
    "json": _json,
}


def _terms(report: Report, name: str) -> list[str]:
    return [
        f"baseline {name}: {counted(report.gated, 'gated cell')}, margin {report.margin}",
        "change: run minus baseline, paired by seed and prompt; intervals at "
        f"{100 * report.level:.4g} % each, {100 * (1 - FAMILY):g} % for all gated cells together "
        f"(Bonferroni over {report.gated})",
    ]


def _remarks(report: Report) -> list[str]:
    return [*report.notes, *(f"cannot be read: {one}" for one in report.unreadable)]


def _row(one: Finding) -> tuple[str, ...]:
    margin = f"{one.margin:g}" if one.code is not None else ""
    return (
        WORDS[one.code],
        one.task,
        one.label,
        one.metric,
        _number(one.before),
        _number(one.now),
        _change(one),
        margin,
    )


def _change(one: Finding) -> str:
    found = one.difference
    if found is None or found.mean is None:
        return "n/a"
    if found.low is None or found.high is None:
        return f"{found.mean:+.4g} exactly" if found.se == 0.0 else f"{found.mean:+.4g}, no interval"
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}"


def _escaped(text: str) -> str:
    return " ".join(re.sub(r"([\\|*_`<>])", r"\\\1", text).split())


def _legal(text: str) -> str:
    return _ILLEGAL.sub("?", text)
