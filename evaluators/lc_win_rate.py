"""How often the judge would prefer the answers to the base's if both were equally long.

One cell cannot tell: what longer texts gain and which prompts are hard is fitted jointly over all methods of
a table (`alignment_bench.judging.length_control`). A cell stores what that fit needs, verdict and surplus
of characters for each prompt; the rate itself appears where the table is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.judging.length_control import FITTED_LATER, HOW, LONGER, METRIC, VERDICT
from alignment_bench.judging.matches import answers, base_opponents, meet


@dataclass(frozen=True)
class LengthControlledWinRate:
    """Win rate against the base with the length difference held at zero, fitted over a table's methods."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(METRIC, "share", "higher"),
        Metric(VERDICT, "share", "higher"),
        Metric(LONGER, "characters", "neither"),
    )
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,), base_samples=True)

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean verdict against the base and mean surplus of characters, of each prompt's samples."""
        judge = evidence.judge
        if reason := judge.unfit(evidence.keys):
            return {metric.name: Scores(missing=f"judge {judge.name}: {reason}") for metric in self.metrics}
        rows = answers(evidence)
        outcome = meet(judge, rows, base_opponents(evidence, rows))
        return {
            METRIC: Scores(missing=FITTED_LATER, note="; ".join(filter(None, (HOW, outcome.note)))),
            VERDICT: Scores(outcome.verdicts),
            LONGER: Scores(outcome.longer),
            **outcome.by_view(VERDICT),
        }


PLUGIN = LengthControlledWinRate
