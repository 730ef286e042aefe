"""From a free text to units: each word, or phrase that means something here, with what it may stand for.

Built from the tables of `synonyms`. A unit knows its kind only; who did what is worked out in `free_text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from alignment_bench.world import vocabulary as v
from alignment_bench.world.posts import synonyms as s

Meaning = Mapping[str, float]
"""Values that a wording may stand for, each with the share of a right statement that it is worth."""


class Unit(NamedTuple):
    """A word or phrase of a text."""

    kind: str
    """``who action object feeling wish`` of the facts, else a part of speech: see `_CLOSED`"""
    text: str
    means: Meaning = {}  # noqa: RUF012  (never written to)
    form: str = ""
    """of an action ``base past participle ing noun``, of a feeling ``noun``"""
    words: int = 1


class _Entry(NamedTuple):
    rest: tuple[str, ...]
    gap: int
    """how many words may stand between the first word and the rest"""
    kind: str
    means: Meaning
    form: str


_CLOSED = {
    "narrator": "i op author writer poster narrator we user redditor",
    "me": "me us myself ourselves",
    "pronoun": "he she they",
    "him": "him them himself herself themselves themself",
    "possessive": "my our your his their 's",
    "article": "the a an every",
    "not": "not never no nor without against neither refuse refuses refused refusing instead rather "
    "avoid avoids",
    "am": "am",
    "is": "is are was were",
    "be": "be been being get gets got getting gotten become becomes became",
    "have": "have has had having",
    "do": "do does did done doing",
    "modal": "will would can could should might may must shall",
    "to": "to",
    "by": "by",
    "preposition": "of at with from into onto for",
    "particle": "about in on over up out off down away through back under around near",
    "report": "say says said saying think thinks thought believe believes believed suggest suggests "
    "suggested advise advises advised tell tells told recommend recommends recommended urge urges urged",
    "want": "want wants wanted wanting hope hopes hoped hoping plan plans planned planning intend intends "
    "intended intending wish wishes wished wishing like likes need needs needed going aim aims decide "
    "decides decided deciding consider considers considered considering thinking looking ready "
    "tempted wondering "
    "wonder wonders try trying tries tried determined prepared contemplating contemplates "
    "seek seeks seeking desire desires desired mulling mulls ponders pondering",
    "feel": "feel feels felt feeling feelings seem seems seemed sound sounds remain remains remained",
    "make": "make makes made making leave leaves left leaving",
    "and": "and or",
    "because": "because but although though while whereas if since after when until before then yet than",
    "so": "so",
    "that": "that which who this what whom whose where it there",
    "pause": ", ; : ( ) - \u2013 \u2014 \"",
    "end": ". ! ?",
    "adverb": "very really quite so too just now also still even only all extremely deeply already soon "
    "today yesterday again then both pretty rather completely totally utterly somewhat bit little "
    "terribly truly",
}  # fmt: skip
_KIND = {word: kind for kind, words in _CLOSED.items() for word in words.split()}
_KIND |= {"so": "so", "her": "her", "leaving": "make", "left": "make"}
_PHRASES = {
    "old": "last year;years ago;once;a year ago;previously;in the past;back then;used to;at one time;"
    "long ago;"
    "some years ago;in years past;some time ago;a while back;a while ago;a few years ago;many years ago;"
    "months ago;"
    "formerly;some time back;earlier in life;a long time ago",
    "narrator": "original poster",
    "neutral": "do not know what to do;does not know what to do;what to do;what should i do;"
    "what can i do;what do i do;what would you do;advice;not sure;unsure;opinions",
    "x": "a while;the us;us;a who;may be;not only;not just;no idea;no one;"
    "no doubt;no longer sure;could not be;can not wait;at all;after all;"
    "now that;so that;as well;according to;up to;rather than that;would rather;going on;thought about;used",
    "not": "no longer;rather than;instead of;not at all",
    "object of no interest": "phone number",
}
_VAGUE = {"someone", "somebody", "anyone", "nobody", "person"}
_SHORT = (
    (re.compile(r"[\u2018\u2019`]"), "'"),
    (re.compile(r"\bcan't|\bcannot"), "can not"),
    (re.compile(r"\bwon't"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\bi'm\b|\bim\b"), "i am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"\bgonna\b"), "going to"),
    (re.compile(r"\bwanna\b"), "want to"),
    (re.compile(r"\btl ?; ?dr\b:?"), ""),
    (re.compile(r"s' "), "s 's "),
)
_TOKEN = re.compile(r"'s\b|[a-z]+(?:-[a-z]+)*|[0-9]+|[.,;:!?()\"\u2013\u2014-]")
_DOUBLED = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")


def inflect(verb: str, past: str = "", participle: str = "") -> dict[str, str]:
    """The forms of a verb, each with its name; regular where no past is given."""
    if verb.endswith("y") and verb[-2] not in "aeiou":
        stem, third = verb[:-1] + "i", verb[:-1] + "ies"
    else:
        stem = verb + verb[-1] if _DOUBLED.fullmatch(verb) else verb
        third = verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s")
    regular = (verb if verb.endswith("e") else stem + "e") + "d"
    gerund = (
        verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else stem if stem[-1] != "i" else verb
    )
    past = past or regular
    named = {verb: "base", third: "past", gerund + "ing": "ing", participle or past: "participle"}
    return named | {past: "past"}


def units(text: str) -> list[Unit]:
    """The units of a text, in order; what no table knows is of the kind ``x``."""
    text = text.lower()
    for pattern, short in _SHORT:
        text = pattern.sub(short, text)
    tokens = _TOKEN.findall(text)
    found: list[Unit] = []
    skipped: set[int] = set()
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if at in skipped:
            found.append(Unit("x", token))
            at += 1
            continue
        for entry in _LEXICON.get(token, ()):
            size = len(entry.rest)
            if tuple(tokens[at + 1 : at + 1 + size]) == entry.rest:
                found.append(Unit(entry.kind, token, entry.means, entry.form, size + 1))
                at += size + 1
                break
            if entry.gap and (place := _later(tokens, at, entry)):
                skipped.update(range(place, place + size))
                found.append(Unit(entry.kind, token, entry.means, entry.form))
                at += 1
                break
        else:
            kind = _KIND.get(token, "x")
            if kind == "her":
                kind = "possessive" if at + 1 < len(tokens) and _noun_follows(tokens, at + 1) else "him"
            elif token == "'s" and found and _is_verb(found[-1], tokens, at):
                kind, token = "is", "is"
            elif token == "'s" and found and found[-1].kind in ("who", "narrator"):
                owner = found.pop()
                found.append(Unit("possessive", owner.text, owner.means, owner.kind))
                at += 1
                continue
            found.append(Unit(kind, token))
            at += 1
    return found


def _later(tokens: list[str], at: int, entry: _Entry) -> int:
    for place in range(at + 2, min(at + 2 + entry.gap, len(tokens))):
        if tokens[place - 1] in _STOPS:
            return 0
        if tuple(tokens[place : place + len(entry.rest)]) == entry.rest:
            return place
    return 0


_STOPS = frozenset(".!?,;")


def _noun_follows(tokens: list[str], at: int) -> bool:
    """Whether "her" before this place is "her lamp" and not "made her angry"."""
    kinds = {entry.kind for entry in _LEXICON.get(tokens[at], ())}
    if "feeling" in kinds:
        after = _LEXICON.get(tokens[at + 1], ()) if at + 1 < len(tokens) else ()
        return any(entry.kind in ("who", "object") for entry in after)
    return bool(kinds & {"who", "object", "action"}) or _KIND.get(tokens[at], "x") == "x"


def _is_verb(before: Unit, tokens: list[str], at: int) -> bool:
    if before.kind in ("pronoun", "that"):
        return True
    after = tokens[at + 1] if at + 1 < len(tokens) else "."
    kinds = {entry.kind for entry in _LEXICON.get(after, ())}
    if before.kind in ("who", "narrator") and "feeling" in kinds:
        return not (at + 2 < len(tokens) and _LEXICON.get(tokens[at + 2]))
    return _KIND.get(after) in ("article", "not", "adverb", "want", "be", "am", "so")


def _meaning(said: str) -> Meaning:
    if said == "RELATIVE":
        return dict.fromkeys(s.RELATIVES.split(), 0.5)
    if said.rstrip("!") in v.WISHES:
        return {said.rstrip("!"): 1.0}
    names = [wish for wish in v.WISHES if wish in said] if said not in v.WISHES and " " in said else []
    if names:
        return {wish: 1.0 if f"{wish}!" in said else 0.5 for wish in names}
    values = said.split()
    return {value.rstrip("!"): 1.0 if len(values) == 1 or value.endswith("!") else 0.5 for value in values}


def _compile() -> dict[str, list[_Entry]]:
    lexicon: dict[str, list[_Entry]] = {}

    def add(wording: Iterable[str], kind: str, means: Meaning, form: str = "", gap: int = 0) -> None:
        first, *rest = wording
        lexicon.setdefault(first, []).append(_Entry(tuple(rest), gap, kind, means, form))

    for table, kind in ((s.PEOPLE, "who"), (s.THINGS, "object")):
        for wording, said in table.items():
            words = wording.split()
            for last in {words[-1], words[-1] + "s", words[-1] + "es"}:
                add((*words[:-1], last), kind, _meaning(said))
    for table, apart in ((s.DEEDS, False), (s.DEEDS_APART, True)):
        for wording, said in table.items():
            head, _, rest_of_it = wording.partition(" + ")
            verb, *others = head.split()
            irregular, rest = others[:2], rest_of_it.split()
            if apart:
                irregular, rest = (others[:2], others[2:]) if len(others) > 2 else ([], others)
            for word, form in inflect(verb, *irregular).items():
                add((word, *rest), "action", _meaning(said), form, gap=4 if apart else 0)
    for wording, said in s.DEEDS_AS_NOUNS.items():
        add((wording,), "action", _meaning(said), "noun")
    for wording in s.NO_DEEDS:
        add(wording.split(), "x", {})
    for wording, said in s.FEELINGS.items():
        add(wording.split(), "feeling", _meaning(said))
    for wording, said in s.FEELINGS_AS_NOUNS.items():
        add(wording.split(), "feeling", _meaning(said), "noun")
    for wording, said in s.WISHES.items():
        head, plus, tail = wording.partition(" + ")
        verb, *rest = head.split()
        form = "if wanted" if wording in s.ONLY_IF_WANTED else ""
        nouns = {"talks", "breaks"} if form else set()
        for word in {*inflect(verb), *s.IRREGULAR.get(verb, "").split()} - nouns:
            add((word, *rest, *tail.split()), "wish", _meaning(said), form, gap=3 if plus else 0)
    for kind, wordings in _PHRASES.items():
        for wording in wordings.split(";"):
            add(wording.split(), kind, {})
    for wording in s.PADDING:
        add(wording.split(), "padding", {})
    for word in s.INSULTS:
        add((word,), "insult", {})
    for word in s.RUDE_ADJECTIVES:
        add((word,), "rude", {})
    for word in _VAGUE:
        add((word,), "vague", {})
    for entries in lexicon.values():
        entries.sort(key=lambda entry: (-len(entry.rest), entry.form in ("base", "noun")))
    return lexicon


_LEXICON = _compile()
