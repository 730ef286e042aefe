"""The answers that get criticised: those that failed every try, or those that people criticised before.

ILF for code (Chen et al. 2023, arXiv 2303.16749) criticises programs of tasks that none of 30 samples
solved. A test is bought as a score, so tries are tested one after the other and a prompt is done with once
one passes: the same prompts are left, for fewer acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alignment_bench.completions import Completion
from alignment_bench.errors import OverBudget
from alignment_bench.feedback import FeedbackRecord
from alignment_bench.policy import Policy
from alignment_bench.prompts import Prompt

if TYPE_CHECKING:
    from alignment_bench.lab import Lab

FULL_MARKS = 7.0
"""the score of an answer that leaves nothing to wish for, on the seven-point scale of teachers"""
LEARNERS = "refine"
"""the part of a data set, in its prompts' metadata, whose refinements teach the refiner and nothing else"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said of an answer once, and what they made of it ("" where that is not known)."""

    prompt: Prompt
    answer: str
    critique: str
    refinement: str = ""


def full(record: FeedbackRecord) -> bool:
    """Whether a score is the best there is."""
    return record.value is not None and record.value >= FULL_MARKS


def failing(
    policy: Policy, prompts: Sequence[Prompt], tries: int, stream: str, lab: Lab
) -> tuple[list[Prompt], list[Completion]]:
    """The prompts of whose `tries` answers none gets full marks, and the first answer to each."""
    rows = lab.sample(policy, prompts, n=tries, stream=stream)
    left = list(range(len(prompts)))
    for number in range(tries):
        if not left:
            break
        records = lab.feedback.score([prompts[i] for i in left], [rows[i][number] for i in left])
        left = [i for i, record in zip(left, records, strict=True) if not full(record)]
    lab.note(f"{len(left)} of {len(prompts)} prompts have no passing answer among {tries}")
    return [prompts[i] for i in left], [rows[i][0] for i in left]


def said(prompts: Sequence[Prompt], refined: bool, replayed: bool, lab: Lab) -> list[Said]:
    """Recorded critiques of answers, bought where they are of use: if `refined` with the refinements of the
    same answers, on the prompts that teach a refiner; if `replayed` on all prompts that a policy learns from.
    """
    asked = {prompt.id: prompt for prompt in prompts}
    teaching = [prompt for prompt in prompts if refined and part_of(prompt) == LEARNERS]
    others = [prompt for prompt in prompts if not (refined and part_of(prompt) == LEARNERS)]
    records = lab.feedback.recorded("critique", "refine", prompts=teaching) if teaching else []
    records += lab.feedback.recorded("critique", prompts=others) if replayed else []
    made = {(r.prompt_id, r.completions): r.text or "" for r in records if r.channel == "refine"}
    found = [
        Said(asked[r.prompt_id], r.completions[0], r.text, made.get((r.prompt_id, r.completions), ""))
        for r in records
        if r.channel == "critique" and r.text and r.text.strip()
    ]
    if not found and (teaching or replayed):
        raise OverBudget("the budget does not pay for a single recorded critique, or the data has none")
    return found


def left_to_learn(prompts: Sequence[Prompt], refined: bool, spoken: Sequence[Said] | None) -> list[Prompt]:
    """The prompts that a policy may learn from: none of the refiner's where there is one of its own
    (`refined`), and only those with recorded words where these are used."""
    known = None if spoken is None else {one.prompt.id for one in spoken}
    return [
        prompt
        for prompt in prompts
        if not (refined and part_of(prompt) == LEARNERS) and (known is None or prompt.id in known)
    ]


def part_of(prompt: Prompt) -> str:
    """The part of its data set that a prompt is of; "" where it says none."""
    return dict(prompt.metadata).get("part", "")
