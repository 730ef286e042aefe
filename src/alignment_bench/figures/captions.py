"""The text below a figure: what is shown, of what, over how many prompts and seeds, and by which interval."""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.comparison import Block, Column, Line, Setting
from alignment_bench.figures.plot import Plot, value_of
from alignment_bench.statistics import ONE_RUN, TWO_RUNS, Interval

INTERVALS = (
    "Bars: 95 % intervals of the two-way random-effects analysis over seeds and prompts, each by itself, not "
    "adjusted for the number of methods."
)


def caption(plot: Plot, blocks: Sequence[Block], data: str) -> str:
    """The caption as a paragraph of sentences; `data` names the CSV beside the figure."""
    block = blocks[-1]
    lines = [line for one in blocks for line in one.lines if line.label in plot.labels or not plot.labels]
    parts = [plot.caption, _where(block.setting, blocks), sample_sizes(lines, plot.columns)]
    if any(value.low is not None for value in _values(lines, plot.columns)):
        parts += [INTERVALS] if plot.bars else []
        parts += [f"{note[0].upper()}{note[1:]}." for note in _seed_notes(lines, plot.columns)]
    parts += [_better(column) for column in plot.columns if column.better != "neither"]
    parts += list(dict.fromkeys(f"{note[0].upper()}{note[1:]}." for note in (*plot.notes, *_marks(lines))))
    return " ".join([*filter(None, parts), f"Data: {data}."])


def sample_sizes(lines: Sequence[Line], columns: Sequence[Column]) -> str:
    """How many prompts, clusters and seeds the intervals stand on; of several, which and from where."""
    found = _values(lines, columns)
    sizes = sorted({(one.n_prompts, one.n_clusters) for one in found}, reverse=True)
    prompts = " or ".join(f"{n:,}" if n == groups else f"{n:,} in {groups:,} clusters" for n, groups in sizes)
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for line in lines:
        by_seeds.setdefault(line.seeds, []).append(line.label)
    usual = max(by_seeds, key=lambda seeds: len(by_seeds[seeds]), default=())
    text = f"n = {prompts} prompts, " if prompts else ""
    text += f"seeds {_list(usual)}" if usual else "no seed"
    others = [f"{', '.join(dict.fromkeys(who))}: {_list(s)}" for s, who in by_seeds.items() if s != usual]
    more = f" ({'; '.join(others)})" if others else ""
    return f"{text[0].upper() if not prompts else text[0]}{text[1:]}{more}."


def _where(setting: Setting, blocks: Sequence[Block]) -> str:
    amounts = dict.fromkeys(_amount(one.setting) for one in blocks)
    return (
        f"Task {setting.task} (version {setting.task_version}), model {setting.model}, data {setting.data}; "
        f"teacher {setting.teacher}, judge {setting.judge}; budget a method: {'; '.join(amounts)}."
    )


def _amount(setting: Setting) -> str:
    if setting.currency == "seconds":
        return f"{setting.budget_amount / 3600:,.1f} annotator hours"
    return f"{setting.budget_amount:,.0f} teacher calls"


def _values(lines: Sequence[Line], columns: Sequence[Column]) -> list[Interval]:
    return [found for line in lines for column in columns if (found := value_of(line, column.name))]


def _seed_notes(lines: Sequence[Line], columns: Sequence[Column]) -> list[str]:
    counts = {found.n_seeds for found in _values(lines, columns)}
    return [note for note, count in ((ONE_RUN, 1), (TWO_RUNS, 2)) if count in counts]


def _better(column: Column) -> str:
    return f"{column.better.capitalize()} {column.name} is better."


def _marks(lines: Sequence[Line]) -> list[str]:
    """Flags of cells, as "self-judged", with their methods."""
    flags = dict.fromkeys(flag for line in lines for cell in line.cells for flag in cell.flags)
    found = []
    for flag in flags:
        who = dict.fromkeys(line.label for line in lines if any(flag in cell.flags for cell in line.cells))
        found.append(f"{flag}: {', '.join(who)}")
    return found


def _list(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
