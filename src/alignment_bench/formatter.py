"""Messages to tokens. A formatter is part of a policy: it is stored with it, digested and captioned.

Where the prompt ends and the answer begins matters twice: a model continues tokens, while people write
text. The prompt's tokens (template and `opening`) are always encoded alone, so training and sampling see
the same ids whatever answer follows. A *written* answer (a demonstration, a refinement) is encoded as the
continuation of the layout's opening: with a space before it where the opening ends in a word or a
punctuation mark ("TL;DR:" + " The answer"), without where it ends in white space or where there is no
opening and the chat template begins the answer. Texts of completions carry no surrounding white space, so
that sampling and writing agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from string import Formatter as FieldParser
from typing import Any, Literal

from alignment_bench.digests import digest
from alignment_bench.errors import BadInput, Problem
from alignment_bench.layouts import Layout
from alignment_bench.prompts import Prompt

WHO: Mapping[str, str] = {"system": "Instructions", "user": "Human", "assistant": "Assistant"}
"""who said an earlier message, where no chat template says it"""


@dataclass(frozen=True)
class Formatter:
    """Renders prompts in named layouts.

    `kind` ``chat`` wraps the filled `user` template in the tokenizer's chat template (earlier messages
    before it, the generation prompt and the layout's `opening` after it); ``plain`` is `user` + `opening`
    as they stand, after the tokenizer's beginning-of-text token where it has one and after earlier messages,
    each with who said it. A prompt whose rendering exceeds `max_prompt_tokens` (0: no limit) loses its oldest
    exchanges, then the end of its last message, never of the instruction around it.
    """

    kind: Literal["chat", "plain"]
    layouts: Mapping[str, Layout]
    max_prompt_tokens: int = 0

    @property
    def digest(self) -> str:
        """Digest of everything that can change a rendering, the tokenizer's own files aside."""
        return digest(asdict(self))

    def layout(self, name: str) -> Layout:
        """The layout of that name. Raises BadInput where this policy has none."""
        try:
            return self.layouts[name]
        except KeyError:
            known = ", ".join(sorted(self.layouts))
            raise BadInput(
                [Problem("layout", f"this policy's format has no layout {name!r}", f"it has: {known}")]
            ) from None

    def render(self, tokenizer: Any, prompt: Prompt) -> tuple[list[int], bool]:
        """Token ids of the prompt, ready for the answer's first token, and whether it was truncated."""
        text = prompt.text
        ids = self._ids(tokenizer, prompt, text)
        if not self.max_prompt_tokens or len(ids) <= self.max_prompt_tokens:
            return ids, False
        while len(prompt.messages) > 1:
            prompt = replace(prompt, messages=prompt.messages[min(2, len(prompt.messages) - 1) :])
            ids = self._ids(tokenizer, prompt, text)
            if len(ids) <= self.max_prompt_tokens:
                return ids, True
        body = tokenizer.encode(text, add_special_tokens=False)
        keep = len(body) - (len(ids) - self.max_prompt_tokens)
        while keep > 0:
            ids = self._ids(tokenizer, prompt, tokenizer.decode(body[:keep]).rstrip("\ufffd \n\t"))
            if len(ids) <= self.max_prompt_tokens:
                return ids, True
            keep -= max(1, len(ids) - self.max_prompt_tokens)
        raise BadInput(
            [
                Problem(
                    "max_prompt_tokens",
                    f"{self.max_prompt_tokens} tokens cannot hold layout {prompt.layout!r} of {prompt.id!r}",
                    "raise it, or shorten the critique or completion in the layout",
                )
            ]
        )

    def _ids(self, tokenizer: Any, prompt: Prompt, text: str) -> list[int]:
        layout = self.layout(prompt.layout)
        slots = {**dict(prompt.slots), "prompt": text}
        user, opening = fill(layout.user, slots), fill(layout.opening, slots)
        if self.kind == "plain":
            earlier = "".join(f"{WHO[m.role]}: {m.content}\n\n" for m in prompt.messages[:-1])
            return begin(tokenizer) + list(
                tokenizer.encode(earlier + user + opening, add_special_tokens=False)
            )
        turns = [{"role": m.role, "content": m.content} for m in prompt.messages[:-1]]
        turns.append({"role": "user", "content": user})
        rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return list(tokenizer.encode(rendered + opening, add_special_tokens=False))

    def continuation(self, tokenizer: Any, text: str, layout: str = "answer") -> list[int]:
        """Token ids of a written answer as it follows that layout's opening (no end-of-sequence id).

        Encoded together with the words before it and cut there, because some tokenizers mark the
        beginning of a text; where the cut falls inside a token, encoded alone.
        """
        before = self._before(layout)
        if before and not before[-1].isspace():
            text = " " + text.lstrip()
        head = list(tokenizer.encode(before, add_special_tokens=False))
        whole = list(tokenizer.encode(before + text, add_special_tokens=False))
        if whole[: len(head)] == head:
            return whole[len(head) :]
        return list(tokenizer.encode(text, add_special_tokens=False))

    def _before(self, name: str) -> str:
        """The fixed words right before an answer: after the last slot of what the model reads."""
        layout = self.layout(name)
        fixed = layout.opening if self.kind == "chat" else layout.user + layout.opening
        *_, (literal, slot, _, _) = FieldParser().parse(fixed) if fixed else [("", None, None, None)]
        return literal if slot is None else "."  # a slot's own words: anything that is not white space

    def dumps(self) -> str:
        """JSON text from which `loads` makes an equal formatter."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @staticmethod
    def loads(text: str) -> Formatter:
        """The formatter that `dumps` wrote."""
        fields = json.loads(text)
        layouts = {
            name: Layout(
                user=value["user"],
                opening=value["opening"],
                answers=tuple(value["answers"]) if value["answers"] else None,
            )
            for name, value in fields["layouts"].items()
        }
        return Formatter(fields["kind"], layouts, fields["max_prompt_tokens"])


def begin(tokenizer: Any) -> list[int]:
    """The beginning-of-text id that this tokenizer puts before plain text, or nothing."""
    special = list(tokenizer.encode("", add_special_tokens=True))
    first = tokenizer.bos_token_id
    return [first] if first is not None and special[:1] == [first] else []


def fill(template: str, slots: Mapping[str, str]) -> str:
    """The template with its {slots} filled; braces in slot values stay. Raises on a missing slot."""
    wanted = {name for _, name, _, _ in FieldParser().parse(template) if name}
    if missing := sorted(wanted - set(slots)):
        raise BadInput(
            [Problem("slots", f"the layout needs {', '.join(missing)}", "pass them to Prompt.using")]
        )
    return template.format_map(dict(slots))
