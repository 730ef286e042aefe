"""`bench paper`: every number of the methods paragraph is the stored one, and everything is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alignment_bench import cli, results
from alignment_bench.cells import CellRecord, MetricScores, StoredSample
from alignment_bench.comparison import compare, pick
from alignment_bench.digests import digest
from alignment_bench.provenance.paper import paragraph

IDS = tuple(f"p{i}" for i in range(20))
CLUSTERS = tuple(f"c{i // 2}" for i in range(20))


def cells() -> list[CellRecord]:
    """Two methods and the base, three seeds."""
    found = []
    for label, gain in (("base", 0.0), ("sft", 0.3), ("ilf:rounds=1", 0.2)):
        for seed in (0, 1, 4):
            rng = np.random.default_rng([seed, int(100 * gain)])
            values = np.clip(0.5 + gain + rng.normal(0, 0.1, len(IDS)), 0, 1)
            name = label.partition(":")[0]
            found.append(
                CellRecord(
                    digest=digest([label, seed]),
                    label=label,
                    method=[{"name": name, "fields": {}}],
                    task="tldr",
                    task_version="2",
                    model="tiny:0",
                    model_digest="a" * 64,
                    data="built-in world, version 1, evaluation seed 0",
                    data_digest="b" * 64,
                    world="0",
                    budget="smoke",
                    budget_amount=9000.0,
                    currency="seconds",
                    teacher="annotators",
                    judge="gold",
                    init="base",
                    format_digest="f" * 64,
                    decoding={"temperature": 0.3, "top_p": 1.0, "stop": []},
                    evaluators=("quality", "length"),
                    seed=seed,
                    prompt_ids=IDS,
                    clusters=CLUSTERS,
                    scores=(
                        MetricScores("quality", "0-1", "higher", tuple(map(float, values))),
                        MetricScores("length", "words", "neither", tuple(map(float, 10 * values))),
                    ),
                    captions=("synthetic prompts; never a substitute for real data",),
                    versions={"alignment-bench": "0.1.0", "torch": "2.13.0"},
                    code={"core": "1", "commit": "c0ffee", "plugins": {f"methods/{name}": "1" * 64}},
                    spend={"acts": {}, "annotator_seconds": 9000.0, "calls": 0, "words": 0, "flops": 1e9,
                           "tokens_generated": 10, "tokens_trained": 10, "tokens_scored": 0, "seconds": 1.0},
                    started="2026-01-01T00:00:00+00:00",
                )
            )  # fmt: skip
    return found


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """The cells in a results folder."""
    root = tmp_path / "results"
    for record in cells():
        samples = [StoredSample(one, "task", 0, "a summary", (1, 2), "eos") for one in record.prompt_ids]
        results.write_cell(root, record, samples)
    return root


def test_the_paragraph_says_what_was_done() -> None:
    (block,) = compare(cells())
    told = paragraph(block)
    for fact in (
        "sft, ilf:rounds=1 with the unaligned base",
        "task tldr (version 2",
        "built-in world, version 1, evaluation seed 0, digest bbbbbbbbbbbb",
        "tiny:0 (digest aaaaaaaaaaaa)",
        "9,000 seconds of annotators' time (2.5 h)",
        "trained 3 times (seeds 0, 1, 4)",
        "n = 20 test prompts of 10 independent sources",
        "temperature 0.3, top_p 1.0",
        "The judge was gold",
        "80 % power",
        "synthetic prompts; never a substitute for real data",
        "torch 2.13.0",
        "c0ffee",
        "licence Apache-2.0",
        "arXiv 2303.16755",
    ):
        assert fact in told, fact
    sizes = [line.estimates["quality"].delta.mde for line in block.lines if line.label != "base"]
    assert all(f"{size:.2g}" in told for size in sizes)


def test_the_paragraph_names_the_family_and_claims_no_more_than_one_training_shows() -> None:
    (block,) = compare(cells())
    assert "Holm's adjustment over all pairs of the 3 methods;" in paragraph(block)
    picked = pick(block, ("base", "sft"))
    assert "over all pairs of the 3 methods that were run, of which 2 are shown;" in paragraph(picked, 3)
    assert "over seeds and sources of prompts" in paragraph(block)
    (once,) = compare([one for one in cells() if one.seed == 0])
    assert "over sources of prompts alone, for these very trainings" in paragraph(once)


def test_a_method_without_a_result_is_told() -> None:
    found = cells()
    lost = [
        replace(one, status="failed", reason="boom", scores=(), prompt_ids=(), clusters=())
        for one in found
        if one.label == "sft"
    ]
    (block,) = compare([*lost, *(one for one in found if one.label != "sft")])
    assert "Without a result: sft (failed: boom)." in paragraph(block)


def test_the_folder_holds_everything_and_the_manifest_every_file(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "paper"
    assert cli.main(["paper", f"out={out}", f"results={stored}"]) == 0
    told = capsys.readouterr().out
    for name in ("tables/table.tex", "tables/table.md", "tables/table.csv", "methods.md", "methods.tex"):
        assert (out / name).stat().st_size > 100 and str(out / name) in told
    assert r"\toprule" in (out / "tables/table.tex").read_text()
    assert list((out / "figures").glob("*.pdf")) and list((out / "figures").glob("*.csv"))
    body = json.loads((out / "manifest.json").read_text())
    assert set(body["files"]) == {
        str(path.relative_to(stored)) for path in stored.rglob("*") if path.is_file()
    }
    assert (
        cli.main(["verify", f"results={stored}", f"manifest={out / 'manifest.json'}", "samples=false"]) == 0
    )


def test_a_damaged_file_is_named_and_bad_requests_are_2(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = next(stored.glob("cells/*/*/scores.json"))
    broken.write_text("{}")
    assert cli.main(["paper", f"out={tmp_path / 'paper'}", f"results={stored}"]) == 1
    assert str(broken) in capsys.readouterr().err
    assert cli.main(["paper", f"results={stored}"]) == 2
    assert cli.main(["paper", f"out={tmp_path / 'p'}", f"results={tmp_path / 'none'}"]) == 2
    assert cli.main(["paper", f"out={tmp_path / 'p'}", f"results={stored}", "methods=nobody"]) == 2


def test_a_block_in_which_every_method_failed_has_a_paragraph() -> None:
    lost = {"status": "failed", "reason": "boom", "scores": (), "prompt_ids": (), "clusters": ()}
    empty = [replace(one, **lost) for one in cells()]
    (block,) = compare(empty)
    told = paragraph(block)
    assert "Without a result: base (failed: boom)" in told and "sft (failed: boom)" in told
