"""The real small model, where it was fetched before (`bench fetch smollm2`)."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alignment_bench.completions import Decoding
from alignment_bench.layouts import Layout
from alignment_bench.models import catalog
from alignment_bench.models.storage import base_policy, formatter_of, load_policy, save_policy
from alignment_bench.prompts import Message, Prompt
from alignment_bench.runtime import Runtime

pytestmark = pytest.mark.slow
POSTS = (
    "My neighbour plays drums every night and I cannot sleep. I asked him twice to stop. What should I do?",
    "I lost my keys.",
)
PROMPTS = [Prompt(f"p{i}", (Message("user", text),)) for i, text in enumerate(POSTS)]
LAYOUTS = {"answer": Layout("{prompt}\n\nWrite a TL;DR of this Reddit post in one sentence.", "TL;DR:")}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Its unaligned policy."""
    source = catalog.resolve("smollm2")
    if not source.ready:
        pytest.skip("smollm2 is not on this machine: run `bench fetch smollm2`")
    folder = tmp_path_factory.mktemp("smollm2") / "base"
    return base_policy(source, formatter_of(source, LAYOUTS, 256), Runtime("cpu", "float32", 2), folder)


def test_the_conversation_is_written_as_the_model_was_taught(policy: Any) -> None:
    text = policy.tokenizer.decode(policy.render(PROMPTS[1]))
    assert text.startswith("<|im_start|>system\n") and text.endswith("<|im_start|>assistant\nTL;DR:")
    assert "<|im_start|>user\nI lost my keys.\n\nWrite a TL;DR" in text
    written = policy.encode("Keys are lost.")
    assert policy.tokenizer.convert_ids_to_tokens(written.tokens[0]) == "ĠKeys"
    assert policy.tokenizer.convert_ids_to_tokens(written.tokens[-1]) == "<|im_end|>"
    assert policy.n_parameters == 134_515_008


def test_greedy_equals_generate(policy: Any) -> None:
    import torch

    decoding = Decoding(temperature=0.0, max_tokens=20)
    ours = policy.generate(PROMPTS, n=1, decoding=decoding, seed=0)
    for prompt, (one,) in zip(PROMPTS, ours, strict=True):
        ids = torch.tensor([policy.render(prompt)])
        theirs = policy.scoring_model().generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=20
        )
        assert list(one.tokens) == theirs[0, ids.shape[1] :].tolist()


def test_kl_of_a_fresh_adapter_is_zero_and_sampling_in_bfloat16_works(policy: Any, tmp_path: Path) -> None:
    model = policy.load_for_training(8)
    save_policy(tmp_path / "lora", model, parent=policy)
    copy: Any = load_policy(tmp_path / "lora", replace(policy.runtime, dtype="auto"))
    assert copy.weights == "adapter"
    decoding = Decoding(temperature=0.7, top_p=0.95, max_tokens=16)
    rows = copy.generate(PROMPTS, n=2, decoding=decoding, seed=0)
    assert rows == copy.generate_with(model, PROMPTS, n=2, decoding=decoding, seed=0)
    flat = [(prompt, one) for prompt, row in zip(PROMPTS, rows, strict=True) for one in row]
    values = copy.kl(policy, [p for p, _ in flat], [c for _, c in flat])
    assert all(value == 0.0 for row in values for value in row)


@pytest.mark.parametrize("trainer", ["dpo", "ppo"])
def test_training_under_lora_takes_at_most_three_gigabytes(policy: Any, trainer: str) -> None:
    """The whole process at its peak, on prompts of 256 tokens."""
    script = Path(__file__).parents[1] / "perf" / "memory.py"
    done = subprocess.run(
        [sys.executable, str(script), f"trainers={trainer}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "GB at the peak" in done.stdout, done.stdout + done.stderr
