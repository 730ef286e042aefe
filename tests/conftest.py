"""Fixtures for everybody: a tiny random model, its folder and a policy made of it."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

WORDS = [
    *("the", "a", "dog", "cat", "bird", "park", "ran", "sat", "saw", "and", "was", "is", "happy", "sad"),
    *("TL", ";", "DR", ":", ".", ",", "!", "?", "yes", "no", "it"),
]
LAYOUTS = {
    "answer": ("{prompt} TL;DR:", "", None),
    "refine": ("{prompt} {completion} {critique} TL;DR:", "", None),
    "improve": ("{prompt} {completion} TL;DR:", "", None),
    "accept_1": ("{prompt} {completion} {critique} ?", "", ("yes", "no")),
}


@pytest.fixture(scope="session")
def random_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: a two-layer Llama with random weights, and a word-level tokenizer that does not
    round-trip ("the dog" is a token of its own, but encodes as two)."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base") / "random"
    words = ["<pad>", "<eos>", "<unk>", *WORDS, "the dog", "a cat"]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
        # wide enough that the random distribution is far from uniform
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def random_policy(random_base: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """The unaligned base policy (a ModelPolicy) of `random_base`, on the CPU in float32."""
    from alignment_bench.layouts import Layout
    from alignment_bench.models.catalog import resolve
    from alignment_bench.models.storage import base_policy, formatter_of
    from alignment_bench.runtime import Runtime

    source = resolve(str(random_base))
    layouts = {name: Layout(user, opening, answers) for name, (user, opening, answers) in LAYOUTS.items()}
    folder = tmp_path_factory.mktemp("policies") / "random"
    return base_policy(source, formatter_of(source, layouts), Runtime("cpu", "auto", 1), folder)


def _helper(name: str) -> ModuleType:
    """A module of this folder by its name: with --import-mode=importlib it is not on the path."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


# A shell that starts tests in the background has them ignore SIGINT, and so would whatever they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# by name, not as a fixture: tests make their data of it outside of functions
_helper("made_cells")


@pytest.fixture(scope="session")
def small_world() -> ModuleType:
    """The module `small_world.py`."""
    return _helper("small_world")


@pytest.fixture(scope="session")
def figure_cells() -> ModuleType:
    """The module `figure_cells.py`."""
    return _helper("figure_cells")


@pytest.fixture(scope="session")
def reachable() -> ModuleType:
    """The module `reachable.py`."""
    return _helper("reachable")


@pytest.fixture(scope="session")
def fake_endpoint() -> ModuleType:
    """The module `fake_endpoint.py`."""
    return _helper("fake_endpoint")


@pytest.fixture
def small_tldr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_world: ModuleType):  # type: ignore[no-untyped-def]
    """Commands on a built-in world of 24 training and 12 test posts; see `small_world.SmallWorld`."""
    small_world.shrink(monkeypatch.setattr)
    return small_world.SmallWorld(tmp_path / "results")
