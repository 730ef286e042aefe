"""A pool of judged samples: quantiles of their scores, how many of each level are kept, what is learnt.

As in ALT (Abadal Lloret et al. 2024, arXiv 2407.16970) and its parent Quark (Lu et al. 2022, arXiv
2205.13636): samples are sorted into levels, and each becomes a lesson that shows its level in words before
the answer. Level 1 is the worst. Plain prompts are kept in the pool; a condition comes in only where a lesson
is made.
"""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable
from alignment_bench.lessons import Lesson
from alignment_bench.prompts import Prompt

Scope = Literal["prompt", "global"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion of a plain prompt and what is thought of it."""

    prompt: Prompt
    completion: Completion
    round: int = 0
    """when it was drawn"""
    score: float = math.nan
    """what quantiles go by"""
    level: int = 0
    """1 is the worst; 0: none yet"""
    condition: str = ""
    """the level in words, as the policy will read it"""


def quantile_levels(scores: Sequence[float], levels: int) -> list[int]:
    """The level of each score: equal quantiles, the remainder to the worst; of ties the earlier is better."""
    best_first = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    size = len(scores) // levels
    found = [1] * len(scores)
    for place, i in enumerate(best_first):
        if size and place // size < levels:
            found[i] = levels - place // size
    return found


def ranked(samples: Sequence[Sample], phrases: Sequence[str], scope: Scope) -> list[Sample]:
    """The samples with level and condition by quantile, within each prompt or over all of them.

    `phrases` are the levels in words, the worst first. A prompt with fewer samples than levels is left out,
    because some level would stay empty; raises NotApplicable where nothing remains.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for i, one in enumerate(samples):
        groups[one.prompt.id if scope == "prompt" else ""].append(i)
    found: dict[int, Sample] = {}
    for places in groups.values():
        if len(places) < len(phrases):
            continue
        levels = quantile_levels([samples[i].score for i in places], len(phrases))
        for i, level in zip(places, levels, strict=True):
            found[i] = replace(samples[i], level=level, condition=phrases[level - 1])
    if not found:
        what = "answers to each prompt" if scope == "prompt" else "answers"
        raise NotApplicable(f"{len(phrases)} quantiles need {len(phrases)} {what}: raise samples=")
    return [found[i] for i in sorted(found)]


def kept(samples: Sequence[Sample], levels: int, per_level: int) -> tuple[list[Sample], int]:
    """`per_level` samples of each level for every prompt (0: all), and how many a level could not give.

    Within a level those that ended come first, then the latest round, then the order in which they were
    drawn. What a level lacks is made up from the same prompt's unused samples, each time from the level of
    which fewest are taken, the better one where two are equal.
    """
    if not per_level:
        return list(samples), 0
    groups: dict[str, list[int]] = defaultdict(list)
    for i, one in enumerate(samples):
        groups[one.prompt.id].append(i)
    chosen: list[int] = []
    lacking = 0
    for places in groups.values():
        places.sort(key=lambda i: (samples[i].completion.end == "length", -samples[i].round, i))
        queues = {k: [i for i in places if samples[i].level == k] for k in range(1, levels + 1)}
        taken = {k: queue[:per_level] for k, queue in queues.items()}
        missing = sum(per_level - len(one) for one in taken.values())
        lacking += missing
        for _ in range(missing):
            unused = [k for k in taken if len(taken[k]) < len(queues[k])]
            if not unused:
                break
            k = min(unused, key=lambda k: (len(taken[k]), -k))
            taken[k].append(queues[k][len(taken[k])])
        chosen += [i for one in taken.values() for i in one]
    return [samples[i] for i in sorted(chosen)], lacking


def mislabelled(samples: Sequence[Sample], share: float, rng: np.random.Generator) -> list[Sample]:
    """The samples, a random `share` of which exchange level and condition along one cycle."""
    chosen = [int(i) for i in rng.permutation(len(samples))[: round(share * len(samples))]]
    found = list(samples)
    for here, there in zip(chosen, [*chosen[1:], *chosen[:1]], strict=True):
        found[here] = replace(samples[here], level=samples[there].level, condition=samples[there].condition)
    return found


def ended(completion: Completion, eos: int, max_tokens: int) -> Completion:
    """The completion with an end-of-sequence id, unless it was cut off in the middle of a sentence.

    That is where it is `max_tokens` long and ends in no punctuation mark: everything else is taught to stop.
    """
    if completion.end == "eos":
        return completion
    text = completion.text.rstrip()
    closed = bool(text) and unicodedata.category(text[-1]).startswith("P")
    if len(completion.tokens) >= max_tokens and not closed:
        return completion
    return replace(completion, tokens=(*completion.tokens, eos), end="eos", logprobs=None)


def conditioned(prompt: Prompt, layout: str, condition: str) -> Prompt:
    """The prompt with a condition, in the very words in which a conditioned policy will read it."""
    return prompt.using(layout, condition=condition)


def lessons(
    samples: Sequence[Sample], layout: str, reference: Literal["plain", "conditioned"]
) -> list[Lesson]:
    """Each sample as what is to be learnt under its condition; `reference` says what a reference reads."""
    return [
        Lesson(
            conditioned(one.prompt, layout, one.condition),
            one.completion,
            reference_prompt=one.prompt if reference == "plain" else None,
        )
        for one in samples
    ]


def turns(prompts: Sequence[Prompt], order: Sequence[int], number: int, size: int) -> list[Prompt]:
    """The `number`-th batch of `size` prompts along `order`, from its beginning again after its end."""
    first = number * size
    return [prompts[order[(first + k) % len(order)]] for k in range(min(size, len(order)))]


def shares(samples: Sequence[Sample], levels: int) -> list[float]:
    """Share of the samples at each level, the worst first; zeros where there are none."""
    return [sum(one.level == k for one in samples) / max(1, len(samples)) for k in range(1, levels + 1)]
