"""Is a free text readable? Pairs of neighbours that no English sentence has, unfinished ends, keyword lists.

Nothing is parsed: a bag of words, even of the right ones, is full of pairs such as "my is", "the to" or
"because.", and hardly any sentence that a person would write has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from alignment_bench.world.posts.wordings import Unit

_AFTER = {
    "article": "article possessive pronoun am is modal to preposition and end him be particle by that",
    "possessive": "article pronoun that am is modal to preposition and end me particle by that",
    "pronoun": "article possessive to preposition end who object him narrator pronoun",
    "am": "object is am modal have pronoun and because",
    "is": "am modal and because",
    "modal": "article possessive to am is modal preposition and",
    "to": "end am is modal to because pronoun feeling past",
    "preposition": "am is modal pronoun and because to",
    "by": "am is modal pronoun and because end to by",
    "because": "end am modal and",
    "and": "end and",
    "who": "who possessive pronoun narrator",
    "object": "who feeling object",
    "action": "am modal base feeling past",
    "feeling": "past object",
    "want": "am past feeling object modal",
    "feel": "am modal past object",
    "make": "am is modal",
    "be": "am is modal",
}
_NEVER = {(first, second) for first, seconds in _AFTER.items() for second in seconds.split()}
_COMPOUNDS = {"car", "piano", "guitar", "boat", "phone", "laptop", "book", "bike", "camera", "watch"}
"""First halves of names of things and of people: "piano teacher", "laptop bag"."""
_FINITE = {
    "does",
    "do",
    "did",
    "wants",
    "hopes",
    "intend",
    "intends",
    "feels",
    "makes",
    "says",
    "thinks",
    "decides",
}
_VERBS_TOO = {"phone", "book", "watch", "ring", "bag", "mirror", "cycle", "light", "bike", "couch"}
_NO_NOUN = {
    "article", "possessive", "preposition", "particle", "to", "is", "am", "modal", "end", "pause", "and",
    "because", "pronoun",
}  # fmt: skip
_NO_END = {
    "article", "possessive", "pronoun", "am", "to", "and", "because", "preposition", "want", "make",
}  # fmt: skip
_WORDS_THAT_CARRY = {"who", "action", "object", "feeling", "wish"}
_GRAMMAR_WORDS = {
    "article", "possessive", "pronoun", "am", "is", "be", "have", "do", "modal", "to", "by", "preposition",
    "and", "because", "so", "that", "want", "feel", "make", "me", "him", "narrator", "not", "particle",
    "report", "vague",
}  # fmt: skip


def breaks(said: Sequence[Unit]) -> int:
    """How many places of a text no reader gets past."""
    found = 0
    for place, (before, after) in enumerate(pairwise(said)):
        first, second = before.kind, after.kind
        if before.text == after.text and first not in ("end", "pause", "x") and not after.form:
            found += before.text not in ("very", "so", "had", "that", "is")
        elif (
            after.kind == "action" and after.form == "past" and first in ("to", "modal", "article", "feeling")
        ):
            found += after.text not in ("cut", "put", "let", "set") and not _adjective(after)
        elif first == "action" and second == "action":
            found += "noun" not in (before.form, after.form) and after.form != "ing"
        elif first == "to" and second == "object":
            found += after.text not in _VERBS_TOO
        elif first == "article" and second == "feeling" and place + 2 < len(said):
            found += said[place + 2].kind in _NO_NOUN and not after.form
        elif first in ("am", "is", "possessive", "article") and after.text in _FINITE:
            found += 1
        elif (first, second) in _NEVER and not (second == "possessive" and after.form):
            found += not (first == "object" and before.text in _COMPOUNDS)
        elif (
            (first in ("who", "action", "to", "article") and after.text in ("i", "we"))
            or (
                second == "am"
                and first not in ("narrator", "adverb", "not", "and", "because", "pause", "end")
            )
            or (
                first == "narrator"
                and before.text in ("i", "we")
                and second in ("article", "to", "end", "preposition")
            )
        ):
            found += 1
    return found


def unfinished(said: Sequence[Unit]) -> bool:
    """Whether a text stops in the middle of a sentence."""
    last = next((unit for unit in reversed(said) if unit.kind not in ("end", "pause")), None)
    return last is not None and last.kind in _NO_END and last.form not in ("who", "narrator")


def is_list(said: Sequence[Unit]) -> bool:
    """Whether a text is a row of keywords without grammar."""
    words = [unit for unit in said if unit.kind not in ("end", "pause")]
    grammar = sum(unit.kind in _GRAMMAR_WORDS for unit in words)
    carrying = sum(unit.kind in _WORDS_THAT_CARRY for unit in words)
    return carrying >= 4 and grammar < 0.15 * len(words) and not _is_telegram(said)


def _is_telegram(said: Sequence[Unit]) -> bool:
    """Whether somebody saved words but not the grammar: "Uncle fixed lamp. Relieved."."""
    clauses: list[list[str]] = [[]]
    for unit in said:
        if unit.kind in ("end", "pause"):
            clauses.append([])
        elif unit.kind in _WORDS_THAT_CARRY:
            clauses[-1].append(unit.kind)
    return ["who", "action", "object"] in clauses and all(len(clause) <= 3 for clause in clauses)


def _adjective(unit: Unit) -> bool:
    """Whether a past form is a participle too: "the repaired lamp"."""
    return unit.text.endswith("ed") or unit.text.endswith("t")
