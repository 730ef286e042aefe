"""A model on a bench: its answers to the test prompts of a world, drawn once, and intervals over prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from alignment_bench.completions import Completion, Decoding
from alignment_bench.judges.gold import quality
from alignment_bench.models.catalog import resolve
from alignment_bench.prompts import Example, Prompt
from alignment_bench.runtime import Runtime, activate
from alignment_bench.task import TaskData
from alignment_bench.world.acceptance import Row
from alignment_bench.world.tasks import TASKS

if TYPE_CHECKING:
    from alignment_bench.models.policy import ModelPolicy

SAMPLES = 4
MAX_TOKENS = 48
SEED = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """One example to one of whose answers a number belongs; `prompt` has an id of its own for each sample."""

    example: Example
    prompt: Prompt


def open_base(folder: Path, scratch: Path) -> ModelPolicy:
    """The unaligned policy of a model folder, on one thread; `scratch` holds its reference file."""
    from alignment_bench.models.storage import base_policy, formatter_of

    source = resolve(str(folder))
    runtime = Runtime("cpu", "float32", threads=1)
    activate(runtime)
    return base_policy(source, formatter_of(source, {}), runtime, scratch)


@dataclass
class Bench:
    """A policy, a world, and what the policy has answered already."""

    policy: ModelPolicy
    world: int
    count: int
    """test prompts of each task that are used"""
    scratch: Path
    """a folder for models that are trained on the way"""
    _data: dict[str, TaskData] = field(default_factory=dict)
    _drawn: dict[tuple[str, float], list[list[Completion]]] = field(default_factory=dict)

    def data(self, task: str) -> TaskData:
        """The task's examples in this world."""
        if task not in self._data:
            self._data[task] = TASKS[task](self.world)
        return self._data[task]

    def examples(self, task: str) -> tuple[Example, ...]:
        """The test examples that are used."""
        return self.data(task).test[: self.count]

    def asked(self, task: str, samples: int = SAMPLES) -> list[Asked]:
        """The examples once for every sample, sample by sample within a prompt."""
        return [
            Asked(example, replace(example.prompt, id=f"{example.prompt.id}/{sample}"))
            for example in self.examples(task)
            for sample in range(samples)
        ]

    def completions(self, task: str, temperature: float) -> list[list[Completion]]:
        """SAMPLES answers to each prompt, or at temperature 0 one; drawn once."""
        if (task, temperature) not in self._drawn:
            prompts = [example.prompt for example in self.examples(task)]
            n = SAMPLES if temperature else 1
            self._drawn[task, temperature] = self.draw(prompts, temperature, n)
        return self._drawn[task, temperature]

    def answers(self, task: str, temperature: float) -> list[str]:
        """The texts of `completions`, in the order of `asked`."""
        return [one.text for row in self.completions(task, temperature) for one in row]

    def draw(
        self, prompts: Sequence[Prompt], temperature: float, n: int = 1, seed: int = SEED
    ) -> list[list[Completion]]:
        """`n` completions of each prompt."""
        decoding = Decoding(temperature, max_tokens=MAX_TOKENS)
        return self.policy.generate(prompts, n=n, decoding=decoding, seed=seed)


def gold(asked: Sequence[Asked], texts: Sequence[str]) -> list[float]:
    """Gold quality of one text for each."""
    return quality(texts, [one.example.key.facts for one in asked])


def interval(name: str, values: Sequence[float]) -> Row:
    """The mean of one value a prompt, with its 95 % interval."""
    mean, half = fmean(values), 1.96 * stdev(values) / len(values) ** 0.5
    return Row(name, mean, mean - half, mean + half)


def by_prompt(asked: Sequence[Asked], values: Sequence[float]) -> list[float]:
    """The mean of each prompt's values."""
    prompts: dict[str, list[float]] = {}
    for one, value in zip(asked, values, strict=True):
        prompts.setdefault(one.example.prompt.id, []).append(value)
    return [fmean(value) for value in prompts.values()]


def over_prompts(name: str, asked: Sequence[Asked], values: Sequence[float]) -> Row:
    """The mean over prompts of each prompt's mean, with its 95 % interval."""
    return interval(name, by_prompt(asked, values))


def gap(name: str, left: Sequence[float], right: Sequence[float]) -> Row:
    """The paired difference of one value a prompt."""
    return interval(name, [a - b for a, b in zip(left, right, strict=True)])
