"""Evidence from texts alone: what an evaluator asks for and a file cannot give is named, never made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from alignment_bench import registry
from alignment_bench.completions import Completion, Decoding
from alignment_bench.errors import NotApplicable
from alignment_bench.evaluate import checked
from alignment_bench.evaluation import Evaluator, Evidence, Scores
from alignment_bench.feedback import Judge, Verdict
from alignment_bench.prompts import Key, Prompt

NOT_HERE = "there is no policy here to ask, only what it answered"


class Told:
    """The policy behind a file: it has answered, and does no more."""

    digest = ""
    folder = Path()

    def generate(
        self, prompts: Sequence[Prompt], *, n: int, decoding: Decoding, seed: int
    ) -> list[list[Completion]]:
        """Never: raises NotApplicable."""
        raise NotApplicable(NOT_HERE)


class Given(dict[str, Sequence[Sequence[Completion]]]):
    """Samples by specification. Asking for one that is not there raises NotApplicable with the reason."""

    def __init__(
        self, samples: Mapping[str, Sequence[Sequence[Completion]]], reasons: Mapping[str, str]
    ) -> None:
        super().__init__(samples)
        self._reasons = reasons

    def __missing__(self, spec: str) -> Sequence[Sequence[Completion]]:
        raise NotApplicable(self._reasons.get(spec, f"there are no samples of specification {spec!r}"))


@dataclass(frozen=True)
class Nobody:
    """In the place of a judge where none was named and none suits."""

    name: ClassVar[str] = "none"
    family: ClassVar[str] = "none"
    against_reference: ClassVar[bool] = False

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """It judges nothing."""
        return "no judge was named (judge=)"

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """It has no scale."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """Never: raises NotApplicable."""
        raise NotApplicable("no judge was named (judge=)")

    def caption(self) -> str:
        """One line for the caption."""
        return "no judge was named, and without references none suits"


def judge_for(keys: Sequence[Key], wanted: Judge | None) -> Judge:
    """The judge that was named; else the panel by references where all examples have one, else nobody."""
    if wanted is not None:
        return wanted
    panel: Judge = registry.load("judges", "reference_panel")()
    return panel if keys and panel.unfit(keys) is None else Nobody()


def evidence_of(
    prompts: Sequence[Prompt],
    keys: Sequence[Key],
    samples: Mapping[str, Sequence[Sequence[Completion]]],
    base: Given,
    judge: Judge,
) -> Evidence:
    """What evaluators are shown."""
    told: Any = Told()
    return Evidence(prompts, keys, Given(samples, {}), base, told, told, judge)


def scores_of(name: str, evaluator: Evaluator, evidence: Evidence) -> dict[str, Scores]:
    """The evaluator's scores, by the very checks of a run; n/a with the reason where the evidence lacks what
    it asks for."""
    try:
        return checked(name, evaluator, evidence)
    except NotApplicable as error:
        return {metric.name: Scores(missing=str(error)) for metric in evaluator.metrics}
