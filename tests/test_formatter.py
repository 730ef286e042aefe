"""Rendering: what a model reads is fixed by the formatter, and a written answer follows it naturally."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from alignment_bench.errors import BadInput
from alignment_bench.formatter import Formatter, begin, fill
from alignment_bench.layouts import Layout
from alignment_bench.prompts import Message, Prompt

CHAT = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def bytes_tokenizer(**options: Any) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges, with a chat template: spaces are tokens of their own."""
    specials = ["<|start|>", "<|end|>", "<s>"]
    alphabet = [*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    core = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|end|>", bos_token="<s>", **options
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|start|>"]})
    tokenizer.chat_template = CHAT
    return tokenizer


def prompt(text: str, *before: Message) -> Prompt:
    """A prompt of one user message after earlier ones."""
    return Prompt("p", (*before, Message("user", text)))


def chat(opening: str = "TL;DR:", limit: int = 0) -> Formatter:
    """A chat formatter with one layout."""
    return Formatter("chat", {"answer": Layout("{prompt}\n\nSum it up.", opening)}, limit)


def test_chat_wraps_the_filled_template_and_puts_the_opening_after_it() -> None:
    tokenizer = bytes_tokenizer()
    ids, cut = chat().render(tokenizer, prompt("Post.", Message("system", "Be kind.")))
    assert tokenizer.decode(ids) == (
        "<|start|>system\nBe kind.<|end|>\n"
        "<|start|>user\nPost.\n\nSum it up.<|end|>\n<|start|>assistant\nTL;DR:"
    )
    assert not cut
    assert ids.count(tokenizer.convert_tokens_to_ids("<|end|>")) == 2


def test_a_long_text_loses_its_end_and_the_instruction_stays() -> None:
    tokenizer = bytes_tokenizer()
    whole, _ = chat().render(tokenizer, prompt("word " * 40))
    ids, cut = chat(limit=len(whole) - 50).render(tokenizer, prompt("word " * 40))
    text = tokenizer.decode(ids)
    assert cut and len(whole) - 60 < len(ids) <= len(whole) - 50
    assert "\n\nSum it up.<|end|>" in text and text.endswith("TL;DR:")
    assert chat(limit=len(whole)).render(tokenizer, prompt("word " * 40)) == (whole, False)
    with pytest.raises(BadInput, match="max_prompt_tokens"):
        chat(limit=10).render(tokenizer, prompt("word " * 40))


@pytest.mark.parametrize(
    ("kind", "user", "opening", "space"),
    [
        ("chat", "{prompt}", "TL;DR:", True),
        ("chat", "{prompt}", "", False),
        ("chat", "{prompt}", "TL;DR:\n", False),
        ("plain", "{prompt} TL;DR:", "", True),
        ("plain", "{prompt}", "", True),
        ("plain", "{prompt}\n", "", False),
        ("plain", "{prompt}\n", "TL;DR: {prompt}", True),
    ],
)
def test_a_written_answer_has_a_leading_space_where_words_stand_before_it(
    kind: Any, user: str, opening: str, space: bool
) -> None:
    tokenizer = bytes_tokenizer()
    formatter = Formatter(kind, {"answer": Layout(user, opening)})
    assert tokenizer.decode(formatter.continuation(tokenizer, "It rained.")) == " " * space + "It rained."


def test_prompt_then_answer_are_the_tokens_of_the_whole_text() -> None:
    tokenizer = bytes_tokenizer()
    formatter = Formatter("plain", {"answer": Layout("{prompt}\nTL;DR:")})
    ids, _ = formatter.render(tokenizer, prompt("Post."))
    answer = formatter.continuation(tokenizer, "It rained.")
    assert ids + answer == tokenizer.encode("Post.\nTL;DR: It rained.", add_special_tokens=False)


def test_a_tokenizer_that_marks_the_beginning_of_a_text_is_cut_after_it() -> None:
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["<u>", "▁so", "▁it", "▁", ":"])}, "<u>"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="first"), pre_tokenizers.Punctuation("isolated")]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<u>")
    formatter = Formatter("plain", {"answer": Layout("{prompt} so")})
    assert tokenizer.convert_ids_to_tokens(formatter.continuation(tokenizer, "it")) == ["▁it"]


def test_plain_text_begins_as_the_tokenizer_begins_texts() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = bytes_tokenizer()
    assert begin(tokenizer) == []
    start = tokenizer.convert_tokens_to_ids("<s>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $A", special_tokens=[("<s>", start)])
    assert begin(tokenizer) == [start]
    ids, _ = Formatter("plain", {"answer": Layout("{prompt}")}).render(tokenizer, prompt("a"))
    assert ids == [start, *tokenizer.encode("a", add_special_tokens=False)]


def test_stored_formatter_is_equal_and_its_digest_sees_every_field() -> None:
    formatter = Formatter("plain", {"answer": Layout("{prompt}", "x", ("yes", "no"))}, 7)
    assert Formatter.loads(formatter.dumps()) == formatter
    others = [
        Formatter("chat", formatter.layouts, 7),
        Formatter("plain", formatter.layouts, 8),
        Formatter("plain", {"answer": Layout("{prompt}", "x")}, 7),
        Formatter("plain", {"answer": Layout("{prompt}", "y", ("yes", "no"))}, 7),
    ]
    assert len({formatter.digest, *(other.digest for other in others)}) == 5


def test_missing_layouts_and_slots_are_named() -> None:
    with pytest.raises(BadInput, match=r"no layout 'refine'.*it has: answer"):
        chat().layout("refine")
    with pytest.raises(BadInput, match="critique"):
        fill("{prompt} {critique}", {"prompt": "x"})
    assert fill("{prompt}", {"prompt": "a {brace} stays"}) == "a {brace} stays"
