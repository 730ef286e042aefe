"""Published data sets: each schema on a few rows written here, and how a source is named or recognised."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import data, hub, licences, registry, sources
from alignment_bench.errors import BadInput
from alignment_bench.prompts import Example, Recorded
from alignment_bench.task import Task, TaskData, TaskOptions


def task(name: str) -> Task:
    loaded: Task = registry.load("tasks", name)
    return loaded


def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def read(name: str, rows: Sequence[dict[str, Any]]) -> list[Example]:
    """The examples of a source; its bad rows are an error here."""
    reading = sources.load(name).make(rows)
    assert not reading.problems
    return [one.example for one in reading.made]


def load(name: str, file: str, **options: Any) -> TaskData:
    return data.load(task(name), TaskOptions(data=file, **options))


def slf5k(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"t3_{number}",
        "subreddit": "tifu",
        "title": f"My boat number {number}",
        "post": f"It sank near pier {number}.",
        "summary_prompt": "not read where there is a post",
        "generated_summary_for_feedback": f"A boat, {number}.",
        "feedback": "Say that it sank.",
        "generated_summary_for_comparison_A": f"Boat {number} a.",
        "generated_summary_for_comparison_B": f"Boat {number} b.",
        "comparison_preference": "Summary B",
        "ideal_human_summary": f"Boat {number} sank. ",
        **changes,
    }


def test_slf5k_rows_bring_a_critique_a_comparison_and_a_written_summary() -> None:
    (example,) = read("slf5k", [slf5k(1)])
    assert example.prompt.text == "Title: My boat number 1\n\nIt sank near pier 1."
    assert example.prompt.id == "t3_1" and dict(example.prompt.metadata) == {"subreddit": "tifu"}
    assert example.key.references == ("Boat 1 sank.",)
    assert example.key.recorded == (
        Recorded("demonstrate", text="Boat 1 sank."),
        Recorded("critique", ("A boat, 1.",), text="Say that it sank."),
        Recorded("prefer", ("Boat 1 a.", "Boat 1 b."), preference="second"),
    )


def test_slf5k_takes_only_a_named_summary_for_a_preference() -> None:
    reading = sources.load("slf5k").make([slf5k(1, comparison_preference="Neither is any good")])
    assert [act.channel for act in reading.made[0].example.key.recorded] == ["demonstrate", "critique"]
    assert reading.notes == ("1 comparisons that prefer neither summary by name left out",)


def test_slf5k_copies_without_a_post_are_read_from_the_authors_prompt() -> None:
    row = {
        "summary_prompt": "Write an excellent summary of the given text. Title: A boat Text: It sank. TL;DR:",
        "ideal_human_summary": "It sank.",
        "generated": "words about another post",
    }
    (example,) = read("slf5k", [row])
    assert example.prompt.text == "Title: A boat\n\nIt sank."
    assert [act.channel for act in example.key.recorded] == ["demonstrate"]
    assert "another post" not in str(example)


def test_slf5k_keeps_its_split_and_takes_first_rows(tmp_path: Path) -> None:
    """The authors' subsets are first rows; what they chose settings on is left out."""
    parts = ["train"] * 6 + ["development", "validation"] + ["test"] * 3
    rows = [slf5k(i, hub_split=part) for i, part in enumerate(parts)]
    file = write(tmp_path / "slf5k.jsonl", rows)
    whole = load("tldr", file)
    assert [e.prompt.id for e in whole.train] == [f"t3_{i}" for i in range(6)]
    assert [e.prompt.id for e in whole.test] == ["t3_8", "t3_9", "t3_10"]
    assert "2 rows of the authors' development and validation parts left out" in whole.notes
    some = load("tldr", file, limit=2)
    assert [e.prompt.id for e in (*some.train, *some.test)] == ["t3_0", "t3_1", "t3_8", "t3_9"]
    assert "limited to the first 2 of 6 train examples in their order" in some.notes
    assert some.digest != whole.digest


def comparison(name: str, choice: int, split: str, policies: tuple[str, str], **info: Any) -> dict[str, Any]:
    about = {"id": name, "post": f"Post {name}.", "title": "T", "subreddit": "s", "article": None}
    return {
        "info": {**about, **info},
        "summaries": [{"text": f" {policy} on {name}", "policy": policy} for policy in policies],
        "choice": choice,
        "split": split,
    }


def test_comparisons_are_gathered_by_post_and_know_its_written_summary() -> None:
    reading = sources.load("summarize_from_feedback").make(
        [
            comparison("a", 1, "train", ("sup", "ref")),
            comparison("a", 0, "train", ("ppo", "sup")),
            comparison("b", 0, "valid1", ("ppo", "sup")),
            comparison("c", 0, "valid2", ("ref", "sup")),
            comparison("d", 0, "valid2", ("x", "y"), post=None, article="News."),
        ]
    )
    first, last = reading.made
    assert (first.example.prompt.id, first.split, last.example.prompt.id, last.split) == (
        "a",
        "train",
        "c",
        "test",
    )
    assert first.example.key.references == ("ref on a",)
    assert [act.preference for act in first.example.key.recorded] == ["second", "first"]
    assert first.example.key.recorded[1].completions == ("ppo on a", "sup on a")
    assert reading.notes == (
        "1 comparisons about news articles left out",
        "1 posts to test on left out: no comparison of theirs shows the written summary",
    )


def test_ratings_on_the_overall_axis_are_scores() -> None:
    rows = [
        {
            "info": {"id": "a", "post": "Post.", "title": ""},
            "summary": {"text": f"S{value}", "policy": "sup", "axes": {"overall": value, "accuracy": 3}},
            "worker": "w",
        }
        for value in (7, None)
    ]
    reading = sources.load("summarize_from_feedback_axis").make(rows)
    assert reading.made[0].example.key.recorded == (Recorded("score", ("S7",), value=7.0),)
    assert reading.notes == ("1 ratings without an overall score left out",)


def hh(good: str, bad: str, *shared: str) -> dict[str, Any]:
    start = "".join(
        f"\n\n{who}: {said}" for who, said in zip(("Human", "Assistant") * 9, shared, strict=False)
    )
    return {"chosen": f"{start}\n\nAssistant: {good}", "rejected": f"{start}\n\nAssistant: {bad}"}


def test_hh_rlhf_compares_the_last_replies_only() -> None:
    """Both transcripts hold the earlier replies, which nobody called bad."""
    (example,) = read("hh_rlhf", [hh("Sure.", "No.", "Hello", "Hi there", "Help me")])
    turns = [(message.role, message.content) for message in example.prompt.messages]
    assert turns == [("user", "Hello"), ("assistant", "Hi there"), ("user", "Help me")]
    assert example.key.recorded == (Recorded("prefer", ("Sure.", "No."), preference="first"),)
    assert "Hi there" not in str(example.key)


def test_hh_rlhf_leaves_out_what_is_no_comparison_of_two_replies() -> None:
    earlier = {
        **hh("a", "b", "Hello", "one", "More"),
        "rejected": hh("a", "b", "Hello", "two", "More")["rejected"],
    }
    rows = [hh("x", "y", "Hello"), earlier, hh("same", "same", "Hello"), hh("a", " ", "Hello")]
    reading = sources.load("hh_rlhf").make(rows)
    assert len(reading.made) == 1 and not reading.problems
    assert reading.notes == (
        "1 rows left out: the transcripts part before the last reply",
        "1 rows left out: both replies are the same",
        "1 rows left out: a reply is empty",
    )


def test_conversations_that_begin_alike_are_one_group_and_one_prompt_one_example() -> None:
    rows = [hh("a", "b", "Hello"), hh("c", "d", "Hello"), hh("e", "f", "hello ", "Hi", "Go on")]
    first, second = read("hh_rlhf", rows)
    assert len(first.key.recorded) == 2 and first.prompt.group == second.prompt.group


def test_gsm8k_ends_in_a_number_and_has_no_calculator_marks() -> None:
    row = {"question": "How many?", "answer": "6 * 300 = <<6*300=1800>>1800 eggs.\n#### 1,800"}
    (example,) = read("gsm8k", [row])
    assert example.key.references == ("6 * 300 = 1800 eggs.\n#### 1,800",)
    assert example.key.facts == {"answer": "1800"}
    problems = sources.load("gsm8k").make([{"question": "How many?", "answer": "Many."}]).problems
    assert "row 1: column 'answer' does not end in" in problems[0].message


def review(worker: str, system: str, rank: int, said: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    return {
        "passage_id": "50802",
        "question": "0",
        "system": system,
        "response": f"By {system}.",
        "feedback": [{"selection": about, "annotation": words} for about, words in said],
        "worker_id": worker,
        "overall-rating": 100 - 10 * rank,
        "overall-rank": rank,
    }


def test_squality_reviews_are_critiques_scores_and_one_workers_comparisons() -> None:
    rows = [
        review("1", "bart", 3, [("By", "Who?"), ("bart", "")]),
        review("1", "human", 1),
        review("2", "bart", 1),
        review("2", "human", 1),
    ]
    reading = sources.load("squality").make(rows)
    (example,) = (one.example for one in reading.made)
    assert example.key.references == ("By human.",)
    by_channel: dict[str, list[Recorded]] = {}
    for act in example.key.recorded:
        by_channel.setdefault(act.channel, []).append(act)
    assert by_channel["critique"] == [Recorded("critique", ("By bart.",), text='"By": Who?')]
    assert [act.value for act in by_channel["score"]] == [70, 90, 90, 90]
    assert [act.preference for act in by_channel["prefer"]] == ["second", "tie"]
    assert reading.notes == ("3 reviews without a comment give no critique",)


def test_shepherd_and_alpaca_eval() -> None:
    rows = [{"question": "Why?", "answer": f"Because {i}.", "feedback": f"Say more {i}."} for i in range(2)]
    (example,) = read("shepherd", rows)
    assert [act.text for act in example.key.recorded] == ["Say more 0.", "Say more 1."]
    assert example.key.references == ()
    row = {"instruction": "Sing.", "output": "La.", "generator": "m", "dataset": "koala"}
    (example,) = read("alpaca_eval", [row])
    assert example.key.references == ("La.",) and not example.key.recorded
    (example,) = read("alpaca_eval", [{**row, "baseline_output": "Do re mi."}])
    assert example.key.references == ("Do re mi.",), "not the answer of the model beside it"


def test_every_source_says_where_it_comes_from() -> None:
    for name in sources.names():
        source = sources.load(name)
        assert source.name == name
        assert source.summary and source.licence and source.citation and source.columns
        if source.hub is not None and source.hub.files:
            assert len(source.hub.files) == len(source.hub.splits)
        assert source.hub is None or source.hub.revision == "" or len(source.hub.revision) == 40
    every = {one for name in registry.shipped("tasks") for one in task(name).sources}
    assert every <= set(sources.names())


def test_a_typo_names_the_nearest_source() -> None:
    with pytest.raises(BadInput, match="did you mean slf5k"):
        sources.load("slf5")


def test_a_file_is_recognised_by_its_columns_and_the_caption_says_so(tmp_path: Path) -> None:
    rows = [hh("a", "b", f"Hello {i}") for i in range(6)]
    loaded = load("dialogue", write(tmp_path / "f.jsonl", rows))
    assert loaded.source.startswith("f.jsonl sha256:") and loaded.source.endswith(" as hh_rlhf")
    assert loaded.notes[0] == "data set hh_rlhf: MIT"
    assert loaded.notes[-1].startswith("2 of 6 groups held out by digest")
    assert len(loaded.test) == 2


def test_columns_of_no_source_are_plain_and_named_columns_always_are(tmp_path: Path) -> None:
    rows = [{"prompt": f"p {i} TL;DR:", "post": f"p {i}", "reference": f"r {i}"} for i in range(6)]
    file = write(tmp_path / "f.jsonl", rows)
    assert load("tldr", file).train[0].prompt.text.startswith("p ")
    assert load("tldr", file).source.endswith("as tldr_posts")
    plain = load("tldr", file, columns=("prompt:prompt",))
    assert plain.train[0].prompt.text.endswith("TL;DR:") and "tldr_posts" not in plain.source
    other = write(tmp_path / "g.jsonl", [{"prompt": f"p {i}", "reference": "r"} for i in range(6)])
    assert not load("tldr", other).train[0].key.recorded


def test_the_digest_covers_the_sources_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "f.jsonl", [hh("a", "b", f"Hello {i}") for i in range(6)])
    before = load("dialogue", file).digest
    assert load("dialogue", file).digest == before
    monkeypatch.setattr(sources, "digest", lambda name: "another version")
    assert load("dialogue", file).digest != before


def test_nothing_to_train_on_is_tested_on(tmp_path: Path) -> None:
    """Official splits that share a beginning: the training side gives way, and that is counted."""
    rows = [
        {**hh("a", "b", f"Hello {i}", *more), "hub_split": split}
        for split, i, more in [
            ("train", 1, ()),
            ("train", 2, ("Hi", "Go on")),
            ("train", 3, ()),
            ("test", 2, ()),
            ("test", 4, ()),
        ]
    ]
    loaded = load("dialogue", write(tmp_path / "f.jsonl", rows))
    assert {e.prompt.group for e in loaded.train}.isdisjoint(e.prompt.group for e in loaded.test)
    assert (len(loaded.train), len(loaded.test)) == (2, 2)
    assert "1 examples to train on left out: their prompt or group is tested on" in loaded.notes


def filtered(name: str, post: str, part: str | None = None) -> dict[str, Any]:
    """A row of tldr_filtered."""
    row = {"id": name, "subreddit": "s", "title": "", "post": post, "summary": f"{post} in short"}
    return row if part is None else {**row, "hub_split": part}


def test_an_id_that_is_given_to_other_words_brings_nothing_to_the_first() -> None:
    """The summary of another post is no reference for this one."""
    rows = [filtered("a", "One."), filtered("a", "Two."), filtered("a", " one. ")]
    reading = sources.load("tldr_filtered").make(rows)
    (made,) = reading.made
    assert made.example.key.references == ("One. in short", " one.  in short".strip())
    assert reading.notes == ("1 rows left out: their id is that of an earlier row about something else",)


def test_a_post_under_two_ids_is_one_group_and_can_be_split(tmp_path: Path) -> None:
    rows = [filtered(f"t{i}", f"Post {i // 2}.") for i in range(12)]
    loaded = load("tldr", write(tmp_path / "f.jsonl", rows))
    train, test = ({e.prompt.text for e in part} for part in (loaded.train, loaded.test))
    assert len(loaded.train) + len(loaded.test) == 12 and train.isdisjoint(test)


def test_an_id_that_is_tested_is_not_trained_on_whatever_its_words(tmp_path: Path) -> None:
    rows = [
        filtered("a", "Old words.", "train"),
        filtered("b", "Others.", "train"),
        filtered("a", "New words.", "test"),
    ]
    loaded = load("tldr", write(tmp_path / "f.jsonl", rows))
    assert [e.prompt.id for e in (*loaded.train, *loaded.test)] == ["b", "a"]
    assert "1 examples to train on left out: their prompt or group is tested on" in loaded.notes


def test_a_prompt_with_and_without_a_split_is_refused(tmp_path: Path) -> None:
    rows = [filtered("a", "One.", "train"), filtered("a", "One."), filtered("b", "Two.")]
    with pytest.raises(BadInput, match="2 examples are called a"):
        load("tldr", write(tmp_path / "f.jsonl", rows), source="tldr_filtered")


def test_one_official_part_alone_is_split_anew(tmp_path: Path) -> None:
    rows = [{**hh("a", "b", f"Hello {i}"), "hub_split": "train"} for i in range(6)]
    loaded = load("dialogue", write(tmp_path / "f.jsonl", rows))
    assert (len(loaded.train), len(loaded.test)) == (4, 2)
    assert "only its train part is here, so it is split anew" in loaded.notes


def test_bad_rows_are_named_by_number_and_column(tmp_path: Path) -> None:
    rows = [slf5k(1), slf5k(2, ideal_human_summary=" "), slf5k(3, post=7), slf5k(4, feedback=["x"])]
    with pytest.raises(BadInput) as caught:
        load("tldr", write(tmp_path / "f.jsonl", rows))
    assert [problem.message for problem in caught.value.problems] == [
        "f.jsonl row 2: column 'ideal_human_summary' is empty",
        "f.jsonl row 3: column 'post' is a int, not text",
        "f.jsonl row 4: column 'feedback' is a list, not text",
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"info": "[" * 100_000},
        {"info": '{"id": ' + "1" * 5000 + "}"},
        {"info": {"id": "a", "post": "P.", "title": 7}},
        {"summary": {"text": "S", "axes": {"overall": 10**400}}},
    ],
)
def test_values_that_cannot_be_read_are_problems(bad: dict[str, Any]) -> None:
    """Nested without end, numbers of any length, numbers where there should be words."""
    about = {"id": "a", "post": "P.", "title": "T"}
    row = {"info": about, "summary": {"text": "S", "axes": {"overall": 3}}, "worker": "w"}
    reading = sources.load("summarize_from_feedback_axis").make([row, {**row, **bad}])
    (problem,) = reading.problems
    assert problem.message.startswith(f"row 2: column '{next(iter(bad))}") and len(reading.made) == 1


def test_nested_columns_may_be_json_text_as_in_csv_files() -> None:
    row = comparison("a", 1, "train", ("sup", "ref"))
    told = {**row, "info": json.dumps(row["info"]), "summaries": json.dumps(row["summaries"]), "choice": "1"}
    assert read("summarize_from_feedback", [told]) == read("summarize_from_feedback", [row])


def test_columns_of_two_sources_must_be_told_apart(tmp_path: Path) -> None:
    row = {
        "question": "Why?",
        "answer": "So. #### 3",
        "feedback": "No.",
        "instruction": "Why?",
        "dataset": "d",
    }
    file = write(tmp_path / "f.jsonl", [row])
    with pytest.raises(BadInput, match="those of alpaca_eval and of shepherd") as caught:
        load("instructions", file)
    assert caught.value.problems[0].field == "task.source"


OPTIONS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "no such source": ("tldr", {"data": "F", "source": "slf5"}, "task.source", "no source is called 'slf5'"),
    "another task's": ("dialogue", {"data": "F", "source": "slf5k"}, "task.source", "does not read slf5k"),
    "another task's by name": ("dialogue", {"data": "slf5k"}, "task.data", "does not read slf5k"),
    "source without data": ("tldr", {"source": "slf5k"}, "task.source", "task.data is not set"),
    "source and columns": (
        "tldr",
        {"data": "F", "source": "slf5k", "columns": ("prompt:post",)},
        "task.columns",
        "slf5k knows its own columns",
    ),
    "two sources": (
        "tldr",
        {"data": "slf5k", "source": "tldr_posts"},
        "task.source",
        "tldr_posts is not slf5k",
    ),
    "not on the hub": ("tldr", {"data": "tldr_posts"}, "task.data", "tldr_posts is not on the hub"),
    "nothing pinned": ("tldr", {"data": "tldr_filtered"}, "task.revision", "is pinned"),
    "typo": ("tldr", {"data": "slf5kk"}, "task.data", "nor a source of task tldr"),
    "nothing to rename": (
        "dialogue",
        {"data": "F", "columns": ("prompt:x",)},
        "task.columns",
        "dialogue has no plain columns",
    ),
    "no data": ("gsm8k", {}, "task.data", "task gsm8k has no data of its own"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_what_cannot_be_read_is_said_before_reading(case: str, tmp_path: Path) -> None:
    name, fields, field, message = OPTIONS[case]
    if fields.get("data") == "F":
        fields = {**fields, "data": write(tmp_path / "f.jsonl", [slf5k(1)])}
    (problem,) = data.check(TaskOptions(**fields), task(name))
    assert problem.field == field and message in problem.message and problem.fix


def test_a_named_source_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "f.jsonl", [{"prompt": "p", "reference": "r"}])
    with pytest.raises(BadInput, match="no column summary_prompt, ideal_human_summary"):
        load("tldr", file, source="slf5k")


def test_a_file_that_no_source_fits_names_the_columns_wanted(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="prompt, reference: not those") as caught:
        load("dialogue", write(tmp_path / "f.jsonl", [{"prompt": "p", "reference": "r"}]))
    assert "hh_rlhf (chosen, rejected)" in caught.value.problems[0].fix


Calls = list[tuple[Any, ...]]


@pytest.fixture
def on_hub(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, list[dict[str, Any]]], Calls]:
    """What the hub holds, by the split or file asked for, and every question to it."""
    import datasets

    held: dict[str, list[dict[str, Any]]] = {}
    calls: Calls = []

    def load_dataset(what: str, revision: str | None = None, **options: Any) -> Any:
        calls.append((what, revision, options))
        if "data_files" in options:
            return held[options["data_files"]]
        return held[options["split"]] if "split" in options else held

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return held, calls


def test_a_source_by_name_comes_from_the_hub_at_its_pinned_revision(on_hub: Any) -> None:
    held, calls = on_hub
    held["train"] = [{"question": f"Q{i}?", "answer": f"#### {i}"} for i in range(3)]
    held["test"] = [{"question": "T?", "answer": "#### 7"}]
    loaded = load("gsm8k", "gsm8k")
    pinned = "740312add88f781978c0658806c59bc2815b9866"
    assert calls == [("openai/gsm8k", pinned, {"name": "main", "split": part}) for part in ("train", "test")]
    assert (len(loaded.train), len(loaded.test)) == (3, 1)
    assert loaded.source == f"gsm8k, openai/gsm8k@{pinned[:12]}"
    assert loaded.notes[-1] == "split as gsm8k is: 3 train, 1 test"
    held["test"][0]["answer"] = "#### 8"
    assert load("gsm8k", "gsm8k").digest != loaded.digest
    other = load("gsm8k", "gsm8k", revision="0" * 40)
    assert calls[-1][1] == "0" * 40 and other.source.endswith("@000000000000")


def test_repositories_with_loading_scripts_are_read_by_their_files(on_hub: Any) -> None:
    held, calls = on_hub
    root = "hf://datasets/JeremyAlain/SLF5K@837cbf43f126704bda094ab7649c5bcbef8c5320/"
    for number, part in enumerate(("train", "development", "validation", "test")):
        held[f"{root}{part}.jsonl"] = [slf5k(10 * number + i) for i in range(2)]
    loaded = load("tldr", "slf5k")
    assert [call[0] for call in calls] == ["json"] * 4
    assert [e.prompt.id for e in (*loaded.train, *loaded.test)] == ["t3_0", "t3_1", "t3_30", "t3_31"]


def test_the_digest_of_plain_hub_data_covers_its_split(on_hub: Any) -> None:
    """Another revision may hold the same rows in other parts: results of the one are not the other's."""
    held, _ = on_hub
    rows = [{"prompt": f"Post {i}.", "reference": "R."} for i in range(4)]
    held["train"], held["test"] = rows[:2], rows[2:]
    first = load("tldr", "somebody/posts", revision="abc")
    held["train"], held["test"] = [rows[0], rows[2]], [rows[1], rows[3]]
    second = load("tldr", "somebody/posts", revision="abc")
    assert [e.prompt.text for e in second.test] == ["Post 1.", "Post 3."]
    held["train"], held["test"] = rows[:2], rows[2:]
    assert load("tldr", "somebody/posts", revision="abc").digest == first.digest != second.digest


def test_another_hub_id_is_read_as_the_source_that_is_named(on_hub: Any) -> None:
    held, calls = on_hub
    held["train"] = [hh("a", "b", f"Hello {i}") for i in range(3)]
    held["test"] = [hh("a", "b", "Bye")]
    loaded = load("dialogue", "somebody/copy", source="hh_rlhf", revision="abc")
    assert calls == [("somebody/copy", "abc", {})]
    assert (len(loaded.train), len(loaded.test)) == (3, 1)


def test_a_table_of_a_noncommercial_source_says_so_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIGNMENT_BENCH_CACHE", str(tmp_path / "cache"))
    row = {"question": "Why {}?", "answer": "So.", "feedback": "No."}
    rows = [{**row, "question": f"Why {i}?"} for i in range(6)]
    file = write(tmp_path / "f.jsonl", rows)
    with pytest.raises(BadInput, match="not for commercial use"):
        load("instructions", file)
    licences.remember("nc")
    assert load("instructions", file).notes[0] == "data set shepherd: CC-BY-NC-4.0, not for commercial use"


def test_layouts_of_a_source_travel_with_its_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alignment_bench.layouts import Layout

    own = {"answer": Layout("{prompt}")}
    source = replace(sources.load("hh_rlhf"), layouts=own)
    monkeypatch.setattr(sources, "load", lambda name, field="": source)
    rows = [hh("a", "b", f"Hello {i}") for i in range(6)]
    assert load("dialogue", write(tmp_path / "f.jsonl", rows)).layouts == own


class Words:
    """A tokenizer whose tokens are characters."""

    bos_token_id = None

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def apply_chat_template(self, turns: Sequence[dict[str, str]], **options: Any) -> str:
        return "".join(f"<{turn['role']}>{turn['content']}" for turn in turns) + "<assistant>"


@pytest.mark.parametrize(
    ("kind", "whole", "shortened"),
    [
        ("chat", "<user>Hello<assistant>Hi there<user>Help me<assistant>A:", "<user>Help me<assistant>A:"),
        ("plain", "Human: Hello\n\nAssistant: Hi there\n\nHelp meA:", "Help meA:"),
    ],
)
def test_earlier_turns_are_read_and_the_oldest_go_first_where_there_is_no_room(
    kind: Any, whole: str, shortened: str
) -> None:
    from alignment_bench.formatter import Formatter
    from alignment_bench.layouts import Layout

    (example,) = read("hh_rlhf", [hh("Sure.", "No.", "Hello", "Hi there", "Help me")])
    layouts, words = {"answer": Layout("{prompt}", "A:")}, Words()
    ids, cut = Formatter(kind, layouts).render(words, example.prompt)
    assert words.decode(ids) == whole and not cut
    ids, cut = Formatter(kind, layouts, len(whole) - 1).render(words, example.prompt)
    assert words.decode(ids) == shortened and cut
