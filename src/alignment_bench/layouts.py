"""Named templates in which a prompt is put to a policy, so that train and test are byte-identical.

A task (or a model that only speaks its own small language) declares one `Layout` per name; the
formatter of a policy renders them. Names with a fixed meaning, which methods rely on:

========  =====================  ==================================================================
layout    slots                  asks for
========  =====================  ==================================================================
answer    -                      an answer to the prompt
describe  condition              an answer that is as `condition` says
chain     condition, completion, an answer that is as `next_condition` says, after `completion`,
          next_condition         which is as `condition` says
critique  completion             words about `completion`: what is wrong with it, what would help
refine    completion, critique   a better answer than `completion` that takes up `critique`
improve   completion             a better answer than `completion`; the same words without feedback
*_shown   as above               the same with the completion, where the task's default leaves it out
*_paper   as above               the same in a paper's own layout, where the task's default differs
accept_*  completion, critique   one word of the layout's `answers`: does the completion do it?
========  =====================  ==================================================================

A condition is a noun phrase, such as "a good answer". `chain` begins with what `describe` shows, so the two
together are one text: request, condition, answer, condition, answer.

The slot `prompt` is always there: the content of the last message. A template need not show every slot: a
task for small models may leave the completion out of `refine`, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """One template. `user` is what is asked, `opening` how the answer begins (both with {slots}).

    `answers`, for layouts that ask for one word: the positive answer's token, then the negative one's,
    leading space included where the tokenizer wants it.
    """

    user: str
    opening: str = ""
    answers: tuple[str, str] | None = None


def conditioned(answer: Layout, end: str = "") -> Mapping[str, Layout]:
    """`describe` and `chain` of a task that reads plain English, made from its `answer` layout.

    The condition is a line of its own right before the answer's opening, so the answer follows the very words
    it follows without a condition. `end` closes an answer that another one follows (a block of code).
    """
    gap = "" if not answer.opening or answer.opening[-1].isspace() else " "
    first = "Wanted: {condition}\n" + answer.opening
    after = "{completion}\n" + end + "Wanted: {next_condition}\n"
    return {
        "describe": Layout(answer.user, first),
        "chain": Layout(answer.user, first + gap + after + answer.opening),
    }


def reviewed(shown: str, called: str, question: str = "") -> Mapping[str, Layout]:
    """`critique` and `accept_1` of a task that reads plain English.

    `shown` puts the prompt and the completion, which is `called` so ("reply"); `question` is the critic's,
    where it is not what is wrong and what would be better.
    """
    usual = f"What is wrong with this {called}, and how could it be better? Say it in one sentence."
    return {
        "critique": Layout(shown + (question or usual), "Feedback:"),
        "accept_1": Layout(
            shown
            + f"Feedback on an earlier {called}: {{critique}}\n\nDoes this one heed it? Reply Yes or No.",
            "Answer:",
            (" Yes", " No"),
        ),
    }
