"""Unit tests as a judge: every test of every task, hidden ones included, run in the sandbox.

What a teacher of that name may quote or count does not matter here. It is exact and repeatable, and two
answers are compared only by how many tests they pass. On the built-in programs its tests are gold's hidden
calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.feedback import Verdict
from alignment_bench.program_tests import Result, Suite, run_tests, share, suite_of, untested
from alignment_bench.prompts import Key, Prompt


@dataclass(frozen=True)
class AllTests:
    """Scores a program by the share of its task's unit tests that it passes."""

    name: ClassVar[str] = "tests"
    family: ClassVar[str] = "unit-tests"
    """as the teacher of that name, which runs tests of the same tasks"""
    against_reference: ClassVar[bool] = True
    """the reference is a program like any other to it"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why these examples' programs cannot be tested, or None where they can."""
        return untested(keys)

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """The share of tests that each program passes."""
        return [share(results) for results in _results(keys, texts)]

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """The program that passes more tests wins; as many is a tie."""
        values = [share(results) for results in _results([*keys, *keys], [*first, *second])]
        pairs = zip(values[: len(keys)], values[len(keys) :], strict=True)
        return [Verdict(0.5 if one == other else float(one > other)) for one, other in pairs]

    def marks(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> dict[str, list[bool]]:
        """``passed``: all tests."""
        return {"passed": [all(one.passed for one in results) for results in _results(keys, texts)]}

    def caption(self) -> str:
        """One line for the table's caption."""
        return "tests: the share of all unit tests passed, hidden ones included, run in the sandbox"


def _results(keys: Sequence[Key], texts: Sequence[str]) -> list[tuple[Result, ...]]:
    suites: list[Suite] = []
    for key in keys:
        suite = suite_of(key)
        if suite is None:
            raise ValueError(f"{key.prompt_id!r} brings no tests")
        suites.append(suite)
    return run_tests(suites, texts)


PLUGIN = AllTests
