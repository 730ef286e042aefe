"""What a method may see of an example (`Prompt`) and what it may not (`Key`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The public half of an example, and the layout in which it is put to a policy.

    `layout` names a template of the policy's formatter; `slots` fill it besides the messages (a
    completion to refine, a critique, a condition). A plain prompt uses layout ``answer`` and no slots.
    Prompts of one `group` share a source (an article, a template); standard errors cluster on it.
    """

    id: str
    messages: tuple[Message, ...]
    group: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    layout: str = "answer"
    slots: tuple[tuple[str, str], ...] = ()

    def using(self, layout: str, **slots: str) -> Prompt:
        """The same prompt in another layout, with that layout's slots filled."""
        return replace(self, layout=layout, slots=tuple(sorted(slots.items())))

    @property
    def text(self) -> str:
        """The content of the last message: the post, the question, the instruction."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class Recorded:
    """What somebody once said about an example: an act on `channel`, as a published data set holds it.

    `completions` are the texts that were shown, in the order of `COMPLETIONS_SHOWN`; what was answered is
    `text`, `value` (on the data set's own scale) or `preference` (first, second or tie).
    """

    channel: str
    completions: tuple[str, ...] = ()
    text: str | None = None
    value: float | None = None
    preference: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """The secret half of an example: what a good answer must say. Held by the controller only.

    `references` are written answers, `tests` executable checks, `facts` whatever the task's gold
    function reads, `recorded` feedback that a data set brings. Teachers and judges get Keys; methods never
    do.
    """

    prompt_id: str
    references: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    recorded: tuple[Recorded, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A Prompt with its Key."""

    prompt: Prompt
    key: Key
