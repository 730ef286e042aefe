"""How varied the answers to one prompt are: dist-n, as Quark and ALT compute it.

Different n-grams of all answers to a prompt, over the number of their words, then the mean over prompts:
within a prompt, not over the corpus; over words, not over n-grams, so that dist_2 of one answer of w
different words is (w - 1)/w. Words are what white space separates. It falls as more samples are drawn, so
values are comparable at one number of samples only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores

ORDERS = (1, 2, 3)


@dataclass(frozen=True)
class Diversity:
    """Distinct 1-, 2- and 3-grams per word within the answers to one prompt, at the task's decoding."""

    metrics: ClassVar[tuple[Metric, ...]] = tuple(Metric(f"dist_{n}", "share", "higher") for n in ORDERS)
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,))

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """One value a prompt; none for a prompt whose answers are all empty."""
        drawn = [[c.text for c in row] for row in evidence.samples[AT_TASK.name]]
        empty = sum(not any(text.split() for text in row) for row in drawn)
        if empty == len(drawn):
            return {metric.name: Scores(missing="every answer is empty") for metric in self.metrics}
        note = f"within {max(map(len, drawn))} samples a prompt (published: 25)"
        note += f"; {empty} prompts with empty answers only left out" if empty else ""
        return {f"dist_{n}": Scores(tuple(distinct(row, n) for row in drawn), note=note) for n in ORDERS}


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams of the texts, none across two of them, over the number of words; nan for none."""
    words = [text.split() for text in texts]
    found = {tuple(row[at : at + n]) for row in words for at in range(len(row) - n + 1)}
    total = sum(map(len, words))
    return len(found) / total if total else math.nan


PLUGIN = Diversity
