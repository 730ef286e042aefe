"""Every remark that hangs on a number, once, with the methods and metrics it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence

from alignment_bench.comparison import Block, Column, Line
from alignment_bench.statistics import ONE_RUN, TWO_RUNS

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def footnotes(block: Block, shown: Sequence[Column]) -> list[str]:
    """The remarks of a block, those of several methods or metrics written once."""
    about: dict[str, dict[str, list[str]]] = {}

    def add(text: str, label: str, metric: str = "") -> None:
        metrics = about.setdefault(text, {}).setdefault(label, [])
        if metric and metric not in metrics:
            metrics.append(metric)

    for line in block.lines:
        if not line.seeds:
            add(f"{line.status.replace('_', ' ')}: {line.reason or 'no reason stored'}", line.label)
        for note in (*over_seeds(line), *line.notes):
            add(note, line.label)
        for column in block.columns:
            estimate = line.estimates[column.name]
            if line.seeds and estimate.value is None:
                add(f"n/a: {estimate.reason}", line.label, column.name)
            for note in estimate.notes:
                add(note, line.label, column.name)
            for kind, found in (("", estimate.value), ("difference to base: ", estimate.delta)):
                for note in found.note.split("; ") if found else ():
                    repeated = bool(kind) and estimate.value is not None and note in estimate.value.note
                    if note and note not in (ONE_RUN, TWO_RUNS) and not repeated:
                        add(kind + note, line.label, column.name)
    written = []
    for text, by_label in about.items():
        grouped: dict[tuple[str, ...], list[str]] = {}
        for label, metrics in by_label.items():
            grouped.setdefault(tuple(metrics), []).append(label)
        for group, labels in grouped.items():
            every = len(group) == len(shown) > 1
            what = "" if every else ", ".join(group)
            whom = "" if what and are_all(labels, block) else who(labels, block)
            written.append(f"{', '.join(filter(None, (whom, what)))}: {text}")
    return written


def over_seeds(line: Line) -> list[str]:
    """The notes of a line's cells; those that differ between seeds in their numbers alone become one.

    `kept 3 of 9` and `kept 4 of 9` are `kept 3 / 4 of 9`, in the order of the seeds.
    """
    places: dict[tuple[str, int], list[str]] = {}
    for cell in line.cells:
        seen: dict[str, int] = {}
        for note in cell.notes:
            shape = _NUMBER.sub("0", note)
            turn = seen[shape] = seen.get(shape, 0) + 1
            places.setdefault((shape, turn), []).append(note)
    return [one for notes in places.values() for one in _joined(notes)]


def who(labels: Sequence[str], block: Block) -> str:
    """The labels, or `all methods` where nobody is missing."""
    return "all methods" if are_all(labels, block) else ", ".join(labels)


def are_all(labels: Sequence[str], block: Block) -> bool:
    """Whether these are all methods of the block that have a result."""
    everyone = {line.label for line in block.lines if line.seeds} or {line.label for line in block.lines}
    return set(labels) >= everyone


def _joined(notes: Sequence[str]) -> list[str]:
    distinct = list(dict.fromkeys(notes))
    if len(distinct) == 1:
        return distinct
    columns = zip(*(_NUMBER.findall(note) for note in notes), strict=True)
    numbers = iter([" / ".join(one if len(set(one)) > 1 else one[:1]) for one in columns])
    return [_NUMBER.sub(lambda _: next(numbers), notes[0])]
