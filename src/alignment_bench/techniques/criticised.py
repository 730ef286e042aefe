"""First answers with feedback on them, for methods that refine: bought, recorded, or a control's.

How many a budget pays for, what each `feedback` shows, and that shuffled words are never an answer's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable, OverBudget
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques.first_answers import Said
from alignment_bench.techniques.refinements import shuffled

if TYPE_CHECKING:
    from alignment_bench.lab import Lab

Feedback = Literal["right", "none", "shuffled", "own", "hidden"]
BOUGHT: tuple[Feedback, ...] = ("right", "shuffled", "hidden")
"""feedback that is bought"""
Row = tuple[Prompt, Completion, str]
"""a prompt, the first answer to it, and the feedback on that ("" for none)"""


def batches(prompts: Sequence[Prompt], rounds: int, paid: int, audits: int, lab: Lab) -> list[list[Prompt]]:
    """The prompts of up to `rounds` rounds, `paid` in all less what `audits` cost. OverBudget for none."""
    if audits:
        # as many critiques fewer as two scores an audited answer cost, whatever the prices
        paid -= math.ceil(2 * audits * (paid + 1) / lab.feedback.affordable("score"))
    count = min(paid, len(prompts))
    if count < paid:
        lab.note(f"{count} of {paid} affordable critiques: one a training prompt")
    rounds = min(rounds, count)
    if rounds < 1:
        raise OverBudget("the budget does not pay for a single critique: raise budget=")
    order = [prompts[int(i)] for i in lab.random("prompts").permutation(len(prompts))]
    size = count // rounds
    return [order[k * size : (k + 1) * size] for k in range(rounds)]


def affordable(lab: Lab, critiques: bool, tests: int, most: int) -> int:
    """Answers for each of which what remains pays a critique, if `critiques`, and so many scores; `most`
    where neither is bought."""
    if not tests:
        return lab.feedback.affordable("critique") if critiques else most
    prices = [tests / max(lab.feedback.affordable("score"), 1)]
    if critiques:
        prices.append(1 / max(lab.feedback.affordable("critique"), 1))
    return int(1 / sum(prices) + 1e-9)


def critiqued(
    feedback: Feedback,
    number: int,
    base: LogitPolicy,
    prompts: Sequence[Prompt],
    answers: Sequence[Completion],
    lab: Lab,
) -> list[Row]:
    """Prompt, answer and feedback ("" for feedback=none) where usable words came."""
    if feedback == "none":
        return [(prompt, answer, "") for prompt, answer in zip(prompts, answers, strict=True)]
    if feedback == "own":
        asked = [p.using("critique", completion=a.text) for p, a in zip(prompts, answers, strict=True)]
        texts = [row[0].text for row in lab.sample(base, asked, stream=f"ilf own critique {number}")]
    else:
        records = lab.feedback.critique(prompts, answers)
        texts = [(r.text or "") if r.ok else "" for r in records]
    rows = [(p, a, t) for p, a, t in zip(prompts, answers, texts, strict=True) if t.strip()]
    if len(rows) < len(texts):
        lab.note(f"{len(texts) - len(rows)} of {len(texts)} critiques were unusable")
    if not rows:
        raise NotApplicable("there was no usable critique")
    return mixed(feedback, number, rows, lab)


def replayed(
    feedback: Feedback, base: LogitPolicy, prompts: Sequence[Prompt], said: Sequence[Said], lab: Lab
) -> list[Row]:
    """Recorded answers to these prompts with the recorded feedback on them."""
    chosen = {prompt.id for prompt in prompts}
    rows = [(one.prompt, base.encode(one.answer), one.critique) for one in said if one.prompt.id in chosen]
    lab.note(f"{len(rows)} recorded critiques, of recorded answers")
    return mixed(feedback, 0, rows, lab)


def mixed(feedback: Feedback, number: int, rows: list[Row], lab: Lab) -> list[Row]:
    """The rows; with feedback=shuffled each with another one's feedback."""
    if feedback != "shuffled":
        return rows
    if len(rows) < 2:
        raise NotApplicable("a round of one critique cannot be shuffled: fewer rounds, or a larger budget")
    order = lab.random("ilf shuffle", number).permutation(len(rows)).tolist()
    moved = shuffled([critique for _, _, critique in rows], order)
    return [(p, a, critique) for (p, a, _), critique in zip(rows, moved, strict=True)]
