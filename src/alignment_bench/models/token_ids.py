"""Single ids that mean something: what ends a written answer, and answers that are one token."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from alignment_bench.errors import BadInput, Problem


def final_id(tokenizer: Any, eos: Collection[int], conversation: bool) -> int:
    """The id that ends a written answer: in a conversation, what the chat template puts after a turn."""
    if conversation:
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        whole = tokenizer.encode(
            tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False
        )
        if whole and whole[-1] in eos:
            return int(whole[-1])
        opened = tokenizer.encode(
            tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True),
            add_special_tokens=False,
        )
        if after := [token for token in whole[len(opened) :] if token in eos]:
            return int(after[0])
    return int(tokenizer.eos_token_id)


def single_ids(tokenizer: Any, answers: Sequence[str]) -> list[int]:
    """The id of each answer. Raises BadInput for one that is not a single known token."""
    found = []
    for answer in answers:
        ids = tokenizer.encode(answer, add_special_tokens=False)
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
            message = f"{answer!r} is not a single token of this model"
            raise BadInput([Problem("answers", message, "use a shorter answer, mind the leading space")])
        found.append(int(ids[0]))
    return found
