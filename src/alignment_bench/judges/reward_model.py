"""A reward model as a judge: the text that it scores higher wins.

    judge=reward_model:folder=results/jobs/reward_model/<key>

It is the folder of a finished reward-model job; training one here would be a second way to make the same
thing. What it knows are the comparisons it was trained on, which the caption counts. A method trained
against this very reward model is judged by its own proxy: such a cell is `self-judged`, found by comparing
`reward_digest` with the reward models that the cell's method used.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from alignment_bench.completions import Completion
from alignment_bench.errors import CorruptResult
from alignment_bench.feedback import Verdict
from alignment_bench.hosting import Host
from alignment_bench.prompts import Key, Prompt
from alignment_bench.reward_models import RewardModel
from alignment_bench.runtime import Runtime

_TO_READ = Runtime("cpu", "auto", 1)
"""enough for what a folder says of itself; scoring needs the run's own"""


@dataclass(frozen=True)
class RewardModelJudge:
    """A trained reward model of a results folder: scores each text alone, so that order cannot matter."""

    name: ClassVar[str] = "reward_model"
    family: ClassVar[str] = "reward-model"
    against_reference: ClassVar[bool] = True

    folder: str = ""
    """a finished reward-model job: RESULTS/jobs/reward_model/<key>"""
    _host: Host | None = field(init=False, repr=False, compare=False, default=None)

    def hosted(self, host: Host) -> RewardModelJudge:
        """The same judge, with models to run and a place where rewards are kept."""
        ready = copy.copy(self)
        object.__setattr__(ready, "_host", host)
        return ready

    @property
    def reward_digest(self) -> str:
        """Digest of the reward model, by which a cell knows its own again."""
        return self._model(_TO_READ).digest

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why there is no reward model to judge with, or None where there is."""
        if not self.folder:
            return "it needs a reward model: judge=reward_model:folder=RESULTS/jobs/reward_model/<key>"
        if not Path(self.folder).is_dir():
            return f"there is no folder {self.folder}"
        if not (Path(self.folder) / "reward.json").is_file():
            return f"{self.folder} is no reward model: name a finished job, RESULTS/jobs/reward_model/<key>"
        try:
            self._model(_TO_READ)
        except CorruptResult as error:
            return str(error)
        return None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """None: rewards order texts, their scale is no quality."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """The higher reward wins; equal texts, and equal rewards, are a tie."""
        rewards = self._rewards([*prompts, *prompts], [*first, *second])
        pairs = zip(rewards[: len(prompts)], rewards[len(prompts) :], strict=True)
        return [Verdict(0.5 if one == other else float(one > other)) for one, other in pairs]

    def caption(self) -> str:
        """One line: what it was trained on, how well it orders what was held out, and which one it is."""
        if not self.folder:
            return "reward_model: none is named"
        model = self._model(_TO_READ)
        return f"reward_model {model.digest[:8]}: {model.card.sentence}"

    def _model(self, runtime: Runtime) -> RewardModel:
        return RewardModel(Path(self.folder), runtime)

    def _rewards(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        """Reward of each text; the same text for the same prompt is scored once."""
        from alignment_bench.work import Work

        if self._host is None:
            raise ValueError("this judge runs a model: make it ready with hosting.host_of first")
        model = self._model(self._host.runtime)
        trunk = model.trunk
        # Ordered by content: rewards are the same, and one job, whichever text comes first.
        rows = sorted(set(zip(prompts, texts, strict=True)), key=lambda row: (row[0].id, row[1]))
        completions: list[Completion] = [trunk.encode(text) for _, text in rows]
        work = Work(self._host.store, self._host.runtime, trunk.n_parameters)
        found, _ = work.rewards(model, [prompt for prompt, _ in rows], completions)
        known = dict(zip(rows, found, strict=True))
        return [known[row] for row in zip(prompts, texts, strict=True)]


PLUGIN = RewardModelJudge
