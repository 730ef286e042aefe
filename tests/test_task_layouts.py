"""Every shipped task can be put to a plain-English model in every layout that methods rely on."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter as FieldParser
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from alignment_bench import registry
from alignment_bench.errors import BadInput
from alignment_bench.formatter import Formatter
from alignment_bench.layouts import Layout, conditioned
from alignment_bench.models import catalog
from alignment_bench.models.storage import formatter_of
from alignment_bench.prompts import Message, Prompt
from alignment_bench.techniques.critiques import rewriting
from alignment_bench.world.corpus import LAYOUTS as TINY

TASKS = registry.shipped("tasks")
SLOTS = {
    "answer": set(),
    "describe": {"condition"},
    "chain": {"condition", "completion", "next_condition"},
    "critique": {"completion"},
    "refine": {"completion", "critique"},
    "improve": {"completion"},
    "accept": {"completion", "critique"},
}
"""what a layout may show besides the prompt, by its name up to the first _"""
FEWER = {("tldr", "refine"): {"critique"}, ("tldr", "improve"): set()}
"""layouts that leave a slot out, and say so where they are defined"""
VALUES = {
    "condition": "a bad answer",
    "next_condition": "a good answer",
    "completion": "It rained a lot",
    "critique": "Say where",
}
CHAT = (
    "{% for m in messages %}<{{ m['role'] }}>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)


def chat_tokenizer() -> Any:
    """Bytes as tokens, with a chat template."""
    alphabet = ["<|end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    core = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>")
    tokenizer.chat_template = CHAT
    return tokenizer


def layouts_of(task: str) -> Mapping[str, Layout]:
    """The layouts of a shipped task."""
    layouts: Mapping[str, Layout] = registry.load("tasks", task).layouts
    return layouts


def shown(layout: Layout) -> set[str]:
    """The slots that a layout fills, the prompt among them."""
    return {name for _, name, _, _ in FieldParser().parse(layout.user + layout.opening) if name}


def asked(task: str, name: str) -> Prompt:
    """A prompt of one line in that layout."""
    prompt = Prompt("p", (Message("user", "It rained in Kent."),))
    return prompt.using(name, **{slot: VALUES[slot] for slot in SLOTS[name.partition("_")[0]]})


def rendered(formatter: Formatter, tokenizer: Any, prompt: Prompt) -> str:
    """What the model reads."""
    ids, cut = formatter.render(tokenizer, prompt)
    assert not cut
    text: str = tokenizer.decode(ids)
    return text


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_the_layouts_of_the_built_in_model(task: str) -> None:
    """With the same slots under the same names, so that a method need not know who reads it."""
    layouts = layouts_of(task)
    assert set(TINY) <= set(layouts)
    for name, layout in layouts.items():
        kind = name.partition("_")[0]
        want = FEWER.get((task, name), SLOTS[kind])
        assert shown(layout) - {"prompt"} == (want if "_paper" not in name else SLOTS[kind]), name
        assert "prompt" in shown(layout), name


@pytest.mark.parametrize("task", TASKS)
def test_layouts_render_through_a_chat_template(task: str) -> None:
    """Every slot's value is in what the model reads; a condition is right before the answer's opening."""
    layouts, tokenizer = layouts_of(task), chat_tokenizer()
    formatter = Formatter("chat", layouts)
    opening = layouts["answer"].opening
    for name, layout in layouts.items():
        text = rendered(formatter, tokenizer, asked(task, name))
        assert all(VALUES[slot] in text for slot in shown(layout) - {"prompt"}), name
        assert "{" not in text and "It rained in Kent." in text, name
    describe, chain = (rendered(formatter, tokenizer, asked(task, name)) for name in ("describe", "chain"))
    assert describe.endswith(f"<assistant>\nWanted: a bad answer\n{opening}")
    assert chain.endswith(f"Wanted: a good answer\n{opening}")


@pytest.mark.parametrize("task", TASKS)
def test_a_chain_goes_on_where_a_described_answer_ends(task: str) -> None:
    """So their two lessons are the parts of one text, and answers are encoded alike in all three layouts."""
    formatter, tokenizer = Formatter("chat", layouts_of(task)), chat_tokenizer()
    answers = [formatter.continuation(tokenizer, VALUES["completion"], n) for n in ("answer", "describe")]
    assert answers[0] == answers[1] == formatter.continuation(tokenizer, VALUES["completion"], "chain")
    described = rendered(formatter, tokenizer, asked(task, "describe")) + tokenizer.decode(answers[0])
    assert rendered(formatter, tokenizer, asked(task, "chain")).startswith(described + "\n")


def test_a_described_answer_may_be_closed_before_the_next() -> None:
    """As a block of code is; and an opening that ends in white space gets no space of ours."""
    made = conditioned(Layout("{prompt}", "```\n"), end="```\n")
    assert made["describe"].opening == "Wanted: {condition}\n```\n"
    assert made["chain"].opening == (
        "Wanted: {condition}\n```\n{completion}\n```\nWanted: {next_condition}\n```\n"
    )


@pytest.mark.parametrize("task", TASKS)
def test_an_answer_is_shown_to_whoever_rewrites_it(task: str) -> None:
    """Learning to refine one's answer without seeing it would be learning to answer."""
    chat = Formatter("chat", layouts_of(task))
    for feedback, plain in ((True, "refine"), (False, "improve")):
        name = rewriting(chat, feedback)
        assert name == (f"{plain}_shown" if (task, plain) in FEWER else plain)
        assert "It rained a lot" in rendered(chat, chat_tokenizer(), asked(task, name))
        assert rewriting(Formatter("plain", TINY), feedback) == plain


def test_a_format_that_never_shows_the_answer_cannot_refine() -> None:
    hidden = {name: Layout("{prompt}", "TL;DR:") for name in ("refine", "refine_shown")}
    with pytest.raises(BadInput, match="completion"):
        rewriting(Formatter("chat", hidden), True)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_layouts_render_for_smollm2(task: str) -> None:
    """Through its own chat template, with answers encoded alike whatever condition stands before them."""
    from transformers import AutoTokenizer

    source = catalog.resolve("smollm2")
    if not source.ready:
        pytest.skip("smollm2 is not on this machine: run `bench fetch smollm2`")
    tokenizer: Any = AutoTokenizer.from_pretrained(source.located)
    formatter = formatter_of(source, layouts_of(task), 256)
    for name in formatter.layouts:
        text = rendered(formatter, tokenizer, asked(task, name))
        assert text.startswith("<|im_start|>system\n") and "It rained in Kent." in text
        assert text.partition("<|im_start|>assistant\n")[2] != ""
    names = ("answer", "describe", "chain")
    encoded = {tuple(formatter.continuation(tokenizer, "It rained", name)) for name in names}
    assert len(encoded) == 1
