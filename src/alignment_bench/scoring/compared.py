"""Scores of several methods, compared as every table compares them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from alignment_bench.cells import CellRecord, MetricScores
from alignment_bench.comparison import Block, compare
from alignment_bench.digests import digest
from alignment_bench.evaluation import Evaluator, Scores
from alignment_bench.prompts import Prompt
from alignment_bench.tables.rows import block_rows

KEPT = (
    "method", "metric", "unit", "better", "mean", "low", "high", "delta", "delta_low", "delta_high",
    "n_prompts", "status", "reason",
)  # fmt: skip
"""columns of a table's rows that mean something for a file"""
NO_END = "the rows do not say how they ended (column end)"


@dataclass
class Scored:
    """What was scored: a title, the caption's lines, and one record a method."""

    title: str
    caption: list[str]
    records: list[CellRecord] = field(default_factory=list)

    def add(
        self,
        method: str,
        prompts: Sequence[Prompt],
        evaluators: Mapping[str, Evaluator],
        scores: Mapping[str, Mapping[str, Scores]],
        notes: Sequence[str],
        ends: bool,
    ) -> None:
        """One method's scores; `ends` False takes away what only the end of an answer tells."""
        metrics = []
        for label, evaluator in evaluators.items():
            for metric in evaluator.metrics:
                one = scores[label][metric.name]
                if metric.name == "finished" and not ends:
                    one = Scores(missing=NO_END)
                metrics.append(
                    MetricScores(metric.name, metric.unit, metric.better, one.values, one.missing, one.note)
                )
        self.records.append(_record(method, prompts, tuple(metrics), tuple(evaluators), tuple(notes)))

    def by_prompt(self) -> list[dict[str, Any]]:
        """Every score: method, metric, prompt and value."""
        return [
            {"method": record.label, "metric": metric.name, "prompt_id": prompt_id, "value": value}
            for record in self.records
            for metric in record.scores
            for prompt_id, value in zip(record.prompt_ids, metric.values, strict=False)
        ]

    def block(self) -> Block:
        """All methods, compared."""
        (block,) = compare(self.records)
        return block


def table(scored: Scored, format: str) -> str:
    """The table, ending with a newline."""
    from alignment_bench.tables.formats import WIDTH, set_sheet
    from alignment_bench.tables.sheets import plain_sheet

    block = scored.block()
    if format in ("text", "markdown"):
        return set_sheet(plain_sheet(block, scored.title, scored.caption, WIDTH), format)
    rows = [{key: value for key, value in asdict(row).items() if key in KEPT} for row in block_rows([block])]
    if format == "json":
        return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    out = io.StringIO()
    writer = csv.DictWriter(out, KEPT, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _record(
    method: str,
    prompts: Sequence[Prompt],
    scores: tuple[MetricScores, ...],
    evaluators: tuple[str, ...],
    notes: tuple[str, ...],
) -> CellRecord:
    """The method as a cell of a comparison; whatever only a run knows is empty."""
    return CellRecord(
        digest=digest(["scored", method]),
        label=method,
        method=method,
        task="samples",
        task_version="",
        model="",
        model_digest="",
        data="",
        data_digest="",
        world=None,
        budget="",
        budget_amount=0.0,
        currency="calls",
        teacher="",
        judge="",
        init="base",
        format_digest="",
        decoding={},
        evaluators=evaluators,
        seed=0,
        prompt_ids=tuple(prompt.id for prompt in prompts),
        clusters=tuple(prompt.group or prompt.id for prompt in prompts),
        scores=scores,
        notes=notes,
    )
