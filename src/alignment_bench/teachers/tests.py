"""Unit tests as a teacher: a failing run turned into words, a number, or a comparison.

It runs a program against its task's tests in the sandbox, exactly and without noise. Critiques quote only the
tests that the prompt shows (MBPP's first, as in ILF for code, arXiv 2303.16749); of the hidden ones they tell
that one fails, never what it is. Scores and comparisons count all tests, as the authors' choice of passing
refinements does, or the shown ones alone (`counts=shown`), so that the judge's are held out. On the built-in
programs it makes calls of its own, none of gold's.

A demonstration is the data set's own program: tests write none. What people said of earlier programs is
replayed where the data has it, so that human words and unit tests can teach together, as in that paper; then
too an act is one call, so that such a table compares methods under this teacher, not its cost with people's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import Ask, Channel, FeedbackRecord, Preference
from alignment_bench.program_tests import Result, lessons_of, run_tests, share, untested
from alignment_bench.program_words import in_words
from alignment_bench.prompts import Example, Key
from alignment_bench.teachers.recorded import RecordedTeacher


@dataclass(frozen=True)
class UnitTests:
    """Runs programs against their unit tests and says what came of it."""

    name: ClassVar[str] = "tests"
    family: ClassVar[str] = "unit-tests"
    """the judge of that name runs the same tests: together they make a cell self-judged"""
    paid_in: ClassVar[Literal["seconds", "calls"]] = "calls"
    channels: ClassVar[tuple[Channel, ...]] = ("critique", "score", "prefer", "demonstrate")

    shown: int = field(default=1, metadata={"min": 0})
    """tests of a task that critiques may quote, from the first on"""
    counts: Literal["all", "shown"] = "all"
    """the tests that scores and comparisons count: all of them, or only those that may be quoted"""

    def __post_init__(self) -> None:
        """Raises BadInput where there is nothing to count."""
        if self.counts == "shown" and not self.shown:
            raise BadInput([Problem("counts", "no test is shown, so there is none to count", "shown=1")])

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why it cannot test these examples' programs, or None where it can."""
        reason = untested(keys)
        if reason is None and self.counts == "shown":
            whole = sum(key.facts.get("harness") == "check" for key in keys)
            if whole:
                return f"{whole} of {len(keys)} examples have one hidden test and none to show"
        return reason

    def answer(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """One record per ask; `seed` changes nothing. A score is 1 + 6 * share of tests passed."""
        records = [FeedbackRecord(a.prompt.id, channel, a.completions, source=self.name) for a in asks]
        if channel == "demonstrate":
            return [_demonstrated(record, ask.key) for record, ask in zip(records, asks, strict=True)]
        suites = [lessons_of(ask.key) for ask in asks]
        texts = [(suite, text) for suite, ask in zip(suites, asks, strict=True) for text in ask.completions]
        found = iter(
            run_tests([s for s, _ in texts if s is not None], [t for s, t in texts if s is not None])
        )
        out = []
        for record, suite in zip(records, suites, strict=True):
            if suite is None:
                out.append(replace(record, ok=False, reason="this example brings no tests"))
                continue
            results = [next(found) for _ in record.completions]
            if channel == "critique":
                text = in_words(suite, record.completions[0], results[0], self.shown)
                out.append(replace(record, text=text))
            elif channel == "score":
                out.append(replace(record, value=1 + 6 * self._share(results[0])))
            else:
                out.append(replace(record, preference=self._preferred(*results)))
        return out

    def recorded(self, examples: Sequence[Example]) -> list[FeedbackRecord]:
        """What people once said about programs of these tasks."""
        return RecordedTeacher().recorded(examples)

    def _share(self, results: Sequence[Result]) -> float:
        return share(results if self.counts == "all" else results[: self.shown])

    def _preferred(self, first: Sequence[Result], second: Sequence[Result]) -> Preference:
        one, other = self._share(first), self._share(second)
        return "tie" if one == other else "first" if one > other else "second"


def _demonstrated(record: FeedbackRecord, key: Key) -> FeedbackRecord:
    if not key.references:
        return replace(record, ok=False, reason="this example has no program to show")
    return replace(record, text=key.references[0])


PLUGIN = UnitTests
