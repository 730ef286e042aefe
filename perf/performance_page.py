"""docs/performance.md from the stored comparisons; `python perf/compare.py only=none` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from measuring import Claim, Comparison, Figure

INTRODUCTION = """\
# What it costs

Written by `python perf/compare.py`, which runs every comparison below and stores its numbers in
`docs/performance/`, with what is wanted of each. Two sides are measured in turn in one process or in pairs
of processes, and a ratio is taken repeat by repeat. Seconds are CPU seconds of all threads and all child
processes unless it says wall: on a machine that others use as well, wall time measures them. Medians, and in
brackets the smallest and the largest of all repeats.
"""
HOW = """\
## Measuring it again
```
bench fetch smollm2
pip install --no-deps --target trl112 trl==1.12.0     # the last trl with PPO; it needs nothing else
pip install -c constraints.txt '.[ray,slurm]'
python perf/compare.py trl112=trl112 posts=POSTS.jsonl     # posts with references, docs/real-tier.md
```
Of what is missing, the comparisons that need it are skipped with that line.
`only=NAME,...` picks comparisons ({names}), `repeats=` sets how often (5; fewer of
what takes many minutes), `missing=true` goes on after a kill. All of them take about two hours. Use a machine
that does nothing else: the load beside each machine above is the mean number of processes that were running
or waiting when the comparison began. Absolute seconds are of that machine alone, and ratios move by some 10 %
with the processor's caches and with versions of PyTorch.
"""


def page(found: Sequence[Comparison]) -> str:
    """The whole page."""
    parts = [INTRODUCTION, _summary(found), *(_section(one) for one in found)]
    names = ", ".join(f"`{one.name}`" for one in found)
    return "\n".join([*parts, HOW.format(names=names)])


def number(value: float) -> str:
    """With three digits, or all before the point."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1e}" if abs(value) < 0.001 else f"{value:.3g}"


def spread(figure: Figure) -> str:
    """Median and range; one value alone where there is one."""
    if len(figure.values) == 1:
        return number(figure.median)
    return f"{number(figure.median)} [{number(figure.low)}, {number(figure.high)}]"


def _summary(found: Sequence[Comparison]) -> str:
    rows = [
        [one.title, claim.figure.name, f"{spread(claim.figure)} {claim.figure.unit}", *_wanted(claim)]
        for one in found
        for claim in one.claims
    ]
    rows += [[one.title, "", f"skipped: {one.skipped}", "", ""] for one in found if one.skipped]
    return _table(["comparison", "what", "median [smallest, largest]", "wanted", ""], rows)


def _wanted(claim: Claim) -> tuple[str, str]:
    if claim.met is None:
        return "", "reported"
    sign, _, bound = claim.wanted.partition(" ")
    unit = "" if claim.figure.unit == "x" else f" {claim.figure.unit}"
    words = {">=": "at least", "<=": "at most"}[sign]
    return f"{words} {number(float(bound))}{unit}", "met" if claim.met else "**missed**"


def _section(one: Comparison) -> str:
    if one.skipped:
        return f"## {one.title}\nNot measured here: {one.skipped}.\n"
    rows = [
        [figure.name, f"{spread(figure)} {figure.unit}", len(figure.values)]
        for figure in [*one.figures, *(claim.figure for claim in one.claims)]
    ]
    parts = [
        f"## {one.title}",
        one.compared,
        "",
        _table(["what", "median [smallest, largest]", "repeats"], rows),
    ]
    for table in one.tables:
        parts += [f"{table['title']}:", "", _table(table["head"], table["rows"])]
    parts += [*(f"{note}\n" for note in one.notes), _machine(one.machine)]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _machine(machine: dict[str, Any]) -> str:
    busy = ", **busy with other work**" if machine["load"] > machine["cores"] else ""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"<sub>{machine['date']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}, load {machine['load']}{busy}; "
        f"Python {machine['python']}, {packages}.</sub>\n"
    )
