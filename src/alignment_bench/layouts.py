"""Named templates in which a prompt is put to a policy, so that train and test are byte-identical.

A task (or a model that only speaks its own small language) declares one `Layout` per name; the
formatter of a policy renders them. Names with a fixed meaning, which methods rely on:

========  ====================  ==================================================================
layout    slots                 asks for
========  ====================  ==================================================================
answer    -                     an answer to the prompt
refine    completion, critique  a better answer than `completion` that takes up `critique`
improve   completion            a better answer than `completion`; the same words without feedback
*_paper   as above              the same in a paper's own layout, where the task's default differs
accept_*  completion, critique  one word of the layout's `answers`: does the completion do it?
========  ====================  ==================================================================

The slot `prompt` is always there: the content of the last message. A template need not show every slot: a
task for small models may leave the completion out of `refine`, and says so.
"""

from __future__ import annotations

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
