"""SFT and DPO: our loops and trl's trainers on the same batches, with the same optimiser and schedule.

What is timed is the training alone, from the first batch to the last step: loading, building a trainer and
the reference's pass are the same work on both sides, or trl's disadvantage, and are shown apart.

    python perf/trainers.py what=sft|dpo [model=tiny|smollm2] [repeats=5] [out=FILE]
"""

from __future__ import annotations

import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from measuring import Claim, Comparison, Figure, Took, in_turn, ratios, script
from sampling import CHAT
from trl import SFTConfig, SFTTrainer

from alignment_bench import runtime
from alignment_bench.completions import Decoding
from alignment_bench.digests import generator
from alignment_bench.models import catalog
from alignment_bench.models.storage import base_policy, formatter_of
from alignment_bench.prompts import Message, Prompt
from alignment_bench.training import finetune, preference, through_trl, trl_preference
from alignment_bench.training.batches import Row
from alignment_bench.training.preference import PairRow
from alignment_bench.training.settings import Settings
from alignment_bench.training.through_trl import Planned, arguments, micro_batches, optimisers, quietly, train
from alignment_bench.training.trl_settings import DPOSettings
from alignment_bench.world.tasks import tldr

WANTED = {"tiny": ">= 1.3", "smollm2": ">= 1"}
SAME = "<= 0.00001"
BETA = 0.1
DPO_NOTE = (
    "Our loop is the one that fits likelihood-ratio reward models. The method `dpo` trains through trl's "
    "trainer, for its many losses; there we only keep prompts out of the vocabulary's projection."
)


@dataclass(frozen=True)
class Size:
    """How much is trained on, and how."""

    rows: int
    pairs: int
    sft: Settings
    dpo: Settings


SIZES = {
    "tiny": Size(256, 128, Settings(1e-3, 1, 16, 64), Settings(1e-3, 1, 16, 64)),
    "smollm2": Size(16, 8, Settings(2e-4, 1, 8, 4, lora_rank=16), Settings(2e-4, 1, 4, 4, lora_rank=16)),
}


class SFT(Planned, SFTTrainer):  # type: ignore[misc]
    """trl's SFTTrainer on the batches that our loop takes."""


class Part:
    """Times every call of one function of a module: the training inside a longer job."""

    def __init__(self, owner: Any, name: str) -> None:
        self.took = Took(0.0, 0.0)
        original = getattr(owner, name)

        def timed(*words: Any, **named: Any) -> Any:
            cpu, wall = time.process_time(), time.perf_counter()
            result = original(*words, **named)
            self.took = Took(time.process_time() - cpu, time.perf_counter() - wall)
            return result

        setattr(owner, name, timed)


class Setting:
    """A model, rows and pairs of ids to train it on, and the losses that both sides came to."""

    def __init__(self, model: str, folder: Path) -> None:
        source = catalog.resolve(model)
        here = runtime.resolve("cpu", threads=1, parameters=source.parameters)
        runtime.activate(here)
        formatter = formatter_of(source, CHAT, 256) if source.has_chat_template else formatter_of(source, {})
        self.policy: Any = base_policy(source, formatter, here, folder / "base")
        self.size = SIZES[model]
        self.folder = folder
        self.losses: dict[str, list[float]] = {}
        examples = tldr(0).train[: max(self.size.rows, self.size.pairs)]
        written = [self.policy.encode(example.key.references[0]).tokens for example in examples]
        prompts = [shortened(example.prompt, model) for example in examples]
        asked = [tuple(self.policy.render(prompt)) for prompt in prompts]
        self.rows = [Row(p, c) for p, c in zip(asked, written, strict=True)][: self.size.rows]
        few = prompts[: self.size.pairs]
        drawn = self.policy.generate(few, n=1, decoding=Decoding(max_tokens=24), seed=0)
        self.pairs = [
            PairRow(row, Row(row.prompt, other[0].tokens))
            for row, other in zip(self.rows, drawn, strict=False)
        ]

    def ours_sft(self) -> None:
        """Our loop, and the model's loading before it."""
        model = self.policy.load_for_training(self.size.sft.lora_rank, 0)
        noise = generator("finetune", 0)
        self.losses["ours"] = finetune.finetune(
            model, self.rows, self.size.sft, noise, self.policy.pad, self.policy.device
        )

    def trl_sft(self) -> None:
        """trl's trainer on the same rows in the same batches."""
        from datasets import Dataset

        options, policy = self.size.sft, self.policy
        planned, parts = micro_batches(
            [row.length for row in self.rows], options, generator("finetune", 0), 1
        )
        table = [
            {
                "input_ids": list(row.prompt + row.completion),
                "labels": [-100] * len(row.prompt) + list(row.completion),
            }
            for row in self.rows
        ]
        with quietly(policy.device):
            model = policy.load_for_training(options.lora_rank, 0)
            config = SFTConfig(
                **arguments(
                    self.folder / "trl",
                    policy.device,
                    micro=options.batch_size // parts,
                    accumulation=parts,
                    max_grad_norm=options.max_grad_norm,
                    bf16=False,
                    seed=0,
                ),
                max_length=None,
            )
            SFT.planned = planned
            trainer = SFT(
                model=model,
                args=config,
                train_dataset=Dataset.from_list(table),
                processing_class=policy.tokenizer,
                optimizers=optimisers(model, options.learning_rate, len(planned) // parts, options.warmup),
            )
            with mock.patch.object(through_trl, "at_completions_only", contextlib.nullcontext):
                self.losses["trl"] = [row["loss"] for row in train(trainer, {})]

    def ours_dpo(self) -> None:
        """Our loop with the reference's pass, and the model's loading before it."""
        model = self.policy.load_for_training(self.size.dpo.lora_rank, 0)
        self.losses["ours"] = preference.train_likelihood_ratio(
            model, self.pairs, BETA, self.size.dpo, generator("dpo", 0), self.policy.pad, self.policy.device
        )

    def trl_dpo(self) -> None:
        """trl's trainer as it is, the reference's log-probabilities given to it as our loop has them."""
        with mock.patch.object(through_trl, "at_completions_only", contextlib.nullcontext):
            self.losses["trl"] = self._method_dpo()

    def method_dpo(self) -> None:
        """trl's trainer as the method `dpo` runs it."""
        self.losses["method"] = self._method_dpo()

    def _method_dpo(self) -> list[float]:
        settings = DPOSettings(self.size.dpo, BETA)
        _, log = trl_preference.train_dpo(self.policy, self.pairs, settings, 0, self.folder / "trl")
        return [row["loss"] for row in log]


def shortened(prompt: Prompt, model: str) -> Prompt:
    """For the larger model a message, and of the post its first sentences."""
    if model == "tiny":
        return prompt
    return Prompt(prompt.id, (Message("user", ". ".join(prompt.text.split(". ")[:3])),))


def compare(options: Mapping[str, str]) -> Comparison:
    """CPU seconds a step of both, the ratio, and the largest difference of their losses."""
    what, model, repeats = options["what"], options["model"], int(options["repeats"])
    title = f"{what.upper()} beside trl 1.16, {model}"
    if not catalog.resolve(model).ready:
        skipped = f"{model} is not on this machine: bench fetch {model}"
        return Comparison(f"{what}_{model}", title, "", skipped=skipped)
    ours_part = Part(finetune if what == "sft" else preference, "optimise")
    trl_part = Part(sys.modules[__name__] if what == "sft" else trl_preference, "train")
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(model, Path(folder))
        jobs: dict[str, Callable[[], None]] = {
            "trl": getattr(setting, f"trl_{what}"),
            "ours": getattr(setting, f"ours_{what}"),
        }
        parts = {"trl": trl_part, "ours": ours_part}
        if what == "dpo":
            jobs["method"], parts["method"] = setting.method_dpo, trl_part
        whole: dict[str, list[float]] = {name: [] for name in jobs}

        def part_of(name: str) -> Callable[[], Took]:
            def run() -> Took:
                gc.collect()
                started = time.process_time()
                jobs[name]()
                whole[name].append(time.process_time() - started)
                return parts[name].took

            return run

        took = in_turn({name: part_of(name) for name in jobs}, repeats, warm=model == "tiny")
        size = setting.size
    losses, train_options = setting.losses, size.sft if what == "sft" else size.dpo
    steps = len(losses["ours"])
    cost = {name: tuple(1000 * one.cpu / steps for one in took[name]) for name in jobs}
    many = f"{size.rows} answers" if what == "sft" else f"{size.pairs} pairs"
    how = f"LoRA of rank {train_options.lora_rank}" if train_options.lora_rank else "all weights"
    notes = [DPO_NOTE] if what == "dpo" else []
    found = Comparison(
        f"{what}_{model}",
        title,
        f"`model={model}`, {how}, fp32, one thread: {many} of the built-in world, {steps} steps of "
        f"{train_options.batch_size}, the same rows in the same batches, fused AdamW with the same schedule. "
        "Timed: the training alone.",
        [
            Figure("trl", "CPU ms/step", cost["trl"]),
            Figure("ours", "CPU ms/step", cost["ours"]),
            Figure("trl, with loading, building and the reference", "CPU s", tuple(whole["trl"][-repeats:])),
            Figure("ours, with loading and the reference", "CPU s", tuple(whole["ours"][-repeats:])),
        ],
        [
            Claim(ratios("trl over ours", cost["trl"], cost["ours"]), WANTED[model]),
            Claim(Figure("largest difference of a step's loss", "nat", (apart(losses),)), SAME),
        ],
        notes=notes,
    )
    if what == "dpo":
        found.figures.append(Figure("the method `dpo`", "CPU ms/step", cost["method"]))
        found.figures.append(ratios("trl over the method `dpo`", cost["trl"], cost["method"]))
    return found


def apart(losses: Mapping[str, Sequence[float]]) -> float:
    """The largest difference between our curve and any other, of equal length."""
    return max(
        abs(a - b)
        for name in losses.keys() - {"ours"}
        for a, b in zip(losses["ours"], losses[name], strict=True)
    )


if __name__ == "__main__":
    sys.exit(script(compare, what="sft", model="tiny"))
