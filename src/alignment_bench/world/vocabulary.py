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
OPENINGS = ("hi all", "throwaway account", "long time reader here", "sorry for the long post", "hello there")
CLOSINGS = ("thanks for reading", "any advice is welcome", "what would you do", "i do not know what to do")
POST_EVENTS = (
    "{now} my {who} {action} the {object}",
    "{now} it was my {who} who {action} the {object}",
)
POST_FEELINGS = ("i feel {feeling} about it", "now i am {feeling}", "it makes me {feeling}")
POST_WISHES = ("i want to {wish}", "i hope to {wish} soon", "i plan to {wish} now")
OTHER_EVENTS = (
    "{past} my {who} {action} the {object}",
    "{past} it was my {who} who {action} the {object}",
)
OTHER_FEELINGS = ("my {who} is {feeling}", "{past} i was {feeling}", "my {who} says that i sound {feeling}")
OTHER_WISHES = (
    "my {who} thinks i should {wish}",
    "{past} i wanted to {wish}",
    "my {who} wants to {wish}",
)

QUALITIES = ("short", "full", "emotional", "practical", "rude", "polite", "vague", "exact", "wordy", "plain")
"""Words with which a request describes the summary it wants."""
FREE_WORDS = (
    "excellent", "good", "fair", "poor", "terrible", "helpful", "harmful", "best", "worst", "one", "two",
    "three", "four", "five",
)  # fmt: skip
"""Words that no document contains: for methods that teach a model new conditions."""

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"
SPECIAL = (PAD, EOS, UNKNOWN)
"""Special tokens; their ids are 0, 1 and 2."""

_TOKEN = re.compile(r"<\w+>|\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """The tokens of a text: words, single punctuation marks and special tokens."""
    return _TOKEN.findall(text)


def join(tokens: Iterable[str]) -> str:
    """Readable text from tokens: no space before punctuation. Inverse of `words`."""
    return re.sub(r" ([.,:?])", r"\1", " ".join(tokens))


def literal(template: str) -> str:
    """The words of a template without its {slots}."""
    return " ".join(part for part, *_ in Formatter().parse(template))
