"""A prompt as a model that judges or teaches is shown it: the whole conversation, with the request."""

from __future__ import annotations

from collections.abc import Mapping

from alignment_bench.formatter import fill
from alignment_bench.layouts import Layout
from alignment_bench.prompts import Prompt

SPEAKERS = {"system": "Setting", "user": "Person", "assistant": "Assistant"}
"""who speaks, in words that no chat template uses"""


def request_of(prompt: Prompt, layouts: Mapping[str, Layout]) -> str:
    """The last message, in the words with which the task asks for an answer."""
    asking = layouts.get("answer")
    return prompt.text if asking is None else fill(asking.user, {"prompt": prompt.text})


def shown(prompt: Prompt, layouts: Mapping[str, Layout]) -> str:
    """All that was said before the answer; turns are marked where there are several."""
    request = request_of(prompt, layouts)
    if len(prompt.messages) == 1:
        return request
    earlier = [f"{SPEAKERS[one.role]}: {one.content}" for one in prompt.messages[:-1]]
    return "\n\n".join([*earlier, f"{SPEAKERS[prompt.messages[-1].role]}: {request}"])
