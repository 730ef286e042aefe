"""Who refines under feedback: the base as it is, the base after people's refinements, or after some examples.

Chen et al. 2023 (arXiv 2303.16749) train a refiner of its own on (old program, feedback) -> human refinement,
on tasks that the policy does not learn from, and compare it with prompting by one or two examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from alignment_bench.errors import NotApplicable
from alignment_bench.formatter import fill
from alignment_bench.layouts import Layout
from alignment_bench.lessons import Lesson
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Message, Prompt
from alignment_bench.techniques.first_answers import LEARNERS, Said, part_of

if TYPE_CHECKING:
    from alignment_bench.lab import Lab
    from alignment_bench.training.settings import Settings

Kind = Literal["self", "trained", "fewshot"]


@dataclass(frozen=True)
class Refiner:
    """A policy that refines, and the examples that it is shown before what it is asked."""

    policy: LogitPolicy
    examples: tuple[Message, ...] = ()

    def asked(self, shown: Prompt) -> Prompt:
        """What is put to it."""
        return replace(shown, messages=(*self.examples, *shown.messages)) if self.examples else shown


def check_refiner(kind: Kind, policy: LogitPolicy) -> None:
    """Raises NotApplicable, before anything is bought, where the policy cannot refine in that way."""
    if kind == "fewshot" and policy.formatter.kind != "chat":
        raise NotApplicable(
            "refiner=fewshot shows examples as turns of a conversation: it needs a chat model"
        )


def refiner(
    kind: Kind,
    base: LogitPolicy,
    spoken: Sequence[Said],
    layout: str,
    shots: int,
    settings: Settings,
    lab: Lab,
) -> Refiner:
    """The refiner made of recorded refinements in the data's part `refine`; the base itself for `self`."""
    if kind == "self":
        return Refiner(base)
    lessons = [one for one in spoken if one.refinement and part_of(one.prompt) == LEARNERS]
    if not lessons:
        raise NotApplicable(f"this data has no recorded refinements in a part {LEARNERS!r} to learn from")
    if kind == "trained":
        lab.note(f"the refiner learnt from {len(lessons)} recorded refinements")
        rows = [Lesson(_asked(one, layout), base.encode(one.refinement, layout)) for one in lessons]
        return Refiner(lab.finetune(base, rows, settings))
    # the longer half would leave no room for the question
    lessons = sorted(lessons, key=_length)[: max(shots, len(lessons) // 2)]
    chosen = [lessons[int(i)] for i in lab.random("refinement examples").permutation(len(lessons))[:shots]]
    if len(chosen) < shots:
        lab.note(f"the refiner was shown {len(chosen)} refinements: the data has no more")
    turns = [turn for one in chosen for turn in _turns(one, base.formatter.layout(layout))]
    return Refiner(base, tuple(turns))


def _asked(one: Said, layout: str) -> Prompt:
    return one.prompt.using(layout, completion=one.answer, critique=one.critique)


def _length(one: Said) -> int:
    return len(one.prompt.text) + len(one.answer) + len(one.critique) + len(one.refinement)


def _turns(one: Said, layout: Layout) -> tuple[Message, Message]:
    slots = {"prompt": one.prompt.text, "completion": one.answer, "critique": one.critique}
    opening = fill(layout.opening, slots)
    gap = "" if not opening or opening[-1].isspace() else " "
    end = "\n```" if "```" in opening else ""
    return (
        Message("user", fill(layout.user, slots)),
        Message("assistant", f"{opening}{gap}{one.refinement}{end}"),
    )
