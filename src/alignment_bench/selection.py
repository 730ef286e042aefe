"""Picking one of several refinements, as ILF does and as its rivals could: by InstructRM, reward, likelihood.

InstructRM (Scheurer et al. 2023, arXiv 2303.16755): several yes/no questions about a refinement and the
feedback; p(positive) / (p(positive) + p(negative)) over the two answer tokens, averaged over questions as
probabilities; the argmax is taken.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import RewardModel

if TYPE_CHECKING:
    from alignment_bench.lab import Lab

Selection = Literal["instruct_rm", "reward_model", "likelihood", "random"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Refinements of one answer: the plain prompt, what the refiner was shown, and the options."""

    prompt: Prompt
    shown: Prompt
    answer: str
    critique: str
    options: Sequence[Completion]


def select(
    selection: Selection,
    policy: LogitPolicy,
    candidates: Sequence[Candidates],
    reward: RewardModel | None,
    lab: Lab,
    stream: str,
) -> list[Completion]:
    """The option with the highest score of each candidate set; ties go to the earliest sampled."""
    flat = [(c, option) for c in candidates for option in c.options]
    if selection == "random":
        values = lab.random(stream).random(len(flat)).tolist()
    elif selection == "likelihood":
        logprobs = lab.logprobs(policy, [c.shown for c, _ in flat], [option for _, option in flat])
        values = [statistics.fmean(tokens) if tokens else float("-inf") for tokens in logprobs]
    elif selection == "reward_model":
        if reward is None:
            raise NotApplicable("selection=reward_model needs a reward model")
        values = lab.rewards(reward, [c.prompt for c, _ in flat], [option for _, option in flat])
    else:
        values = instruct_rm(policy, flat, lab)
    scores = iter(values)
    chosen = []
    for c in candidates:
        own = [next(scores) for _ in c.options]
        chosen.append(c.options[max(range(len(own)), key=lambda i: (own[i], -i))])
    return chosen


def instruct_rm(policy: LogitPolicy, flat: Sequence[tuple[Candidates, Completion]], lab: Lab) -> list[float]:
    """Mean over the policy's `accept_*` layouts of the normalised probability of the positive answer."""
    layouts = sorted(name for name in policy.formatter.layouts if name.startswith("accept"))
    if not layouts:
        raise NotApplicable(
            "this model has no accept_* layouts to be asked yes or no in: choose another selection"
        )
    sums = [0.0] * len(flat)
    for name in layouts:
        answers = policy.formatter.layouts[name].answers
        if answers is None:
            raise NotApplicable(f"layout {name!r} declares no answers")
        asked = [
            c.prompt.using(name, completion=option.text, critique=c.critique, answer=c.answer)
            for c, option in flat
        ]
        for i, (yes, no) in enumerate(lab.answer_probabilities(policy, asked, answers)):
            sums[i] += yes / (yes + no) if yes + no > 0 else 0.5
    return [value / len(layouts) for value in sums]
