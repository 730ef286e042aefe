"""Pretraining and the shipped bases of the built-in world."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from statistics import fmean

import pytest
import torch
from transformers import AutoTokenizer

from alignment_bench.completions import Decoding
from alignment_bench.digests import digest_file, generator
from alignment_bench.errors import BadInput
from alignment_bench.formatter import Formatter
from alignment_bench.judges.gold import quality
from alignment_bench.world import VERSION
from alignment_bench.world.bench import MAX_TOKENS, open_base
from alignment_bench.world.corpus import FORMATTER, Mix, Row, draw_row, vocabulary
from alignment_bench.world.packing import pack
from alignment_bench.world.pretrain import (
    PREFIX,
    Recipe,
    asked,
    build_model,
    loss_of,
    machine,
    train,
    weights_digest,
)
from alignment_bench.world.tasks import TASKS

BASES = sorted(Path(str(files("alignment_bench.world"))).glob("bases/tiny-*"))


def test_a_recipe_is_read_from_words_and_all_bad_ones_are_named() -> None:
    recipe, folder = asked(["seed=3", "rate=0.5", "out=x"])
    assert (recipe.seed, recipe.rate, recipe.steps, folder.name) == (3, 0.5, Recipe().steps, "x")
    with pytest.raises(BadInput) as caught:
        asked(["seed=1.5", "rate=high", "out=x"])
    assert [problem.field for problem in caught.value.problems] == ["seed", "rate"]
    for words in (["seed=1"], ["out=x", "sed=1"]):
        with pytest.raises(BadInput, match="wants seed=N out=DIR"):
            asked(words)


def test_pretraining_repeats_to_the_last_bit() -> None:
    """Same seed, same weights; another seed, others."""
    recipe = Recipe(steps=3, rows=2)
    first, again = (weights_digest(train(recipe, Mix())) for _ in range(2))
    assert first == again != weights_digest(train(Recipe(seed=1, steps=3, rows=2), Mix()))


@pytest.mark.parametrize("summary", [1.0, 0.0])
def test_a_packed_block_scores_as_if_it_stood_alone(summary: float) -> None:
    """Blocks of a row, and prompts that share one, neither see nor shift each other."""
    ids = {word: place for place, word in enumerate(vocabulary())}
    row = draw_row(generator("test-packing"), Mix(summary=summary), 3)
    assert len(row) == (1 if summary else 2)
    model = build_model(Recipe()).eval()

    def loss(groups: Row) -> float:
        batch = pack([groups], ids)
        return float(loss_of(model, batch)) * float(batch.weights.sum())

    with torch.inference_mode():
        together = loss(row)
        apart = 0.0
        for prompt, blocks in row:
            prompt_alone = loss([(prompt, [])])
            apart += prompt_alone + sum(loss([(prompt, [block])]) - prompt_alone for block in blocks)
        assert together == pytest.approx(apart, rel=1e-4)


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


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("folder", BASES, ids=lambda folder: folder.name)
def test_a_shipped_base_is_mediocre_and_ends_its_answers(folder: Path, task: str, tmp_path: Path) -> None:
    """There must be room above its mode on every task."""
    examples = TASKS[task](1000).test[:40]
    policy = open_base(folder, tmp_path)
    decoding = Decoding(temperature=0, max_tokens=MAX_TOKENS)
    answers = policy.generate([e.prompt for e in examples], n=1, decoding=decoding, seed=0)
    scores = quality([answer.text for (answer,) in answers], [e.key.facts for e in examples])
    assert 0.2 < fmean(scores) < 0.9
    assert fmean(answer.end == "eos" for (answer,) in answers) > 0.9


@pytest.mark.parametrize("folder", BASES, ids=lambda folder: folder.name)
def test_a_short_prefix_of_the_recipe_gives_the_recorded_weights(folder: Path) -> None:
    """To the last bit on a processor like the one that made them; elsewhere the loss is the same.

    Processors of one name may compute in other orders: two of them agreed to 6e-6 after these steps.
    """
    first, *logged = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    recipe, losses = Recipe(**first["recipe"]), []
    assert replace(recipe, seed=0) == Recipe()
    model = train(recipe, Mix(), lambda step, loss, model: losses.append(loss), steps=PREFIX)
    recorded = next(line for line in logged if line["step"] == PREFIX)
    if weights_digest(model) != recorded["weights"]:
        near = 5e-5 if recorded["machine"] == machine() else 1e-3
        assert losses[-1] == pytest.approx(recorded["loss"], rel=near)
