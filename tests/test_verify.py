"""Provenance: every changed byte is found and its file named; scores follow from the stored samples."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import cli, results
from alignment_bench.digests import digest
from alignment_bench.judging import cards
from alignment_bench.provenance import files, manifest
from alignment_bench.provenance.verify import verify


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, small_world: ModuleType) -> Path:
    """A small run: base, and fine-tuning, with a job of every kind that they need and an audited judge."""
    root: Path = tmp_path_factory.mktemp("verify") / "results"
    with pytest.MonkeyPatch.context() as patch:
        small_world.shrink(patch.setattr)
        world = small_world.SmallWorld(root)
        world.run("sft", "sft.epochs=1", "evaluators=quality,win_rate,length,kl")
    record = next(iter(results.read_all(root)[0]))
    source = record.code["plugins"]["judges/gold"]
    place = root / "audits" / digest([record.judge, source])[:16] / "0123456789abcdef.json"
    place.parent.mkdir(parents=True)
    body: dict[str, Any] = {"schema": 1, "source": "pairs", "failed": [], "audit": {}}
    body["sha256"] = digest(body)
    place.write_text(json.dumps(body, indent=1, ensure_ascii=False), "utf-8")
    assert cards.failures(root, record.judge, source) == ()
    return root


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, small_world: ModuleType) -> None:
    """The world that `stored` was made in."""
    small_world.shrink(monkeypatch.setattr)


@contextmanager
def changed(path: Path, data: bytes) -> Iterator[None]:
    """The file with other bytes, inside the block."""
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


def test_a_sound_run_is_sound_and_its_cells_name_their_jobs(stored: Path) -> None:
    found = files.look(stored)
    assert found.faults == [] and found.unprotected == []
    sft = next(one for one in found.records if one.label == "sft")
    assert set(sft.code["jobs"].values()) == {"ask", "finetune"}
    behind = files.files_of(stored, sft, found)
    kinds = {Path(name).parts[1] for name in behind if name.startswith("jobs/")}
    assert kinds == {"ask", "finetune", "sample", "score"}
    assert {Path(name).parts[0] for name in behind} == {"jobs", "cells", "bases", "audits"}
    assert any(name.endswith("model.safetensors") for name in behind)
    base = next(one for one in found.records if one.label == "base")
    for key in (*sft.code["samples"].values(), *base.code["samples"].values()):  # win_rate_vs_base needs both
        assert f"jobs/sample/{key}/job.json" in behind


def test_what_a_teacher_answered_inside_a_training_is_behind_its_cell(
    small_world: ModuleType, small: None, tmp_path: Path
) -> None:
    small_world.SmallWorld(tmp_path).run(
        "grpo:reward=teacher:steps=2:rollouts=4:group=2", "evaluators=length"
    )
    found = files.look(tmp_path)
    asked = {key for kind, key in found.jobs if kind == "ask"}
    trained = next(one for one in found.records if one.label != "base")
    assert asked and not asked & set(trained.code["jobs"]), "asked by the training, not by the method"
    listed = set(manifest.manifest(tmp_path, found, [trained]).files)
    assert {f"jobs/ask/{key}/records.jsonl" for key in asked} <= listed
    base = next(one for one in found.records if one.label == "base")
    assert not any("jobs/ask" in name for name in files.files_of(tmp_path, base, found))
    for key in asked:
        path = tmp_path / "jobs/ask" / key / "records.jsonl"
        with changed(path, path.read_bytes() + b" "):
            assert str(path) in " ".join(files.look(tmp_path).faults)


@pytest.mark.parametrize("count", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_changes_of_one_byte_are_all_found(stored: Path, count: int) -> None:
    """In all files that the manifest covers, by size and by turns; the file is named each time."""
    covered = [stored / name for name in manifest.manifest(stored, files.look(stored)).files]
    assert {"run.json", "samples.jsonl", "scores.json", "job.json", "policy.json", "formatter.json"} <= {
        path.name for path in covered
    }
    luck = random.Random(6)
    missed = []
    for turn in range(count):
        path = covered[turn % len(covered)]
        data = bytearray(path.read_bytes())
        where = luck.randrange(len(data))
        data[where] ^= luck.randrange(1, 256)
        with changed(path, bytes(data)):
            if not any(str(path) in fault for fault in files.look(stored).faults):
                missed.append((path, where))
    assert missed == []
    assert files.look(stored).faults == []


def test_the_command_names_the_file_and_exits_with_1(
    stored: Path, small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", f"results={stored}", "samples=false"]) == 0
    for pattern, spoil in (
        ("cells/*/*/scores.json", lambda text: text.replace("0", "1", 1)),
        ("cells/*/*/run.json", lambda text: text[:-30]),
        ("cells/*/*/run.json", lambda text: text.replace('"schema": 1', '"schema": 7')),
        ("cells/*/*/run.json", lambda text: text.replace(" ", "  ", 1)),
        ("jobs/finetune/*/job.json", lambda text: text.replace('"seconds": ', '"seconds": 9')),
        ("jobs/finetune/*/log.jsonl", lambda text: text[1:]),
        ("jobs/finetune/*/job.json", lambda text: text.replace('"seconds": ', '"seconds": NaN, "was": ')),
        ("audits/*/*.json", lambda text: text.replace('"failed": []', '"failed": NaN')),
    ):
        path = next(stored.glob(pattern))
        with changed(path, spoil(path.read_text()).encode()):
            assert cli.main(["verify", f"results={stored}", "samples=false", "format=json"]) == 1
            told = json.loads(capsys.readouterr().out.partition("{")[2].join(("{", "")))
            assert not told["ok"] and any(str(path) in fault for fault in told["faults"]), (
                pattern,
                told["faults"],
            )
    assert cli.main(["verify", f"results={tmp_path / 'nothing'}"]) == 2
    assert cli.main(["verify", f"results={tmp_path}"]) == 2
    assert cli.main(["verify", f"results={stored}", "colour=red"]) == 2
    capsys.readouterr()
    wrong = [f"results={'a' * 300}", f"manifest={tmp_path / 'none.json'}", f"out={'a' * 300}"]
    assert cli.main(["verify", *wrong]) == 2
    assert [line.split(":")[1].strip() for line in capsys.readouterr().err.splitlines()] == [
        "results",
        "out",
        "manifest",
    ]


def test_missing_and_strange_files_are_told(stored: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(stored, copy)
    shutil.rmtree(next(copy.glob("jobs/ask/*")))
    strange = next(copy.glob("jobs/finetune/*")) / "notes.txt"
    strange.write_text("hello")
    gone = next(copy.glob("jobs/sample/*/completions.jsonl"))
    gone.unlink()
    faults = "\n".join(files.look(copy).faults)
    assert "jobs/ask" in faults and "is missing" in faults
    assert str(strange) in faults and str(gone) in faults


def test_an_older_job_without_its_own_digest_is_said_to_be_unprotected(stored: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(stored, copy)
    path = next(copy.glob("jobs/finetune/*/job.json"))
    body = json.loads(path.read_text())
    del body["sha256"]
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False))
    found = files.look(copy)
    assert found.faults == [] and str(path) in found.unprotected[0]


def test_scores_that_do_not_follow_from_the_samples_are_found(
    stored: Path, small: None, tmp_path: Path
) -> None:
    """A forger who mends every digest is still caught by scoring the samples again."""
    sound = verify(stored)
    assert sound.faults == () and sound.recomputed >= 2 * 5
    named = {what.partition(":")[0] for what in sound.left_out}
    assert {"kl_to_base", "kl_to_base_per_token"} <= named and not {"quality", "length"} & named
    copy = tmp_path / "copy"
    shutil.copytree(stored, copy)
    sft = next(one for one in results.read_all(copy)[0] if one.label == "sft")
    samples = results.read_samples(results.cell_folder(copy, sft.digest))
    quality = sft.scores[0]
    better = replace(quality, values=(min(1.0, quality.values[0] + 0.25), *quality.values[1:]))
    shutil.rmtree(results.cell_folder(copy, sft.digest))
    results.write_cell(copy, replace(sft, scores=(better, *sft.scores[1:])), samples)
    forged = verify(copy)
    assert len(forged.faults) == 1 and quality.name in forged.faults[0] and "scores.json" in forged.faults[0]


def test_a_metric_that_nothing_gives_again_is_named(stored: Path, small: None, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(stored, copy)
    sft = next(one for one in results.read_all(copy)[0] if one.label == "sft")
    samples = results.read_samples(results.cell_folder(copy, sft.digest))
    seat = replace(sft.scores[0], name="win_rate_vs_base only gold")
    shutil.rmtree(results.cell_folder(copy, sft.digest))
    results.write_cell(copy, replace(sft, scores=(*sft.scores, seat)), samples)
    done = verify(copy)
    assert done.faults == () and done.recomputed == verify(stored).recomputed
    assert done.left_out[f"{seat.name}: no evaluator gave it when scored again"] == 1


def test_a_changed_source_or_a_judge_to_be_asked_is_named_not_recomputed(
    stored: Path, small: None, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(stored, copy)
    for record in results.read_all(copy)[0]:
        samples = results.read_samples(results.cell_folder(copy, record.digest))
        code = json.loads(json.dumps(record.code))
        code["plugins"]["evaluators/length"] = "0" * 64
        shutil.rmtree(results.cell_folder(copy, record.digest))
        results.write_cell(copy, replace(record, code=code, judge="llm"), samples)
    done = verify(copy)
    assert done.faults == () and done.recomputed == 0
    assert "length: its source has changed since" in done.left_out
    assert any(what.startswith("quality: ") and "llm" in what for what in done.left_out)


def test_a_manifest_finds_what_mended_digests_hide_and_is_refused_when_spoiled(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, path = tmp_path / "copy", tmp_path / "manifest.json"
    shutil.copytree(stored, copy)
    manifest.write(path, manifest.manifest(copy, files.look(copy)))
    argv = ["verify", f"results={copy}", f"manifest={path}", "samples=false"]
    assert cli.main(argv) == 0
    sft = next(one for one in results.read_all(copy)[0] if one.label == "sft")
    folder = results.cell_folder(copy, sft.digest)
    samples = results.read_samples(folder)
    shutil.rmtree(folder)
    results.write_cell(copy, replace(sft, notes=("another footnote",)), samples)
    assert files.look(copy).faults == []
    capsys.readouterr()
    assert cli.main(argv) == 1
    assert str(folder / "run.json") in capsys.readouterr().out
    text = path.read_text()
    for spoiled in (
        text[:-9],
        text.replace("sft", "dpo", 1),
        text.replace('"schema": 1', '"schema": 9'),
        "[]",
    ):
        path.write_text(spoiled)
        assert cli.main(argv) == 2
        assert str(path) in capsys.readouterr().err


def test_samples_are_stored_as_they_are_read(stored: Path) -> None:
    record = results.read_all(stored)[0][0]
    folder = results.cell_folder(stored, record.digest)
    rows = results.read_samples(folder)
    written = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    assert written == (folder / "samples.jsonl").read_text("utf-8")
