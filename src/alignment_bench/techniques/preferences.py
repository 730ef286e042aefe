"""Comparisons for a reward model or a preference method: whom to compare, and what came of it.

A teacher that answers compares the policy's own samples; one that only replays gives comparisons of recorded
answers, in the data's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable, OverBudget
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt

if TYPE_CHECKING:
    from alignment_bench.lab import Lab


def collect_pairs(
    policy: Policy, prompts: Sequence[Prompt], lab: Lab, share: float = 1.0
) -> tuple[list[tuple[Prompt, Completion, Completion]], int]:
    """Compares pairs of the policy's own samples with `share` of what the budget still pays for; or, where
    the teacher only replays, takes as many recorded comparisons.

    Prompts come in a fixed random order and are used again, with fresh samples, once all have had their
    turn; pairs of identical texts are not sent to the teacher. Returns (prompt, preferred, other) triples
    and the number of ties, which are paid and dropped.
    """
    wanted = int(lab.feedback.affordable("prefer") * share)
    if wanted < 1:
        raise OverBudget("the budget does not pay for a single comparison: raise budget=")
    if "prefer" not in lab.feedback.channels:
        return recorded_pairs(policy, prompts, lab, wanted)
    order = [prompts[int(i)] for i in lab.random("comparisons").permutation(len(prompts))]
    turns = -(-wanted // len(order))
    used = order if turns > 1 else order[: min(len(order), wanted + wanted // 4 + 8)]
    samples = lab.sample(policy, used, n=2 * turns + 2, stream="comparisons")
    distinct = [list({c.text: c for c in drawn}.values()) for drawn in samples]
    candidates = [
        (prompt, texts[2 * turn], texts[2 * turn + 1])
        for turn in range(turns)
        for prompt, texts in zip(used, distinct, strict=True)
        if len(texts) > 2 * turn + 1
    ][:wanted]
    records = lab.feedback.prefer(
        [prompt for prompt, _, _ in candidates],
        [first for _, first, _ in candidates],
        [second for _, _, second in candidates],
    )
    if len(candidates) < wanted:
        lab.note(
            f"{len(candidates)} of {wanted} affordable comparisons: too few samples with different texts"
        )
    if unusable := sum(record.preference is None for record in records):
        lab.note(f"{unusable} of {len(records)} comparisons got no usable answer")
    pairs = []
    for record, (prompt, first, second) in zip(records, candidates, strict=True):
        if record.preference == "first":
            pairs.append((prompt, first, second))
        elif record.preference == "second":
            pairs.append((prompt, second, first))
    if not pairs:
        raise NotApplicable(f"none of {len(records)} comparisons preferred one answer to the other")
    return pairs, sum(record.preference == "tie" for record in records)


def recorded_pairs(
    policy: Policy, prompts: Sequence[Prompt], lab: Lab, most: int
) -> tuple[list[tuple[Prompt, Completion, Completion]], int]:
    """Up to `most` comparisons that were collected before, their answers as this policy would write them.

    A wrapper without weights of its own takes the base's tokens. Returns what `collect_pairs` does.
    """
    writer = policy if isinstance(policy, LogitPolicy) else lab.base
    asked = {prompt.id: prompt for prompt in prompts}
    records = lab.feedback.recorded("prefer", most=most)
    pairs = []
    for record in records:
        first, second = (writer.encode(text) for text in record.completions)
        if record.preference == "first":
            pairs.append((asked[record.prompt_id], first, second))
        elif record.preference == "second":
            pairs.append((asked[record.prompt_id], second, first))
    if not pairs:
        raise NotApplicable(f"none of {len(records)} recorded comparisons preferred one answer to the other")
    lab.note(f"{len(records)} recorded comparisons, of answers that are not the policy's own")
    return pairs, sum(record.preference == "tie" for record in records)
