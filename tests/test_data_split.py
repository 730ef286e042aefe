"""Reading good data: formats, columns, splits, folds, limits and digests."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignment_bench import data, hub
from alignment_bench.completions import Decoding
from alignment_bench.data_files import hub_table, is_hub_id
from alignment_bench.errors import BadInput
from alignment_bench.task import Task, TaskData, TaskOptions

TASK = Task(
    "t", "1", "a task", None, Decoding(), {}, (), (), (), licence="", citation="", main_metric="length"
)
SAMPLES = Path(__file__).parent / "data"


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def rows(count: int, **extra: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"p{i}", "prompt": f"Post {i}.", "reference": f"Summary {i}.", **extra} for i in range(count)
    ]


def ids(examples: Any) -> set[str]:
    return {example.prompt.id for example in examples}


def test_csv_keeps_text_as_it_is_and_splits_by_its_column() -> None:
    loaded = data.load(TASK, TaskOptions(data=str(SAMPLES / "posts.csv")))
    assert [example.prompt.id for example in loaded.train] == ["000", "001", "002", "003"]
    assert ids(loaded.test) == {"004"}
    assert loaded.train[1].prompt.group == "g0"
    assert loaded.notes == ("split by the data's own column: 4 train, 1 test",)


def test_csv_does_not_turn_na_or_numbers_into_something_else(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text('prompt,reference,split\n007,NA,train\n"a, ""b""",1.50,test\n')
    loaded = data.load(TASK, TaskOptions(data=str(path)))
    assert loaded.train[0].prompt.text == "007"
    assert loaded.train[0].key.references == ("NA",)
    assert loaded.test[0].prompt.text == 'a, "b"'
    assert loaded.test[0].key.references == ("1.50",)


def test_parquet_with_lists_of_references_and_numbers_as_ids() -> None:
    loaded = data.load(TASK, TaskOptions(data=str(SAMPLES / "posts.parquet")))
    assert ids(loaded.train) | ids(loaded.test) == set("01234")
    assert all(len(e.key.references) == 2 for e in loaded.train)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("tldr_posts_with_reference", ()),
        ("tldr_posts_with_reference", ("prompt:post",)),
        ("slf5k_dev_posts_human_summaries", ("prompt:summary_prompt", "reference:ideal_human_summary")),
    ],
)
def test_published_schemas(name: str, columns: tuple[str, ...]) -> None:
    loaded = data.load(TASK, TaskOptions(data=str(SAMPLES / f"{name}.jsonl"), columns=columns))
    assert (len(loaded.train), len(loaded.test)) == (3, 2)
    for example in loaded.train + loaded.test:
        assert example.prompt.id == example.key.prompt_id
        assert len(example.prompt.id) == 16
        assert example.key.references[0] not in example.prompt.text


@pytest.mark.skipif(
    "ALIGNMENT_BENCH_VALIDATION_DATA" not in os.environ,
    reason="ALIGNMENT_BENCH_VALIDATION_DATA does not name the folder of published data",
)
def test_published_posts() -> None:
    path = Path(os.environ["ALIGNMENT_BENCH_VALIDATION_DATA"]) / "tldr_posts_with_reference.jsonl"
    loaded = data.load(TASK, TaskOptions(data=str(path)))
    assert (len(loaded.train), len(loaded.test)) == (48, 24)
    parts = data.load_folds(TASK, TaskOptions(data=str(path), folds=3))
    assert [len(part.test) for part in parts] == [24, 24, 24]


def test_the_share_held_out_is_of_groups_and_whole_groups_move(tmp_path: Path) -> None:
    made = [{**row, "group": i // 3} for i, row in enumerate(rows(30))]
    loaded = data.load(TASK, TaskOptions(data=write(tmp_path / "f.jsonl", made), holdout=0.3))
    assert len(loaded.test) == 9
    groups = {e.prompt.group for e in loaded.test}
    assert len(groups) == 3
    assert groups.isdisjoint(e.prompt.group for e in loaded.train)
    assert loaded.notes == ("3 of 10 groups held out by digest (holdout=0.3), the same for every seed",)


def test_the_split_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    made = rows(20)
    one = data.load(TASK, TaskOptions(data=write(tmp_path / "a.jsonl", made)))
    other = data.load(TASK, TaskOptions(data=write(tmp_path / "b.jsonl", made[::-1])))
    assert ids(one.test) == ids(other.test)
    assert one.digest != other.digest


@given(count=st.integers(4, 40), folds=st.integers(2, 4))
def test_folds_score_every_row_once(count: int, folds: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.mktemp("folds") / "f.jsonl", rows(count))
    parts = data.load_folds(TASK, TaskOptions(data=path, folds=folds))
    tested = [name for part in parts for name in ids(part.test)]
    assert len(parts) == folds
    assert sorted(tested) == sorted(row["id"] for row in rows(count))
    for part in parts:
        assert ids(part.train) == set(tested) - ids(part.test)
        assert part.clusters == "folds"
    assert len({part.digest for part in parts}) == 1
    assert len({part.source for part in parts}) == 1
    sizes = [len(part.test) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_limit_takes_a_nested_subset_by_digest_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", rows(30))
    small, large = (data.load(TASK, TaskOptions(data=path, limit=n)) for n in (9, 18))
    assert len(small.train + small.test) == 9
    assert ids(small.train + small.test) < ids(large.train + large.test)
    assert ids(small.train + small.test) != {f"p{i}" for i in range(9)}
    assert small.notes[0] == "limited to the first 9 of 30 examples by digest"
    whole = data.load(TASK, TaskOptions(data=path, limit=30))
    assert "limited" not in whole.notes[0]


def test_the_digest_moves_with_the_bytes_and_with_every_choice(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", rows(12))
    plain = TaskOptions(data=path)
    first = data.load(TASK, plain)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    copy = write(elsewhere / "f.jsonl", rows(12))
    assert data.load(TASK, TaskOptions(data=copy)) == first
    changes = [replace(plain, limit=10), replace(plain, holdout=0.5), replace(plain, columns=("reference:",))]
    digests = {data.load(TASK, options).digest for options in changes} | {first.digest}
    assert len(digests) == 4
    write(tmp_path / "f.jsonl", rows(12)[:-1])
    assert data.load(TASK, plain).digest not in digests


def test_data_without_references_must_say_so(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", [{"prompt": f"p{i}"} for i in range(6)])
    with pytest.raises(BadInput, match=r"task.columns=\[reference:\]"):
        data.load(TASK, TaskOptions(data=path))
    loaded = data.load(TASK, TaskOptions(data=path, columns=("reference:",)))
    assert {example.key.references for example in loaded.train} == {()}


def test_columns_nobody_asked_for_may_be_anything(tmp_path: Path) -> None:
    made = [{**row, "meta": [1, "x", {"y": 2}][i % 3]} for i, row in enumerate(rows(6))]
    assert len(data.load(TASK, TaskOptions(data=write(tmp_path / "f.jsonl", made))).train) == 4


def test_blank_lines_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\n\n".join(json.dumps(row) for row in rows(6)).encode())
    assert len(data.load(TASK, TaskOptions(data=str(path))).train) == 4


def test_hub_parts_become_the_split() -> None:
    one = [{"prompt": "a", "reference": "b"}]
    table = hub_table({"train": one * 2, "validation": one, "test": one}, "org/name@1")
    assert [row["split"] for row in table.rows] == ["train", "train", "test"]
    table = hub_table({"train": one, "validation": one}, "org/name@1")
    assert [row["split"] for row in table.rows] == ["train", "test"]
    assert "split" not in hub_table({"train": one}, "org/name@1").columns
    with pytest.raises(BadInput, match="parts dev, train2"):
        hub_table({"train2": one, "dev": one}, "org/name@1")


def test_what_counts_as_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("org/name")
    assert not is_hub_id("org/name.jsonl")
    assert not is_hub_id("name")
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "name").mkdir()
    assert not is_hub_id("org/name")


def test_the_probe_gives_up_in_time_and_is_asked_once() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        assert not hub.reachable(address, 0.3)
        assert not hub.reachable(address, 0.3)
        assert time.monotonic() - started < 0.6


def made_up_world(world: int) -> TaskData:
    """What `task.builtin` may point at."""
    return TaskData((), (), f"world {world}", "d")


def test_the_built_in_world_is_made_where_no_data_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("made_up_world_module")
    module.make = made_up_world  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_up_world_module", module)
    task = replace(TASK, builtin="made_up_world_module:make")
    (made,) = data.task_data(task, TaskOptions(world=7))
    assert made.source == "world 7"
