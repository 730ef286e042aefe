"""Answers side by side: for each prompt shown, base's first sample and every method's, of one seed."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from alignment_bench.cells import CellRecord
from alignment_bench.comparison import Block, Column, Line
from alignment_bench.report.texts import Prompts, Text, said, spaced
from alignment_bench.results import cell_folder

SPEC = "task"
"""the sample spec that is shown: the task's own decoding"""
PROMPTS = 24
"""prompts shown of a block, at most"""
ANSWERS = 600
"""answers shown of a block, at most"""
IN_ALL = 1_800
"""answers shown in a report, at most; one prompt of each block is always shown"""


@dataclass(frozen=True)
class Answer:
    """One method's first sample."""

    label: str
    text: Text | None
    end: str = ""
    score: str = ""
    """the main metric of this prompt, mean over the cell's samples"""
    why_not: str = ""


@dataclass(frozen=True)
class Shown:
    """One prompt with its answers."""

    prompt_id: str
    prompt: Text | None
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Side:
    """The samples of one block."""

    title: str
    note: str
    """the rule by which prompts were chosen, and what is not shown"""
    shown: tuple[Shown, ...]


def side(block: Block, title: str, main: Column | None, root: Path, prompts: Prompts, blocks: int) -> Side:
    """The block's samples: prompts evenly spaced over the test set, the first sample of each answer."""
    lines = [line for line in block.lines if line.seeds]
    if not lines:
        return Side(title, "No method has a result here.", ())
    seed = usual_seed(block)
    most = min(ANSWERS, IN_ALL // max(1, blocks)) // len(lines)
    ids = [block.prompts[at] for at in spaced(len(block.prompts), max(1, min(PROMPTS, most)))]
    columns = [_answers(line, seed, ids, main, block, root) for line in lines]
    first = cells_of(lines[0], seed) or lines[0].cells
    known = [prompts.of(cell) for cell in first]
    words = {name: prompt for one in known for name, prompt in one.test.items()}
    shown = tuple(
        Shown(name, said(words[name]) if name in words else None, tuple(column[at] for column in columns))
        for at, name in enumerate(ids)
    )
    rule = (
        f"Seed {seed}; {len(ids)} of {len(block.prompts):,} prompts, evenly spaced over the test set "
        f"(at most {PROMPTS} prompts and {ANSWERS} answers a block, {IN_ALL:,} in all; nobody picked them); "
        f"of each method the first sample of the spec {SPEC}. All texts are in cells/*/*/samples.jsonl."
    )
    if main is not None:
        rule += f" Beside each method: {main.name} of that prompt, the mean over that seed's samples."
    if why := next((one.why_not for one in known if one.why_not), ""):
        rule += f" Prompts are shown by their ids: {why}."
    return Side(title, rule, shown)


def usual_seed(block: Block) -> int:
    """The seed that most lines have, the smallest of several."""
    seeds = [seed for line in block.lines for seed in line.seeds]
    return min(set(seeds), key=lambda seed: (-seeds.count(seed), seed)) if seeds else 0


def cells_of(line: Line, seed: int) -> tuple[CellRecord, ...]:
    """The line's cells of that seed, of every fold."""
    return tuple(cell for cell in line.cells if cell.seed == seed and cell.status == "ok")


def _answers(
    line: Line, seed: int, ids: Sequence[str], main: Column | None, block: Block, root: Path
) -> list[Answer]:
    cells = cells_of(line, seed) if seed in line.seeds else ()
    if not cells:
        return [Answer(line.label, None, why_not=f"seed {seed} is not stored") for _ in ids]
    found: dict[str, tuple[str, str]] = {}
    for cell in cells:
        path = cell_folder(root, cell.digest) / "samples.jsonl"
        found |= first_samples(path, set(ids).intersection(cell.prompt_ids))
    scores = block.scores.get(main.name, {}).get(line.label) if main else None
    place = {name: at for at, name in enumerate(block.prompts)}
    row = scores.values[scores.seeds.index(seed)] if scores and seed in scores.seeds else None
    out = []
    for name in ids:
        value = float("nan") if row is None else float(row[place[name]])
        score = "" if main is None or isnan(value) else f"{main.name} {value:.3g}"
        if name in found:
            text, end = found[name]
            out.append(Answer(line.label, Text.of(text), "cut at the token limit" * (end == "length"), score))
        else:
            out.append(Answer(line.label, None, score=score, why_not="no answer to this prompt is stored"))
    return out


def first_samples(path: Path, wanted: Collection[str]) -> dict[str, tuple[str, str]]:
    """Text and end of sample 0 of these prompts, of SPEC (or, without it, the first spec of the file).

    The file was checked when its cell was read; a large one is read no further than needed.
    """
    found: dict[str, dict[str, tuple[str, str]]] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["sample"] == 0 and row["prompt_id"] in wanted:
                found.setdefault(row["spec"], {})[row["prompt_id"]] = (row["completion"], row["end"])
                if len(found.get(SPEC, ())) == len(wanted):
                    break
    return found.get(SPEC) or next(iter(found.values()), {})
