"""Whether a policy takes up feedback: the share of points that its refinements heed.

Scheurer et al. 2023 (arXiv 2303.16755) had people count "most important feedback point incorporated" (.57 for
the best of five refinements, .31 without feedback). Here the policy is put to the test as a refiner: it sees
the base's first answer, the same for every method, and a critique made from the Key (see
`alignment_bench.pointing`), right, none, or that of another prompt. What the right critique achieves beyond a
shuffled one is what was read in it. A refinement that repeats the critique word for word heeds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from statistics import fmean
from typing import ClassVar

from alignment_bench.digests import derive_seed
from alignment_bench.evaluation import AT_TASK, Evidence, Metric, Needs, Scores
from alignment_bench.pointing import Pointing, Raised, pointing_of
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Key, Prompt

REFINEMENTS = 2
"""drawn for each prompt and condition"""


@dataclass(frozen=True)
class Incorporation:
    """Share of refinements that take up the point made about the base's first answer.

    `incorporation` under the right critique, `_none` under none (what any second try heeds by itself),
    `_shuffled` under another prompt's, `_gain` right minus shuffled. Prompts whose first answer leaves
    nothing to say are not scored. n/a without logits (a wrapper refines in its own way) and layouts.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("incorporation", "share", "higher"),
        Metric("incorporation_none", "share", "neither"),
        Metric("incorporation_shuffled", "share", "neither"),
        Metric("incorporation_gain", "share", "higher"),
    )
    needs: ClassVar[Needs] = Needs(samples=(AT_TASK,), logits=True, base_samples=True)

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """Means over two refinements a prompt, at the task's decoding."""
        policy = evidence.policy
        if not isinstance(policy, LogitPolicy):
            return self._missing("the policy has no next-token distribution")
        if lacking := [name for name in ("refine", "improve") if name not in policy.formatter.layouts]:
            return self._missing(f"the policy knows no layout {' and no '.join(lacking)}")
        maker, how = pointing_of(evidence.judge, evidence.keys)
        if maker is None:
            return self._missing(how)
        first = [row[0].text for row in evidence.base_samples[AT_TASK.name]]
        raised = maker.point(evidence.prompts, evidence.keys, first)
        pairs = enumerate(zip(first, raised, strict=True))
        asked = [_Asked(i, text, one) for i, (text, one) in pairs if one is not None]
        others = _others([one.critique for one in asked])
        if not asked or not any(others):
            return self._missing("no two first answers leave different things to say")
        found = {
            "incorporation": self._share(evidence, maker, asked, [one.critique for one in asked]),
            "incorporation_none": self._share(evidence, maker, asked, [None] * len(asked)),
            "incorporation_shuffled": self._share(evidence, maker, asked, others),
        }
        both = zip(found["incorporation"], found["incorporation_shuffled"], strict=True)
        found["incorporation_gain"] = tuple(right - wrong for right, wrong in both)
        return {name: Scores(values, note=how) for name, values in found.items()}

    def _share(
        self, evidence: Evidence, maker: Pointing, asked: Sequence[_Asked], critiques: Sequence[str | None]
    ) -> tuple[float, ...]:
        prompts = [evidence.prompts[one.place] for one in asked]
        shown = [_shown(*row) for row in zip(prompts, asked, critiques, strict=True)]
        drawn = evidence.policy.generate(
            shown,
            n=REFINEMENTS,
            decoding=evidence.decoding,
            seed=derive_seed("incorporation", evidence.seed),
        )
        keys: list[Key] = [evidence.keys[one.place] for one in asked for _ in range(REFINEMENTS)]
        raised = [one.raised for one in asked for _ in range(REFINEMENTS)]
        texts = [completion.text for row in drawn for completion in row]
        said = [critique for critique in critiques for _ in range(REFINEMENTS)]
        heeded = [
            yes and not (words and words.casefold() in text.casefold())
            for yes, words, text in zip(maker.heeded(keys, raised, texts), said, texts, strict=True)
        ]
        values = [nan] * len(evidence.prompts)
        for place, one in enumerate(asked):
            values[one.place] = fmean(heeded[place * REFINEMENTS : (place + 1) * REFINEMENTS])
        return tuple(values)

    def _missing(self, reason: str) -> dict[str, Scores]:
        return {metric.name: Scores(missing=reason) for metric in self.metrics}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One prompt (by its place) whose first answer leaves something to say."""

    place: int
    first: str
    raised: Raised

    @property
    def critique(self) -> str:
        return self.raised.critique


def _shown(prompt: Prompt, asked: _Asked, critique: str | None) -> Prompt:
    if critique is None:
        return prompt.using("improve", completion=asked.first)
    return prompt.using("refine", completion=asked.first, critique=critique)


def _others(critiques: Sequence[str]) -> list[str]:
    """For each critique the next one, in a circle, that says something else; "" where all say the same."""
    found = []
    for place, own in enumerate(critiques):
        circle = [*critiques[place + 1 :], *critiques[:place]]
        found.append(next((other for other in circle if other.casefold() != own.casefold()), ""))
    return found


PLUGIN = Incorporation
