"""A cell's answers against the unaligned base's, or against references: who meets whom, and the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from alignment_bench.evaluation import AT_TASK, Evidence
from alignment_bench.feedback import Judge
from alignment_bench.per_prompt import Answered, average, flatten


@dataclass(frozen=True)
class Outcome:
    """Mean verdict and mean surplus of characters of each prompt's answers; `note` counts the unparsable."""

    verdicts: tuple[float, ...]
    longer: tuple[float, ...]
    note: str


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
    verdicts = judge.compare(
        [row.prompt for row, _ in pairs],
        [row.key for row, _ in pairs],
        [row.completion.text for row, _ in pairs],
        [other for _, other in pairs],
    )
    values = iter(verdict.value if verdict.parsed else 0.5 for verdict in verdicts)
    means = [fmean(next(values) for _ in others) for others in opponents]
    longer = [
        len(row.completion.text) - fmean(map(len, others))
        for row, others in zip(rows, opponents, strict=True)
    ]
    unparsed = sum(not verdict.parsed for verdict in verdicts)
    note = f"{unparsed} of {len(verdicts)} verdicts could not be parsed; each counts half" if unparsed else ""
    return Outcome(average(means, rows), average(longer, rows), note)
