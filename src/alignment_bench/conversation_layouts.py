"""Layouts of tasks in which a message is replied to, for models that read plain English."""

from __future__ import annotations

from collections.abc import Mapping

from alignment_bench.layouts import Layout, conditioned, reviewed

SHOWN = "{prompt}\n\nThis reply was written: {completion}\n\n"


def reply_layouts(wanted: str) -> Mapping[str, Layout]:
    """All layouts of such a task; `wanted` is what it asks of a reply, in whole sentences."""
    request = "\n\n" + wanted
    answer = Layout("{prompt}" + request, "Reply:")
    return {
        "answer": answer,
        **conditioned(answer),
        **reviewed(SHOWN, "reply"),
        "refine": Layout(SHOWN + "Feedback on it: {critique}" + request, "Better reply:"),
        "improve": Layout(SHOWN + "Write a better one." + request, "Better reply:"),
    }
