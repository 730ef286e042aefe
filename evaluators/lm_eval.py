"""Tasks of EleutherAI's lm-evaluation-harness, to see what alignment costs elsewhere.

    bench run methods=ilf task=tldr evaluators=quality,lm_eval:tasks=[bbh,tydiqa]

Prompts, examples and metrics are the harness's own; the model reads plain text (`lm_eval_harness`).
Rows are scored by prompt, so a task's documents are dealt out: prompt i of n stands for documents i, i + n,
i + 2n, and its value is their mean. The footnote holds the harness's own number over all documents.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from statistics import fmean
from typing import ClassVar

from alignment_bench import lm_eval_harness as harness
from alignment_bench.digests import digest, digest_file
from alignment_bench.errors import BadInput, Problem
from alignment_bench.evaluation import Evidence, Metric, Needs, Scores


@dataclass(frozen=True)
class LmEval:
    """A column for each task or group of the harness: its first metric, if that is a mean over documents."""

    needs: ClassVar[Needs] = Needs()

    tasks: tuple[str, ...] = ()
    """names of the harness's tasks or groups, as [bbh,tydiqa]"""
    include: Path | None = None
    """folder with task files of your own"""
    fewshot: int | None = field(default=None, metadata={"min": 0})
    """examples shown before every question; default: as each task says"""
    limit: int = field(default=0, metadata={"min": 0})
    """score only the first N documents of each task (0: all)"""
    chat: bool = False
    """put questions through the model's chat template"""

    def __post_init__(self) -> None:
        problems = []
        if self.tasks and not harness.available():
            problems.append(Problem("tasks", "cannot be run", harness.MISSING))
        if self.include is not None and not self.include.is_dir():
            problems.append(Problem("include", f"there is no folder {str(self.include)!r}", "name another"))
        if problems:
            raise BadInput(problems)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One a task."""
        return tuple(Metric(_column(task), "0-1", "higher") for task in self.tasks or ("",))

    @property
    def identity(self) -> str:
        """Digest of what the fields name: the harness's version and the files of `include`."""
        if not self.tasks:
            return ""
        files = sorted(one for one in self.include.rglob("*") if one.is_file()) if self.include else []
        return digest([importlib.metadata.version("lm_eval"), [digest_file(one) for one in files]])

    def __call__(self, evidence: Evidence) -> Mapping[str, Scores]:
        """One value a prompt: the mean over its share of each task's documents."""
        if not self.tasks:
            reason = "no task was named: write evaluators=lm_eval:tasks=[bbh,tydiqa]"
            return {metric.name: Scores(missing=reason) for metric in self.metrics}
        found = harness.run_tasks(
            evidence.policy,
            self.tasks,
            include=self.include,
            fewshot=self.fewshot,
            limit=self.limit,
            chat=self.chat,
        )
        if found is None:
            reason = "the policy has no weights of its own, which the harness could run"
            return {metric.name: Scores(missing=reason) for metric in self.metrics}
        return {
            _column(task): Scores(missing=one.missing)
            if one.missing
            else Scores(dealt(one.values, len(evidence.prompts)), note=one.summary)
            for task, one in found.items()
        }


def dealt(values: Sequence[float], prompts: int) -> tuple[float, ...]:
    """The mean of every `prompts`-th value for each prompt; nan for a prompt that none is left for."""
    return tuple(fmean(values[i::prompts]) if i < len(values) else nan for i in range(prompts))


def _column(task: str) -> str:
    return f"lm_eval_{task}" if task else "lm_eval"


PLUGIN = LmEval
