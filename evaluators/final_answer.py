"""How often an answer ends in the right number, at the task's decoding and greedy.

The number is the first one after the last "####", where an answer has that mark, else the last number in it;
commas, currency and a final full stop do not count, and 18 and 18.0 are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, GREEDY, Evidence, Metric, Needs, SampleSpec, Scores
from alignment_bench.per_prompt import lacks, measure

NUMBER = re.compile(r"(?<![\w.])-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
FACT = "answer"
"""where a Key keeps the right number, as text"""


@dataclass(frozen=True)
class FinalAnswer:
    """Share of answers that end in the right number; n/a where the task's answers are no numbers."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("final_answer", "share", "higher"),
        Metric("final_answer_greedy", "share", "higher"),
    )
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK, GREEDY))

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Share of each prompt's samples."""
        return {
            "final_answer": _share(evidence, AT_TASK),
            "final_answer_greedy": _share(evidence, GREEDY),
        }


def _share(evidence: Evidence, spec: SampleSpec) -> Scores:
    if spec.name not in evidence.samples:
        return Scores(missing=lacks(spec))
    right = [number_of(str(key.facts.get(FACT, ""))) for key in evidence.keys]
    if lacking := sum(number is None for number in right):
        return Scores(missing=f"{lacking} of {len(right)} examples have no number for an answer")
    wanted = dict(zip((key.prompt_id for key in evidence.keys), right, strict=True))
    return measure(
        evidence.prompts,
        evidence.keys,
        evidence.samples[spec.name],
        lambda row: float(number_of(row.completion.text) == wanted[row.key.prompt_id]),
    )


def number_of(text: str) -> Decimal | None:
    """The number that a text ends in, or None where there is none."""
    _, mark, after = text.rpartition("####")
    found = NUMBER.findall(after if mark else text)
    if not found:
        return None
    said = found[0] if mark else found[-1]
    return Decimal(said.replace(",", ""))


PLUGIN = FinalAnswer
