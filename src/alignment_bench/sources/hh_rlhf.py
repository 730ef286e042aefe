"""HH-RLHF: conversations with two last replies, one of them preferred (Bai et al. 2022, arXiv 2204.05862).

The two transcripts of a row share all turns but the last. The shared turns are the prompt, and the comparison
is of the two last replies alone: training on every turn of the rejected transcript, as the published code of
Chain of Hindsight does, would call replies bad that stand in both. Rows that part earlier are left out: no
single replies were compared there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from alignment_bench.data_rows import same
from alignment_bench.digests import digest
from alignment_bench.prompts import Message, Prompt, Recorded
from alignment_bench.sources._rows import Fields, Gathering, official
from alignment_bench.sources.source import HubFiles, Reading, Row, Source

_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES: dict[str, Literal["user", "assistant"]] = {"Human": "user", "Assistant": "assistant"}


def make(rows: Sequence[Row]) -> Reading:
    """One example a conversation, its preferred reply as reference."""
    fields = Fields()
    gathering = Gathering(fields)
    for number, row in enumerate(rows, start=1):
        chosen, rejected = _turns(fields, number, row, "chosen"), _turns(fields, number, row, "rejected")
        if chosen is None or rejected is None:
            continue
        if why := _unusable(chosen, rejected):
            fields.skip(why)
            continue
        shared, good, bad = chosen[:-1], chosen[-1].content, rejected[-1].content
        name = digest([[turn.role, turn.content] for turn in shared])[:16]
        prompt = Prompt(name, tuple(shared), digest(same(shared[0].content))[:16])
        act = Recorded("prefer", (good, bad), preference="first")
        gathering.add(prompt, official(row, "hub_split", ("test",)), [good], [act])
    return fields.reading(gathering.made())


def _turns(fields: Fields, number: int, row: Row, column: str) -> list[Message] | None:
    """The transcript's turns; one who speaks twice running has one turn."""
    text = fields.text(number, row, column)
    if text is None:
        return None
    before, *rest = _TURN.split("\n\n" + text.lstrip())
    if before.strip() or not rest:
        fields.bad(
            number,
            column,
            "does not begin with 'Human:'",
            "write turns as \\n\\nHuman: ... \\n\\nAssistant: ...",
        )
        return None
    turns: list[Message] = []
    for who, said in zip(rest[::2], rest[1::2], strict=True):
        words, role = said.strip(), _ROLES[who]
        if turns and turns[-1].role == role:
            turns[-1] = Message(role, f"{turns[-1].content}\n\n{words}".strip())
        else:
            turns.append(Message(role, words))
    return turns


def _unusable(chosen: Sequence[Message], rejected: Sequence[Message]) -> str:
    """Why a row holds no comparison of two replies to one conversation; nothing where it does."""
    if chosen[:-1] != rejected[:-1]:
        return "rows left out: the transcripts part before the last reply"
    shared = chosen[:-1]
    if not shared or shared[0].role != "user" or shared[-1].role != "user" or not shared[-1].content:
        return "rows left out: what was replied to is not a person's message"
    if chosen[-1].role != "assistant" or rejected[-1].role != "assistant":
        return "rows left out: the last turn is not a reply"
    if not chosen[-1].content or not rejected[-1].content:
        return "rows left out: a reply is empty"
    return "rows left out: both replies are the same" if chosen[-1] == rejected[-1] else ""


SOURCE = Source(
    name="hh_rlhf",
    summary="Conversations with two replies of an assistant, one preferred by a person: 161,000 to train on",
    hub=HubFiles("Anthropic/hh-rlhf", "09be8c5bbc57cb3887f3a9732ad6aa7ec602a1fa", splits=("train", "test")),
    licence="MIT",
    noncommercial=False,
    citation="Bai et al. 2022, arXiv 2204.05862",
    columns=("chosen", "rejected"),
    make=make,
    notes=("the reference is the preferred of two model replies; no person wrote it",),
)
