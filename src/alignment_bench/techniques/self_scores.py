"""Scores that a policy gives answers itself, and how often they agree with comparisons bought of others.

Nothing is guessed: an answer whose critique cannot be read has no score, and counts as half agreement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from alignment_bench.completions import Completion, Decoding
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques import critiques
from alignment_bench.techniques.critiques import Part, to_criticise

if TYPE_CHECKING:
    from alignment_bench.lab import Lab

Pair = tuple[Prompt, Completion, Completion]
"""a prompt, the completion preferred, and the other"""
Judging = Callable[[Sequence[Prompt], Sequence[Completion]], Sequence[float | None]]
"""a number for each answer, None where there is none"""


def written(
    policy: LogitPolicy,
    prompts: Sequence[Prompt],
    answers: Sequence[Completion],
    lab: Lab,
    decoding: Decoding,
    stream: str,
    n: int = 1,
) -> list[list[str]]:
    """`n` critiques that the policy writes of each answer."""
    asked = [to_criticise(p, a) for p, a in zip(prompts, answers, strict=True)]
    rows = lab.sample(policy, asked, n=n, decoding=decoding, stream=stream)
    return [[c.text for c in row] for row in rows]


def mean_scores(texts: Sequence[Sequence[str]], parts: Sequence[Part]) -> list[float | None]:
    """The mean score in the readable critiques of each answer, None where none can be read."""
    found: list[float | None] = []
    for row in texts:
        read = [critiques.read(text, parts) for text in row]
        scores = [c.score for c in read if c is not None and c.score is not None]
        found.append(fmean(scores) if scores else None)
    return found


def readable(texts: Sequence[Sequence[str]], parts: Sequence[Part]) -> float:
    """The share of critiques that can be read."""
    return fmean(critiques.read(text, parts) is not None for row in texts for text in row)


def likelihoods(
    policy: LogitPolicy, prompts: Sequence[Prompt], answers: Sequence[Completion], lab: Lab
) -> list[float]:
    """The policy's mean log-probability a token of each answer: what it prefers without saying so."""
    return [fmean(row) for row in lab.logprobs(policy, prompts, answers)]


def affordable_audit(wanted: int, lab: Lab) -> int:
    """Comparisons to buy for an audit: `wanted`, within a tenth of the budget."""
    return min(wanted, lab.feedback.affordable("prefer") // 10)


def buy_audit(policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> list[Pair]:
    """One bought comparison of two of the policy's own samples for each prompt; ties are dropped.

    The prompts must be kept out of training. Fewer pairs come back where samples are all alike.
    """
    rows = lab.sample(policy, prompts, n=4, stream="self scores audit") if prompts else []
    distinct = [list({c.text: c for c in row}.values()) for row in rows]
    shown = [(p, row[0], row[1]) for p, row in zip(prompts, distinct, strict=True) if len(row) > 1]
    if not shown:
        return []
    records = lab.feedback.prefer(
        [p for p, _, _ in shown], [a for _, a, _ in shown], [b for _, _, b in shown]
    )
    found = []
    for (prompt, first, second), record in zip(shown, records, strict=True):
        if record.preference == "first":
            found.append((prompt, first, second))
        elif record.preference == "second":
            found.append((prompt, second, first))
    return found


def agreement(pairs: Sequence[Pair], judge: Judging) -> float | None:
    """Share of pairs whose preferred answer the judge scores higher, one half where it cannot tell.

    None without pairs.
    """
    if not pairs:
        return None
    prompts = [p for p, _, _ in pairs]
    values = list(judge([*prompts, *prompts], [*(a for _, a, _ in pairs), *(b for _, _, b in pairs)]))
    return fmean(
        0.5 if better is None or other is None or better == other else float(better > other)
        for better, other in zip(values[: len(pairs)], values[len(pairs) :], strict=True)
    )
