"""The caption of a block: what was compared on what, how it was decoded and judged, and what it could see."""

from __future__ import annotations

import json
from collections.abc import Sequence

from alignment_bench.comparison import Block, Column
from alignment_bench.statistics import ONE_RUN, TWO_RUNS
from alignment_bench.tables.footnotes import are_all, who
from alignment_bench.tables.spend import SPEND
from alignment_bench.tables.standing import Standing, detectable

UNITLESS = ("0-1", "share", "")
KL = "KL: from the method to the unaligned base, KL(policy || base), at temperature 1 without truncation"
LEGEND = (
    "mean [95 % interval]; Δ: paired difference to base; * the 95 % interval of that difference "
    "excludes 0 (not adjusted for the number of comparisons)"
)


def caption(block: Block, shown: Sequence[Column], wide: Sequence[Column], found: Standing) -> list[str]:
    """The lines of a block's caption; `wide` are the metrics whose detectable difference is said."""
    setting = block.setting
    decoding = ", ".join(
        f"{key} {value}" for key, value in json.loads(setting.decoding).items() if value not in ([], None)
    )
    seeds = sorted({seed for line in block.lines for seed in line.seeds})
    estimates = [line.estimates[column.name] for line in block.lines for column in shown]
    counted = [one for estimate in estimates for one in (estimate.value, estimate.delta) if one]
    sizes = sorted({(one.n_prompts, one.n_clusters) for one in counted}, reverse=True)
    prompts = " or ".join(f"{n}" if n == groups else f"{n} in {groups} clusters" for n, groups in sizes)
    start = "the base" if setting.init == "base" else setting.init
    lines = [
        f"task {setting.task} (version {setting.task_version}); model {setting.model} "
        f"({setting.model_digest[:8]}), format {setting.format_digest[:8]}; data {setting.data} "
        f"({setting.data_digest[:8]})",
        f"decoding: {decoding}; training starts from {start}",
        f"teacher {setting.teacher}; judge {setting.judge}; {_budgets(block)}",
        f"seeds {', '.join(map(str, seeds)) or 'none'}; prompts {prompts or 'none'}"
        + (f"; {setting.folds}-fold cross-fit, folds are clusters" if setting.folds else ""),
    ]
    lines += dict.fromkeys(line for one in block.lines for cell in one.cells for line in cell.captions)
    flags = dict.fromkeys(flag for one in block.lines for cell in one.cells for flag in cell.flags)
    for flag in flags:
        labels = [one.label for one in block.lines if any(flag in cell.flags for cell in one.cells)]
        if not any(line.startswith(flag) for line in lines):
            lines.append(f"{flag}: {who(labels, block)}")
    for note, count in ((ONE_RUN, 1), (TWO_RUNS, 2)):
        labels = [one.label for one in block.lines if len(one.seeds) == count]
        if labels:
            lines.append(note if are_all(labels, block) else f"{', '.join(labels)}: {note}")
    lines += detectable(block.lines, wide)
    if said := units(shown):
        lines.append(f"units: {said}")
    if any(column.name.startswith("kl_to_base") for column in shown):
        lines.append(KL)
    return [*lines, LEGEND, *([found.legend] if found.legend else []), SPEND]


def units(shown: Sequence[Column]) -> str:
    """The metrics that have a unit, with it."""
    return ", ".join(f"{c.name} in {c.unit}" for c in shown if c.unit not in UNITLESS)


def _budgets(block: Block) -> str:
    """Every budget of the block's lines in words; more than one only in a sweep."""
    seconds = block.setting.currency == "seconds"
    amounts: dict[float, str] = {block.setting.budget_amount: block.setting.budget}
    swept = {cell.budget_amount: cell.budget for line in block.lines for cell in line.cells}
    if len(swept) > 1:
        amounts = dict(sorted(swept.items()))
    said = [
        f"budget {name}: {amount:,.0f} "
        + (f"annotator seconds ({amount / 3600:.1f} h)" if seconds else "teacher calls")
        for amount, name in amounts.items()
    ]
    return "; ".join(said) + " a method"
