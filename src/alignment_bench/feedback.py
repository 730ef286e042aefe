"""Feedback: five metered channels, one record type for all of them, and the contract of a teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from alignment_bench.prompts import Example, Key, Prompt

Channel = Literal["critique", "score", "prefer", "demonstrate", "refine"]
CHANNELS: tuple[Channel, ...] = ("critique", "score", "prefer", "demonstrate", "refine")
COMPLETIONS_SHOWN: Mapping[Channel, int] = {
    "critique": 1,
    "score": 1,
    "prefer": 2,
    "demonstrate": 0,
    "refine": 1,
}
Preference = Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """One answered act of a teacher, whatever the channel.

    `completions` are the texts the teacher saw, in the order shown. `text` holds words (a critique, a
    demonstration, a refinement), `value` a number, `preference` a comparison. `ok` False means that no
    usable answer came, `reason` says why; the act is paid all the same. `cost` is in the teacher's own
    currency (seconds for people, calls for machines).
    """

    prompt_id: str
    channel: Channel
    completions: tuple[str, ...] = ()
    text: str | None = None
    value: float | None = None
    preference: Preference | None = None
    spans: tuple[tuple[int, int], ...] = ()
    cost: float = 0.0
    source: str = ""
    ok: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One act put to a teacher: the prompt, its Key, and the texts to look at (see COMPLETIONS_SHOWN)."""

    prompt: Prompt
    key: Key
    completions: tuple[str, ...] = ()


@runtime_checkable
class Teacher(Protocol):
    """Who answers. A frozen dataclass whose fields declare its noise; lives in the controller only."""

    name: ClassVar[str]
    """as typed in `teacher=`"""
    family: ClassVar[str]
    """teacher and judge of one family make a cell `self-judged`"""
    paid_in: ClassVar[Literal["seconds", "calls"]]
    """people are paid in annotator seconds, machines in calls"""
    channels: ClassVar[tuple[Channel, ...]]
    """what it can be asked afresh; empty for a teacher that only replays"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why this teacher cannot answer about these examples, or None where it can."""

    def answer(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """One record per ask. Noise is drawn per (seed, channel, prompt id, texts): order never matters."""

    def recorded(self, examples: Sequence[Example]) -> list[FeedbackRecord]:
        """Feedback collected before, for these examples; empty where there is none."""


@runtime_checkable
class Reviewing(Protocol):
    """A teacher whose answers on several channels about one text belong together, as those of one act do:
    the refinement heeds the critique, the number is of the same look."""

    def in_review(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """One record per ask, in keeping with those on the other channels for the same ask and seed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A comparison of one pair: 1 the first won, 0 the second, .5 a tie; not `parsed` counts as a tie."""

    value: float
    parsed: bool = True


@runtime_checkable
class Judge(Protocol):
    """Compares completions for evaluators. A frozen dataclass; never the teacher's noisy voice."""

    name: ClassVar[str]
    family: ClassVar[str]
    against_reference: ClassVar[bool]
    """whether it may compare an answer with the reference itself; not one that judges by nearness to it"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why this judge cannot judge these examples, or None where it can."""

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """Gold quality in [0, 1], one a text; None where this judge has no notion of absolute quality."""

    def compare(
        self,
        prompts: Sequence[Prompt],
        keys: Sequence[Key],
        first: Sequence[str],
        second: Sequence[str],
    ) -> list[Verdict]:
        """One verdict a pair. Where order can matter, both orders are asked and a win needs agreement."""

    def caption(self) -> str:
        """One line for the table's caption: what it is and how well it agrees with people, where known."""


@runtime_checkable
class Seated(Protocol):
    """A judge of several members, who can say what each of them alone would have decided."""

    def compare_seated(
        self,
        prompts: Sequence[Prompt],
        keys: Sequence[Key],
        first: Sequence[str],
        second: Sequence[str],
    ) -> tuple[list[Verdict], dict[str, list[Verdict]]]:
        """`compare`, and from the same answers the verdicts by view: `only NAME`, `without NAME`."""


@runtime_checkable
class Marking(Protocol):
    """A judge that also answers yes-or-no questions about a text, which metrics count."""

    def marks(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> dict[str, list[bool]]:
        """The marks that it knows for all of these examples (``rude``, ``passed``), one value a text."""


@runtime_checkable
class Grading(Protocol):
    """A judge that also measures something about a text in [0, 1] that is not its quality."""

    def grades(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> dict[str, list[float]]:
        """What it measures (``toxicity``), one value a text; nan for a text that it cannot measure."""
