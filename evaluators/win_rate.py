"""How often the judge prefers the answers: to the written reference, and to the unaligned base's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.per_prompt import Answered, average, flatten, without_references


@dataclass(frozen=True)
class WinRate:
    """Share of comparisons won, ties half, at the task's decoding.

    Sample i meets the base's sample i, and reference i modulo their number. The base meets its own samples,
    so its win rate against itself is .5 exactly.
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
        rows = flatten(evidence.prompts, evidence.keys, evidence.samples[AT_TASK.name])
        reason = without_references(evidence.keys)
        if not judge.against_reference:
            reason = (
                f"judge {judge.name} goes by nearness to the reference, so the reference would always win"
            )
        against_reference = (
            Scores(missing=reason)
            if reason
            else _compare(
                evidence, rows, lambda _, row: row.key.references[row.index % len(row.key.references)]
            )
        )
        base = evidence.base_samples[AT_TASK.name]
        return {
            "win_rate_vs_reference": against_reference,
            "win_rate_vs_base": _compare(evidence, rows, lambda place, row: base[place][row.index].text),
        }


def _compare(
    evidence: Evidence, rows: Sequence[Answered], opponent: Callable[[int, Answered], str]
) -> Scores:
    places = {prompt.id: place for place, prompt in enumerate(evidence.prompts)}
    verdicts = evidence.judge.compare(
        [row.prompt for row in rows],
        [row.key for row in rows],
        [row.completion.text for row in rows],
        [opponent(places[row.prompt.id], row) for row in rows],
    )
    unparsed = sum(not verdict.parsed for verdict in verdicts)
    return Scores(
        average([verdict.value if verdict.parsed else 0.5 for verdict in verdicts], rows),
        note=f"{unparsed} of {len(verdicts)} verdicts could not be parsed; each counts half"
        if unparsed
        else "",
    )


PLUGIN = WinRate
