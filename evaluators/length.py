"""Length, to be read beside every quality number, and whether answers end by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.per_prompt import measure


@dataclass(frozen=True)
class Length:
    """Words of an answer, and the share of answers that ended by themselves and were not cut off."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("length", "words", "neither"),
        Metric("finished", "share", "higher"),
    )
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,))

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Means over each prompt's samples."""
        shown = evidence.prompts, evidence.keys, evidence.samples[AT_TASK.name]
        return {
            "length": measure(*shown, lambda row: len(row.completion.text.split())),
            "finished": measure(*shown, lambda row: float(row.completion.end != "length")),
        }


PLUGIN = Length
