"""What a policy's own criticism is worth: its refinement's quality minus its first answer's.

The question of self-refinement (SRT, arXiv 2406.07168, reports it by task). The policy criticises its own
answer in layout `critique` and refines it under that critique in layout `refine`, all at the task's decoding;
the judge's scale says what was gained. Without such a scale it is nearness to the written reference
(`alignment_bench.reference_points`), which the footnote then says: that is a proxy, not quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignment_bench.digests import derive_seed
from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.per_prompt import Answered, average, flatten, without_references
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.reference_points import quality

ANSWERS = 2
"""of each prompt's samples are criticised"""


@dataclass(frozen=True)
class CriticGain:
    """Score of the refinement under the policy's own critique minus that of its first answer."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("critic_gain", "0-1", "higher"),)
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,), logits=True)

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Mean over the first two samples of each prompt."""
        policy = evidence.policy
        if not isinstance(policy, LogitPolicy):
            return _missing("the policy has no next-token distribution")
        if lacking := [name for name in ("critique", "refine") if name not in policy.formatter.layouts]:
            return _missing(f"the policy knows no layout {' and no '.join(lacking)}")
        few = [row[:ANSWERS] for row in evidence.samples[AT_TASK.name]]
        rows = flatten(evidence.prompts, evidence.keys, few)
        first = [row.completion.text for row in rows]
        before, scale = _scored(evidence, rows, first)
        if before is None:
            return _missing(scale)
        asked = [row.prompt.using("critique", completion=text) for row, text in zip(rows, first, strict=True)]
        critiques = _drawn(evidence, asked, "critique")
        again = [
            row.prompt.using("refine", completion=text, critique=critique)
            for row, text, critique in zip(rows, first, critiques, strict=True)
        ]
        after, _ = _scored(evidence, rows, _drawn(evidence, again, "refine"))
        if after is None:
            raise ValueError("the scale that scored the first answers gave no scores for the refinements")
        gains = [new - old for new, old in zip(after, before, strict=True)]
        silent = sum(not critique.strip() for critique in critiques)
        note = f"{silent} of {len(critiques)} critiques were empty" if silent else ""
        return {"critic_gain": Scores(average(gains, rows), note="; ".join(filter(None, (scale, note))))}


def _drawn(evidence: Evidence, prompts: Sequence[Prompt], what: str) -> list[str]:
    seed = derive_seed("critic_gain", evidence.seed, what)
    drawn = evidence.policy.generate(prompts, n=1, decoding=evidence.decoding, seed=seed)
    return [row[0].text for row in drawn]


def _scored(
    evidence: Evidence, rows: Sequence[Answered], texts: Sequence[str]
) -> tuple[list[float] | None, str]:
    """Scores of the texts and a word on their scale; or None and the reason."""
    judge, prompts, keys = evidence.judge, [row.prompt for row in rows], [row.key for row in rows]
    if judge.unfit(evidence.keys) is None and (values := judge.score(prompts, keys, texts)) is not None:
        return values, ""
    if reason := without_references(evidence.keys):
        return None, f"judge {judge.name} has no scale of quality here, and {reason}"
    near = [
        max(quality(text, row.prompt.text, reference) for reference in row.key.references)
        for row, text in zip(rows, texts, strict=True)
    ]
    return near, "by nearness to the reference, which is a proxy of quality"


def _missing(reason: str) -> dict[str, Scores]:
    return {"critic_gain": Scores(missing=reason)}


PLUGIN = CriticGain
