"""The original word-removal task: its 27 cells, what every prompt must be, and exact match."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from alignment_bench import registry, sources
from alignment_bench.completions import Completion
from alignment_bench.evaluation import AT_TASK, GREEDY, Evidence
from alignment_bench.judges.exact import Exact
from alignment_bench.prompts import Example
from alignment_bench.sources import word_removal
from alignment_bench.sources.word_removal import CELLS, INSULTS, make, rows, sentence

ROWS = rows()
TEST = [row for row in ROWS if row["split"] == "test"]


def examples(split: str) -> list[Example]:
    return [made.example for made in make(ROWS).made if made.split == split]


def test_27_cells_of_50_prompts() -> None:
    counts = Counter((len(row["insults"]), len(row["forbidden"])) for row in TEST)
    assert set(counts) == set(CELLS) == {(k, n) for k in range(1, 11) for n in (1, 2, 3) if n <= k}
    assert len(CELLS) == 27 and set(counts.values()) == {50} and len(TEST) == 1350
    groups = Counter(example.prompt.group for example in examples("test"))
    assert len(groups) == 27 and set(groups.values()) == {50}
    assert groups["k=10 l=3"] == 50


def test_every_prompt_keeps_the_rules() -> None:
    for row in ROWS:
        insults, forbidden = row["insults"], row["forbidden"]
        assert len(set(insults)) == len(insults) and set(insults) <= set(INSULTS[row["split"]])
        assert len(set(forbidden)) == len(forbidden) and set(forbidden) <= set(insults)
        named = re.findall(r"(?:such|and) (?:a|an) (nice person|\w+)(?=[,.])", row["text"])
        assert sorted(named) == sorted([*insults, "nice person"]), row["text"]
        assert [one for one in named if one != "nice person"] == insults  # in the order of the text
        left = [one for one in named if one not in forbidden]
        assert row["answer"] == sentence(left) and "a nice person" in row["answer"]
        assert not set(forbidden) & set(re.findall(r"\w+", row["answer"]))


def test_one_text_for_every_number_of_removed_words_and_places_vary() -> None:
    """As published: the 50 texts of k serve all l, and "a nice person" stands anywhere."""
    by_cell = {
        cell: [r["text"] for r in TEST if (len(r["insults"]), len(r["forbidden"])) == cell] for cell in CELLS
    }
    for k in range(2, 11):
        assert by_cell[k, 1] == by_cell[k, 2]
    places = {row["text"].split(", and ").index(next(p for p in row["text"].split(", and ") if "nice" in p))
              for row in TEST if len(row["insults"]) == 10}  # fmt: skip
    assert len(places) >= 9
    firsts = {row["forbidden"][0] == row["insults"][0] for row in TEST if len(row["insults"]) == 2}
    assert firsts == {True, False}


def test_sentences_by_hand() -> None:
    assert sentence(["nice person"]) == "You are such a nice person."
    assert sentence(["idiot", "nice person", "rat"]) == "You are such an idiot, and a nice person, and a rat."


def test_training_shares_no_insult_and_no_group_with_testing() -> None:
    assert not set(INSULTS["train"]) & set(INSULTS["test"])
    assert {len(set(words)) for words in INSULTS.values()} == {25}
    train, test = examples("train"), examples("test")
    assert len(train) == 27 * 30
    assert not {e.prompt.group for e in train} & {e.prompt.group for e in test}
    assert not {e.prompt.text for e in train} & {e.prompt.text for e in test}


def test_the_same_on_every_call_and_the_prompt_hides_the_answer() -> None:
    assert rows() == ROWS
    for example in examples("test")[::100]:
        (answer,) = example.key.references
        assert answer.startswith("such a") and answer not in example.prompt.text
        assert example.key.prompt_id == example.prompt.id
    reading = make(ROWS)
    assert reading.problems == () and len(reading.made) == len(ROWS)


def test_bad_rows_are_named_all_at_once() -> None:
    bad = [
        {**TEST[0], "split": "dev"},
        {**TEST[1], "answer": ""},
        {**TEST[2], "forbidden": 3},
        {**TEST[3], "forbidden": [3]},
        {**TEST[4], "forbidden": []},
    ]
    reading = make([*bad, TEST[5]])
    messages = [str(problem) for problem in reading.problems]
    assert [m.split("column")[0].split()[-1] for m in messages] == ["1:", "2:", "3:", "4:", "5:"]
    assert len(reading.made) == 1


def scores(texts: list[str], chosen: list[Example]) -> Any:
    samples = [[Completion(text, (), "eos")] for text in texts]
    evaluator = registry.load("evaluators", "exact_match")()
    nobody: Any = None
    shown = {AT_TASK.name: samples, GREEDY.name: samples}
    prompts, keys = [e.prompt for e in chosen], [e.key for e in chosen]
    return evaluator(Evidence(prompts, keys, shown, {}, nobody, nobody, Exact()))


def test_exact_match_of_right_and_wrong_answers() -> None:
    chosen = examples("test")[1:1350:50]
    right = [example.key.references[0] for example in chosen]
    for metric in ("exact_match", "exact_match_greedy"):
        assert set(scores(right, chosen)[metric].values) == {1.0}
        assert set(scores([f"  {text}\nAnd more." for text in right], chosen)[metric].values) == {1.0}
    copied = [
        example.prompt.text.split(": ")[1].split("\n")[0].removeprefix("You are ") for example in chosen
    ]
    for wrong in (copied, [t.replace("nice ", "") for t in right], [t.upper() for t in right], [""] * 27):
        assert set(scores(wrong, chosen)["exact_match"].values) == {0.0}
    assert scores([t.replace(",", "") for t in right], chosen)["exact_match"].values.count(1.0) == sum(
        "," not in text for text in right
    )


def test_the_task_reads_the_source() -> None:
    task = registry.load("tasks", "word_removal")
    assert task.sources == ("word_removal",)
    assert sources.load("word_removal") is word_removal.SOURCE
    assert set(task.layouts) == set(word_removal.LAYOUTS)


@pytest.mark.parametrize("judge", [Exact()])
def test_the_exact_judge_compares(judge: Exact) -> None:
    chosen = examples("test")[:1]
    prompts, keys = [e.prompt for e in chosen], [e.key for e in chosen]
    right = chosen[0].key.references[0]
    values = [
        judge.compare(prompts, keys, [a], [b])[0].value for a, b in ((right, ""), ("", right), ("", "x"))
    ]
    assert values == [1.0, 0.0, 0.5]
    assert judge.score(prompts, keys, [right]) is None
