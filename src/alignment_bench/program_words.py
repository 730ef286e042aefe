"""A failing test in words: which call gave what instead of what, or which error in which line.

Only tests that may be quoted are: of the others a critique tells that one fails, and how (a wrong result, the
kind of error and the line of the program, no end), never what it calls nor what it expects. An error's own
message is part of what is left out there, because it can hold the arguments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from alignment_bench.program_tests import CPU_SECONDS, Result, Suite, called
from alignment_bench.program_text import program_of

FINE = "All tests pass."
_LINE = re.compile(r"(?:, | \(<program>, )line (\d+)\)?")
_FAILED = re.compile(r"check: assertion failed(?:, line \d+)?(?:: )?(.*)", re.DOTALL)
_WIDTH = 160


def in_words(suite: Suite, answer: str, results: Sequence[Result], shown: int) -> str:
    """What to say about an answer with these results, when the first `shown` tests may be quoted."""
    failed = [number for number, result in enumerate(results) if not result.passed]
    if not failed:
        return FINE
    program = program_of(answer, suite.prefix, suite.entry)
    first = results[failed[0]]
    if first.status == "error" and not first.detail.startswith("check:"):
        return f"The program does not run: {_error(first.detail, program)}"
    quoted = [number for number in failed if number < shown and not suite.whole]
    if quoted:
        call = _short(called(suite.tests[quoted[0]]))
        return f"{call} {_of(results[quoted[0]], program)}"
    passed = min(shown, len(results)) if not suite.whole else 0
    begin = "The example is right, but a hidden test" if passed else "A hidden test"
    count = f" Of {len(results)} tests {len(results) - len(failed)} pass." if len(results) > 1 else ""
    return f"{begin} {_hidden(first, program)}{count}"


def _of(result: Result, program: str) -> str:
    """What became of a call, in full."""
    if result.status == "timeout":
        return f"does not come to an end within {CPU_SECONDS} seconds."
    failed = _FAILED.fullmatch(result.detail)
    if failed:
        return f"{(failed[1] or 'gives a wrong result').rstrip('.')}."
    if result.status == "error":
        return f"raises {_error(result.detail.removeprefix('check: '), program)}"
    return f"ends the program: {result.detail}."


def _hidden(result: Result, program: str) -> str:
    """The same without anything that the test holds."""
    if result.status == "timeout":
        return "does not come to an end."
    if result.status != "error":
        return "gets a wrong result." if result.status == "failed" else "ends the program."
    kind = result.detail.removeprefix("check: ").partition(":")[0]
    line = _LINE.search(result.detail)
    return f"makes it raise {_short(kind)}{_quote(line, program)}."


def _error(detail: str, program: str) -> str:
    """An error's kind and message, and the line where it happened, quoted."""
    line = next(reversed(list(_LINE.finditer(detail))), None)
    message = _LINE.sub("", detail) if line else detail
    return f"{_short(message)}{_quote(line, program)}."


def _quote(line: re.Match[str] | None, program: str) -> str:
    rows = program.split("\n")
    if line is None or not 1 <= int(line[1]) <= len(rows) or not rows[int(line[1]) - 1].strip():
        return ""
    return f", in the line `{_short(rows[int(line[1]) - 1].strip())}`"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else text[:_WIDTH] + "..."
