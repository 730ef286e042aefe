"""Bad data of every kind: refused before any work, with the field, the row or line, and the fix."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import data, data_files, hub
from alignment_bench.completions import Decoding
from alignment_bench.errors import BadInput
from alignment_bench.task import Task, TaskOptions

TASK = Task(
    "t", "1", "a task", None, Decoding(), {}, (), (), (), licence="", citation="", main_metric="length"
)
GOOD = [{"id": f"p{i}", "prompt": f"Post number {i}.", "reference": f"Summary {i}."} for i in range(6)]


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def changed(index: int, **fields: Any) -> list[dict[str, Any]]:
    rows = [dict(row) for row in GOOD]
    rows[index].update(fields)
    return rows


def without(index: int, field: str) -> list[dict[str, Any]]:
    rows = [dict(row) for row in GOOD]
    del rows[index][field]
    return rows


ROWS: dict[str, tuple[list[Any], str, str, str]] = {
    "empty file": ([], "task.data", "f.jsonl is empty", "one example a row"),
    "blank file": ([""], "task.data", "f.jsonl holds no rows", "one example a row"),
    "broken line": ([*GOOD, '{"id": '], "task.data", "line 7 is not JSON", "one JSON object a line"),
    "endless number": ([*GOOD, "1" * 5000], "task.data", "line 7 is not JSON: a number has too many", "line"),
    "a list": ([*GOOD, "[1, 2]"], "task.data", "line 7 is a JSON list", "prompt"),
    "number as prompt": (changed(2, prompt=7), "task.data", "row 3: column 'prompt' is a int", "as text"),
    "empty prompt": (changed(0, prompt=" "), "task.data", "row 1: column 'prompt' is empty", "drop the row"),
    "null reference": (changed(4, reference=None), "task.data", "row 5: column 'reference' is empty", "drop"),
    "no references": (changed(4, reference=[]), "task.data", "row 5: column 'reference' is an empty", "give"),
    "bad in a list": (
        changed(4, reference=["a", 1]),
        "task.data",
        "row 5: column 'reference' is a i",
        "text",
    ),
    "true as id": (changed(1, id=True), "task.data", "row 2: column 'id' is a bool", "text"),
    "missing in a row": (
        without(3, "reference"),
        "task.data",
        "row 4: column 'reference' is missing",
        "fill",
    ),
    "half a surrogate": (
        changed(1, prompt="\ud800"),
        "task.data",
        "row 2: column 'prompt' holds half",
        "rep",
    ),
    "repeated id": (changed(5, id="p0"), "task.data", "row 6: id 'p0' is that of row 1", "unique"),
    "no such column": (
        [{"post": "a", "reference": "b"}],
        "task.columns",
        "there is no column 'prompt'; there are: post, reference",
        "task.columns=[prompt:COLUMN]",
    ),
    "odd split": (
        [{**row, "split": "trian"} for row in GOOD],
        "task.data",
        "row 1: column 'split' says 'trian'",
        "train or test",
    ),
    "only train": (
        [{**row, "split": "train"} for row in GOOD],
        "task.data",
        "of 6 examples none is left to test on",
        "split",
    ),
    "only test": (
        [{**row, "split": "test"} for row in GOOD],
        "task.data",
        "none is left to train on",
        "split",
    ),
    "one row": (GOOD[:1], "task.data", "of 1 examples none is left to test on", "more rows"),
    "same prompt on both sides": (
        [
            {
                **row,
                "split": "test" if i == 5 else "train",
                "prompt": "The  same" if i in (1, 5) else f"Post {i}",
            }
            for i, row in enumerate(GOOD)
        ],
        "task.data",
        "row 6 (test) has the prompt of row 2 (train)",
        "one side",
    ),
    "same group on both sides": (
        [{**row, "split": "test" if i == 5 else "train", "group": i % 5} for i, row in enumerate(GOOD)],
        "task.data",
        "row 6 (test) has the group of row 1 (train)",
        "one side",
    ),
    "repeated prompt without ids": (
        [
            {"prompt": "a", "reference": "b"},
            {"prompt": "c", "reference": "d"},
            {"prompt": "a", "reference": "e"},
        ],
        "task.data",
        "row 3: repeats the prompt of row 1",
        "add an id column",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_rows(case: str, tmp_path: Path) -> None:
    rows, field, message, fix = ROWS[case]
    path = jsonl(tmp_path / "f.jsonl", rows)
    with pytest.raises(BadInput) as caught:
        data.load(TASK, TaskOptions(data=str(path)))
    problem = caught.value.problems[0]
    assert problem.field == field
    assert message in problem.message
    assert fix in problem.fix


def test_ten_bad_rows_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    rows = [{"id": i, "prompt": "", "reference": "r"} for i in range(25)]
    with pytest.raises(BadInput) as caught:
        data.load(TASK, TaskOptions(data=str(jsonl(tmp_path / "f.jsonl", rows))))
    assert len(caught.value.problems) == 11
    assert "row 10" in caught.value.problems[9].message
    assert caught.value.problems[10].message == "and 15 more bad rows"


def test_two_faults_of_one_row_are_told_together(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "f.jsonl", changed(2, prompt=None, reference=3))
    with pytest.raises(BadInput, match="row 3: column 'prompt' is empty; column 'reference' is a int"):
        data.load(TASK, TaskOptions(data=str(path)))


def test_a_file_is_called_by_its_whole_name(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "my own posts.jsonl", changed(2, prompt=None))
    with pytest.raises(BadInput, match=r"my own posts\.jsonl row 3:"):
        data.load(TASK, TaskOptions(data=str(path)))


FILES: dict[str, tuple[str, bytes, str, str]] = {
    "not UTF-8": ("f.jsonl", b'{"prompt": "caf\xe9"}\n', "line 1 is not UTF-8", "UTF-8"),
    "csv not UTF-8": ("f.csv", "prompt,r\xe9f\n".encode("latin-1"), "f.csv is not UTF-8", "UTF-8"),
    "csv body not UTF-8": (
        "f.csv",
        b"prompt,reference\n" + b"a,b\n" * 9999 + b"\xe9,b\n",
        "is not UTF-8",
        "save the file as UTF-8",
    ),
    "csv header only": ("f.csv", b"prompt,reference\n", "holds no rows", "one example a row"),
    "csv with a long row": (
        "f.csv",
        b"prompt,reference\na,b\nc,d,e\n",
        "row 2: 3 fields under 2 columns",
        "quote the commas",
    ),
    "csv with a column twice": ("f.csv", b"prompt,prompt\na,b\n", "two columns named prompt", "rename"),
    "csv with an empty cell": (
        "f.csv",
        b"prompt,reference\na,b\nc,\n",
        "row 2: column 'reference' is emp",
        "dro",
    ),
    "not parquet": ("f.parquet", b"PAR?" * 20, "not a readable parquet file", "valid parquet"),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_files(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name, content, message, fix = FILES[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        data.load(TASK, TaskOptions(data=str(path)))
    problem = caught.value.problems[0]
    assert problem.field == "task.data"
    assert message in problem.message
    assert fix in problem.fix
    assert "\n" not in problem.message
    assert capfd.readouterr().err == ""


OPTIONS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "absent": ({"data": "no/such/file.jsonl"}, "task.data", "does not exist", "check the path"),
    "a folder": ({"data": "."}, "task.data", "is a folder", "give one file"),
    "unknown kind": ({"data": "x.xlsx"}, "task.data", "is neither a .jsonl", "convert"),
    "hub without revision": ({"data": "org/name"}, "task.revision", "no revision is named", "pin"),
    "file with revision": ({"data": "F", "revision": "main"}, "task.revision", "have no revision", "drop"),
    "holdout of 1": ({"data": "F", "holdout": 1.0}, "task.holdout", "1.0 is not a share", "0 < holdout < 1"),
    "holdout of 0": ({"data": "F", "holdout": 0.0}, "task.holdout", "0.0 is not a share", "0 < holdout < 1"),
    "one fold": ({"data": "F", "folds": 1}, "task.folds", "1 folds cannot be made", "2 or more"),
    "negative limit": ({"data": "F", "limit": -1}, "task.limit", "-1 is negative", "0 for all"),
    "world and data": ({"data": "F", "world": 3}, "task.world", "cannot both be", "drop one"),
    "folds of the world": ({"folds": 3}, "task.folds", "task.data is not set", "drop task.folds"),
    "no colon": (
        {"data": "F", "columns": ("post",)},
        "task.columns",
        "'post' renames nothing",
        "prompt:post",
    ),
    "unknown column": (
        {"data": "F", "columns": ("post:prompt",)},
        "task.columns",
        "'post'",
        "canonical:actual",
    ),
    "renamed twice": (
        {"data": "F", "columns": ("id:a", "id:b")},
        "task.columns",
        "renamed twice",
        "keep one",
    ),
    "no prompt": ({"data": "F", "columns": ("prompt:",)}, "task.columns", "cannot be left out", "name"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_bad_options_are_found_before_reading(case: str, tmp_path: Path) -> None:
    fields, field, message, fix = OPTIONS[case]
    if fields.get("data") == "F":
        fields = {**fields, "data": str(jsonl(tmp_path / "f.jsonl", GOOD))}
    (problem,) = data.check(TaskOptions(**fields))
    assert problem.field == field
    assert message in problem.message
    assert fix in problem.fix


def test_all_bad_options_are_told_at_once(tmp_path: Path) -> None:
    options = TaskOptions(data=str(tmp_path / "no.jsonl"), holdout=2.0, folds=1, limit=-1, world=5)
    fields = [problem.field for problem in data.check(options)]
    assert fields == ["task.holdout", "task.folds", "task.limit", "task.world", "task.data"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "f.jsonl", GOOD)
    path.chmod(0)
    (problem,) = data.check(TaskOptions(data=str(path)))
    assert "not readable" in problem.message


CHANGED_AFTER_CHECK: dict[str, Callable[[Path], object]] = {"gone": Path.unlink}


@pytest.mark.parametrize("change", CHANGED_AFTER_CHECK.values(), ids=CHANGED_AFTER_CHECK)
def test_a_file_that_goes_away_is_a_bad_input_too(change: Callable[[Path], object], tmp_path: Path) -> None:
    path = jsonl(tmp_path / "f.jsonl", GOOD)
    change(path)
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        data_files.read(str(path), None)


def test_renamed_column_that_does_not_exist(tmp_path: Path) -> None:
    options = TaskOptions(data=str(jsonl(tmp_path / "f.jsonl", GOOD)), columns=("group:author",))
    with pytest.raises(BadInput, match="no column 'author'; there are: id, prompt, reference"):
        data.load(TASK, options)


def test_more_folds_than_groups(tmp_path: Path) -> None:
    options = TaskOptions(data=str(jsonl(tmp_path / "f.jsonl", GOOD)), folds=7)
    with pytest.raises(BadInput, match="7 folds of 6 groups"):
        data.load_folds(TASK, options)


def test_folds_of_data_with_a_split_of_its_own(tmp_path: Path) -> None:
    rows = [{**row, "split": "test" if i < 2 else "train"} for i, row in enumerate(GOOD)]
    path = str(jsonl(tmp_path / "f.jsonl", rows))
    with pytest.raises(BadInput, match="its own split column") as caught:
        data.load_folds(TASK, TaskOptions(data=path, folds=2))
    assert "task.columns=[split:]" in caught.value.problems[0].fix
    assert len(data.load_folds(TASK, TaskOptions(data=path, folds=2, columns=("split:",)))) == 2


def test_a_task_without_data_of_its_own() -> None:
    with pytest.raises(BadInput, match="task t has no data of its own"):
        data.task_data(TASK, TaskOptions())


def test_an_unreachable_hub_is_one_line_after_one_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub.reachable.cache_clear()
    with pytest.raises(BadInput) as caught:
        data.load(TASK, TaskOptions(data="org/name", revision="abc"))
    hub.reachable.cache_clear()
    (problem,) = caught.value.problems
    assert "does not answer" in problem.message
    assert "\n" not in str(problem)
