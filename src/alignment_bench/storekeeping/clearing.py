"""`bench gc`: what it was asked for, and saying what may go, or that it has gone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from alignment_bench.amounts import counted, duration, size
from alignment_bench.checks import no_results, unwritable
from alignment_bench.config import pairs
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import values
from alignment_bench.storekeeping.asking import bar, known_keys
from alignment_bench.storekeeping.garbage import Freed, Garbage, free, look

HELP = """\
bench gc: what of a results folder may go, by sort, with counts and bytes; deletes only with delete=true

  results=DIR       folder of everything stored (default results)
  delete=true       delete it: what was left by killed processes, checkpoints of jobs that are done, lock
                    files that nobody holds, cells that are not ok where the same was asked again and came out
  unused=true       also jobs and bases that no stored cell rests on; they are done again if asked for
  doubtful=true     also those of which that cannot be told for certain; the reasons are printed
  checkpoints=true  also checkpoints of jobs that were not finished; those begin anew if asked for
  older=DAYS        of these three only what is that old; runs that began before then are given up
  format=           text or json (default text)

No number goes: tables, figures, reports, bench verify, init= of stored cells and the stored part of any run
need nothing that goes without unused, doubtful or checkpoints. What is deleted is done again, with the same
numbers, by a run that asks for it. Jobs that somebody is at are left; stored jobs, bases and cells go only
while no run works in the folder, and a run that starts meanwhile waits.
"""
SCHEMA = 1


@dataclass(frozen=True)
class ClearRequest:
    """What `bench gc` was asked for."""

    results: Path = Path("results")
    delete: bool = False
    unused: bool = False
    doubtful: bool = False
    checkpoints: bool = False
    older: float = field(default=0.0, metadata={"min": 0, "max": 36500})
    format: Literal["text", "json"] = "text"

    @property
    def keys(self) -> tuple[str, ...]:
        """The settings that let more go."""
        return tuple(key for key in ("unused", "doubtful", "checkpoints") if getattr(self, key))


def parse_gc(arguments: Sequence[str]) -> ClearRequest:
    """The request of `bench gc`. Raises one BadInput with everything that is wrong with the arguments."""
    problems: list[Problem] = []
    given = pairs(arguments, problems)
    known = known_keys("gc", given, ClearRequest, (), problems)
    found = values(ClearRequest, known, "", problems)
    results = found.get("results", ClearRequest.results)
    problems += no_results(results) or (unwritable("results", results) if found.get("delete") else [])
    if problems:
        raise BadInput(problems)
    return ClearRequest(**found)


def gc_command(arguments: list[str]) -> int:
    """`bench gc`."""
    request = parse_gc(arguments)
    freed = None
    with bar(f"looking at {request.results}") as progress:
        if request.delete:
            garbage, freed = free(request.results, request.keys, request.older, progress.say)
        else:
            garbage = look(request.results, request.older, progress.say)
    text = as_json(garbage, request, freed) if request.format == "json" else as_text(garbage, request, freed)
    print(text)
    return 0


def as_text(garbage: Garbage, request: ClearRequest, freed: Freed | None) -> str:
    """What was found, a line a sort, and what has been done about it."""
    lines = [f"{garbage.root}: {counted(garbage.jobs, 'job')}, {counted(garbage.cells, 'cell')}"]
    chosen = garbage.chosen(request.keys)
    for pile in garbage.piles:
        if not pile.items:
            continue
        how = "" if pile in chosen else f"; stays without {pile.key}=true"
        again = f"; {duration(pile.seconds)} to do again" if pile.seconds else ""
        lines.append(f"{len(pile.items):>8,} {size(pile.size):>9}  {pile.what}{again}{how}")
    if any(pile.name == "doubtful" and pile.items for pile in garbage.piles):
        lines += ["whether these jobs are unused cannot be told:", *(f"  {one}" for one in garbage.doubts)]
    if garbage.damaged:
        some = ", ".join(map(str, garbage.damaged[:3]))
        lines.append(f"{len(garbage.damaged):,} damaged, left alone: {some}; bench verify says more")
    count, total = sum(len(pile.items) for pile in chosen), sum(pile.size for pile in chosen)
    if freed is not None:
        lines.append(f"deleted: {freed.count:,} with {size(freed.size)}")
        if freed.left:
            lines.append(f"left, because a process is at work in the folder: {freed.left:,}; try again later")
    elif count:
        lines.append(f"delete=true would delete {count:,} with {size(total)}")
    else:
        lines.append("nothing may go" + ("" if request.keys else " without more settings; bench help gc"))
    return "\n".join(lines)


def as_json(garbage: Garbage, request: ClearRequest, freed: Freed | None) -> str:
    """The same for programs."""
    chosen = garbage.chosen(request.keys)
    body = {
        "schema": SCHEMA,
        "results": str(garbage.root),
        "jobs": garbage.jobs,
        "cells": garbage.cells,
        "piles": [
            {
                "name": pile.name,
                "what": pile.what,
                "needs": pile.key,
                "chosen": pile in chosen,
                "count": len(pile.items),
                "bytes": pile.size,
                "seconds": pile.seconds,
            }
            for pile in garbage.piles
        ],
        "doubts": list(garbage.doubts),
        "damaged": list(map(str, garbage.damaged)),
        "deleted": None if freed is None else {"count": freed.count, "bytes": freed.size, "left": freed.left},
    }
    return json.dumps(body, indent=1, ensure_ascii=False)
