"""What a summary misses or invents, told from the text it summarises and a written reference.

Nothing here understands language: it counts stems of content words. A point is worth the words it holds,
weighed by how often the text comes back to them, as a share of all that the reference says; an invention
is worth what `quality` takes off for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from alignment_bench.words import Word, content_stems, sentences, words

LONGEST = 6
"""words in a phrase that a critique quotes"""
BRIDGED = 2
"""function words that a phrase may run across"""
INVENTION_COST = 0.5
"""quality lost per share of content words that are invented"""


@dataclass(frozen=True, slots=True)
class Point:
    """One shortcoming: the phrase, its weight, and where it stands (`invented` in the summary, `missing` in
    the reference)."""

    kind: Literal["missing", "invented"]
    phrase: str
    weight: float
    start: int
    end: int


def points(text: str, post: str, reference: str) -> list[Point]:
    """All shortcomings of a summary, the weightiest first; among equals missing before invented, in order."""
    told = Counter(word.stem for word in words(post) if word.content)
    said, written = set(content_stems(text)), set(content_stems(reference))
    known = written | {word.stem for word in words(post)}

    def weight(stem: str) -> float:
        return 1 + math.log(max(1, told[stem]))

    total = sum(weight(stem) for stem in written) or 1.0
    found = [
        Point("missing", phrase, sum(weight(stem) for stem in stems) / total, start, end)
        for phrase, stems, start, end in _phrases(reference, lambda s: s in told and s not in said)
    ]
    found += [
        Point("invented", phrase, INVENTION_COST * len(stems) / len(said), start, end)
        for phrase, stems, start, end in _phrases(text, lambda s: s not in known)
    ]
    return sorted(_first_of_each(found), key=lambda point: -point.weight)


def quality(text: str, post: str, reference: str) -> float:
    """A summary's `worth`, 0 where that is negative."""
    return max(0.0, worth(text, post, reference))


def worth(text: str, post: str, reference: str) -> float:
    """sqrt(F) - INVENTION_COST * invented, in [-INVENTION_COST, 1]; the least without content words.

    Below 0 it still tells a summary that invents much from one that invents all: a weak model writes both.

    F is the F-measure of content stems, counted with repeats, against the reference, so that copying more of
    the post or saying a thing twice loses precision; the root spreads the low values that free summaries
    reach. `invented` is the share of content stems found neither in post nor reference, beyond the share of
    the reference's own that are not in the post: people paraphrase, and so may a summary.
    """
    said, written = Counter(content_stems(text)), Counter(content_stems(reference))
    if not said or not written:
        return -INVENTION_COST
    overlap = 2 * (said & written).total() / (said.total() + written.total())
    told = {word.stem for word in words(post)}
    invented = sum(n for stem, n in said.items() if stem not in told and stem not in written)
    own = sum(n for stem, n in written.items() if stem not in told)
    excess = max(0.0, invented / said.total() - own / written.total())
    return math.sqrt(overlap) - INVENTION_COST * excess


def sentence_around(text: str, start: int, end: int) -> tuple[int, int]:
    """The range of the sentence of `text` that holds [start, end), or that range itself."""
    return next(((a, b) for a, b in sentences(text) if a <= start and end <= b), (start, end))


def _phrases(text: str, wanted: Callable[[str], bool]) -> list[tuple[str, set[str], int, int]]:
    """Runs of wanted content words within one sentence, with at most BRIDGED function words between them."""
    found = []
    for start, end in sentences(text):
        run: list[Word] = []
        gap = 0
        for word in [word for word in words(text) if start <= word.start < end]:
            if word.content and wanted(word.stem):
                if run and (gap > BRIDGED or len(run) + gap + 1 > LONGEST):
                    found.append(_phrase(text, run))
                    run = []
                run.append(word)
                gap = 0
            elif not word.content:
                gap += 1
            else:
                gap = BRIDGED + 1
        if run:
            found.append(_phrase(text, run))
    return found


def _phrase(text: str, run: Sequence[Word]) -> tuple[str, set[str], int, int]:
    start, end = run[0].start, run[-1].end
    return text[start:end], {word.stem for word in run}, start, end


def _first_of_each(found: Sequence[Point]) -> list[Point]:
    seen: dict[tuple[str, str], Point] = {}
    for point in found:
        seen.setdefault((point.kind, point.phrase.lower()), point)
    return list(seen.values())
