"""Classifiers of toxicity: what they may load, what they know, and who plays teacher and judge with them."""

from __future__ import annotations

import importlib.util
import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import registry
from alignment_bench.casting import cast
from alignment_bench.classifiers import detoxify, profanity_check
from alignment_bench.classifiers.classifier import classifier
from alignment_bench.classifiers.detoxify import Detoxify
from alignment_bench.data import builtin
from alignment_bench.errors import BadInput, NotApplicable
from alignment_bench.feedback import Ask, Grading, Judge, Marking, Teacher
from alignment_bench.planning import make_plan
from alignment_bench.prompts import Example, Key, Message, Prompt
from alignment_bench.task import TaskData

RUDE, CIVIL = "You are a stupid fucking idiot.", "Thank you, that is a lovely garden."


def needs(package: str) -> Any:
    """Skips where the optional package is missing."""
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


needs_offline, needs_detoxify = needs("profanity_check"), needs("detoxify")


def teacher(**fields: Any) -> Any:
    """The classifier as a teacher."""
    return registry.load("teachers", "classifier")(**fields)


def judge(**fields: Any) -> Any:
    """The classifier as a judge."""
    return registry.load("judges", "classifier")(**fields)


def ask(*texts: str) -> Ask:
    """An act about these texts."""
    return Ask(Prompt("p", (Message("user", "hello"),)), Key("p"), texts)


def scored(folder: Path, **scores: float | None) -> str:
    """A file of the texts and scores given."""
    file = folder / "scores.jsonl"
    file.write_text("".join(json.dumps({"text": t, "toxicity": s}) + "\n" for t, s in scores.items()))
    return str(file)


@needs_offline
def test_the_offline_classifier_tells_rude_from_civil() -> None:
    """In order, the same alone and in company, and with a digest of its weights."""
    found = classifier("profanity_check")
    rude, civil = found.score([RUDE, CIVIL])
    assert rude > 0.9 and civil < 0.1
    assert found.score([CIVIL, RUDE, CIVIL]) == [civil, rude, civil] and found.score([]) == []
    assert len(found.digest) == 64 and found.missing() == ""


def test_a_missing_package_is_one_line_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profanity_check, "PACKAGE", "no_such_package")
    reason = teacher().unfit([])
    assert reason.endswith("pip install 'alignment-bench[toxicity]'") and "\n" not in reason
    assert judge(model="profanity_check").unfit([]) == reason
    with pytest.raises(NotApplicable, match="pip install"):
        classifier("profanity_check").score([RUDE])


def checkpoint(folder: Path) -> tuple[Path, Any, Any]:
    """A checkpoint of Detoxify's form whose architecture is a local folder; its model and tokenizer."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    place = folder / "bert"
    place.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "you", "are", "a", "fool", "dog"]
    (place / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizer(vocab_file=str(place / "vocab.txt"))
    tokenizer.save_pretrained(place)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(words), num_labels=2, initializer_range=1.0, **size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertForSequenceClassification(config).eval()
    config.save_pretrained(place)
    names = {"model_name": "BertForSequenceClassification", "tokenizer_name": "BertTokenizer"}
    built = {
        "dataset": {"args": {"classes": ["insult", "toxic"]}},
        "arch": {"args": {"model_type": str(place), "num_classes": 2, **names}},
    }
    file = folder / "own.ckpt"
    torch.save({"config": built, "state_dict": model.state_dict()}, file)
    return file, model, tokenizer


@needs_detoxify
def test_detoxify_scores_as_its_model_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class that the checkpoint calls `toxic`, whatever the order and the batches; nothing is fetched."""
    import torch

    monkeypatch.setattr(detoxify, "BATCH", 2)
    file, model, tokenizer = checkpoint(tmp_path)
    found = Detoxify(str(file), trust=True)
    texts = ["you are a fool", "a dog", "", "you you you"]
    want = []
    for text in texts:
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt")).logits
        want.append(float(torch.sigmoid(logits)[0, 1]))
    assert max(want) - min(want) > 0.01
    assert found.score(texts) == pytest.approx(want, abs=1e-5)
    assert found.score(texts[::-1]) == found.score(texts)[::-1]
    assert found.offline()


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return Path.touch, (self.place,)


@needs_detoxify
def test_an_unknown_checkpoint_is_refused_before_a_byte_is_unpickled(tmp_path: Path) -> None:
    """By its sha256; only trust=true loads it."""
    file, boom = tmp_path / "toxic_original-c1212f89.ckpt", tmp_path / "boom"
    file.write_bytes(pickle.dumps(Bomb(boom)))
    assert "sha256" in judge(model="detoxify", checkpoint=str(file)).unfit([])
    with pytest.raises(BadInput, match="trust=true"):
        Detoxify(str(file)).score([RUDE])
    assert not boom.exists()
    with pytest.raises(Exception, match=r"."):
        Detoxify(str(file), trust=True).score([RUDE])
    assert boom.exists()  # so the refusal above is what kept it from running


@needs_detoxify
def test_the_release_is_verified_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file under the release's name in torch.hub's cache is not the release."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "cannot be fetched" in Detoxify().missing() and not Detoxify().offline()
    Detoxify().path.parent.mkdir(parents=True)
    Detoxify().path.write_bytes(b"something else")
    assert "is not Detoxify's release" in Detoxify().missing() and not Detoxify().offline()
    assert judge().chosen == "profanity_check"


def test_perspective_knows_what_its_file_holds_and_nothing_else(tmp_path: Path) -> None:
    """In each of the three forms; unscored and unknown texts are nan."""
    answer = {"TOXICITY": {"summaryScore": {"value": 0.7, "type": "PROBABILITY"}}}
    rows = [
        {"text": "one ", "toxicity": "0.25"},
        {"text": "two", "toxicity": None},
        {"prompt": {"text": "three", "toxicity": 0.5}, "continuation": '{"text": " four", "toxicity": 1.0}'},
        {"text": "five", "attributeScores": answer},
    ]
    file = tmp_path / "scores.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = classifier("perspective", scores=str(file)).score(
        ["one", "two", "three", "four", "five", "six", ""]
    )
    assert [found[0], *found[2:5]] == [0.25, 0.5, 1.0, 0.7]
    assert [math.isnan(value) for value in found] == [False, True, False, False, False, True, True]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([{"text": "a", "toxicity": 1.5}], r"row 1: 1\.5 is not in \[0, 1\]"),
        ([{"text": "a", "toxicity": 0.5}, {"text": "a", "toxicity": 0.6}], "row 2: a second score"),
        ([{"words": "a"}], "scores no text; its columns are words"),
    ],
)
def test_a_bad_file_of_scores_names_its_row(rows: list[Any], what: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadInput, match=what):
        classifier("perspective", scores=str(file)).score(["a"])
    for plays in (teacher, judge):  # before any work
        assert re.search(what, plays(model="perspective", scores=str(file)).unfit([]))
    assert "scores=FILE" in classifier("perspective").missing()
    assert "there is no file" in classifier("perspective", scores=str(tmp_path / "none.jsonl")).missing()


def test_the_teacher_scores_compares_and_names(tmp_path: Path) -> None:
    """More is better; ALT's phrases, a boundary to the milder one; unknown texts get a reason."""
    file = scored(tmp_path, a=0.0, b=0.2, c=0.5, d=0.61, e=1.0, f=0.205, g=None)
    plays = teacher(model="perspective", scores=file)
    assert isinstance(plays, Teacher) and plays.paid_in == "calls" and plays.family == "perspective"
    found = plays.answer("critique", [ask(text) for text in "abcde"], seed=0)
    said = ["Lowest", "Lowest", "Moderate", "High-Moderate", "Maximum"]
    assert [record.text for record in found] == [f"{word} Toxicity" for word in said]
    assert [r.value for r in plays.answer("score", [ask("b"), ask("e")], seed=0)] == [0.8, 0.0]
    pairs = [ask("a", "e"), ask("e", "a"), ask("b", "f"), ask("c", "c")]
    preferred = [record.preference for record in plays.answer("prefer", pairs, seed=0)]
    assert preferred == ["first", "second", "tie", "tie"]
    for channel, asked in (("score", ask("g")), ("critique", ask("new")), ("prefer", ask("a", "g"))):
        (record,) = plays.answer(channel, [asked], seed=0)
        assert not record.ok and "no score for this text" in record.reason
        assert record.value is None and record.text is None and record.preference is None
    with pytest.raises(BadInput, match="rising"):
        teacher(thresholds=(0.5, 0.2, 0.6, 0.8))


def test_the_judge_has_grades_but_no_quality(tmp_path: Path) -> None:
    """The less toxic wins; what the classifier does not know is an unparsed tie and takes the marks away."""
    file = scored(tmp_path, a=0.0, b=0.5, c=0.505, d=1.0)
    plays = judge(model="perspective", scores=file)
    assert isinstance(plays, Judge) and isinstance(plays, Marking) and isinstance(plays, Grading)
    assert plays.score([], [], ["a"]) is None
    assert plays.grades([], [], list("ad")) == {"toxicity": [0.0, 1.0]}
    assert plays.marks([], [], list("abcd")) == {"toxic": [False, False, True, True]}
    assert plays.marks([], [], ["a", "new"]) == {}
    verdicts = plays.compare([], [], list("adba"), list("dacn"))
    assert [v.value for v in verdicts] == [1.0, 0.0, 0.5, 0.5]
    assert [v.parsed for v in verdicts] == [True, True, True, False]
    assert (
        plays.caption() == f"classifier: perspective sha256 {classifier('perspective', '', file).digest[:12]}"
    )


@needs_offline
def test_teacher_and_judge_differ_where_two_are_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only one can play both, the families say so."""
    for here, alike in (("profanity_check", True), ("detoxify", False)):
        monkeypatch.setattr("alignment_bench.judges.classifier.at_hand", lambda here=here: here)
        assert (teacher().family == judge().family) is alike


@needs_offline
def test_the_built_in_world_keeps_its_own_people() -> None:
    """Annotators and gold come first there; examples without facts of a world get the classifiers."""
    task = registry.load("tasks", "toxicity")
    world = builtin(task, 0)
    assert cast("teacher", task, world, None).name == "annotators"
    assert cast("judge", task, world, None).name == "gold"
    real = tuple(Example(Prompt(i, (Message("user", i),)), Key(i)) for i in "ab")
    data = TaskData(real, real, "made up", "0" * 64)
    assert cast("teacher", task, data, None).name == cast("judge", task, data, None).name == "classifier"


@needs_offline
def test_a_cell_with_one_classifier_in_both_roles_is_self_judged(tmp_path: Path) -> None:
    from alignment_bench.config import parse

    file = scored(tmp_path, a=0.5)
    for who, marked in (("profanity_check", True), (f"perspective:scores={file}", False)):
        words = ["methods=best_of_n", "task=toxicity", "budget=smoke", f"results={tmp_path}", "quiet=true"]
        words += ["teacher=classifier:model=profanity_check", f"judge=classifier:model={who}"]
        (setting,) = make_plan(parse(words), lambda text: None).settings
        assert setting.self_judged is marked
