"""The published files themselves, where they are at hand: counts, splits and feedback."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from alignment_bench import data, registry, sources
from alignment_bench.data_files import read
from alignment_bench.task import Task, TaskOptions

FOLDER = os.environ.get("ALIGNMENT_BENCH_VALIDATION_DATA")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        FOLDER is None, reason="ALIGNMENT_BENCH_VALIDATION_DATA does not name the folder of published data"
    ),
]
REAL: dict[str, tuple[str, str, int, int, dict[str, int]]] = {
    "slf5k": ("tldr", "slf5k_dev_posts_human_summaries.jsonl", 38, 38, {"demonstrate": 38}),
    "tldr_posts": ("tldr", "tldr_posts_with_reference.jsonl", 72, 72, {"demonstrate": 72}),
    "hh_rlhf": ("dialogue", "hh_rlhf_harmless_base_test.jsonl", 1409, 1405, {"prefer": 1406}),
    "alpaca_eval": ("instructions", "alpaca_eval/eval_set_with_baseline_outputs.jsonl", 805, 805, {}),
    "gsm8k": ("gsm8k", "gsm8k_test.jsonl", 909, 909, {"demonstrate": 909}),
    "squality": (
        "instructions",
        "squality_human_feedback.jsonl",
        540,
        60,
        {"score": 540, "prefer": 540, "critique": 280},
    ),
    "shepherd": ("instructions", "shepherd_critiques.jsonl", 920, 919, {"critique": 920}),
}
"""source: the task it is read for, its file, rows, examples, recorded acts"""


@pytest.mark.parametrize("name", REAL)
def test_the_published_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIGNMENT_BENCH_CACHE", str(tmp_path))
    (tmp_path / "accepted.json").write_text('["nc"]')
    assert FOLDER is not None
    task_name, file, rows, examples, acts = REAL[name]
    path = str(Path(FOLDER) / file)
    assert len(read(path, None).rows) == rows
    task: Task = registry.load("tasks", task_name)
    loaded = data.load(task, TaskOptions(data=path))
    assert loaded.source.endswith(f" as {name}"), "recognised by its columns"
    everything = (*loaded.train, *loaded.test)
    assert len(everything) == examples
    assert len({one.prompt.id for one in everything}) == examples
    assert Counter(act.channel for one in everything for act in one.key.recorded) == acts
    assert {one.prompt.group for one in loaded.train}.isdisjoint(one.prompt.group for one in loaded.test)
    assert loaded.notes[0].startswith(f"data set {name}: ")
    for one in everything:
        assert one.prompt.messages[-1].role == "user"
        assert all(
            reference not in one.prompt.text for reference in one.key.references if len(reference) > 40
        )


def test_a_generated_column_that_belongs_to_other_rows_is_not_read() -> None:
    assert FOLDER is not None
    table = read(str(Path(FOLDER) / REAL["slf5k"][1]), None)
    made = sources.load("slf5k").make(table.rows).made
    said = {act.text for one in made for act in one.example.key.recorded}
    assert said == {str(row["ideal_human_summary"]).strip() for row in table.rows}


def test_final_answers_of_published_solutions_are_judged_as_published() -> None:
    """`is_correct` of 3,636 published model solutions is what `final_answer` finds."""
    from alignment_bench.evaluators.final_answer import number_of

    assert FOLDER is not None
    rows = read(str(Path(FOLDER) / "gsm8k_example_model_solutions.jsonl"), None).rows
    agreed = total = 0
    for row in rows:
        for model in ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"):
            ours = number_of(row[model]["solution"]) == number_of(row["ground_truth"])
            agreed += ours == row[model]["is_correct"]
            total += 1
    assert agreed == total == 3636
