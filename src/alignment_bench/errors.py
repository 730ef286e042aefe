"""Every error this package raises on purpose. Messages end with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class BenchError(Exception):
    """Root of all deliberate errors; the command line prints it as one line, without a traceback."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the input: which field, what is wrong with it, and how to fix it."""

    field: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message} ({self.fix})"


class BadInput(BenchError):
    """The request cannot be carried out as written. Carries every problem found at once; exit code 2."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[BadInput], tuple[Sequence[Problem]]]:
        """Errors travel between processes, and an exception is made again of its arguments."""
        return type(self), (self.problems,)


class OverBudget(BenchError):
    """A method asked for more feedback than its budget still pays for; nothing was charged. A row status."""


class NotApplicable(BenchError):
    """A method or channel cannot serve this task, model or teacher. A row status, with its reason."""


class Diverged(BenchError):
    """Training left the numbers: the loss is infinite or NaN. The cell fails with this as its reason."""


class CorruptResult(BenchError):
    """A stored file cannot be read as what it claims to be; the message names the file."""
