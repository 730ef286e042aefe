"""`bench run` on data of one's own with a model folder: folds, LoRA, init=sft, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import cli, results

WORDS = ("dog", "cat", "bird", "park", "ran", "sat", "saw")


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    """Twelve short posts with a reference each."""
    path = tmp_path / "posts.jsonl"
    lines = [
        {
            "id": f"p{i}",
            "prompt": f"the {WORDS[i % 7]} {WORDS[(i + 3) % 7]} . it was happy {i}",
            "reference": f"a {WORDS[i % 7]}",
        }
        for i in range(12)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def run(tmp_path: Path, model: Path, posts: Path, *argv: str) -> tuple[int, list[dict[str, Any]]]:
    out = tmp_path / "table.json"
    status = cli.main(
        [
            "run",
            "task=tldr",
            f"model={model}",
            f"task.data={posts}",
            "evaluators=rouge,length,kl,nll_reference",
            "decoding.max_tokens=8",
            "budget=4000s",
            f"results={tmp_path / 'results'}",
            f"out={out}",
            "format=json",
            "quiet=true",
            *argv,
        ]
    )
    return status, json.loads(out.read_text("utf-8"))["rows"]


def test_cross_fitting_scores_every_row_once_in_one_row_of_the_table(
    tmp_path: Path, random_base: Path, posts: Path
) -> None:
    status, rows = run(tmp_path, random_base, posts, "methods=sft", "task.folds=3")
    assert status == 0
    rouge = {row["method"]: row for row in rows if row["metric"] == "rouge_1"}
    assert rouge["sft"]["n_prompts"] == rouge["base"]["n_prompts"] == 12
    assert {row["status"] for row in rows} == {"ok"}
    records, damaged = results.read_all(tmp_path / "results")
    assert not damaged
    assert len(records) == 6  # base and sft, one a fold
    tested = [name for r in records if r.label == "sft" for name in r.prompt_ids]
    assert sorted(tested) == sorted(f"p{i}" for i in range(12))
    assert {c for r in records for c in r.clusters} == {"fold 0", "fold 1", "fold 2"}


def test_teacher_and_judge_of_one_family_are_marked(tmp_path: Path, random_base: Path, posts: Path) -> None:
    run(tmp_path, random_base, posts, "methods=sft")
    records, _ = results.read_all(tmp_path / "results")
    assert all(record.flags == ("self-judged",) for record in records)
    assert any("self-judged" in line for line in records[0].captions)


def test_lora_trains_adapters_and_zero_trains_all_weights(
    tmp_path: Path, random_base: Path, posts: Path
) -> None:
    kinds = {}
    for rank in ("0", "2"):
        status, _ = run(tmp_path, random_base, posts, "methods=sft", f"lora={rank}")
        assert status == 0
    for path in (tmp_path / "results" / "jobs" / "finetune").glob("*/policy/policy.json"):
        stored = json.loads(path.read_text("utf-8"))
        inputs = json.loads((path.parent.parent / "job.json").read_text("utf-8"))["inputs"]
        kinds[inputs["inputs"]["settings"]["lora_rank"]] = stored["weights"]
    assert kinds == {0: "full", 2: "adapter"}


def test_init_sft_is_paid_from_the_same_budget(tmp_path: Path, random_base: Path, posts: Path) -> None:
    status, _ = run(tmp_path, random_base, posts, "methods=ilf:rounds=1:selection=random", "init=sft")
    assert status == 0
    records, _ = results.read_all(tmp_path / "results")
    acts = {record.label: record.spend["acts"] for record in records if record.status == "ok"}
    ilf = acts["ilf:rounds=1:selection=random"]
    assert ilf["demonstrate"] > 0
    assert ilf["critique"] > 0
    seconds = {record.label: record.spend["annotator_seconds"] for record in records if record.spend}
    assert seconds["ilf:rounds=1:selection=random"] <= 4000
    assert acts["base"] == {}


def test_a_model_that_cannot_say_yes_is_a_failed_row_with_the_reason(
    tmp_path: Path, random_base: Path, posts: Path
) -> None:
    status, rows = run(tmp_path, random_base, posts, "methods=ilf:rounds=1:selection=instruct_rm")
    assert status == 1
    failed = [row for row in rows if row["status"] == "failed"]
    assert failed
    assert all("single token" in row["reason"] for row in failed)
