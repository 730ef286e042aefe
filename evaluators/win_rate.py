"""How often the judge prefers the answers: to the written reference, and to the unaligned base's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.errors import NotApplicable
from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.feedback import Judge
from alignment_bench.judging.matches import answers, base_opponents, meet
from alignment_bench.per_prompt import Answered, without_references


@dataclass(frozen=True)
class WinRate:
    """Share of comparisons won, ties half, at the task's decoding.

    Each sample meets the base's samples that were drawn with other random numbers, and reference i modulo
    their number.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("win_rate_vs_reference", "share", "higher"),
        Metric("win_rate_vs_base", "share", "higher"),
    )
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,), base_samples=True)

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean over each prompt's samples of 1 for a win, .5 for a tie, 0 for a loss."""
        judge = evidence.judge
        if reason := judge.unfit(evidence.keys):
            return {metric.name: Scores(missing=f"judge {judge.name}: {reason}") for metric in self.metrics}
        rows = answers(evidence)
        reason = without_references(evidence.keys)
        if not judge.against_reference:
            reason = (
                f"judge {judge.name} goes by nearness to the reference, so the reference would always win"
            )
        against_base = _against_base(evidence, rows)
        if reason:
            return {"win_rate_vs_reference": Scores(missing=reason), **against_base}
        return {**_scores("win_rate_vs_reference", judge, rows, _references(rows)), **against_base}


def _references(rows: Sequence[Answered]) -> list[list[str]]:
    """One opponent a row: its reference, in turn where there are several."""
    return [[row.key.references[row.index % len(row.key.references)]] for row in rows]


def _against_base(evidence: Evidence, rows: Sequence[Answered]) -> dict[str, Scores]:
    try:
        opponents = base_opponents(evidence, rows)
    except NotApplicable as error:  # a file of answers may hold none of the base's
        return {"win_rate_vs_base": Scores(missing=str(error))}
    return _scores("win_rate_vs_base", evidence.judge, rows, opponents)


def _scores(
    metric: str, judge: Judge, rows: Sequence[Answered], opponents: Sequence[Sequence[str]]
) -> dict[str, Scores]:
    outcome = meet(judge, rows, opponents)
    return {metric: Scores(outcome.verdicts, note=outcome.note), **outcome.by_view(metric)}


PLUGIN = WinRate
