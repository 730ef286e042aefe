"""Files of pairs that people compared: our own schema, published ones, and what is wrong with bad files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alignment_bench.errors import BadInput
from alignment_bench.judging.human_pairs import HumanPair, read_pairs

SAMPLES = Path(__file__).parent / "data"


def written(folder: Path, rows: list[Any]) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_our_own_schema(tmp_path: Path) -> None:
    plain = {"prompt": "p", "first": "a", "second": "b", "label": 1}
    full = {
        **{"prompt": "q", "first": "c", "second": "d", "label": 0, "id": "x", "group": "g"},
        **{"first_model": "m", "second_model": "n", "references": ["r"]},
    }
    schema, pairs = read_pairs(written(tmp_path, [plain, full]))
    assert schema.name == "pairs"
    assert pairs == [
        HumanPair("1", "p", "a", "b", 1, "p"),
        HumanPair("x", "q", "c", "d", 0, "g", "m", "n", ("r",)),
    ]
    assert [pair.value for pair in pairs] == [1.0, 0.5]


def test_llmbar_and_pandalm(tmp_path: Path) -> None:
    llmbar = {"subset": "s", "input": "p", "output_1": "a", "output_2": "b", "label": 2}
    _, (pair,) = read_pairs(written(tmp_path, [llmbar]))
    assert (pair.first, pair.second, pair.label, pair.value) == ("a", "b", 2, 0.0)
    rows = [
        {
            **{"idx": i, "cmp_key": "bloom-7b_llama-7b", "instruction": "do", "input": "this" if i else ""},
            **{"response1": "a", "response2": "b"},
            **{f"annotator{k}": vote for k, vote in enumerate(votes, 1)},
        }
        for i, votes in enumerate([(1, 2, 1), (0, 1, 2), (0, 0, 2), (2, 2, 2)])
    ]
    _, pairs = read_pairs(written(tmp_path, rows))
    assert [pair.label for pair in pairs] == [1, 0, 0, 2]
    assert (pairs[0].prompt, pairs[1].prompt) == ("do", "do\n\nthis")
    assert (pairs[0].first_model, pairs[0].second_model) == ("bloom-7b", "llama-7b")


def test_published_comparisons_of_summaries() -> None:
    _, autoj = read_pairs(SAMPLES / "summ_pairwise_human_autoj.jsonl")
    rows = [json.loads(line) for line in (SAMPLES / "summ_pairwise_human_autoj.jsonl").open("rb")]
    assert [pair.label for pair in autoj] == [{0: 1, 1: 2, 2: 0}[row["label"]] for row in rows]
    _, news = read_pairs(SAMPLES / "news_summ_pairwise_human.jsonl")
    assert {pair.first_model for pair in news} == {"writer"}
    assert any(pair.references for pair in news)
    assert all(pair.first not in pair.references for pair in news)
    _, (squality,) = read_pairs(SAMPLES / "squality_human_feedback.jsonl")
    assert (squality.first_model, squality.second_model, squality.label) == ("bart", "bart-dpr", 2)
    assert len(squality.references) == 1


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], ["is empty"]),
        ([{"prompt": "p"}], ["no schema known"]),
        ([["a"]], ["no JSON object"]),
        (
            [
                {"prompt": "p", "first": "a", "second": "b", "label": 1},
                {"prompt": 1, "first": "a", "second": "b", "label": 3},
                {"prompt": "p", "first": "a"},
            ],
            ["row 2: prompt: no text", "row 2: label is 3", "row 3: lacks second, label"],
        ),
        ([{"prompt": "p", "first": "a", "second": "b", "label": True}], ["label is True"]),
        ([{"prompt": "p", "first": "a", "second": "b", "label": 1, "id": 7}] * 2, ["'7' names several"]),
        ([{"input": "p", "output_1": "a", "output_2": "b", "label": 3}], ["neither 1 nor 2"]),
        (
            [{"prompt": "p", "first": "a", "second": "b", "label": k} for k in range(3, 12)],
            ["row 5: label is 7", "4 more bad rows"],
        ),
    ],
)
def test_bad_files_say_all_that_is_wrong(tmp_path: Path, rows: list[Any], says: list[str]) -> None:
    with pytest.raises(BadInput) as error:
        read_pairs(written(tmp_path, rows))
    for text in says:
        assert text in str(error.value)


def test_separators_of_lines_inside_a_text_are_text(tmp_path: Path) -> None:
    row = {"prompt": "p", "first": "a\u2028b\x85c", "second": "d", "label": 1}
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    _, (pair,) = read_pairs(path)
    assert pair.first == "a\u2028b\x85c"


@pytest.mark.parametrize(
    ("references", "says"),
    [("abc", "no list of texts"), ([1], "no list of texts"), (["r", "b"], "is its reference too")],
)
def test_references_are_other_texts(tmp_path: Path, references: Any, says: str) -> None:
    row = {"prompt": "p", "first": "a", "second": "b", "label": 1, "references": references}
    with pytest.raises(BadInput, match=f"row 1: .*{says}"):
        read_pairs(written(tmp_path, [row]))


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_pairs(tmp_path / "none.jsonl")
    (tmp_path / "pairs.jsonl").write_text('{"prompt": \n', "utf-8")
    with pytest.raises(BadInput, match="line 1: is not JSON"):
        read_pairs(tmp_path / "pairs.jsonl")
    (tmp_path / "pairs.jsonl").write_bytes(b"\xff\xfe{")
    with pytest.raises(BadInput, match="no UTF-8"):
        read_pairs(tmp_path / "pairs.jsonl")
