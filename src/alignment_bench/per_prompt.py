"""What every evaluator does around its own measure: one value a sample in, one mean a prompt out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alignment_bench.completions import Completion
from alignment_bench.evaluation import Evidence, SampleSpec, Scores
from alignment_bench.feedback import Marking
from alignment_bench.prompts import Key, Prompt


@dataclass(frozen=True, slots=True)
class Answered:
    """One sample of one prompt: `index` is its number among that prompt's samples."""

    prompt: Prompt
    key: Key
    completion: Completion
    index: int


def flatten(
    prompts: Sequence[Prompt], keys: Sequence[Key], samples: Sequence[Sequence[Completion]]
) -> list[Answered]:
    """All samples, prompt by prompt. Raises ValueError where a prompt has none or the lengths differ."""
    rows = []
    for prompt, key, drawn in zip(prompts, keys, samples, strict=True):
        if not drawn:
            raise ValueError(f"prompt {prompt.id!r} has no samples")
        rows += [Answered(prompt, key, completion, index) for index, completion in enumerate(drawn)]
    return rows


def average(values: Sequence[float], rows: Sequence[Answered]) -> tuple[float, ...]:
    """Means over each prompt's samples, in the prompts' order."""
    sums: list[float] = []
    counts: list[int] = []
    for value, row in zip(values, rows, strict=True):
        if row.index == 0:
            sums.append(0.0)
            counts.append(0)
        sums[-1] += value
        counts[-1] += 1
    return tuple(total / count for total, count in zip(sums, counts, strict=True))


def measure(
    prompts: Sequence[Prompt],
    keys: Sequence[Key],
    samples: Sequence[Sequence[Completion]],
    value: Callable[[Answered], float],
) -> Scores:
    """`value` of every sample, averaged for each prompt."""
    rows = flatten(prompts, keys, samples)
    return Scores(average([value(row) for row in rows], rows))


def without_references(keys: Sequence[Key]) -> str:
    """Why a measure against references cannot be made, or nothing where every example has one."""
    lacking = sum(not key.references for key in keys)
    return f"{lacking} of {len(keys)} examples have no reference" if lacking else ""


def lacks(spec: SampleSpec) -> str:
    """Why a measure cannot be made where no samples were drawn in that way."""
    return f"there are no samples of specification {spec.name!r}"


def marked(evidence: Evidence, mark: str, spec: SampleSpec) -> tuple[list[list[bool]], str]:
    """For each prompt, which of its samples the judge gives this mark; or nothing, and why it cannot."""
    judge = evidence.judge
    if reason := judge.unfit(evidence.keys):
        return [], f"judge {judge.name}: {reason}"
    if not isinstance(judge, Marking):
        return [], f"judge {judge.name} compares, it does not say which answers are {mark!r}"
    rows = flatten(evidence.prompts, evidence.keys, evidence.samples[spec.name])
    marks = judge.marks(
        [row.prompt for row in rows], [row.key for row in rows], [row.completion.text for row in rows]
    )
    if mark not in marks:
        known = ", ".join(marks) or "nothing"
        return [], f"judge {judge.name} does not know which answers are {mark!r} here, only: {known}"
    values: list[list[bool]] = []
    for row, value in zip(rows, marks[mark], strict=True):
        if row.index == 0:
            values.append([])
        values[-1].append(value)
    return values, ""
