"""A speaker on this machine: one of the package's own models, run as every policy is.

Generation is a job for every few dozen questions, in an order of their own, so that a killed run goes on
where it was. A question with options is not answered in words: the probabilities of the options as the next
token are what comes back, after an opening that makes an option the likely next word.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, digest
from alignment_bench.errors import BadInput
from alignment_bench.formatter import Formatter
from alignment_bench.hosting import Host
from alignment_bench.layouts import Layout
from alignment_bench.llm.speaking import Question, Reply, Usage
from alignment_bench.models import catalog
from alignment_bench.prompts import Message, Prompt

if TYPE_CHECKING:
    from alignment_bench.models.policy import ModelPolicy

CHUNK = 64
"""questions in one job"""
CHOICE = "choice"
"""layout of a question with options"""
LAYOUTS = {"answer": Layout("{prompt}"), CHOICE: Layout("{prompt}", "Answer:")}
PLAIN = {"answer": Layout("{prompt}\n\nAnswer:"), CHOICE: Layout("{prompt}\n\nAnswer:")}
"""for models without a chat template, which go on with a text"""


def unready(model: str) -> str | None:
    """Why the model cannot speak here, or None where it can."""
    if not model:
        return "no model is named: write model=NAME (bench list models)"
    try:
        source = catalog.resolve(model)
    except BadInput as error:
        return str(error)
    return None if source.ready else f"{model} is not on this machine: run bench fetch {model}"


def weights(model: str) -> str:
    """The first digits of the digest of the model's files; empty where it is not on this machine."""
    return "" if unready(model) else catalog.resolve(model).digest[:12]


class Local:
    """Answers of one model, by the host's runtime."""

    draws = False
    """greedy answers stay the same"""

    def __init__(self, model: str, host: Host) -> None:
        """Loads nothing yet. Raises BadInput where the model is unknown or not on this machine."""
        self._host = host
        self._source = catalog.resolve(model, trust=host.runtime.trust)
        self._source.located  # noqa: B018 - raises BadInput for a model that is still to be fetched

    def answer(self, questions: Sequence[Question], *, kept: bool = False) -> list[Reply]:
        """One reply a question; one that is too long for the model is of no use, and says so.

        Asking again costs nothing, so `kept` changes nothing: should a job be gone, it is done again.
        """
        found: dict[Question, Reply] = {}
        for one in dict.fromkeys(questions):
            if reason := self._too_long(one):
                found[one] = Reply(None, reason, final=True)
        groups: dict[tuple[int, float, int, tuple[str, ...]], list[Question]] = {}
        for one in dict.fromkeys(questions):
            if one not in found:
                way = (one.max_tokens, one.temperature or 0.0, one.seed, one.options)
                groups.setdefault(way, []).append(one)
        for group in groups.values():
            group.sort(key=lambda one: self._prompt(one).id)
            for low in range(0, len(group), CHUNK):
                part = group[low : low + CHUNK]
                found |= dict(zip(part, self._part(part), strict=True))
        return [found[one] for one in questions]

    def _part(self, questions: Sequence[Question]) -> list[Reply]:
        """Replies to questions that differ in nothing but their messages and attempts."""
        from alignment_bench.work import Work

        work = Work(self._host.store, self._host.runtime, self._source.parameters)
        prompts = [self._prompt(one) for one in questions]
        first = questions[0]
        if first.options:
            answers = [f" {option}" for option in first.options]
            rows, _ = work.answer_probabilities(self._policy, prompts, answers)
            return [
                Reply("", weights=tuple(row), usage=self._usage(p))
                for p, row in zip(prompts, rows, strict=True)
            ]
        decoding = Decoding(temperature=first.temperature or 0.0, max_tokens=first.max_tokens)
        seed = derive_seed("speaker", first.seed)
        lists, _ = work.sample(self._policy, prompts, 1, decoding, seed)
        return [_reply(c, self._usage(p, c)) for p, (c,) in zip(prompts, lists, strict=True)]

    def _usage(self, prompt: Prompt, completion: Completion | None = None) -> Usage:
        written = 0 if completion is None else len(completion.tokens)
        return Usage(len(self._policy.render(prompt)), written)

    def _prompt(self, question: Question) -> Prompt:
        """The conversation as a prompt, named by its content, so that draws belong to it."""
        messages = question.messages
        if self._formatter.kind == "plain" and len(messages) > 1:
            told = "\n\n".join(f"{one.role}: {one.content}" for one in messages)
            messages = (Message("user", told),)
        name = digest([[[one.role, one.content] for one in messages], question.attempt])
        return Prompt(name, messages, layout=CHOICE if question.options else "answer")

    def _too_long(self, question: Question) -> str:
        room = self._context
        length = len(self._policy.render(self._prompt(question)))
        wanted = 1 if question.options else question.max_tokens
        if room and length + wanted > room:
            return f"{length} tokens to read and {wanted} to write exceed the model's {room}"
        return ""

    @cached_property
    def _context(self) -> int:
        """Tokens that the model can hold; 0 where its configuration does not say."""
        config = json.loads((self._source.located / "config.json").read_text("utf-8"))
        return int(config.get("max_position_embeddings") or 0)

    @cached_property
    def _formatter(self) -> Formatter:
        chat = self._source.has_chat_template
        return Formatter("chat" if chat else "plain", LAYOUTS if chat else PLAIN)

    @cached_property
    def _policy(self) -> ModelPolicy:
        from alignment_bench.models.storage import base_policy

        name = f"{self._source.digest[:16]}-{self._formatter.digest[:16]}"
        folder = self._host.store.root.parent / "bases" / name
        return base_policy(self._source, self._formatter, self._host.runtime, folder)


def _reply(completion: Completion, usage: Usage) -> Reply:
    cut = "cut off at the longest answer allowed" if completion.end == "length" else ""
    return Reply(completion.text.strip(), cut, usage=usage)
