"""What a small real model shows on real posts: the arms with their controls, cross-fitted, as a page.

    bench run methods=base,sft,ilf,ilf:feedback=none,ilf:feedback=shuffled,best_of_n:n=6,ppo task=tldr \\
        model=smollm2 budget=smoke task.data=POSTS.jsonl task.folds=3 threads=1 results=DIR
    python perf/real_tier.py results=DIR

Reads the stored cells and writes `docs/real-tier.json` and, made of it, `docs/real-tier.md`. Every number
stands there with two intervals: over posts, which holds for these very trainings, and over folds, which
asks whether other trainings would show the same and is what `bench table` prints.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from alignment_bench import comparison, results
from alignment_bench.judging import cards
from alignment_bench.statistics import Interval, paired

DOCS = Path(__file__).parent.parent / "docs"
CONTRASTS = (
    ("ilf", "ilf:feedback=none"),
    ("ilf", "ilf:feedback=shuffled"),
    ("ilf:feedback=none", "base"),
    ("best_of_n:n=6", "ilf"),
)
"""pairs beside those with base: does right feedback beat none, and that of others; is it selection alone"""
SAME = "not told apart"
HEAD = """\
# A small real model on real posts

SmolLM2-135M-Instruct, 72 Reddit posts with a reference summary each, cross-fitted: three trainings a method,
each tested on the 24 posts it did not see. Written by `python perf/real_tier.py` from the stored cells of

```
bench run methods=base,sft,ilf,ilf:feedback=none,ilf:feedback=shuffled,best_of_n:n=6,ppo task=tldr \\
    model=smollm2 budget=smoke task.data=POSTS.jsonl task.folds=3 threads=1
```

*Over posts*: 95 % interval over the 72 posts, for these trainings. *Over folds*: the same with a fold's
posts as one cluster, as `bench table` has it; with three trainings it is wide, and where it reaches over 0
other trainings may not show the difference. None of the intervals is adjusted for the number of
comparisons. Numbers with more digits are in `real-tier.json`.
"""


def estimate(one: Interval) -> dict[str, Any]:
    """The part of an interval that the page shows."""
    return {key: getattr(one, key) for key in ("mean", "low", "high", "mde")}


def compared(block: comparison.Block, metric: str, first: str, second: str) -> dict[str, Any] | None:
    """`first` minus `second` in one metric, over posts and over folds; None where one has no scores."""
    found = block.scores[metric]
    if first not in found or second not in found:
        return None
    a, b = found[first].values, found[second].values
    return {
        "metric": metric,
        "method": first,
        "than": second,
        "value": float(a.mean()),
        "posts": estimate(paired(a, b)),
        "folds": estimate(paired(a, b, block.clusters)),
    }


def measured(block: comparison.Block) -> dict[str, Any]:
    """Everything that the page says, of one block."""
    labels = [line.label for line in block.lines]
    pairs = [(label, "base") for label in labels if label != "base"]
    pairs += [pair for pair in CONTRASTS if pair not in pairs]
    rows = [compared(block, column.name, *pair) for column in block.columns for pair in pairs]
    return {
        "schema": 1,
        "caption": list(block.lines[0].cells[0].captions),
        "commits": sorted({str(cell.code.get("commit")) for line in block.lines for cell in line.cells}),
        "columns": [dataclasses.asdict(column) for column in block.columns],
        "base": {
            metric: float(of["base"].values.mean()) for metric, of in block.scores.items() if "base" in of
        },
        "rows": [row for row in rows if row is not None],
        "lines": [
            {
                "method": line.label,
                "status": line.status,
                "reason": line.reason,
                "notes": list(dict.fromkeys(note for cell in line.cells for note in cell.notes)),
                "cells": [cell.digest for cell in line.cells],
            }
            for line in block.lines
        ],
    }


def number(value: dict[str, Any]) -> str:
    """A difference and its interval."""
    if value["low"] is None:
        return f"{value['mean']:+.3f}"
    return f"{value['mean']:+.3f} [{value['low']:+.3f}, {value['high']:+.3f}]"


def told(value: dict[str, Any]) -> str:
    """What an interval says in a word."""
    if value["low"] is None or value["low"] <= 0 <= value["high"]:
        return SAME
    return "higher" if value["low"] > 0 else "lower"


def in_short(rows: list[dict[str, Any]]) -> list[str]:
    """One line a pair of methods: the metrics in which they are told apart, those over folds in bold."""
    lines = []
    for first, than in dict.fromkeys((row["method"], row["than"]) for row in rows):
        words = []
        for row in rows:
            if (row["method"], row["than"]) == (first, than) and (word := told(row["posts"])) != SAME:
                name = f"{row['metric']} {word}"
                words.append(name if told(row["folds"]) == SAME else f"**{name}**")
        lines.append(f"- `{first}` against `{than}`: {', '.join(words) or 'nothing told apart'}")
    return lines


def page(found: dict[str, Any]) -> str:
    """The page of what `measured` gives."""
    made = f"cells of {', '.join(found['commits'])}"
    parts = [HEAD, *(f"- {line}" for line in (*found["caption"], made)), ""]
    parts += ["## In short (over posts; bold: over folds too)\n", *in_short(found["rows"]), ""]
    for column in found["columns"]:
        rows = [row for row in found["rows"] if row["metric"] == column["name"]]
        if not rows:
            continue
        base = found["base"].get(column["name"])
        better = {"neither": "neither side is better"}.get(column["better"], f"{column['better']} is better")
        unit = f" ({column['unit']})" if column["unit"] else ""
        parts += [f"## {column['name']}{unit}: {better}; base {base:.3f}\n"]
        parts += [
            "| method | mean | than | difference, over posts | | over folds | |",
            "|---|---:|---|---|---|---|---|",
        ]
        parts += [
            f"| `{row['method']}` | {row['value']:.3f} | `{row['than']}` | {number(row['posts'])} | "
            f"{told(row['posts'])} | {number(row['folds'])} | {told(row['folds'])} |"
            for row in rows
        ]
        parts.append("")
    parts.append("## Notes of the cells\n")
    for line in found["lines"]:
        reason = f": {line['reason']}" if line["reason"] else ""
        parts.append(f"- `{line['method']}` ({line['status']}{reason})")
        parts += [f"  - {note}" for note in line["notes"]]
    return "\n".join(parts).rstrip() + "\n"


def main(argv: list[str]) -> int:
    """Reads the folder and writes both files."""
    options = dict(one.split("=", 1) for one in argv)
    root = Path(options["results"])
    records, unreadable = results.read_all(root)
    for one in unreadable:
        print(f"left out: {one}", file=sys.stderr)
    blocks = comparison.compare(cards.marked([one for one in records if one.status == "ok"], root))
    # an interrupted run of an earlier version leaves a block of its own, with folds missing
    whole = [block for block in blocks if all(line.status == "ok" for line in block.lines)]
    if len(whole) != 1:
        print(
            f"real_tier: {len(whole)} of {len(blocks)} settings in {root} have all their folds",
            file=sys.stderr,
        )
        return 2
    found = measured(whole[0])
    (DOCS / "real-tier.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", "utf-8")
    (DOCS / "real-tier.md").write_text(page(found), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
