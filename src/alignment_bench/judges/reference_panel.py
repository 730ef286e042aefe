"""The offline judge for real text: votes by nearness to the written reference. No gold, no language model.

A program cannot read. What it can say about two summaries is which shares more words with the reference
(ROUGE-1) and which lies nearer to it in a sentence embedding; where both agree that one wins, and
otherwise it is a tie. How often such verdicts match people's is in `AGREEMENT`, measured on published human
comparisons, beside the same number for simply preferring the longer text: nothing offline is clearly better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from alignment_bench import embedding
from alignment_bench.feedback import Verdict
from alignment_bench.overlap import rouge
from alignment_bench.prompts import Key, Prompt


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often a rule picks the summary that people preferred, ties half: share, 95 % interval, pairs.

    Intervals are clustered by article or story (t distribution over the clusters).
    """

    right: float
    low: float
    high: float
    pairs: int
    clusters: int


AGREEMENT: Mapping[str, Mapping[str, Agreement]] = {
    "SQuALITY": {
        "panel": Agreement(0.604, 0.536, 0.673, 168, 12),
        "rouge1": Agreement(0.601, 0.53, 0.672, 168, 12),
        "length": Agreement(0.557, 0.446, 0.668, 168, 12),
    },
    "news": {
        "panel": Agreement(0.462, 0.377, 0.548, 226, 25),
        "rouge1": Agreement(0.462, 0.369, 0.555, 226, 25),
        "length": Agreement(0.619, 0.547, 0.692, 226, 25),
    },
}
"""data set -> rule -> agreement with people.

SQuALITY: two systems' answers, rated by readers; the reference is the human answer (nyu-mll/SQuALITY,
data/human-eval). news: a writer's and a model's summary, judged overall; the references are other writers'
summaries of the article (Tiiiger/benchmark_llm_summarization). auto-j's 47 human-labelled pairs of
summaries have no references, so the panel cannot be measured there; the longer one wins .787 of them.
"""


@dataclass(frozen=True)
class ReferencePanel:
    """ROUGE-1 and sentence-embedding cosine to the reference, unanimous or a tie.

    Without the optional embedding package ROUGE-1 votes alone, and the caption says so.
    """

    name: ClassVar[str] = "reference_panel"
    family: ClassVar[str] = "reference"
    against_reference: ClassVar[bool] = False

    margin: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    """a signal abstains where its two values differ by no more than this"""

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why this judge cannot judge these examples, or None where it can."""
        lacking = sum(not key.references for key in keys)
        return f"{lacking} of {len(keys)} examples have no reference" if lacking else None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """None: nearness to one reference is no scale of quality."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """A win where no signal objects and one is for it; the order of the two cannot matter."""
        references = [key.references for key in keys]
        votes = [self._votes(_rouge(first, references), _rouge(second, references))]
        if embedding.available():
            near = embedding.cosine([*first, *second], [*references, *references])
            votes.append(self._votes(near[: len(first)], near[len(first) :]))
        return [Verdict(_unanimous(ballot)) for ballot in zip(*votes, strict=True)]

    def caption(self) -> str:
        """One line: which signals voted, and how well they and mere length agree with people."""
        if embedding.available():
            rule, what = "panel", "ROUGE-1 and embedding cosine to the reference, unanimous or a tie"
        else:
            rule, what = "rouge1", f"ROUGE-1 to the reference alone ({embedding.MISSING})"
        measured = "; ".join(
            f"{source} {_show(rules[rule])}, longer wins {_show(rules['length'])}, n={rules[rule].pairs}"
            for source, rules in AGREEMENT.items()
        )
        return f"reference_panel: {what}; agrees with people: {measured}"

    def _votes(self, first: Sequence[float], second: Sequence[float]) -> list[int]:
        gaps = (one - other for one, other in zip(first, second, strict=True))
        return [0 if abs(gap) <= self.margin else (1 if gap > 0 else -1) for gap in gaps]


def _rouge(texts: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    return [rouge(text, written)["rouge1"] for text, written in zip(texts, references, strict=True)]


def _unanimous(ballot: Sequence[int]) -> float:
    """1 where a signal is for the first and none against it, 0 for the second likewise, .5 otherwise."""
    return 0.5 + 0.5 * (max(ballot) > 0 and min(ballot) >= 0) - 0.5 * (min(ballot) < 0 and max(ballot) <= 0)


def _show(agreement: Agreement) -> str:
    return f"{agreement.right:.3f} [{agreement.low:.3f}, {agreement.high:.3f}]"


PLUGIN = ReferencePanel
