"""How much a completion repeats itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores


@dataclass(frozen=True)
class Repetition:
    """Share of words that occurred before in the same completion."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("repetition", "share", "lower"),)
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,))

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """The mean over each prompt's samples; an empty completion repeats nothing."""
        values = []
        for completions in evidence.samples[AT_TASK.name]:
            words = [c.text.split() for c in completions]
            values.append(fmean(1 - len(set(w)) / len(w) if w else 0.0 for w in words))
        return {"repetition": Scores(tuple(values))}


PLUGIN = Repetition
