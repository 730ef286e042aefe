"""What the methods were told in training, and what was made of it, as far as it is stored.

Every answer of a teacher lies in a job of kind `ask`, and a cell names the jobs that it was charged for. A
refinement that a model drew under a critique lies in a job of kind `sample` whose inputs name its prompts by
digest only: the prompts are put together again from the critiques, and a job whose digest agrees is the one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alignment_bench.cells import CellRecord
from alignment_bench.comparison import Block
from alignment_bench.digests import digest_file
from alignment_bench.feedback import CHANNELS
from alignment_bench.job_keys import digest_prompts
from alignment_bench.lines import load_lines
from alignment_bench.prompts import Prompt
from alignment_bench.report.samples import cells_of, usual_seed
from alignment_bench.report.texts import Known, Prompts, Text, said, spaced

ACTS = 3
"""acts shown of one kind of exchange"""
KINDS = 12
"""kinds of exchange shown of a block"""
REFINED = 2
"""distinct refinements shown under a critique"""
LAYOUTS = ("refine", "refine_shown", "refine_paper")
"""layouts in which a model is put an answer with a critique of it"""
NOT_STORED = (
    "Not stored, and so not shown: which of several refinements a method chose, the rows that it was trained "
    "on (job.json has their digest), and what a wrapper wrote to itself while it answered."
)


@dataclass(frozen=True)
class Act:
    """One prompt with the texts that the teacher saw, and everything that came of it."""

    prompt_id: str
    prompt: Text | None
    saw: tuple[Text, ...]
    said: tuple[tuple[str, Text], ...]
    """channel and answer"""
    made: tuple[Text, ...]
    """refinements that the model drew under the critique"""


@dataclass(frozen=True)
class Kind:
    """Acts that the same methods asked for on the same channels."""

    channels: tuple[str, ...]
    labels: tuple[str, ...]
    count: int
    """acts asked, of the seed shown"""
    unusable: int
    acts: tuple[Act, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """The training feedback of one block."""

    title: str
    note: str
    kinds: tuple[Kind, ...]
    faults: tuple[str, ...] = ()
    """files that could not be read"""


@dataclass
class _Exchange:
    """Answers on one or several channels about the same texts: `records[channel][i]` are of one act."""

    labels: tuple[str, ...]
    records: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


def told(block: Block, title: str, root: Path, prompts: Prompts) -> Told:
    """The acts of one seed, a few of each kind."""
    seed = usual_seed(block)
    cells = {line.label: found for line in block.lines if (found := cells_of(line, seed))}
    charged, known_jobs = _charged(cells)
    faults: list[str] = []
    exchanges = list(_exchanges(root, cells, charged if known_jobs else None, seed, faults))
    drawn = _drawn(root, charged if known_jobs else None, faults)
    known = next((prompts.of(one) for found in cells.values() for one in found), Known({}, {}))
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[_Exchange]] = {}
    for exchange in exchanges:
        exchange.records = {one: exchange.records[one] for one in CHANNELS if one in exchange.records}
        groups.setdefault((tuple(exchange.records), exchange.labels), []).append(exchange)
    kinds = [
        _kind(channels, labels, group, known, drawn, faults)
        for (channels, labels), group in list(groups.items())[:KINDS]
    ]
    return Told(title, _note(seed, len(groups), known_jobs, known), tuple(kinds), tuple(faults))


def _note(seed: int, kinds: int, known_jobs: bool, known: Known) -> str:
    if not kinds:
        return f"No act of a teacher is stored for seed {seed}. " + NOT_STORED
    parts = [
        f"Seed {seed}: of each kind of exchange {ACTS} acts, their prompts evenly spaced; the rest is in "
        "jobs/ask/*/records.jsonl."
    ]
    if kinds > KINDS:
        parts.append(f"{KINDS} of {kinds} kinds are shown.")
    if not known_jobs:
        parts.append(
            "Which method asked is not stored in these results, which an older version wrote: these are all "
            "acts on these data with that seed."
        )
    if known.why_not:
        parts.append(f"Prompts are shown by their ids: {known.why_not}.")
    return " ".join([*parts, NOT_STORED])


def _charged(cells: Mapping[str, Sequence[CellRecord]]) -> tuple[dict[str, list[str]], bool]:
    """Jobs by key with the labels that were charged for them, and whether any cell names its jobs."""
    found: dict[str, list[str]] = {}
    named = False
    for label, stored in cells.items():
        for cell in stored:
            named = named or "jobs" in cell.code
            for key in cell.code.get("jobs", {}):
                labels = found.setdefault(str(key), [])
                if label not in labels:
                    labels.append(label)
    return found, named


def _exchanges(
    root: Path,
    cells: Mapping[str, Sequence[CellRecord]],
    charged: Mapping[str, list[str]] | None,
    seed: int,
    faults: list[str],
) -> Iterator[_Exchange]:
    data = {cell.data_digest for stored in cells.values() for cell in stored}
    found: dict[str, _Exchange] = {}
    for folder in sorted((root / "jobs" / "ask").glob("*")):
        if charged is not None and folder.name not in charged:
            continue
        inputs = _inputs(folder, faults)
        if inputs.get("seed") != seed or inputs.get("data") not in data:
            continue
        records = _lines(folder / "records.jsonl", faults)
        if not records:
            continue
        labels = tuple(charged[folder.name]) if charged is not None else ()
        about = json.dumps([inputs.get("prompts"), inputs.get("texts"), inputs.get("teacher"), labels])
        exchange = found.setdefault(about, _Exchange(labels))
        exchange.records[str(inputs["channel"])] = records
        exchange.files.append(f"jobs/ask/{folder.name}/records.jsonl")
    yield from found.values()


def _drawn(root: Path, charged: Mapping[str, list[str]] | None, faults: list[str]) -> dict[str, Path]:
    """Jobs that sampled, by the digest of their prompts."""
    return {
        str(_inputs(folder, faults).get("inputs", {}).get("prompts")): folder / "completions.jsonl"
        for folder in sorted((root / "jobs" / "sample").glob("*"))
        if charged is None or folder.name in charged
    }


def _kind(
    channels: tuple[str, ...],
    labels: tuple[str, ...],
    group: Sequence[_Exchange],
    known: Known,
    drawn: Mapping[str, Path],
    faults: list[str],
) -> Kind:
    by_prompt: dict[str, tuple[_Exchange, int]] = {}
    for one in group:
        for at, record in enumerate(one.records[channels[0]]):
            by_prompt.setdefault(record["prompt_id"], (one, at))
    places = list(by_prompt.values())
    chosen = [places[at] for at in spaced(len(places), ACTS)]
    made = {id(one): _made(one, known, drawn, faults) for one, _ in chosen}
    acts = tuple(_act(one, at, known, made[id(one)].get(at, ())) for one, at in chosen)
    records = [record for one in group for rows in one.records.values() for record in rows]
    return Kind(
        channels,
        labels,
        sum(len(rows) for one in group for rows in one.records.values()),
        sum(not record["ok"] for record in records),
        acts,
        tuple(file for one in group for file in one.files),
    )


def _act(exchange: _Exchange, at: int, known: Known, made: Sequence[str]) -> Act:
    rows = {channel: records[at] for channel, records in exchange.records.items()}
    first = next(iter(rows.values()))
    prompt = known.train.get(first["prompt_id"])
    return Act(
        first["prompt_id"],
        said(prompt) if prompt else None,
        tuple(map(Text.of, first["completions"])),
        tuple((channel, _answer(record)) for channel, record in rows.items()),
        tuple(map(Text.of, made)),
    )


def _answer(record: Mapping[str, Any]) -> Text:
    if not record["ok"]:
        return Text.of(f"no usable answer: {record['reason'] or 'no reason stored'}")
    if record["text"] is not None:
        return Text.of(record["text"])
    if record["value"] is not None:
        return Text(f"{record['value']:.3g}")
    chosen = record["preference"]
    return Text("a tie" if chosen == "tie" else f"the {chosen} is better")


def _made(
    exchange: _Exchange, known: Known, drawn: Mapping[str, Path], faults: list[str]
) -> dict[int, list[str]]:
    """Distinct refinements drawn under the exchange's critiques, by place; none where no job agrees."""
    usable = [
        (at, known.train[record["prompt_id"]], record)
        for at, record in enumerate(exchange.records.get("critique", ()))
        if record["ok"] and (record["text"] or "").strip() and record["prompt_id"] in known.train
    ]
    for layout in LAYOUTS:
        put = [_put(prompt, record, layout) for _, prompt, record in usable]
        path = drawn.get(digest_prompts(put)) if put else None
        if path is not None:
            rows = _lines(path, faults)
            texts = [list(dict.fromkeys(one["text"] for one in row))[:REFINED] for row in rows]
            return {at: text for (at, _, _), text in zip(usable, texts, strict=False)}
    return {}


def _put(prompt: Prompt, record: Mapping[str, Any], layout: str) -> Prompt:
    return prompt.using(layout, completion=record["completions"][0], critique=record["text"])


def _inputs(folder: Path, faults: list[str]) -> dict[str, Any]:
    """The inputs of a stored job; none, with the fault noted, where they cannot be read."""
    path = folder / "job.json"
    try:
        return dict(json.loads(path.read_bytes())["inputs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        faults.append(f"{path} cannot be read ({error}): delete its folder")
        return {}


def _lines(path: Path, faults: list[str]) -> list[Any]:
    """The rows of a job's file; none, with the fault noted, where they are not what was written."""
    try:
        written = json.loads((path.parent / "job.json").read_bytes())["files"][path.name]
        if digest_file(path) == written:
            return load_lines(path)
        faults.append(f"{path} has changed since it was written: delete its folder")
    except (OSError, ValueError, KeyError, TypeError) as error:
        faults.append(f"{path} cannot be read ({error}): delete its folder")
    return []
