"""Evaluators without a run: `bench score` on files of samples, and as `evaluate.Metric`s."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alignment_bench import cli
from alignment_bench.errors import BadInput, NotApplicable
from alignment_bench.overlap import rouge
from alignment_bench.scoring import metric
from alignment_bench.scoring.rows import read_samples
from alignment_bench.scoring.verb import parse_score
from alignment_bench.statistics import interval, paired

POSTS = {
    "1": "My bike was stolen at the station.",
    "2": "The cat ate our cheese.",
    "3": "Nobody talks to us at work.",
    "4": "The dog ran through the wet garden.",
}
WRITTEN = {"1": "Bike stolen.", "2": "Cat ate cheese.", "3": "Nobody talks.", "4": "Dog ran through garden."}
ANSWERS = {
    "base": {"1": ["bike stolen", "a bike"], "2": ["cat", "cheese"], "3": ["no", ""],
             "4": ["dog", "dog ran"]},
    "ilf": {"1": ["my bike stolen", "a bike is"], "2": ["cat ate", "cat ate cheese"],
            "3": ["Nobody talks", "talks"], "4": ["dog ran", "dog ran through"]},
}  # fmt: skip


def rows(methods: tuple[str, ...] = ("base", "ilf"), **more: Any) -> list[dict[str, Any]]:
    return [
        {"prompt_id": p, "prompt": POSTS[p], "completion": text, "sample": i, "method": method,
         "reference": WRITTEN[p], **more}
        for method in methods
        for p in POSTS
        for i, text in enumerate(ANSWERS[method][p])
    ]  # fmt: skip


def write(path: Path, given: list[Any]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in given), "utf-8")
    return path


def scored(capsys: pytest.CaptureFixture[str], *words: Any, code: int = 0) -> str:
    assert cli.main(["score", *map(str, words)]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def table(capsys: pytest.CaptureFixture[str], *words: Any) -> dict[tuple[str, str], dict[str, Any]]:
    found = json.loads(scored(capsys, *words, "format=json"))
    return {(row["method"], row["metric"]): row for row in found}


def test_methods_side_by_side_with_the_intervals_of_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Means, intervals and paired differences equal those of `statistics` over per-prompt means."""
    file = write(tmp_path / "samples.jsonl", rows())
    found = table(capsys, file, "evaluators=rouge,length")
    values = {
        method: np.array(
            [
                [
                    np.mean([rouge(t, [WRITTEN[p]])["rougeL"] for t in texts])
                    for p, texts in ANSWERS[method].items()
                ]
            ]
        )
        for method in ANSWERS
    }
    for method, own in values.items():
        row, wanted = found[method, "rouge_l"], interval(own)
        assert (row["mean"], row["low"], row["high"]) == pytest.approx((wanted.mean, wanted.low, wanted.high))
    row, wanted = found["ilf", "rouge_l"], paired(values["ilf"], values["base"])
    assert (row["delta"], row["delta_low"], row["delta_high"]) == pytest.approx(
        (wanted.mean, wanted.low, wanted.high)
    )
    assert found["base", "length"]["mean"] == pytest.approx((2 + 1 + 0.5 + 1.5) / 4)
    assert next(iter(found))[0] == "base"


def test_clusters_widen_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prompts of one group share a source."""
    grouped = [{**row, "group": "a" if row["prompt_id"] in "12" else "b"} for row in rows()]
    plain = table(capsys, write(tmp_path / "a.jsonl", rows()), "evaluators=rouge")["ilf", "rouge_l"]
    wide = table(capsys, write(tmp_path / "b.jsonl", grouped), "evaluators=rouge")["ilf", "rouge_l"]
    assert wide["mean"] == plain["mean"]
    assert wide["high"] - wide["low"] > plain["high"] - plain["low"]
    named_late = [rows()[0], *grouped[1:]]  # one row of a prompt that names its group is enough
    some = write(tmp_path / "c.jsonl", named_late)
    assert table(capsys, some, "evaluators=rouge")["ilf", "rouge_l"] == wide
    torn = write(tmp_path / "d.jsonl", [*grouped[:-1], {**grouped[-1], "group": "a"}])
    assert "is of group 'b' already" in scored(capsys, torn, "evaluators=rouge", code=2)


def test_a_base_of_its_own_file_and_references_of_theirs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same numbers as from one file."""
    whole = table(capsys, write(tmp_path / "w.jsonl", rows()), "evaluators=rouge,win_rate")
    bare = [{k: v for k, v in row.items() if k not in ("reference", "method")} for row in rows()]
    half = len(bare) // 2
    own = write(tmp_path / "own.jsonl", [{**row, "method": "ilf"} for row in bare[half:]])
    base = write(tmp_path / "base.jsonl", bare[:half])
    references = write(
        tmp_path / "r.jsonl", [{"prompt_id": p, "reference": text} for p, text in WRITTEN.items()]
    )
    words = (own, "evaluators=rouge,win_rate", f"base={base}", f"references={references}")
    assert table(capsys, *words) == whole
    assert whole["ilf", "win_rate_vs_base"]["mean"] > 0.5


def test_every_score_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "scores.jsonl"
    scored(capsys, write(tmp_path / "s.jsonl", rows()), "evaluators=length,rouge", f"out={out}")
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(lines) == 2 * 3 * 4  # `finished` is n/a
    assert {"method": "ilf", "metric": "length", "prompt_id": "2", "value": 2.5} in lines


def test_what_a_file_cannot_give_is_named_and_nothing_crashes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from alignment_bench import registry

    every = ",".join(registry.names("evaluators"))
    file = write(
        tmp_path / "s.jsonl", [{k: v for k, v in r.items() if k != "reference"} for r in rows(("ilf",))]
    )
    found = table(capsys, file, f"evaluators={every}")
    for name, reason in {
        "quality": "no judge was named",
        "kl_to_base": "no next-token distribution",
        "kl_from_base_k3": "no next-token distribution",
        "win_rate_vs_base": "judge",
        "rouge_l": "no reference",
        "finished": "do not say how they ended",
        "incorporation": "no next-token distribution",
        "critic_gain": "no next-token distribution",
        "retention": "not the test prompts of a built-in world",
        "lm_eval": "no task was named",
    }.items():
        row = found["ilf", name]
        assert row["status"] == "not_applicable" and reason in row["reason"], (name, row["reason"])
        assert row["mean"] is None
    assert found["ilf", "length"]["status"] == "ok"
    shown = scored(capsys, file, "evaluators=length,win_rate", "judge=reference_panel")
    assert "8 of 8" not in shown and "no reference" in shown


def test_without_a_base_what_compares_with_it_says_how_to_give_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "s.jsonl", rows(("ilf",)))
    found = table(capsys, file, "evaluators=win_rate")
    assert "base=FILE" in found["ilf", "win_rate_vs_base"]["reason"]
    found = table(capsys, file, "evaluators=win_rate", "judge=always_longer")
    assert "base=FILE" in found["ilf", "win_rate_vs_base"]["reason"]
    longer = [len(text) - len(WRITTEN[p]) for p, texts in ANSWERS["ilf"].items() for text in texts]
    rate = sum(0.5 if gap == 0 else float(gap > 0) for gap in longer) / len(longer)
    assert found["ilf", "win_rate_vs_reference"]["mean"] == pytest.approx(rate)
    partial = rows(("ilf",)) + rows(("base",))[:4]
    found = table(capsys, write(tmp_path / "p.jsonl", partial), "evaluators=win_rate,length")
    assert "for 2 prompts" in found["ilf", "win_rate_vs_base"]["reason"]
    assert found["ilf", "length"]["delta"] is not None  # on the two prompts that both answer


def test_the_caption_says_what_rows_stand_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extra = [{**row, "mood": "calm"} for row in rows(("ilf",))]
    shown = " ".join(scored(capsys, write(tmp_path / "s.jsonl", extra), "evaluators=length").split())
    assert "rows stand for the sample specification 'task'" in shown and "2 a prompt" in shown
    assert "columns that nothing reads: mood" in shown and "no base" in shown
    greedy = write(tmp_path / "g.jsonl", rows(("ilf",)))
    words = (greedy, "evaluators=exact_match,length", "judge=exact", "spec=greedy")
    found = table(capsys, *words)
    assert found["ilf", "exact_match_greedy"]["mean"] == 0
    assert "'task'" in found["ilf", "exact_match"]["reason"] and "'task'" in found["ilf", "length"]["reason"]
    mixed = write(tmp_path / "m.jsonl", [*rows(("ilf",)), *rows(("ilf",), spec="greedy", end="length")])
    found = table(capsys, mixed, "evaluators=exact_match,length", "judge=exact")
    assert found["ilf", "exact_match"]["status"] == found["ilf", "exact_match_greedy"]["status"] == "ok"


def test_ends_and_tokens_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = [{**row, "end": "length" if row["sample"] else "eos", "tokens": [4, 2]} for row in rows(("ilf",))]
    file = write(tmp_path / "s.jsonl", ended)
    assert table(capsys, file, "evaluators=length")["ilf", "finished"]["mean"] == 0.5
    samples = read_samples(file, "task")
    assert samples.drawn["ilf"]["task"]["1"][0].tokens == (4, 2)


def test_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "s.jsonl", rows())
    (head, *lines) = csv.reader(io.StringIO(scored(capsys, file, "evaluators=length", "format=csv")))
    assert head[:2] == ["method", "metric"] and len(lines) == 4
    assert scored(capsys, file, "evaluators=length", "format=markdown").startswith("### s.jsonl: 4 prompts")
    assert "bench score" in (cli.main(["help", "score"]), capsys.readouterr().out)[1]


def test_all_bad_rows_at_once_with_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = rows(("ilf",))
    bad = [
        good[0],
        {**good[0], "sample": -1},
        {**good[2], "completion": None},
        {**good[4], "prompt_id": ""},
        {**good[0], "sample": 3, "prompt": "Other words."},
        good[0],
        {**good[0], "sample": 4, "reference": "Another."},
        {**good[1], "tokens": [1, "a"]},
        {**good[1], "end": "stopped"},
        {**good[1], "completion": ""},
    ]
    said = scored(capsys, write(tmp_path / "s.jsonl", bad), "evaluators=length", code=2)
    lines = said.splitlines()
    assert [int(line.split("row ")[1].split(":")[0]) for line in lines] == [2, 3, 4, 5, 6, 7, 8, 9]
    for line, words in zip(
        lines,
        ("-1", "no completion", "prompt_id is empty", "other words than in row 1", "once more, as row 1",
         "another reference than in row 1", "token ids", "eos, length, stop"),
        strict=True,
    ):  # fmt: skip
        assert words in line and line.startswith("bench: samples: s.jsonl row ")
    broken = scored(capsys, write(tmp_path / "b.jsonl", [good[0], "{nope"]), "evaluators=length", code=2)
    assert "line 2 is not JSON" in broken and broken.startswith("bench: samples:")


def test_text_that_no_file_or_terminal_can_take_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = rows(("ilf",))
    bad = [
        {**good[0], "completion": "x\ud800"},
        {**good[1], "reference": ["y", "\udfff"]},
        {**good[2], "method": "ilf\x1b[2J"},
    ]
    lines = scored(capsys, write(tmp_path / "s.jsonl", bad), "evaluators=length", code=2).splitlines()
    words = ("completion holds half a surrogate", "reference holds half a surrogate", "method holds")
    assert [word in line for word, line in zip(words, lines, strict=True)] == [True] * 3


def test_bad_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every error at once, each with its field."""
    with pytest.raises(BadInput) as caught:
        parse_score(["evaluators=ruge", "jugde=gold", "spec=warm", "base=none.jsonl", "references=x.csv"])
    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"samples", "evaluators", "jugde", "spec", "base", "references"}
    file = write(tmp_path / "s.jsonl", rows())
    assert "rename the method" in scored(capsys, file, "evaluators=length", f"base={file}", code=2)
    assert "evaluators: is missing" in scored(capsys, file, code=2)


def test_as_an_evaluate_metric(tmp_path: Path) -> None:
    """The evaluators' own numbers: at once, in batches, and for every example."""
    import evaluate

    own = metric("rouge", cache_dir=str(tmp_path))
    assert isinstance(own, evaluate.Metric)
    assert own.compute(predictions=["a b"], references=[["a b c"]]) == pytest.approx(
        {"rouge_1": 0.8, "rouge_l": 0.8}
    )
    assert own.compute(predictions=["a b"], references=["a b c"])["rouge_l"] == pytest.approx(0.8)
    lengths = metric("length", cache_dir=str(tmp_path))
    lengths.add_batch(predictions=["one two", "three"])
    lengths.add(prediction="a b c")
    assert lengths.compute() == {"length": 2.0}
    found = metric("exact_match", cache_dir=str(tmp_path)).compute(
        predictions=["a  b", "c"], references=["a b", "d"], per_example=True
    )
    assert found["exact_match"] == [1.0, 0.0]
    grounding = metric("grounding", cache_dir=str(tmp_path)).compute(
        predictions=["grey cat"], references=["cat"], prompts=["my cat ran"]
    )
    assert grounding["support"] == pytest.approx(-0.5)


def test_a_metric_that_texts_cannot_give(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="model's probabilities"):
        metric("nll_reference")
    with pytest.raises(BadInput, match="base's answers"):
        metric("win_rate")
    with pytest.raises(BadInput, match="did you mean rouge"):
        metric("rogue")
    with pytest.raises(NotApplicable, match="compares"):
        metric("exact_match", judge="reference_panel", cache_dir=str(tmp_path)).compute(
            predictions=["a"], references=["a"]
        )


def test_importing_the_verb_is_cheap() -> None:
    import subprocess
    import sys

    code = (
        "import alignment_bench.scoring, alignment_bench.scoring.verb as v, sys; v.HELP;"
        "print([m for m in ('torch', 'transformers', 'datasets', 'evaluate', 'pandas', 'scipy', 'lm_eval')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
