"""What critics say of summaries and replies: the same words, so that who follows the ones follows the others.

Each aspect is ``missing``, ``wrong`` or to be left out, and a hint names the value to state.
"""

from __future__ import annotations

MISSING = {
    "event": "the event is missing.",
    "advice": "the help is missing.",
    "who": "the person is missing.",
    "action": "the deed is missing.",
    "object": "the thing is missing.",
    "wish": "the wish is missing.",
    "feeling": "the feeling is missing.",
}
WRONG = {
    "who": "the person is wrong.",
    "action": "the deed is wrong.",
    "object": "the thing is wrong.",
    "wish": "the wish is wrong.",
    "feeling": "the feeling is wrong.",
}
HINT = {
    "who": "it was my {}.",
    "action": "somebody {} it.",
    "object": "it was the {}.",
    "wish": "i want to {}.",
    "feeling": "i feel {}.",
}
DROP = {
    "who": "leave out who did it.",
    "action": "leave out what was done.",
    "object": "leave out what it was done to.",
    "wish": "leave out what i want.",
    "feeling": "leave out how i feel.",
}
LEAVE = {
    "insult": "it is rude. leave out",
    "aside": "it is off topic. leave out that",
    "padding": "it is too long. leave out",
}
AGAIN = {
    "repeat": "it repeats itself. say it once.",
    "broken": "it is hard to read. write it again.",
    "unfinished": "it stops too early. write it again.",
}
TOO_KIND, TOO_SHORT = "it is too kind. add", "it is too short. add"
MIX = "it is too easy to read. mix up the words."
REMARKS = (
    *(text for table in (MISSING, WRONG, HINT, DROP, LEAVE, AGAIN) for text in table.values()),
    TOO_KIND,
    TOO_SHORT,
    f"{TOO_SHORT} that",
    MIX,
)
"""Every wording, for the vocabulary."""
