"""A language model behind an OpenAI-compatible endpoint as judge of two answers, asked in both orders.

It names A, B or tie, read strictly; a reply that cannot be read is asked for again, and then counted as
unparsed. With `soft`, verdicts are probabilities where the endpoint tells those of the first token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import Verdict
from alignment_bench.hosting import Host
from alignment_bench.judging.pairwise import Choice, Pairing, both_orders
from alignment_bench.llm.comparing import EXPLAINED, OPTIONS, WORD, Voice, choices, prompt_digest, voiced
from alignment_bench.llm.endpoint import Endpoint
from alignment_bench.llm.speaking import Question
from alignment_bench.prompts import Key, Prompt


@dataclass(frozen=True)
class LLM(Endpoint):
    """A language model behind an endpoint says which of two answers is better, in both orders."""

    name: ClassVar[str] = "llm"
    """as typed in `judge=`"""
    against_reference: ClassVar[bool] = True
    """the reference is a text like any other to it"""

    explain: bool = False
    """let it compare the two in a sentence before its verdict; needs more answer_tokens"""
    soft: bool = False
    """ask for the probabilities of A, B and tie; endpoints that tell none give plain verdicts"""
    least: float = field(default=0.5, metadata={"min": 0.0, "max": 1.0})
    """soft: what A, B and tie must be worth together; below that the reply counts as written"""
    temperature: float | None = field(default=0.0, metadata={"min": 0.0, "max": 2.0})
    """of its replies; none: not sent, for endpoints that allow one only"""
    tries: int = field(default=3, metadata={"min": 1})
    """times that it is asked until a verdict can be read"""
    answer_tokens: int = field(default=256, metadata={"min": 1})
    """longest reply; more where a model thinks before it answers"""
    _voice: Voice | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises BadInput with all that is wrong."""
        super().__post_init__()
        if self.soft and self.explain:
            what = "the probabilities of the first word say nothing about a verdict on the last line"
            raise BadInput([Problem("soft", what, "choose soft or explain")])

    @property
    def family(self) -> str:
        """One model is one family, wherever it runs."""
        return f"llm:{self.model}"

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why it cannot be asked from here, or None; it reads no Key, so any examples will do."""
        return self.unready()

    def hosted(self, host: Host) -> LLM:
        """The same judge with a voice."""
        from alignment_bench.llm.remote import Remote

        return voiced(self, Remote(self, host, soft=self.soft), host.layouts)

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """None: it compares."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """One verdict a pair, asked in both orders."""
        return both_orders(self._choices, prompts, keys, first, second)

    def caption(self) -> str:
        """One line: the model, what it is asked, and that nothing is known of how well it judges."""
        how = "soft verdicts where the endpoint tells probabilities" if self.soft else "A, B or tie"
        return (
            f"llm: {self.model or 'no model'}, {how}, both orders, prompt {prompt_digest(self._template)}; "
            "no audit of this judge is known: compare it with people before you trust it"
        )

    @property
    def _template(self) -> str:
        return EXPLAINED if self.explain else WORD

    def _choices(self, pairings: Sequence[Pairing]) -> list[Choice]:
        like = Question((), self.answer_tokens, self.temperature, options=OPTIONS if self.soft else ())
        template, tries, least = self._template, self.tries, self.least
        return choices(self._voice, pairings, template, like, tries, least, self.family)


PLUGIN = LLM
