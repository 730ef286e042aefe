"""A language model on this machine as judge of two answers: soft verdicts, asked in both orders.

What it would write is not sampled: the probabilities of A and B as its next word are the verdict,
P(A) / (P(A) + P(B)), averaged over the two orders. Where they sum to little, the model does not answer the
question, and the pair counts as unparsed. Small models mostly prefer a place, not an answer: the caption says
what is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from alignment_bench.feedback import Verdict
from alignment_bench.hosting import Host
from alignment_bench.judging.pairwise import Choice, Pairing, both_orders
from alignment_bench.llm.comparing import LETTER, OPTIONS, Voice, choices, prompt_digest, voiced
from alignment_bench.llm.speaking import Question
from alignment_bench.prompts import Key, Prompt

UNUSABLE = (
    "it named the same answer in both orders in at most .16 of pairs and agreed with people in .50 to .54 of"
    " them, as a coin would: its verdicts are not usable"
)
AUDITS: Mapping[str, str] = {"smollm2": UNUSABLE, "HuggingFaceTB/SmolLM2-135M-Instruct": UNUSABLE}
"""model -> what is known of it as a judge of pairs (summaries and instructions labelled by people)"""


@dataclass(frozen=True)
class LM:
    """A model on this machine says how probable it is that the first of two answers is better."""

    name: ClassVar[str] = "lm"
    """as typed in `judge=`"""
    against_reference: ClassVar[bool] = True
    """the reference is a text like any other to it"""

    model: str = "smollm2"
    """a model that `bench list models` knows, a hub id or a folder"""
    least: float = field(default=0.1, metadata={"min": 0.0, "max": 1.0})
    """what A and B must be worth together as the next word; below that the pair counts as unparsed"""
    _voice: Voice | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def family(self) -> str:
        """One model is one family, wherever it runs."""
        return f"llm:{self.model}"

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why the model cannot be used here, or None; it reads no Key, so any examples will do."""
        from alignment_bench.llm.local import unready

        return unready(self.model)

    def hosted(self, host: Host) -> LM:
        """The same judge with a voice."""
        from alignment_bench.llm.local import Local

        return voiced(self, Local(self.model, host), host.layouts)

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """None: it compares."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """One soft verdict a pair: the mean over both orders."""
        return both_orders(self._choices, prompts, keys, first, second)

    def caption(self) -> str:
        """One line: the model and its files' digest, what it is asked, and how far it can be trusted."""
        from alignment_bench.llm.local import weights

        known = AUDITS.get(
            self.model, "no audit of this judge is known: compare it with people before you trust it"
        )
        # the files are part of what this judge is, and its caption is part of every key
        model = " ".join(filter(None, (self.model, weights(self.model))))
        return f"lm: {model}, P(A) against P(B), both orders, prompt {prompt_digest(LETTER)}; {known}"

    def _choices(self, pairings: Sequence[Pairing]) -> list[Choice]:
        like = Question((), 1, options=OPTIONS[:2])
        return choices(self._voice, pairings, LETTER, like, 1, self.least, self.family)


PLUGIN = LM
