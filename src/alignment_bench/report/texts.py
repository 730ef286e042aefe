"""Texts as a report shows them: cut to a stated length, and prompts read again from the task's data.

Results hold ids of prompts, not their words: those come from the built-in world or the data file, and are
shown only where the data's digest is the one that the cells were scored on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment_bench import registry
from alignment_bench.cells import CellRecord
from alignment_bench.data import task_data
from alignment_bench.errors import BadInput
from alignment_bench.prompts import Prompt
from alignment_bench.provenance.recompute import requests, task_options

LONGEST = 1_200
"""characters of one text that are shown"""


@dataclass(frozen=True)
class Text:
    """A text, and how many characters of it are not shown."""

    shown: str
    hidden: int = 0

    @staticmethod
    def of(text: str) -> Text:
        """The text, cut where it is longer than LONGEST."""
        return Text(text[:LONGEST], max(0, len(text) - LONGEST))


@dataclass(frozen=True)
class Known:
    """The prompts of one cell's data, or why they are not at hand."""

    test: Mapping[str, Prompt]
    train: Mapping[str, Prompt]
    why_not: str = ""


class Prompts:
    """The words of prompts, by the cell that they were put to; each data set is read once."""

    def __init__(self, root: Path) -> None:
        self._asked = requests(root)
        self._known: dict[tuple[str, str, int], Known] = {}

    def of(self, cell: CellRecord) -> Known:
        """The prompts of the cell's data."""
        place = cell.task, cell.data_digest, cell.fold
        if place not in self._known:
            self._known[place] = self._read(cell)
        return self._known[place]

    def _read(self, cell: CellRecord) -> Known:
        if cell.task not in registry.names("tasks"):
            return Known({}, {}, f"task {cell.task} is not installed here")
        options = task_options(cell, self._asked.get(cell.digest))
        if options.data is not None and not Path(options.data).is_file():
            return Known({}, {}, f"the data ({cell.data}) are not read again here")
        try:
            folds = task_data(registry.load("tasks", cell.task), options)
        except BadInput as error:
            return Known({}, {}, f"the data ({cell.data}) cannot be read: {error}")
        if cell.fold >= len(folds) or folds[cell.fold].digest != cell.data_digest:
            return Known({}, {}, f"the data here are not those of these results ({cell.data})")
        found = folds[cell.fold]
        return Known(
            {one.prompt.id: one.prompt for one in found.test},
            {one.prompt.id: one.prompt for one in found.train},
        )


def said(prompt: Prompt) -> Text:
    """The messages of a prompt, with their roles where there are several."""
    messages = prompt.messages
    several = len(messages) > 1
    return Text.of("\n\n".join(f"{one.role}: {one.content}" if several else one.content for one in messages))


def spaced(count: int, wanted: int) -> Sequence[int]:
    """`wanted` places (or all), evenly spaced over `count`: a choice that looks at nothing."""
    wanted = min(count, wanted)
    return [place * count // wanted for place in range(wanted)]
