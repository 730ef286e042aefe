"""Refinements fit to be learnt from: distinct, finished, changed, and no echo of the feedback.

Scheurer et al. 2023 (arXiv 2303.16755) draw again where a set of refinements holds duplicates or forbidden
text. Here what is unfit is left out: a method that trains on it learns to say nothing, to stop in the middle,
or to write feedback where an answer was asked for. Copies of the first answer are left out on request only:
that every answer is to be changed is knowledge of its own, which a control without feedback must not get.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt

if TYPE_CHECKING:
    from alignment_bench.lab import Lab

COPY, EMPTY, ECHO, UNFINISHED = "copies of the first answer", "empty", "echoes of the feedback", "unfinished"


@dataclass
class Drawing:
    """Draws refinements, keeps the usable ones, and counts what became of the rest."""

    wanted: int
    """usable refinements wanted for each answer"""
    tries: int
    """refinements drawn at most for each answer"""
    tidy: bool = False
    """post-process texts and encode them anew"""
    drop_copies: bool = False
    """count a copy of the first answer as unfit"""
    answers: int = 0
    kept: int = 0
    """answers with a usable refinement"""
    dropped: Counter[str] = field(default_factory=Counter)
    """distinct refinements left out, by fault"""

    def draw(
        self,
        refiner: LogitPolicy,
        shown: Sequence[Prompt],
        first: Sequence[str],
        critiques: Sequence[str],
        stream: str,
        lab: Lab,
    ) -> list[list[Completion]]:
        """Up to `wanted` usable refinements of each `first` answer; drawn again, once, where fewer."""
        drawn = list(self._sample(refiner, shown, self.wanted, stream, lab))
        avoided = first if self.drop_copies else [None] * len(first)
        short = [
            i for i, row in enumerate(drawn) if len(usable(row, avoided[i], critiques[i])[0]) < self.wanted
        ]
        if short:
            asked = [shown[i] for i in short]
            more = self._sample(refiner, asked, self.tries - self.wanted, f"{stream} again", lab)
            for i, row in zip(short, more, strict=True):
                drawn[i] = drawn[i] + row
        options = []
        for row, answer, critique in zip(drawn, avoided, critiques, strict=True):
            fit, faults = usable(row, answer, critique)
            options.append(fit[: self.wanted])
            self.dropped.update(faults)
        self.answers += len(options)
        self.kept += sum(bool(row) for row in options)
        return options

    def report(self, lab: Lab) -> None:
        """Notes and measures what was kept. Raises NotApplicable where nothing was."""
        what = ", ".join(f"{count} {name}" for name, count in sorted(self.dropped.items()))
        if not self.kept:
            raise NotApplicable(f"no answer of {self.answers} got a usable refinement ({what})")
        lab.measure("keep_rate", self.kept / self.answers)
        if what:
            lab.note(
                f"refinements left out: {what}; {self.answers - self.kept} of {self.answers} answers"
                " had no other and were left out too"
            )

    def _sample(
        self, refiner: LogitPolicy, shown: Sequence[Prompt], n: int, stream: str, lab: Lab
    ) -> list[list[Completion]]:
        drawn = lab.sample(refiner, shown, n=n, stream=stream)
        if not self.tidy:
            return drawn
        return [[refiner.encode(tidied(c.text)) for c in row] for row in drawn]


def fault(refinement: Completion, first: str | None, critique: str) -> str | None:
    """What makes a refinement under `critique` ("" for none) unfit, or None; `first` is not to be copied."""
    text = plain(refinement.text)
    if not text:
        return EMPTY
    if first is not None and text == plain(first):
        return COPY
    if critique.strip() and plain(critique) in text:
        return ECHO
    return UNFINISHED if refinement.end == "length" else None


def usable(row: Sequence[Completion], first: str | None, critique: str) -> tuple[list[Completion], list[str]]:
    """The distinct refinements without a fault, in the order drawn, and the faults of the others."""
    kept, faults = [], []
    for refinement in distinct(row):
        reason = fault(refinement, first, critique)
        if reason is None:
            kept.append(refinement)
        else:
            faults.append(reason)
    return kept, faults


def distinct(row: Sequence[Completion]) -> list[Completion]:
    """The first completion of each text, in the order in which the texts were first drawn."""
    first: dict[str, Completion] = {}
    for completion in row:
        first.setdefault(completion.text, completion)
    return list(first.values())


def shuffled(texts: Sequence[str], order: Sequence[int]) -> list[str]:
    """Each place gets the next one's text along a random cycle: nobody keeps their own, if there are two."""
    moved = list(texts)
    for here, there in zip(order, [*order[1:], order[0]], strict=True):
        moved[here] = texts[there]
    return moved


def tidied(text: str) -> str:
    """The text as Scheurer et al. post-process summaries: no leading signs, single spaces, one line, and
    without a sentence that has no end, unless it is the only one."""
    start = re.search(r"[^\W_]", text)
    text = re.sub(" +", " ", text[start.start() :] if start else text).strip().split("\n")[0]
    end = max(text.rfind(sign) for sign in ".!?")
    return text[: end + 1] if end >= 0 else text


def plain(text: str) -> str:
    """A text for comparing: lower case, single spaces."""
    return " ".join(text.lower().split())
