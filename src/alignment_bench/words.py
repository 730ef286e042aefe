"""Words as the reference teacher, the panel and the grounding metrics see them.

Plain English text processing without a model: lower-case words, a short list of words that carry no
content, Porter stems (nltk's, as rouge-score uses), and sentences.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
# "|" separates the sentences of some published references.
_SENTENCE = re.compile(r"[^.!?|\n]+[.!?]*")
_FUNCTION_WORDS = """
a an the this that these those there here it its itself he him his himself she her hers herself they them
their theirs themselves we us our ours ourselves you your yours yourself i me my mine myself one who whom
whose which what where when why how and or but nor so yet if then than because as of at by for from in into
on onto out over under up down off to with without within about after before again against between during
through until while be am is are was were been being have has had having do does did doing done will would
shall should can could may might must not no yes just very too also even only some any all both each few
more most other such own same much many lot lots really quite still already ever never now get gets got
getting go goes going went im ive id ill youre hes shes theyre dont doesnt didnt cant couldnt wont wouldnt
isnt arent wasnt werent havent hasnt tl dr tldr
"""
_EMPTY = frozenset(_FUNCTION_WORDS.split())


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text: how it is written, its stem, where it stands, and whether it carries content."""

    text: str
    stem: str
    start: int
    end: int
    content: bool


@functools.cache
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


@functools.lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The Porter stem of a lower-case word; words of up to three letters, and numbers, stay as they are."""
    return str(_stemmer().stem(word)) if len(word) > 3 and word.isalpha() else word


@functools.lru_cache(maxsize=10_000)
def words(text: str) -> tuple[Word, ...]:
    """All words of a text, in order."""
    found = []
    for match in _WORD.finditer(text):
        plain = match.group().lower().replace("\u2019", "'")
        bare = plain.replace("'", "")
        content = bare not in _EMPTY and (len(bare) > 1 or bare.isdigit())
        root = plain.removesuffix("'s")
        found.append(Word(match.group(), stem(root), match.start(), match.end(), content))
    return tuple(found)


def content_stems(text: str) -> tuple[str, ...]:
    """Stems of the words that carry content, in order, with repeats."""
    return tuple(word.stem for word in words(text) if word.content)


def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Character ranges of the sentences, surrounding white space left out."""
    ranges = []
    for match in _SENTENCE.finditer(text):
        inner = match.group()
        start = match.start() + len(inner) - len(inner.lstrip())
        end = match.end() - (len(inner) - len(inner.rstrip()))
        if _WORD.search(text, start, end):
            ranges.append((start, end))
    return tuple(ranges)


def ngrams(items: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of `n` items; a shorter sequence counts as one run, an empty one as none."""
    if not items:
        return []
    n = min(n, len(items))
    return [tuple(items[i : i + n]) for i in range(len(items) - n + 1)]
