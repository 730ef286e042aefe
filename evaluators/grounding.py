"""Whether answers keep to the prompt's text: support by it, and copying from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.per_prompt import Answered, measure, without_references
from alignment_bench.words import content_stems, ngrams, words

SPAN = 4
"""words in a row that count as copied"""


@dataclass(frozen=True)
class Grounding:
    """`support`: share of content words found in the prompt's text, minus the reference's own share.

    Plain support rewards copying (references .49, a first sentence .99), so 0 is the goal and neither
    direction is better. `copy_rate`: share of the answer's runs of four words that stand in the prompt.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("support", "share - reference's", "neither"),
        Metric("copy_rate", "share", "neither"),
    )
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,))

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Means over each prompt's samples; an empty answer supports nothing and copies nothing."""
        shown = evidence.prompts, evidence.keys, evidence.samples[AT_TASK.name]
        reason = without_references(evidence.keys)
        return {
            "support": Scores(missing=reason) if reason else measure(*shown, _relative_support),
            "copy_rate": measure(*shown, lambda row: copied(row.completion.text, row.prompt.text)),
        }


def _relative_support(row: Answered) -> float:
    own = [supported(reference, row.prompt.text) for reference in row.key.references]
    return supported(row.completion.text, row.prompt.text) - sum(own) / len(own)


def supported(text: str, source: str) -> float:
    """Share of the text's content words whose stem occurs in the source; 0 without content words."""
    stems = content_stems(text)
    known = {word.stem for word in words(source)}
    return sum(stem in known for stem in stems) / len(stems) if stems else 0.0


def copied(text: str, source: str) -> float:
    """Share of the text's runs of four words (all of a shorter text) found in the source; 0 for no words."""
    runs = ngrams([word.text.lower() for word in words(text)], SPAN)
    if not runs:
        return 0.0
    there = [word.text.lower() for word in words(source)]
    length = len(runs[0])
    known = {tuple(there[i : i + length]) for i in range(len(there) - length + 1)}
    return sum(run in known for run in runs) / len(runs)


PLUGIN = Grounding
