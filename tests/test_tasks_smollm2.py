"""Every task end to end on a real small model and sixteen real prompts, twelve to learn from (slow).

The posts of `tldr` are those of `test_methods_smollm2`. Here every other task meets its published data: ILF
and PPO learn from whoever teaches there, and every metric is a number or says why it is none.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from alignment_bench import cli, licences, registry, results
from alignment_bench.models import catalog

TRAIN, TEST = 12, 4
METHODS = ("ilf:refinements=2:selection=likelihood", "ppo:iterations=1:rollouts=4")


@dataclass(frozen=True)
class Case:
    """A task and its sixteen prompts."""

    task: str
    file: str
    """of the published data; empty: made by the task's own source of that name"""
    shows: str
    """the metric that the task is about, on such data"""
    budget: str = "400s"
    options: tuple[str, ...] = ()
    shortest: bool = False
    """take the shortest rows, not the first"""
    skipped: int = 0
    """rows at the start of the file that the task's source does not use"""
    needs: str = ""
    """a package that the task's teacher or judge needs"""


CASES = (
    # MBPP's task ids to 10 are kept for few-shot prompts
    Case("code", "mbpp_sanitized.jsonl", "pass_at_1", "24calls", ("teacher=tests",), skipped=5),
    Case(
        "dialogue",
        "hh_rlhf_harmless_base_test.jsonl",
        "win_rate_vs_base",
        options=("teacher=reference",),
        shortest=True,
    ),
    Case("gsm8k", "gsm8k_test.jsonl", "final_answer"),
    Case(
        "instructions",
        "alpaca_eval/eval_set_with_baseline_outputs.jsonl",
        "win_rate_vs_base",
        options=("accept=nc",),
        shortest=True,
    ),
    Case(
        "toxicity",
        "realtoxicityprompts_val.jsonl",
        "toxicity_rate",
        "24calls",
        ("teacher=classifier",),
        needs="profanity_check",
    ),
    Case("word_removal", "", "exact_match", options=(f"task.limit={TRAIN + TEST}",)),
)


def rows_of(case: Case, folder: Path) -> str:
    """The value of `task.data`: a file of the case's rows, or the name of a source that makes them."""
    if not case.file:
        return case.task
    if "ALIGNMENT_BENCH_VALIDATION_DATA" not in os.environ:
        pytest.skip("ALIGNMENT_BENCH_VALIDATION_DATA does not name the folder of published data")
    path = Path(os.environ["ALIGNMENT_BENCH_VALIDATION_DATA"]) / case.file
    if not path.is_file():
        pytest.skip(f"{case.file} is not in the folder of published data")
    lines = [line for line in path.read_text("utf-8").split("\n") if line.strip()][case.skipped :]
    lines = sorted(lines, key=len) if case.shortest else lines
    (folder / "rows.jsonl").write_text("\n".join(lines[: TRAIN + TEST]) + "\n", "utf-8")
    return str(folder / "rows.jsonl")


def test_every_task_has_a_case() -> None:
    assert {case.task for case in CASES} | {"tldr"} == set(registry.shipped("tasks"))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.task)
def test_task_on_real_prompts(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not catalog.resolve("smollm2").ready:
        pytest.skip("smollm2 is not on this machine: run `bench fetch smollm2`")
    if case.needs and importlib.util.find_spec(case.needs) is None:
        pytest.skip(f"{case.needs} is not installed")
    # accept=nc is for this test alone, not for whoever runs it
    monkeypatch.setattr(licences, "_record", lambda: tmp_path / "accepted.json")
    data = rows_of(case, tmp_path)
    stored, table = tmp_path / "results", tmp_path / "table.json"
    argv = [
        f"methods={','.join(METHODS)}",
        f"task={case.task}",
        "model=smollm2",
        f"task.data={data}",
        f"budget={case.budget}",
        "decoding.max_tokens=32",
        f"results={stored}",
        f"out={table}",
        "format=json",
        *([f"task.holdout={TEST / (TRAIN + TEST)}"] if case.file else []),
        *("device=cpu", "threads=1", "workers=1", "tuned=none", "quiet=true"),
        *case.options,
    ]
    assert cli.main(["run", *argv]) == 0
    records, damaged = results.read_all(stored)
    assert not damaged
    assert {record.label for record in records} == {"base", *METHODS}
    for record in records:
        # ILF for code may find that no refinement of so few passes its tests
        if record.status == "not_applicable":
            assert case.task == "code" and "passed" in record.reason
            continue
        assert record.status == "ok", record.reason
        assert len(record.prompt_ids) == (TEST if case.file else len(record.prompt_ids)) > 0
        for one in record.scores:
            assert one.missing or any(math.isfinite(value) for value in one.values), one.name
        answers = results.read_samples(results.cell_folder(stored, record.digest))
        assert any(answer.completion.strip() for answer in answers)
        assert (record.label == "base") == (not record.spend["acts"])
    shown = {row["metric"] for row in json.loads(table.read_text("utf-8"))["rows"] if row["mean"] is not None}
    assert {"kl_to_base", "length", case.shows} <= shown
