"""The same command gives the same numbers: in another process, order, company and under another label."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from alignment_bench.cells import CellRecord

METHODS = ("ilf", "ppo:iterations=2:rollouts=4", "best_of_n:n=2", "sft")
ANOTHER_PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from small_world import shrink
from alignment_bench import cli
torch.manual_seed(12345)
shrink()
sys.exit(cli.main(["run", *sys.argv[2:]]))
"""


def by_row(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The table's rows by method and metric."""
    return {(row["method"], row["metric"]): row for row in rows}


def by_itself(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The same without the set that a method is tied in, which is a statement about the others as well."""
    return by_row([{key: value for key, value in row.items() if key != "tied_set"} for row in rows])


def essence(record: CellRecord) -> dict[str, Any]:
    """Everything about a cell but wall time, date and what it is called."""
    spends = (record.spend, record.test_spend)
    training, testing = ({k: v for k, v in spend.items() if k != "seconds"} for spend in spends)
    named = {"digest": record.digest, "scores": record.scores, "prompts": record.prompt_ids}
    return {**named, "spend": training, "test": testing, "notes": record.notes, "code": record.code}


def test_the_same_command_twice(small_tldr: Any, tmp_path: Path) -> None:
    """In another process with other hash seeds and another global random state: every row and record."""
    there = tmp_path / "there"
    here = small_tldr.run(",".join(METHODS))
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(Path(__file__).parent)]
    done = subprocess.run(
        [*command, *small_tldr.argv(",".join(METHODS), f"results={there}")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "77"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == here
    ours, theirs = small_tldr.records(), small_tldr.records(there)
    assert {k: essence(r) for k, r in ours.items()} == {k: essence(r) for k, r in theirs.items()}
    assert len({row["mean"] for row in here if row["metric"] == "quality"}) >= 4, "methods must differ"


def test_neither_order_nor_company_matters(small_tldr: Any, tmp_path: Path) -> None:
    """A method alone, and all in the opposite order, give what they give together."""
    together = by_row(small_tldr.run(",".join(METHODS)))
    records = small_tldr.records()
    backwards = small_tldr.run(",".join(reversed(METHODS)), f"results={tmp_path / 'backwards'}")
    assert [row["method"] for row in backwards] != [method for method, _ in together]
    assert by_row(backwards) == together
    for method in METHODS[1:3]:
        alone = small_tldr.run(method, f"results={tmp_path / method}")
        assert by_itself(alone) == {
            k: row for k, row in by_itself(together.values()).items() if k[0] in ("base", method)
        }
        record = small_tldr.records(tmp_path / method)[method]
        assert essence(record) == essence(records[method])


@pytest.mark.parametrize(
    "label,other",
    [
        ("sft", ("sft:epochs=3", "sft.epochs=3")),
        ("sft:source=own:epochs=2", ("sft:epochs=2:source=own",)),
        ("best_of_n:n=2", ("base+best_of_n:n=2", "best_of_n:reward_kind=likelihood_ratio:n=2")),
    ],
)
def test_only_the_configuration_counts(
    label: str, other: tuple[str, ...], small_tldr: Any, tmp_path: Path
) -> None:
    """However the same configuration is written, the numbers are the same; the row has the typed name."""
    first = small_tldr.run(label)
    for i, text in enumerate(other):
        name, _, field = text.partition(".") if "." in text and ":" not in text else (text, "", "")
        options = [f"{name}.{field}"] if field else []
        again = small_tldr.run(name, *options, f"results={tmp_path / str(i)}")
        assert {row["method"] for row in again} == {"base", name}
        renamed = [{**row, "method": label if row["method"] == name else "base"} for row in again]
        assert renamed == first


def test_another_label_of_a_stored_cell_is_the_stored_cell(small_tldr: Any) -> None:
    """Nothing is done again, and the row is called as typed."""
    first = small_tldr.run("best_of_n:n=2")
    log = small_tldr.results / "jobs" / "done.jsonl"
    before = log.read_text()
    again = small_tldr.run("base+best_of_n:n=2")
    assert log.read_text() == before
    assert [{**row, "method": ""} for row in again] == [{**row, "method": ""} for row in first]
    assert {row["method"] for row in again} == {"base", "base+best_of_n:n=2"}


def test_seeds_share_nothing_and_do_not_disturb_each_other(small_tldr: Any, tmp_path: Path) -> None:
    """Seed 1 beside seed 0 is what it is alone, and no job is common to both."""
    methods, alone = "ilf:rounds=1,best_of_n:n=2", tmp_path / "alone"
    small_tldr.run(methods, "seeds=0")
    zero = done(small_tldr.results)
    small_tldr.run(methods, "seeds=0,1")
    small_tldr.run(methods, "seeds=1", f"results={alone}")
    records, ones = small_tldr.records(), small_tldr.records(alone)
    for label in ("ilf:rounds=1", "best_of_n:n=2", "base"):
        assert essence(records[f"{label} seed 1"]) == essence(ones[f"{label} seed 1"])
        assert records[label].scores != records[f"{label} seed 1"].scores
    assert {"sample", "ask", "finetune", "reward_model"} <= set(zero.values())
    assert not zero.keys() & done(alone).keys()
    assert zero | done(alone) == done(small_tldr.results)


def done(folder: Path) -> dict[str, str]:
    """The kind of every job done, by key."""
    rows = [json.loads(line) for line in (folder / "jobs" / "done.jsonl").read_text().splitlines()]
    return {row["key"]: row["kind"] for row in rows}


def test_the_command_again_on_the_same_folder_does_nothing(small_tldr: Any) -> None:
    """The same table, and no job, cell or base is written again."""
    first = small_tldr.run("sft")
    stored = {f: f.stat().st_mtime_ns for f in small_tldr.results.glob("cells/*/*/*")}
    log = (small_tldr.results / "jobs" / "done.jsonl").read_text()
    assert small_tldr.run("sft") == first
    assert {f: f.stat().st_mtime_ns for f in small_tldr.results.glob("cells/*/*/*")} == stored
    assert (small_tldr.results / "jobs" / "done.jsonl").read_text() == log
