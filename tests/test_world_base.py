"""Pretraining and the shipped bases of the built-in world."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from statistics import fmean

import pytest
import torch
from transformers import AutoTokenizer

from alignment_bench.completions import Decoding
from alignment_bench.digests import digest_file, generator
from alignment_bench.formatter import Formatter
from alignment_bench.judges.gold import facts_of
from alignment_bench.world import VERSION
from alignment_bench.world.corpus import FORMATTER, Mix, draw_row, vocabulary
from alignment_bench.world.diagnostics import MAX_TOKENS, open_base
from alignment_bench.world.gold import quality
from alignment_bench.world.packing import pack
from alignment_bench.world.pretrain import Recipe, build_model, loss_of, train
from alignment_bench.world.tldr import tldr

BASES = sorted(Path(str(files("alignment_bench.world"))).glob("bases/tiny-*"))


def weights_hash(recipe: Recipe) -> str:
    """Hash of a trained model's bytes."""
    hashed = hashlib.sha256()
    for name, weight in sorted(train(recipe, Mix()).state_dict().items()):
        hashed.update(name.encode() + weight.numpy().tobytes())
    return hashed.hexdigest()


def test_pretraining_repeats_to_the_last_bit() -> None:
    """Same seed, same weights; another seed, others."""
    recipe = Recipe(steps=3, rows=2)
    assert weights_hash(recipe) == weights_hash(recipe) != weights_hash(Recipe(seed=1, steps=3, rows=2))


def test_a_packed_block_scores_as_if_it_stood_alone() -> None:
    """Blocks of a row neither see nor shift each other."""
    ids = {word: place for place, word in enumerate(vocabulary())}
    post, blocks = draw_row(generator("test-packing"), Mix(), 3)
    model = build_model(Recipe()).eval()

    def loss(chosen: list[int]) -> float:
        batch = pack([(post, [blocks[i] for i in chosen])], ids)
        return float(loss_of(model, batch)) * float(batch.weights.sum())

    with torch.inference_mode():
        post_alone = loss([])
        apart = sum(loss([i]) - post_alone for i in range(3))
        assert loss([0, 1, 2]) - post_alone == pytest.approx(apart, rel=1e-4)


@pytest.mark.parametrize("folder", BASES, ids=lambda folder: folder.name)
def test_a_shipped_base_is_what_its_card_says(folder: Path) -> None:
    """Digests, vocabulary, formatter and world version agree; the folder is small."""
    card = (folder / "CARD.md").read_text()
    for name in ("model.safetensors", "tokenizer.json", "config.json", "formatter.json"):
        assert digest_file(folder / name) in card, name
    assert f"world {VERSION}" in card
    assert Formatter.loads((folder / "formatter.json").read_text()) == FORMATTER
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == vocabulary()
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<pad>", "<eos>")
    first, *steps = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    assert Recipe(**first["recipe"]).steps == steps[-1]["step"]
    assert Mix(**first["mix"]) == Mix()


@pytest.mark.parametrize("folder", BASES, ids=lambda folder: folder.name)
def test_a_shipped_base_is_mediocre_and_writes_whole_sentences(folder: Path, tmp_path: Path) -> None:
    """There must be room above its mode, and its answers must end."""
    examples = tldr(1000).test[:40]
    policy = open_base(folder, tmp_path)
    decoding = Decoding(temperature=0, max_tokens=MAX_TOKENS)
    answers = policy.generate([e.prompt for e in examples], n=1, decoding=decoding, seed=0)
    scores = [quality(a.text, facts_of(e.key.facts)) for e, (a,) in zip(examples, answers, strict=True)]
    assert 0.3 < fmean(scores) < 0.7
    assert fmean(answer.end == "eos" for (answer,) in answers) > 0.9
