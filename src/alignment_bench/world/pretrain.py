"""Pretrains a tiny language model on the built-in world and writes it as a Hugging Face folder.

    python -m alignment_bench.world.pretrain seed=0 out=DIR

One thread, one seed, one stream of documents: the same command on the same machine writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from alignment_bench.digests import derive_seed, generator
from alignment_bench.errors import BadInput, Problem
from alignment_bench.world import VERSION
from alignment_bench.world.command import run
from alignment_bench.world.corpus import FORMATTER, Mix, draw_reading_row, draw_row, vocabulary
from alignment_bench.world.packing import Batch, pack
from alignment_bench.world.tokenizer import build_tokenizer

WEIGHTS = "model.safetensors"
PREFIX = 20
"""steps after which the log holds a digest of the weights, so that a recipe can be checked in seconds"""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, besides the world's version and the machine's arithmetic."""

    seed: int = 0
    """seeds the initial weights and the documents"""
    steps: int = 3900
    """optimizer steps"""
    rows: int = 8
    """rows in a batch: a post, or two shorter prompts"""
    reading: float = 0.12
    """share of the steps, at the beginning, whose documents are prompts with questions about them alone"""
    easy: float = 0.1
    """share of the steps over which prompts grow from no distractor to the usual number"""
    matrix_rate: float = 0.02
    """peak learning rate of Muon, on the matrices"""
    rate: float = 3e-3
    """peak learning rate of AdamW, on embeddings and norms"""
    warmup: int = 40
    """steps of linear warm-up"""
    constant: float = 0.6
    """share of the steps after which the rates fall linearly, to 2 %"""
    spread: float = 0.1
    """standard deviation of the initial weights; with .02, copying takes twice the steps to learn"""
    theta: float = 10000.0
    """base of the rotary embedding; with 200, telling sentences apart is learned late or never"""
    width: int = 96
    layers: int = 3
    heads: int = 6
    inner: int = 256


def build_model(recipe: Recipe) -> LlamaForCausalLM:
    """A freshly initialised model."""
    torch.manual_seed(derive_seed("world-weights", recipe.seed) % 2**32)
    config = LlamaConfig(
        vocab_size=len(vocabulary()),
        hidden_size=recipe.width,
        intermediate_size=recipe.inner,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        max_position_embeddings=512,
        initializer_range=recipe.spread,
        rope_parameters={"rope_type": "default", "rope_theta": recipe.theta},
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config).float()


def stream(recipe: Recipe, mix: Mix) -> Iterator[Batch]:
    """The batches of a recipe, in order, without end."""
    ids = {word: place for place, word in enumerate(vocabulary())}
    rng = generator("world-documents", VERSION, recipe.seed)
    for step in count():
        most = min(4, int(5 * step / max(1.0, recipe.easy * recipe.steps)))
        draw = draw_reading_row if step < recipe.reading * recipe.steps else draw_row
        yield pack([draw(rng, mix, most) for _ in range(recipe.rows)], ids)


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Weighted mean of the negative log-likelihood, in nats a token."""
    logits = model(
        input_ids=batch.tokens, attention_mask=batch.attention, position_ids=batch.positions, use_cache=False
    ).logits
    wanted = batch.weights > 0
    losses = nn.functional.cross_entropy(logits[wanted], batch.targets[wanted], reduction="none")
    weights = batch.weights[wanted]
    return (losses * weights).sum() / weights.sum()


Progress = Callable[[int, float, LlamaForCausalLM], None]
"""Hears of every step's number, from 0, its loss, and the model after it."""


def train(
    recipe: Recipe, mix: Mix, progress: Progress = lambda step, loss, model: None, steps: int = 0
) -> LlamaForCausalLM:
    """The trained model; `steps` ends the run of the whole recipe early."""
    torch.set_num_threads(1)
    model = build_model(recipe)
    matrices = [weight for name, weight in model.named_parameters() if "proj" in name]
    others = [weight for name, weight in model.named_parameters() if "proj" not in name]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=recipe.matrix_rate, weight_decay=0.01),
        torch.optim.AdamW(others, lr=recipe.rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]

    def share(step: int) -> float:
        left = (recipe.steps - step) / (recipe.steps * (1 - recipe.constant))
        return min(1.0, (step + 1) / recipe.warmup, max(0.02, left))

    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, share) for optimizer in optimizers]
    model.train()
    for step, batch in zip(range(steps or recipe.steps), stream(recipe, mix), strict=False):
        loss = loss_of(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
        progress(step, float(loss.detach()), model)
    return model.eval()


def weights_digest(model: LlamaForCausalLM) -> str:
    """Hash of all weights, to the last bit."""
    hashed = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        hashed.update(name.encode() + weight.numpy().tobytes())
    return hashed.hexdigest()


def machine() -> dict[str, str]:
    """What decides the last digits of float32 arithmetic, as far as the system names it."""
    capability = torch.backends.cpu.get_cpu_capability()
    about = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if platform.system() == "Linux" else []
    cpu = next((line.partition(": ")[2] for line in about if line.startswith("model name")), "")
    version = torch.__version__.partition("+")[0]
    return {"machine": platform.machine(), "cpu": cpu, "capability": capability, "torch": version}


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """Writes weights, configuration, tokenizer and formatter."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    (folder / "formatter.json").write_text(FORMATTER.dumps() + "\n")


def asked(arguments: Sequence[str]) -> tuple[Recipe, Path]:
    """The recipe, and the folder to write to. Raises BadInput with all that is wrong."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    types = {name: type(value) for name, value in asdict(Recipe()).items()}
    if "out" not in given or set(given) - set(types) - {"out"}:
        raise BadInput([Problem("pretrain", "wants seed=N out=DIR", f"fields: {', '.join(sorted(types))}")])
    folder = Path(given.pop("out"))
    values: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        try:
            values[name] = types[name](value)
        except ValueError:
            problems.append(Problem(name, f"{value!r} is no {types[name].__name__}", "give a number"))
    if problems:
        raise BadInput(problems)
    return Recipe(**values), folder


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    recipe, folder = asked(arguments)
    mix = Mix()
    folder.mkdir(parents=True, exist_ok=True)
    started, recent = time.process_time(), []
    with (folder / "training.jsonl").open("w") as log:
        log.write(json.dumps({"world": VERSION, "recipe": asdict(recipe), "mix": asdict(mix)}) + "\n")

        def progress(step: int, loss: float, model: LlamaForCausalLM) -> None:
            recent.append(loss)
            if step + 1 == PREFIX:
                about = {"step": PREFIX, "loss": loss, "weights": weights_digest(model), "machine": machine()}
                log.write(json.dumps(about) + "\n")
            if (step + 1) % 50 == 0 or step + 1 == recipe.steps:
                mean = sum(recent) / len(recent)
                recent.clear()
                log.write(json.dumps({"step": step + 1, "loss": round(mean, 4)}) + "\n")
                log.flush()
                spent = time.process_time() - started
                print(f"step {step + 1}/{recipe.steps} loss {mean:.3f} {spent:.0f} CPU s", flush=True)

        model = train(recipe, mix, progress)
    save(model, folder)


if __name__ == "__main__":
    run(main)
