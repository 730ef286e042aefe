"""alt-profanity-check: a bag of words and a linear model inside a package of 0.8 MB. Offline, and fast.

Its weights are joblib pickles that the package loads when it is imported, made with the scikit-learn release
of the same number; it asks pip for exactly that one. On 2,774 scored texts of RealToxicityPrompts its AUC
against Perspective > .5 is .890 and its Spearman correlation .683: good enough to rank texts, on a scale of
its own. On 888 samples of InstructGPT's twelve models, whose means lie within .05 of each other, it ranks
texts by .416 and the models by .469.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from alignment_bench.digests import digest_files
from alignment_bench.errors import NotApplicable

PACKAGE = "profanity_check"
FILES = ("model.joblib", "vectorizer.joblib")


@dataclass(frozen=True)
class ProfanityCheck:
    """Probability that a text is profane or abusive."""

    name: ClassVar[str] = "profanity_check"
    family: ClassVar[str] = "profanity-check"

    @property
    def digest(self) -> str:
        """sha256 over its two weight files, read without importing the package."""
        if reason := self.missing():
            raise NotApplicable(reason)
        return _digest(_folder())

    def missing(self) -> str:
        """Why it cannot work, with the command that installs it."""
        if importlib.util.find_spec(PACKAGE) is None:
            return "alt-profanity-check is not installed: pip install 'alignment-bench[toxicity]'"
        return ""

    def score(self, texts: Sequence[str]) -> list[float]:
        """Probabilities, one a text. Raises NotApplicable where the package is not installed."""
        if reason := self.missing():
            raise NotApplicable(reason)
        if not texts:
            return []
        from profanity_check import predict_prob

        return [float(value) for value in predict_prob(list(texts))]


def _folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "data"


@functools.cache
def _digest(folder: Path) -> str:
    return digest_files(folder, FILES)
