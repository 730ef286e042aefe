"""The store: what goes in comes out, nothing half-written is ever seen, nothing damaged is ever trusted."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alignment_bench.digests import canonical, digest
from alignment_bench.errors import CorruptResult
from alignment_bench.results import (
    SCHEMA,
    CellRecord,
    MetricScores,
    StoredSample,
    cell_folder,
    find_cell,
    read_all,
    read_cell,
    read_samples,
    record_run,
    write_cell,
)

SAMPLES = [
    StoredSample("a", "task", 0, "ein Satz\u2028mit Trenner", (5, 6, 2), "eos"),
    StoredSample("b", "task", 0, "", (), "length"),
]


def record(**changes: Any) -> CellRecord:
    """A small cell with everything filled in."""
    values: dict[str, Any] = {
        "digest": digest("cell one"),
        "label": "ilf:rounds=3",
        "method": {"ilf": {"rounds": 3, "learning_rate": 1e-5}},
        "task": "tldr",
        "task_version": "0",
        "model": "tiny",
        "model_digest": "m",
        "data": "built-in",
        "data_digest": "d",
        "world": "0",
        "budget": "small",
        "budget_amount": 54750.0,
        "currency": "seconds",
        "teacher": "annotators",
        "judge": "gold",
        "init": "base",
        "format_digest": "f",
        "decoding": {"temperature": 0.3, "stop": ["\n"]},
        "evaluators": ("quality", "length"),
        "seed": 1,
        "prompt_ids": ("a", "b"),
        "clusters": ("g", "h"),
        "scores": (
            MetricScores("quality", "score", "higher", (0.1 + 0.2, math.pi / 10)),
            MetricScores("kl_to_base", "nats", "neither", missing="a wrapper has no logits"),
        ),
        "spend": {"acts": {"critique": 3}, "annotator_seconds": 547.5},
        "notes": ("two truncated",),
        "captions": ("gold judge",),
        "started": "2026-11-20T10:00:00+00:00",
    }
    return CellRecord(**{**values, **changes})


def test_a_cell_and_its_samples_come_back_exactly(tmp_path: Path) -> None:
    folder = write_cell(tmp_path, record(), SAMPLES)
    assert folder == cell_folder(tmp_path, record().digest)
    assert read_cell(folder) == record()
    assert find_cell(tmp_path, record().digest) == record()
    assert read_samples(folder) == SAMPLES
    assert read_all(tmp_path) == ([record()], [])
    assert find_cell(tmp_path, digest("another")) is None


def test_a_prompt_without_a_score_stays_without_one(tmp_path: Path) -> None:
    scores = (MetricScores("quality", "score", "higher", (math.nan, 0.5)),)
    stored = read_cell(write_cell(tmp_path, record(scores=scores), []))
    assert math.isnan(stored.scores[0].values[0])
    assert stored.scores[0].values[1] == 0.5


def test_an_infinite_score_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    scores = (MetricScores("quality", "score", "higher", (math.inf, 0.5)),)
    with pytest.raises(ValueError, match="quality: inf is no score"):
        write_cell(tmp_path, record(scores=scores), [])
    assert read_all(tmp_path) == ([], [])
    assert list((tmp_path / ".staging").iterdir()) == []


def test_a_failure_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Any:
        yield SAMPLES[0]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_cell(tmp_path, record(), broken())
    assert read_all(tmp_path) == ([], [])
    assert list((tmp_path / ".staging").iterdir()) == []


@pytest.mark.parametrize("status", ["failed", "over_budget", "not_applicable"])
def test_what_went_wrong_is_replaced_and_what_went_right_never(tmp_path: Path, status: Any) -> None:
    bad = record(status=status, reason="out of luck", prompt_ids=(), clusters=(), scores=())
    write_cell(tmp_path, bad, [])
    assert find_cell(tmp_path, bad.digest) == bad
    write_cell(tmp_path, record(), SAMPLES)
    assert find_cell(tmp_path, bad.digest) == record()
    write_cell(tmp_path, bad, [])
    assert find_cell(tmp_path, bad.digest) == record()
    assert list((tmp_path / ".staging").iterdir()) == []


@pytest.mark.parametrize("name", ["run.json", "scores.json", "samples.jsonl"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "edited"])
def test_damage_is_named_reported_and_repaired_by_running_again(
    tmp_path: Path, name: str, damage: str
) -> None:
    folder = write_cell(tmp_path, record(), SAMPLES)
    path = folder / name
    content = path.read_text()
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_text(content[: len(content) // 2])
    else:
        edited = content.replace("0.3", "0.9") if name != "samples.jsonl" else content.replace("ein", "kein")
        assert edited != content
        path.write_text(edited)
    with pytest.raises(CorruptResult, match=name):
        read_cell(folder)
    records, unreadable = read_all(tmp_path)
    assert records == []
    assert [one.path for one in unreadable] == [folder]
    assert name in unreadable[0].reason
    write_cell(tmp_path, record(), SAMPLES)
    assert read_cell(folder) == record()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("[" * 100_000, "is not JSON"),
        ('{"schema": 1, "seed": NaN, "sha256": ""}', "has changed"),
        ('{"schema": 1, "label": "\\ud800", "sha256": ""}', "has changed"),
    ],
)
def test_what_no_writer_can_have_left_is_reported_like_any_damage(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = write_cell(tmp_path, record(), SAMPLES) / "run.json"
    path.unlink()
    if text is None:
        path.mkdir()
    else:
        path.write_text(text)
    records, (unreadable,) = read_all(tmp_path)
    assert records == [] and str(path) in unreadable.reason and message in unreadable.reason


def test_damaged_samples_are_not_read(tmp_path: Path) -> None:
    folder = write_cell(tmp_path, record(), SAMPLES)
    (folder / "samples.jsonl").write_text("")
    with pytest.raises(CorruptResult, match=r"samples\.jsonl"):
        read_samples(folder)


def rewrite_run(folder: Path, **changes: Any) -> None:
    """Edit run.json and make its own digest fit again, as a writer of another version would."""
    run = {**json.loads((folder / "run.json").read_text()), **changes}
    del run["sha256"]
    (folder / "run.json").write_text(canonical({**run, "sha256": digest(run)}))


def test_a_newer_schema_is_refused_by_name_and_never_replaced(tmp_path: Path) -> None:
    folder = write_cell(tmp_path, record(), SAMPLES)
    rewrite_run(folder, schema=SCHEMA + 1)
    before = (folder / "run.json").read_bytes()
    with pytest.raises(CorruptResult, match=f"schema {SCHEMA + 1}.*upgrade"):
        read_cell(folder)
    with pytest.raises(CorruptResult, match="upgrade"):
        write_cell(tmp_path, record(), SAMPLES)
    assert (folder / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "one"}, "schema"),
        ({"status": "fine"}, "status"),
        ({"files": {}}, "does not name the files"),
        ({"surprise": 1}, "surprise"),
        ({"digest": digest("other")}, "belongs to cell"),
    ],
)
def test_a_run_file_that_is_no_cell_is_refused(tmp_path: Path, changes: Any, message: str) -> None:
    folder = write_cell(tmp_path, record(), SAMPLES)
    rewrite_run(folder, **changes)
    with pytest.raises(CorruptResult, match=message):
        read_cell(folder)


def test_a_stray_file_among_the_cells_is_reported(tmp_path: Path) -> None:
    write_cell(tmp_path, record(), SAMPLES)
    (tmp_path / "cells" / record().digest[:2] / "notes.txt").write_text("mine")
    records, unreadable = read_all(tmp_path)
    assert records == [record()]
    assert [one.path.name for one in unreadable] == ["notes.txt"]


@pytest.mark.parametrize(
    "changes",
    [
        {"clusters": ("g",)},
        {"prompt_ids": ("a", "a")},
        {"status": "great"},
        {"currency": "euros"},
        {"scores": (MetricScores("quality", "score", "higher", (0.5,)),)},
        {"scores": (MetricScores("quality", "score", "higher", (0.5, 0.5), missing="none"),)},
        {"scores": (MetricScores("q", "score", "higher", (0.5, 0.5)),) * 2},
    ],
)
def test_a_record_that_contradicts_itself_cannot_be_made(changes: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        record(**changes)


def test_a_command_is_noted_with_its_cells(tmp_path: Path) -> None:
    path = record_run(tmp_path, {"methods": "ilf"}, ["aa", "bb"])
    stored = json.loads(path.read_text())
    assert stored["cells"] == ["aa", "bb"]
    assert stored["request"] == {"methods": "ilf"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


KILLED = """
import sys
from pathlib import Path
from dataclasses import replace
sys.path.insert(0, {tests!r})
from test_results import record, SAMPLES
from alignment_bench.digests import digest
from alignment_bench.results import write_cell
print("ready", flush=True)
for index in range(100_000):
    write_cell(Path({root!r}), replace(record(), digest=digest(index % 40), status="failed"), SAMPLES * 50)
"""


def test_a_killed_writer_leaves_whole_cells_only(tmp_path: Path) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), root=str(tmp_path))
    for round_ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ})
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.05 + 0.037 * round_)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    records, unreadable = read_all(tmp_path)
    assert unreadable == []
    assert records
    for index in range(40):
        write_cell(tmp_path, replace(record(), digest=digest(index)), SAMPLES)
    assert list((tmp_path / ".staging").iterdir()) == []


def test_processes_that_store_one_cell_at_once_keep_one(tmp_path: Path) -> None:
    """However their steps interleave: a failed cell lies there, and eight writers replace it together."""
    from concurrent.futures import ThreadPoolExecutor
    from unittest import mock

    numbers = iter(range(1000))
    with mock.patch(
        "alignment_bench.results._staging", lambda root, name: fresh(root / ".staging", next(numbers))
    ):
        for attempt in range(10):
            root = tmp_path / str(attempt)
            write_cell(root, record(status="failed", reason="no memory"), [])
            with ThreadPoolExecutor(8) as pool:
                folders = set(pool.map(lambda _, root=root: write_cell(root, record(), SAMPLES), range(8)))
            assert len(folders) == 1 and read_cell(folders.pop()).status == "ok"
            assert list((root / ".staging").iterdir()) == []


def fresh(parent: Path, number: int) -> Path:
    """A staging folder as every process has one."""
    folder = parent / f"cell.host.{number}"
    folder.mkdir(parents=True)
    return folder
