"""What supervised methods train on: a prompt, what is to be written after it, and how that counts.

A sequence with several trained parts (a chain of answers, or answer, critique and refinement) is given as
one lesson a part, each with the earlier parts in the slots of its prompt's layout, the very format in which
it will be asked for. Where the layouts continue each other, as those of the built-in world do, the
log-probabilities of the lessons add up to that of the whole sequence, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alignment_bench.completions import Completion
from alignment_bench.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Lesson:
    """One completion to learn after one prompt; the loss is on the completion's tokens alone."""

    prompt: Prompt
    completion: Completion
    weight: float = 1.0
    """factor on the loss of every token"""
    unlikely: bool = False
    """make the tokens less likely instead: the loss is -log(1 - p) (unlikelihood, arXiv 1908.04319)"""
    reference_prompt: Prompt | None = None
    """what a reference policy reads in place of `prompt`, as without its condition; None: the same"""


Taught = Lesson | tuple[Prompt, Completion]
"""a lesson, or a plain pair of prompt and completion"""


def lessons_of(rows: Sequence[Taught]) -> list[Lesson]:
    """The rows as lessons."""
    return [row if isinstance(row, Lesson) else Lesson(*row) for row in rows]
