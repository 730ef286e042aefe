"""AlpacaEval's published annotations: every model's verdicts and lengths, prompt by prompt.

`preferences.csv` has the columns model, index, preference, len_baseline, len_model; a preference runs from 1
(the baseline's output is better) to 2 (the model's), and 0 is how the annotator wrote a draw.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alignment_bench.errors import BadInput, Problem
from alignment_bench.statistics import Array

COLUMNS = ("model", "index", "preference", "len_baseline", "len_model")
DRAW = 1.5


@dataclass(frozen=True)
class Annotated:
    """One model's verdicts against the baseline [prompts] in [0, 1], with both lengths in characters."""

    model: str
    indices: tuple[int, ...]
    verdicts: Array
    baseline_lengths: Array
    lengths: Array

    @property
    def longer(self) -> Array:
        """By how many characters the model's output is longer."""
        return self.lengths - self.baseline_lengths


def read_preferences(path: Path) -> dict[str, Annotated]:
    """Every model's annotations, each ordered by prompt. Raises BadInput where the file is another."""
    by_model: dict[str, list[tuple[int, float, float, float]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if lacking:
            raise BadInput(
                [Problem(str(path), f"lacks {', '.join(lacking)}", "preferences.csv of AlpacaEval")]
            )
        for row in reader:
            try:
                preference, baseline, length = (float(row[name]) for name in COLUMNS[2:])
                known = int(row["index"]), preference, baseline, length
            except (ValueError, TypeError) as error:
                where, what = f"{path} line {reader.line_num}", f"has a value that is no number ({error})"
                raise BadInput([Problem(where, what, "correct or remove the row")]) from None
            by_model.setdefault(row["model"], []).append(known)
    return {model: _annotated(path, model, rows) for model, rows in by_model.items()}


def _annotated(path: Path, model: str, rows: list[Any]) -> Annotated:
    rows.sort()
    indices = tuple(row[0] for row in rows)
    if len(set(indices)) < len(indices):
        raise BadInput([Problem(str(path), f"{model} has two verdicts on one prompt", "keep one of them")])
    preferences, baseline, lengths = (np.array(column) for column in list(zip(*rows, strict=True))[1:])
    preferences = np.where(preferences == 0, DRAW, preferences)
    if not ((preferences >= 1) & (preferences <= 2)).all():  # nan is outside too
        raise BadInput([Problem(str(path), f"{model} has a preference outside 1 to 2", "see AlpacaEval")])
    return Annotated(model, indices, preferences - 1, baseline, lengths)


def discrete(verdicts: Array) -> Array:
    """Verdicts with nothing between win, tie and loss."""
    out: Array = np.where(verdicts == 0.5, 0.5, (verdicts > 0.5).astype(float))
    return out
