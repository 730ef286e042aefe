"""A cell's answers against the unaligned base's, or against references: who meets whom, and the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from alignment_bench.evaluation import AT_TASK, VIEW, Evidence, Scores
from alignment_bench.feedback import Judge, Seated, Verdict
from alignment_bench.per_prompt import Answered, average, flatten


@dataclass(frozen=True)
class Outcome:
    """Mean verdict and mean surplus of characters of each prompt's answers; `note` counts the unparsable."""

    verdicts: tuple[float, ...]
    longer: tuple[float, ...]
    note: str
    views: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """mean verdicts of a judge of several members, had its votes been counted in another way"""

    def by_view(self, metric: str) -> dict[str, Scores]:
        """What an evaluator returns besides: the metric as each view would have it."""
        return {f"{metric}{VIEW}{name}": Scores(values) for name, values in self.views.items()}


def answers(evidence: Evidence) -> list[Answered]:
    """The cell's answers at the task's decoding, prompt by prompt."""
    return flatten(evidence.prompts, evidence.keys, evidence.samples[AT_TASK.name])


def base_opponents(evidence: Evidence, rows: Sequence[Answered]) -> list[list[str]]:
    """For each answer the base's answers that were drawn with other random numbers.

    Sample i shares its numbers with the base's sample i, which would pull the rate towards .5. The base
    meets itself likewise: .5 exactly, because every pair occurs in both roles.
    """
    base = {
        prompt.id: [completion.text for completion in drawn]
        for prompt, drawn in zip(evidence.prompts, evidence.base_samples[AT_TASK.name], strict=True)
    }
    return [others_than(base[row.prompt.id], row.index) for row in rows]


def others_than(base: Sequence[str], index: int) -> list[str]:
    """The base's answers drawn with other random numbers than sample `index`; itself where there is one."""
    return [text for i, text in enumerate(base) if i != index] or list(base)


def meet(judge: Judge, rows: Sequence[Answered], opponents: Sequence[Sequence[str]]) -> Outcome:
    """Each answer's mean over its opponents, averaged over the answers to a prompt; unparsed counts half."""
    pairs = [(row, other) for row, others in zip(rows, opponents, strict=True) for other in others]
    asked = (
        [row.prompt for row, _ in pairs],
        [row.key for row, _ in pairs],
        [row.completion.text for row, _ in pairs],
        [other for _, other in pairs],
    )
    views: Mapping[str, Sequence[Verdict]] = {}
    if isinstance(judge, Seated):
        verdicts, views = judge.compare_seated(*asked)
    else:
        verdicts = judge.compare(*asked)

    def by_prompt(given: Sequence[Verdict]) -> tuple[float, ...]:
        values = iter(verdict.value if verdict.parsed else 0.5 for verdict in given)
        return average([fmean(next(values) for _ in others) for others in opponents], rows)

    longer = [
        len(row.completion.text) - fmean(map(len, others))
        for row, others in zip(rows, opponents, strict=True)
    ]
    unparsed = sum(not verdict.parsed for verdict in verdicts)
    note = f"{unparsed} of {len(verdicts)} verdicts could not be parsed; each counts half" if unparsed else ""
    seen = {name: by_prompt(given) for name, given in views.items()}
    return Outcome(by_prompt(verdicts), average(longer, rows), note, seen)
