"""Picking one of several refinements, as ILF does and as its rivals could, and what the pick is worth.

InstructRM (Scheurer et al. 2023, arXiv 2303.16755): several yes/no questions about a refinement and the
feedback; p(positive) / (p(positive) + p(negative)) over the two answer tokens, averaged over questions as
probabilities; the argmax is taken. `embedding` is the choice of Scheurer et al. 2022 (arXiv 2204.14146): the
refinement nearest to the feedback. `overlap` is the same idea without a model: the share of the feedback's
content words that the refinement has. `passing` is the choice of ILF for code (Chen et al. 2023, arXiv
2303.16749): one at random of those that pass all tests, as the teacher's full marks tell; an answer without
any is left out (`passed`).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from alignment_bench import embedding
from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import RewardModel
from alignment_bench.techniques.first_answers import full

if TYPE_CHECKING:
    from alignment_bench.lab import Lab

Selection = Literal[
    "instruct_rm", "embedding", "overlap", "reward_model", "likelihood", "longest", "random", "passing"
]
AUDITED = 16
"""answers whose selection is audited by default where InstructRM selects: it may be worse than chance"""
READS_FEEDBACK: tuple[Selection, ...] = ("instruct_rm", "embedding", "overlap")
"""selections that compare a refinement with the feedback, and mean nothing without any"""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Refinements of one answer: the plain prompt, what the refiner was shown, and the options."""

    prompt: Prompt
    shown: Prompt
    answer: str
    critique: str
    options: Sequence[Completion]


def check_selection(selection: Selection, policy: LogitPolicy) -> None:
    """Raises NotApplicable, before anything is bought, where the selection cannot work with this policy."""
    if selection == "embedding" and not embedding.available():
        raise NotApplicable(embedding.MISSING)
    if selection == "instruct_rm":
        question_layouts(policy)


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
    if not flat:
        return []
    scores = iter(score(selection, policy, flat, reward, lab, stream))
    chosen = []
    for c in candidates:
        own = [next(scores) for _ in c.options]
        chosen.append(c.options[max(range(len(own)), key=lambda i: (own[i], -i))])
    return chosen


def passed(candidates: Sequence[Candidates], lab: Lab) -> list[Candidates]:
    """The candidate sets with their options at full marks alone, one bought score an option; sets without any
    are left out."""
    flat = [(c.prompt, option) for c in candidates for option in c.options]
    records = iter(lab.feedback.score([p for p, _ in flat], [option for _, option in flat]))
    kept, count = [], 0
    for c in candidates:
        options = [option for option in c.options if full(next(records))]
        count += len(options)
        if options:
            kept.append(replace(c, options=options))
    lab.note(f"{count} of {len(flat)} refinements pass, of {len(kept)} out of {len(candidates)} answers")
    return kept


def score(
    selection: Selection,
    policy: LogitPolicy,
    flat: Sequence[tuple[Candidates, Completion]],
    reward: RewardModel | None,
    lab: Lab,
    stream: str,
) -> list[float]:
    """What each option is ranked by; comparable within one candidate set only."""
    options = [option for _, option in flat]
    if selection in ("random", "passing"):
        drawn: list[float] = lab.random(stream).random(len(flat)).tolist()
        return drawn
    if selection == "longest":
        return [float(len(option.text.split())) for option in options]
    if selection == "likelihood":
        logprobs = lab.logprobs(policy, [c.shown for c, _ in flat], options)
        return [statistics.fmean(tokens) if tokens else float("-inf") for tokens in logprobs]
    if selection == "reward_model":
        if reward is None:
            raise NotApplicable("selection=reward_model needs a reward model")
        return lab.rewards(reward, [c.prompt for c, _ in flat], options)
    if selection == "embedding":
        return embedding.cosine([option.text for option in options], [[c.critique] for c, _ in flat])
    if selection == "overlap":
        return [taken_up(c.critique, option.text) for c, option in flat]
    return instruct_rm(policy, flat, lab)


def taken_up(critique: str, text: str) -> float:
    """Share of the critique's distinct content words (stems) that occur in the text; 0 where it has none."""
    from alignment_bench.words import content_stems

    wanted = set(content_stems(critique))
    return len(wanted & set(content_stems(text))) / len(wanted) if wanted else 0.0


def question_layouts(policy: LogitPolicy) -> list[str]:
    """The policy's `accept_*` layouts. Raises NotApplicable where it has none, or one without answers."""
    layouts = sorted(name for name in policy.formatter.layouts if name.startswith("accept"))
    if not layouts:
        raise NotApplicable(
            "this model has no accept_* layouts to be asked yes or no in: choose another selection"
        )
    for name in layouts:
        if policy.formatter.layouts[name].answers is None:
            raise NotApplicable(f"layout {name!r} declares no answers")
    return layouts


def instruct_rm(policy: LogitPolicy, flat: Sequence[tuple[Candidates, Completion]], lab: Lab) -> list[float]:
    """Mean over the policy's `accept_*` layouts of the normalised probability of the positive answer."""
    layouts = question_layouts(policy)
    sums = [0.0] * len(flat)
    for name in layouts:
        asked = [
            c.prompt.using(name, completion=option.text, critique=c.critique, answer=c.answer)
            for c, option in flat
        ]
        answers = policy.formatter.layouts[name].answers or ()
        for i, (yes, no) in enumerate(lab.answer_probabilities(policy, asked, answers)):
            sums[i] += yes / (yes + no) if yes + no > 0 else 0.5
    return [value / len(layouts) for value in sums]


def audited(selection: Selection, wanted: int | None, lab: Lab) -> int:
    """Answers whose selection is audited: what was asked for (None: by selection), as far as a tenth of the
    budget pays."""
    wanted = wanted if wanted is not None else AUDITED if selection == "instruct_rm" else 0
    if not wanted:
        return 0
    if "score" not in lab.feedback.channels:
        lab.note(f"the lift of selection by {selection} was not audited: the teacher gives no scores")
        return 0
    audits = min(wanted, lab.feedback.affordable("score") // 20)
    if not audits:
        lab.note(f"the lift of selection by {selection} was not audited: the budget is too small")
    return audits


def audit(
    selection: Selection,
    candidates: Sequence[Candidates],
    chosen: Sequence[Completion],
    most: int,
    lab: Lab,
) -> None:
    """Buys scores of the pick and of another random option of up to `most` answers, and notes the lift.

    With k options a random pick is the chosen one in one case of k, so an answer's lift is (k - 1) / k
    times the difference. At most two `score` acts an answer; which answers is a draw of the lab's seed.
    """
    import numpy as np

    from alignment_bench.statistics import interval

    draw = lab.random("selection audit")
    order = [int(i) for i in draw.permutation(len(candidates)) if len(candidates[int(i)].options) > 1][:most]
    if not order:
        lab.note(f"the lift of selection by {selection} could not be audited: no answer had a choice")
        return
    others = []
    for i in order:
        rest = [option for option in candidates[i].options if option is not chosen[i]]
        others.append(rest[int(draw.integers(len(rest)))])
    prompts = [candidates[i].prompt for i in order]
    records = lab.feedback.score([*prompts, *prompts], [*(chosen[i] for i in order), *others])
    lifts = []
    for i, pick, other in zip(order, records[: len(order)], records[len(order) :], strict=True):
        if pick.value is not None and other.value is not None:
            k = len(candidates[i].options)
            lifts.append((k - 1) / k * (pick.value - other.value))
    if not lifts:
        lab.note(f"the lift of selection by {selection} could not be audited: no usable scores")
        return
    found = interval(np.array([lifts]))
    lab.measure("selection_lift", statistics.fmean(lifts))
    reach = "no interval" if found.low is None else f"{found.low:+.2f}, {found.high:+.2f}"
    lab.note(
        f"selection by {selection} scores {found.mean:+.2f} [{reach}] over a random pick, "
        f"on {len(lifts)} audited answers"
    )
    if found.high is not None and found.high < 0:
        lab.note(f"warning: selection by {selection} is worse than a random pick here: choose another")
