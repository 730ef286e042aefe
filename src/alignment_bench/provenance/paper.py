"""What a publication needs of a results folder: tables, figures, a methods paragraph, and the manifest.

OUT/tables/table.tex, .md, .csv    the table as `bench table` writes it
OUT/figures/                       every figure that can be drawn, with its data and caption
OUT/methods.md, methods.tex        what was done, in sentences of numbers that are all looked up
OUT/manifest.json                  the digest of every file behind the numbers
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_bench import registry, sources
from alignment_bench.comparison import BASE, Block, Line
from alignment_bench.errors import BadInput, Problem
from alignment_bench.gate.choosing import blocks_of
from alignment_bench.judging import cards
from alignment_bench.method_docs import text_of
from alignment_bench.provenance import files, manifest
from alignment_bench.verdicts.main import main_column

TABLES = {"latex": "table.tex", "markdown": "table.md", "csv": "table.csv"}


@dataclass(frozen=True)
class Written:
    """Everything written, what was not and why, and what is wrong with the files behind it."""

    paths: tuple[Path, ...]
    skipped: tuple[str, ...]
    faults: tuple[str, ...]


def paper(root: Path, out: Path, filters: Mapping[str, tuple[str, ...]]) -> Written:
    """Writes the folder. Raises BadInput where nothing is stored, or nothing passes the filters."""
    from alignment_bench.figures import draw
    from alignment_bench.tables.latex import escaped
    from alignment_bench.tables.page import Options, render_records, stored

    found = files.look(root)
    blocks = [block for block in blocks_of(cards.marked(found.records, root), filters) if block.lines]
    if not blocks:
        why = found.faults[0] if found.faults else f"no cells are stored in {root}"
        raise BadInput([Problem("results", why, "run bench run first")])
    tables = out / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    paths = []
    cells, unreadable = stored(root, filters)
    for format, name in TABLES.items():
        # CSV would only repeat on stderr what is damaged, which the command itself tells
        damaged = () if format == "csv" else unreadable
        text = render_records(cells, format, damaged, Options(filters.get("methods")))
        (tables / name).write_text(text, "utf-8")
        paths.append(tables / name)
    drawn = draw(blocks, out / "figures", root=root)
    paths += [path for one in drawn for path in one.files]
    rest = {key: allowed for key, allowed in filters.items() if key != "methods"}
    every = {block.setting: len(block.lines) for block in blocks_of(cards.marked(found.records, root), rest)}
    paragraphs = [paragraph(block, every[block.setting]) for block in blocks]
    (out / "methods.md").write_text("\n\n".join(paragraphs) + "\n", "utf-8")
    (out / "methods.tex").write_text("\n\n".join(map(escaped, paragraphs)) + "\n", "utf-8")
    records = [cell for block in blocks for line in block.lines for cell in line.cells]
    manifest.write(out / "manifest.json", manifest.manifest(root, found, records))
    paths += [out / name for name in ("methods.md", "methods.tex", "manifest.json")]
    skipped = tuple(f"{one.name}: {one.skipped}" for one in drawn if one.skipped)
    return Written(tuple(paths), skipped, tuple(found.faults))


def paragraph(block: Block, stored: int | None = None) -> str:
    """What was done in one block, for a methods section: every number in it is looked up.

    `stored`: how many methods the verdict is about, where the block shows fewer.
    """
    return " ".join(_sentences(block, stored or len(block.lines)))


def _sentences(block: Block, stored: int) -> Iterator[str]:
    setting, lines = block.setting, [line for line in block.lines if line.seeds]
    cells = [cell for line in lines for cell in line.cells]
    methods = [line.label for line in lines if line.label != BASE]
    failed = [
        f"{line.label} ({line.status.replace('_', ' ')}: {line.reason})"
        for line in block.lines
        if not line.seeds
    ]
    compared = f"{', '.join(methods)} with the unaligned base" if methods else "the unaligned base alone"
    yield (
        f"We compared {compared} on the task {setting.task} (version {setting.task_version}; data: "
        f"{setting.data}, digest {setting.data_digest[:12]}), model {setting.model} (digest "
        f"{setting.model_digest[:12]}), with alignment-bench{_version(cells)}."
    )
    if failed:
        yield f"Without a result: {'; '.join(failed)}."
    unit = "seconds of annotators' time" if setting.currency == "seconds" else "calls of the teacher"
    hours = f" ({setting.budget_amount / 3600:.1f} h)" if setting.currency == "seconds" else ""
    yield (
        f"Every method had the same budget, {setting.budget_amount:,.0f} {unit}{hours}, spent on feedback of "
        f"the teacher {setting.teacher}; training started from "
        f"{'the base' if setting.init == 'base' else setting.init}."
    )
    seeds = sorted({seed for line in lines for seed in line.seeds})
    uneven = sorted({len(line.seeds) for line in lines})
    trained = f"{uneven[0]} to {uneven[-1]}" if len(uneven) > 1 else f"{uneven[0] if uneven else 0}"
    clusters = len(set(block.clusters.tolist()))
    yield (
        f"Each method was trained {trained} time{'' if trained == '1' else 's'} (seeds "
        f"{', '.join(map(str, seeds))}) and answered n = {len(block.prompts)} test prompts of {clusters} "
        f"independent sources"
        f"{f', cross-fitted over {setting.folds} folds' if setting.folds else ''}; answers were drawn with "
        f"{_decoding(block)} where a metric does not say otherwise. The judge was {setting.judge}."
    )
    analysis = "of a two-way random-effects analysis over seeds and sources of prompts"
    if uneven[-1:] == [1]:
        analysis = "over sources of prompts alone, for these very trainings"
    family = f"all pairs of the {stored} methods"
    if stored > len(block.lines):
        family += f" that were run, of which {len(block.lines)} are shown"
    yield (
        f"Differences are paired by seed and prompt; 95 % intervals are {analysis}. Two methods are told "
        f"apart where p < 0.05 after Holm's adjustment over {family}; a method may be the best unless a "
        "one-sided test finds another better, adjusted for the comparisons of that method alone."
    )
    yield from _detectable(block, lines)
    yield from _tuning(cells)
    captions = list(dict.fromkeys(text for cell in cells for text in cell.captions))
    if captions:
        yield f"Notes on data and judge: {'; '.join(captions)}."
    flags = sorted({flag for cell in cells for flag in cell.flags})
    if flags:
        yield f"Marked: {', '.join(flags)}."
    yield from _versions(cells)
    yield from _licences(block)
    yield from _papers(lines)


def _version(cells: Sequence[Any]) -> str:
    known = sorted({cell.versions.get("alignment-bench", "") for cell in cells} - {""})
    return f" {' and '.join(known)}" if known else ""


def _decoding(block: Block) -> str:
    known = json.loads(block.setting.decoding)
    return ", ".join(f"{key} {value}" for key, value in sorted(known.items()) if value not in ([], ()))


def _detectable(block: Block, lines: Sequence[Line]) -> Iterator[str]:
    column = main_column(block)
    if column is None:
        return
    deltas = [line.estimates[column.name].delta for line in lines if line.label != BASE]
    sizes = sorted(one.mde for one in deltas if one is not None and one.mde is not None)
    if sizes:
        span = f"{sizes[0]:.2g}" if sizes[0] == sizes[-1] else f"{sizes[0]:.2g} to {sizes[-1]:.2g}"
        yield (
            f"The smallest true difference to the base in {column.name} that this design sees with 80 % "
            f"power, at the 5 % level for one comparison, is {span}, depending on the method."
        )
    else:
        yield f"No detectable difference can be stated for {column.name}."


def _tuning(cells: Sequence[Any]) -> Iterator[str]:
    told = sorted(
        {f"{cell.label}: {cell.tuning['trials']} trials" for cell in cells if cell.tuning.get("trials")}
    )
    if told:
        yield f"Hyperparameters were searched beforehand ({'; '.join(told)}); that cost is not in the budget."


def _versions(cells: Sequence[Any]) -> Iterator[str]:
    found: dict[str, set[str]] = {}
    for cell in cells:
        for name, version in cell.versions.items():
            found.setdefault(name, set()).add(version)
    if found:
        told = [f"{name} {' and '.join(sorted(found[name]))}" for name in sorted(found)]
        yield f"Versions: {', '.join(told)}."
    commits = sorted({str(cell.code.get("commit") or "") for cell in cells} - {""})
    if commits:
        yield f"Source commit: {', '.join(commits)}."


def _licences(block: Block) -> Iterator[str]:
    """The terms and citations of the data: the published source's where it is one, and the task's."""
    if block.setting.task in registry.names("tasks"):
        task = registry.load("tasks", block.setting.task)
        yield f"Task: {task.citation}; licence {task.licence}."
    name = block.setting.data.partition(" ")[0].partition(":")[0].strip(",")
    if name in sources.names():
        source = sources.load(name)
        yield f"Data: {source.citation}; licence {source.licence}."


def _papers(lines: Sequence[Line]) -> Iterator[str]:
    """What each method is: the arXiv ids that its own page names."""
    told = []
    for name in dict.fromkeys(part["name"] for line in lines for part in _parts(line)):
        if name not in registry.names("methods"):
            told.append(f"{name} (not installed here)")
            continue
        papers = text_of(registry.load("methods", name)).papers
        told.append(f"{name} ({', '.join(f'arXiv {one}' for one in papers) if papers else 'no paper'})")
    if told:
        yield f"Methods, with the papers that their pages name: {'; '.join(told)}."


def _parts(line: Line) -> Sequence[Mapping[str, Any]]:
    method = line.cells[-1].method
    return method if isinstance(method, list) else []
