"""The closed vocabulary: every word and phrase of posts, summaries, critiques and requests.

Phrases contain neither full stops nor the joints "and" and ",", so that a summary splits into clauses
without ambiguity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import Formatter

WHO = (
    "boss", "sister", "brother", "neighbour", "roommate", "friend", "cousin", "aunt", "uncle", "landlord",
    "teacher", "coach", "mother", "father", "colleague", "doctor", "barber", "tenant", "nephew", "manager",
    "plumber", "student", "partner", "driver",
)  # fmt: skip
ACTIONS = (
    "broke", "sold", "lost", "stole", "borrowed", "hid", "burned", "painted", "scratched", "dropped",
    "ruined", "returned", "cleaned", "copied", "kept", "washed", "opened", "repaired", "cut", "buried",
)  # fmt: skip
OBJECTS = (
    "laptop", "car", "bike", "phone", "sofa", "guitar", "camera", "watch", "ring", "coat", "book", "bag",
    "piano", "tent", "boat", "lamp", "desk", "mirror", "kettle", "jacket", "wallet", "drone", "fridge",
    "ladder",
)  # fmt: skip
FEELINGS = (
    "angry", "sad", "happy", "scared", "tired", "proud", "guilty", "lonely", "calm", "confused", "jealous",
    "ashamed", "bored", "worried", "relieved", "hurt",
)  # fmt: skip
WISHES = (
    "sue",
    "move out",
    "call the police",
    "get a refund",
    "ask for help",
    "say sorry",
    "forget it",
    "leave town",
    "stay home",
    "talk it over",
    "start again",
    "write a letter",
    "find a lawyer",
    "take a break",
    "change the locks",
    "tell everybody",
)

FEELING_FORMS = ("i feel {}", "i am {}", "it makes me {}")
WISH_FORMS = ("i want to {}", "i hope to {}", "i plan to {}")
INSULTS = ("stupid", "awful", "useless", "dumb", "filthy")
OUTBURSTS = ("what an idiot", "what a clown", "what a loser")
PADDING = ("so basically", "to be honest", "long story short", "as you can imagine", "believe it or not")
LAST_PADDING = ("that is all for now", "you know how it is", "it is what it is")
ASIDES = ("my {who} thinks i should {wish}", "my {who} is {feeling}", "{past} my {who} {action} the {object}")

NOW = ("today", "yesterday", "this week", "on monday")
PAST = ("last year", "years ago", "once")
OPENINGS = (
    "hi all",
    "throwaway account",
    "long time reader here",
    "sorry for the long post",
    "hello there",
    "this is my first post",
)
CLOSINGS = (
    "thanks for reading",
    "any advice is welcome",
    "what would you do",
    "i am not sure what to do",
    "please be honest with me",
)
SCENES = (
    "we live in the same street and people talk",
    "it was raining all day",
    "nobody else was there to see it",
    "it took me a long time to write this",
    "it all went very fast",
    "we used to get on well",
    "some people say that it is not a big deal",
    "i have not slept much since then",
    "there was a lot of noise in the house",
    "at first i thought it was a joke",
    "we have not spoken since",
    "it is hard to explain all of this",
    "people keep asking me about it",
    "i was about to go to work",
)
"""Sentences that say nothing of importance."""
POST_EVENTS = (
    "{now} my {who} {action} the {object}",
    "{now} it was my {who} who {action} the {object}",
    "{now} i found out that my {who} {action} the {object}",
)
POST_FEELINGS = (
    "i feel {feeling} about it",
    "now i am {feeling}",
    "it makes me {feeling}",
)
POST_WISHES = (
    "i want to {wish}",
    "i hope to {wish} soon",
    "i plan to {wish} now",
)
OTHER_EVENTS = (
    "{past} my {who} {action} the {object}",
    "{past} it was my {who} who {action} the {object}",
)
OTHER_FEELINGS = ("my {who} is {feeling}", "my {who} says that i sound {feeling}")
OTHER_WISHES = (
    "my {who} thinks i should {wish}",
    "my {who} wants to {wish}",
    "my {who} told me to {wish} but i am not sure",
)

QUALITIES = (
    "short", "full", "emotional", "practical", "rude", "polite", "vague", "exact", "wordy", "plain",
    "hopeful", "decided",
)  # fmt: skip
"""Words with which a request describes the answer it wants."""
FREE_WORDS = (
    "excellent", "good", "fair", "poor", "terrible", "bad", "great", "helpful", "harmful", "best", "worst",
    "better", "worse", "one", "two", "three", "four", "five", "six", "seven", "score", "weakness",
    "suggestion", "quality", "toxic", "correct", "principle",
)  # fmt: skip
"""Words that no document contains: for methods that teach a model new conditions or formats."""

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"
SPECIAL = (PAD, EOS, UNKNOWN)
"""Special tokens; their ids are 0, 1 and 2."""

_TOKEN = re.compile(r"<\w+>|\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """The tokens of a text: words, single punctuation marks and special tokens."""
    return _TOKEN.findall(text)


GLUED: tuple[tuple[str, str], ...] = (
    *((f" {mark}", mark) for mark in ".,:?"),
    *(("( ", "("), (" (", "("), (" )", ")"), ("[ ", "["), (" ]", "]")),
)
"""What is written without a space: the tokenizer's decoder and `join` replace these pairs in order."""


def join(tokens: Iterable[str]) -> str:
    """Readable text from tokens: no space before punctuation or inside brackets. Inverse of `words`."""
    text = " ".join(tokens)
    for apart, together in GLUED:
        text = text.replace(apart, together)
    return text


def literal(template: str) -> str:
    """The words of a template without its {slots}."""
    return " ".join(part for part, *_ in Formatter().parse(template))
