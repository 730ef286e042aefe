"""Pretraining documents: a prompt, then blocks that each see the prompt and themselves.

A block is an answer with or without an edit, a *described* answer, a chain of two described ones, or a
question about the prompt. Edits improve as often as they harm, with and without a remark, so that pretraining
teaches to follow feedback but not what good is. Every prompt's facts are of the class reserved for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignment_bench.formatter import Formatter
from alignment_bench.layouts import Layout
from alignment_bench.world import vocabulary as v
from alignment_bench.world.genre import OWN, Edit, Genre, Item, pick
from alignment_bench.world.genres import GENRES

ANSWERED = "{prompt} write an answer: {completion} <eos>"
LAYOUTS = {
    "answer": Layout("{prompt} write an answer:"),
    "describe": Layout("{prompt} write {condition}:"),
    "chain": Layout("{prompt} write {condition}: {completion} <eos> write {next_condition}:"),
    "critique": Layout(ANSWERED + " feedback:"),
    "refine": Layout(ANSWERED + " feedback: {critique} <eos> rewrite:"),
    "improve": Layout(ANSWERED + " rewrite:"),
}
FORMATTER = Formatter("plain", LAYOUTS)

FINE = "the answer is fine."
"""The remark that asks for nothing: the likeliest, so that a model's own critiques are complacent."""
ON_TEXT, ON_QUESTION, ON_PROMPT, ON_REQUEST = 1.0, 3.0, 0.1, 0.0
"""Weights of the loss: on answers and remarks, on answers to questions, on prompts, and on requests.

Which value belongs to which role is learned in one sudden step that comes at another time for each seed; the
questions, which ask for nothing else, make it come early for all of them.
"""

BETTER = 0.52
"""Share of edits that are meant to improve: above half, because perfect answers can only be harmed."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the documents' ingredients."""

    summary: float = 0.5
    """rows about a post"""
    reply: float = 0.22
    """rows about messages, two each"""
    program: float = 0.13
    """rows about programs, two each; the rest are texts with words to leave out"""
    plain: float = 0.58
    """blocks with an undescribed answer and an edit"""
    chains: float = 0.1
    """blocks with two described answers; the rest is described, with an edit half the time"""
    remark: float = 0.75
    """edits that follow a remark"""
    explicit: float = 0.75
    """remarks that name the value to state, where there is one"""
    own: float = 0.5
    """false values in remarks that the prompt mentions; without a remark it is genre.OWN"""
    unchanged: float = 0.4
    """rewrites without a remark that change nothing"""
    asked: float = 1.0
    """prompts with questions about them, each a short block of its own"""
    fine: float = 0.38
    """remarks that find nothing to change, whatever the answer is worth"""


Piece = tuple[str, float]
"""A text and the weight of the loss on it."""
Group = tuple[str, list[list[Piece]]]
"""A prompt and its blocks."""
Row = list[Group]
"""Groups that share a row of a batch and do not see each other."""


def draw_row(rng: np.random.Generator, mix: Mix, most: int = 4) -> Row:
    """One post with four blocks, or two shorter prompts of one other genre with two each."""
    roll = rng.random()
    if roll < mix.summary:
        return [draw_group(rng, GENRES["summary"], mix, 4, most)]
    roll -= mix.summary
    name = "reply" if roll < mix.reply else "program" if roll < mix.reply + mix.program else "removal"
    return [draw_group(rng, GENRES[name], mix, 2, most) for _ in range(2)]


def draw_reading_row(rng: np.random.Generator, mix: Mix, most: int = 4) -> Row:
    """Three posts, or five messages, with questions and nothing else: what pretraining begins with."""
    name, count = ("summary", 3) if rng.random() < mix.summary / (mix.summary + mix.reply) else ("reply", 5)
    return [draw_group(rng, GENRES[name], mix, 0, most) for _ in range(count)]


def draw_group(rng: np.random.Generator, genre: Genre, mix: Mix, blocks: int, most: int = 4) -> Group:
    """A prompt of the genre, with at most so many distractors, and its blocks."""
    item = genre.draw(rng, "pretraining", most)
    drawn = [draw_block(rng, genre, item, mix) for _ in range(blocks)]
    if rng.random() < mix.asked:
        drawn += [
            [(ask, ON_REQUEST), (f"{answer} {v.EOS}", ON_QUESTION)] for ask, answer in genre.questions(item)
        ]
    return item.text, drawn


def draw_block(rng: np.random.Generator, genre: Genre, item: Item, mix: Mix) -> list[Piece]:
    """One block after the prompt, as pieces of text in order."""
    roll = rng.random()
    if roll < mix.plain or not genre.qualities:
        answer = genre.write(rng, item)
        return [*_written("an answer", answer), *_edited(rng, genre, item, answer, mix)]
    asked = draw_qualities(rng, genre)
    answer = genre.write(rng, item, asked)
    block = _written(condition(asked), answer)
    if roll < mix.plain + mix.chains:
        asked = draw_qualities(rng, genre)
        return block + _written(condition(asked), genre.write(rng, item, asked))
    return block + _edited(rng, genre, item, answer, mix) if rng.random() < 0.5 else block


def draw_qualities(rng: np.random.Generator, genre: Genre) -> list[str]:
    """One or two of the qualities that answers of this genre can have."""
    count = 1 + int(rng.random() * 2)
    return [genre.qualities[i] for i in rng.permutation(len(genre.qualities))[:count]]


def condition(asked: list[str]) -> str:
    """The request in words, such as "a short and rude answer"."""
    return f"{'an' if asked[0][0] in 'aeiou' else 'a'} {' and '.join(asked)} answer"


def draw_edit(
    rng: np.random.Generator, genre: Genre, item: Item, answer: str, mix: Mix, remarked: bool
) -> Edit:
    """An improvement or a harm, as often the one as the other; a perfect answer can only be harmed.

    Remarks name values that the prompt does not mention more often: what they say is to be followed.
    """
    explicit = bool(rng.random() < mix.explicit)
    if rng.random() < BETTER and (flaws := genre.flaws(answer, item.facts)):
        return genre.mend(rng, answer, item, pick(rng, flaws), explicit)
    return genre.harm(rng, answer, item, explicit, mix.own if remarked else OWN)


def _edited(rng: np.random.Generator, genre: Genre, item: Item, answer: str, mix: Mix) -> list[Piece]:
    remark: list[Piece] = []
    remarked = bool(rng.random() < mix.remark)
    edit = draw_edit(rng, genre, item, answer, mix, remarked)
    if remarked:
        if rng.random() < mix.fine:
            edit = Edit(FINE, answer)
        remark = [("feedback:", ON_REQUEST), (f"{edit.remark} {v.EOS}", ON_TEXT)]
    elif rng.random() < mix.unchanged:
        edit = Edit("", answer)
    return [*remark, ("rewrite:", ON_REQUEST), (f"{edit.text} {v.EOS}", ON_TEXT)]


def _written(asked: str, answer: str) -> list[Piece]:
    return [(f"write {asked}:", ON_REQUEST), (f"{answer} {v.EOS}", ON_TEXT)]


def plain_documents(rng: np.random.Generator, n: int) -> list[str]:
    """`n` texts as pretraining reads them: a prompt and one block, facts of the class reserved for it."""
    found = []
    for _ in range(n):
        (text, blocks), *_ = draw_row(rng, Mix())
        block = blocks[int(rng.integers(len(blocks)))]
        found.append(" ".join([text, *(piece for piece, _ in block)]))
    return found


def vocabulary() -> list[str]:
    """Every token, special ones first; its place is its id."""
    phrases = [
        *(phrase for genre in GENRES.values() for phrase in genre.phrases()),
        *(quality for genre in GENRES.values() for quality in genre.qualities),
        *v.FREE_WORDS, FINE, "a an answer and , . : ?",
        *(layout.user for layout in LAYOUTS.values()),
    ]  # fmt: skip
    found = {word for phrase in phrases for word in v.words(v.literal(phrase))}
    return [*v.SPECIAL, *sorted(found - set(v.SPECIAL))]


__all__ = [
    "FORMATTER", "LAYOUTS", "Mix", "draw_block", "draw_edit", "draw_row", "plain_documents", "vocabulary",
]  # fmt: skip
