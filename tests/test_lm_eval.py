"""lm-evaluation-harness over a policy: a hand-made task from a local file, and every request by hand."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alignment_bench import lm_eval_harness as harness
from alignment_bench import plain_text, registry
from alignment_bench.completions import Decoding
from alignment_bench.config import parse
from alignment_bench.errors import BadInput, BenchError
from alignment_bench.evaluation import Evaluator
from alignment_bench.labels import evaluator_part
from alignment_bench.prompts import Key, Message, Prompt
from alignment_bench.testing import check_evaluator

needs_harness = pytest.mark.skipif(not harness.available(), reason=harness.MISSING)
DOCUMENTS = [
    {"question": "the dog", "choices": ["ran .", "sat ."], "label": 0},
    {"question": "a cat", "choices": ["was happy", "is sad"], "label": 1},
    {"question": "it was", "choices": ["sad .", "happy ."], "label": 0},
    {"question": "the bird saw", "choices": ["it", "no", "yes"], "label": 2},
    {"question": "no", "choices": ["park", "dog"], "label": 1},
]
CHOICE = """\
task: animals
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: label
doc_to_choice: choices
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""
WRITING = """\
task: writing
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{choices[0]}}}}"
generation_kwargs:
  until: ["."]
  max_gen_toks: 4
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""
ROLLING = """\
task: rolling
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{question}}}}"
metric_list:
  - metric: word_perplexity
    aggregation: weighted_perplexity
    higher_is_better: false
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Task files of our own, and a cache that nobody else shares."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    own = tmp_path / "tasks"
    own.mkdir()
    file = tmp_path / "animals.jsonl"
    file.write_text("\n".join(map(json.dumps, DOCUMENTS)), "utf-8")
    for name, text in (("animals", CHOICE), ("writing", WRITING), ("rolling", ROLLING)):
        (own / f"{name}.yaml").write_text(text.format(file=file), "utf-8")
    return own


def best_choices(policy: Any) -> list[bool]:
    """Whether the label is the likeliest choice, by the policy's own log-probabilities."""
    right = []
    for document in DOCUMENTS:
        prompt = Prompt("p", (Message("user", str(document["question"])),), layout="plain")
        reader = plain_text.reader_of(policy)
        assert reader is not None
        sums = []
        for choice in document["choices"]:  # type: ignore[attr-defined]
            ids = reader.encode(f"{prompt.text} {choice}")
            before = reader.encode(prompt.text)
            (scored,) = reader.score([(before, ids[len(before) :])])
            sums.append(sum(scored[0]))
        right.append(sums.index(max(sums)) == document["label"])
    return right


@needs_harness
def test_a_local_task_scores_as_computed_by_hand(random_policy: Any, folder: Path) -> None:
    found = harness.run_tasks(random_policy, ["animals"], include=folder)
    assert found is not None
    right = best_choices(random_policy)
    assert found["animals"].metric == "acc" and found["animals"].values == tuple(map(float, right))
    assert 0 < sum(right) < len(right)  # both occur, or the comparison would show nothing
    assert found["animals"].summary.startswith(f"animals: acc {sum(right) / 5:.4f} on 5 documents")
    again = harness.run_folder(random_policy.folder, ["animals"], random_policy.runtime, include=folder)
    assert again == found


@needs_harness
def test_generation_stops_where_the_task_says(random_policy: Any, folder: Path) -> None:
    """Greedy, at most four tokens, up to the full stop."""
    from lm_eval.api.instance import Instance

    reader = plain_text.reader_of(random_policy)
    assert reader is not None
    model = harness.language_model(reader)
    options = [{"until": ["."], "max_gen_toks": 4}, {"until": [], "max_gen_toks": 6}]
    requests = [
        Instance("generate_until", {}, (document["question"], option), i)
        for i, (document, option) in enumerate((d, o) for d in DOCUMENTS for o in options)
    ]
    texts = model.generate_until(requests)
    for place, document in enumerate(DOCUMENTS):
        short, long = texts[2 * place], texts[2 * place + 1]
        ids = reader.encode(str(document["question"]))
        drawn = []
        while len(drawn) < 6 and (not drawn or drawn[-1] not in random_policy.eos):
            scored = random_policy.scoring_model()(__import__("torch").tensor([ids + drawn])).logits[0, -1]
            drawn.append(int(scored.argmax()))
        whole = random_policy.decode([t for t in drawn if t not in random_policy.eos])
        assert long == whole
        assert (
            short == random_policy.decode([t for t in drawn[:4] if t not in random_policy.eos]).split(".")[0]
        )
    found = harness.run_tasks(random_policy, ["writing"], include=folder)
    assert (
        found is not None and found["writing"].metric == "exact_match" and len(found["writing"].values) == 5
    )


@needs_harness
def test_likelihoods_of_texts_with_and_without_context(random_policy: Any) -> None:
    import torch
    from lm_eval.api.instance import Instance

    reader = plain_text.reader_of(random_policy)
    assert reader is not None
    model = harness.language_model(reader)
    raw = random_policy.scoring_model()

    def direct(ids: list[int], start: int) -> float:
        with torch.inference_mode():
            logs = raw(torch.tensor([ids])).logits[0].log_softmax(-1)
        return sum(float(logs[i - 1, ids[i]]) for i in range(start, len(ids)))

    pairs = [("the dog", " ran ."), ("the dog ", "ran ."), ("", "a cat sat")]
    got = model.loglikelihood([Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)])
    ids = reader.encode("the dog ran .")
    start = len(reader.encode("the dog"))
    assert got[0][0] == pytest.approx(direct(ids, start), abs=1e-4)
    assert got[1] == got[0]  # a space belongs to what follows it
    assert got[2][0] == pytest.approx(direct([reader.prefix, *reader.encode("a cat sat")], 1), abs=1e-4)
    (rolled,) = model.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, ("a cat sat",), 0)])
    assert rolled == pytest.approx(got[2][0], abs=1e-4)
    (greedy,) = reader.write(["the dog"], Decoding(temperature=0, max_tokens=1))
    ((_, likeliest),) = reader.score([reader.continued("the dog", f" {greedy.strip()}")])
    assert likeliest is True
    assert not all(yes for _, yes in got)


@needs_harness
def test_a_text_longer_than_the_model_is_rolled_over_wholly(random_policy: Any) -> None:
    from lm_eval.api.instance import Instance

    reader = plain_text.reader_of(random_policy)
    assert reader is not None
    text = " ".join(["the cat sat and the bird ran ."] * 60)
    assert len(reader.encode(text)) > reader.room
    model = harness.language_model(reader)
    (whole,) = model.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (text,), 0)])
    (half,) = model.loglikelihood_rolling(
        [Instance("loglikelihood_rolling", {}, (text[: len(text) // 2],), 0)]
    )
    assert math.isfinite(whole) and 1.6 < whole / half < 2.4


@needs_harness
def test_what_is_no_mean_over_documents_is_named(random_policy: Any, folder: Path) -> None:
    found = harness.run_tasks(random_policy, ["rolling", "animals"], include=folder)
    assert found is not None and "less of its metric word_perplexity is better" in found["rolling"].missing
    assert found["animals"].values
    with pytest.raises(BenchError, match="lm_eval cannot run no_such_task"):
        harness.run_tasks(random_policy, ["no_such_task"], include=folder)
    assert harness.run_tasks(SimpleNamespace(), ["animals"], include=folder) is None  # type: ignore[arg-type]


@needs_harness
def test_as_an_evaluator_documents_are_dealt_to_prompts(random_policy: Any, folder: Path) -> None:
    from alignment_bench.evaluation import Evidence

    evaluator = evaluator_part(f"lm_eval:tasks=[animals,writing]:include={folder}").plugin
    assert isinstance(evaluator, Evaluator)
    assert [metric.name for metric in evaluator.metrics] == ["lm_eval_animals", "lm_eval_writing"]
    prompts = [Prompt(f"p{i}", (Message("user", "x"),)) for i in range(2)]
    nobody: Any = None
    keys = [Key(p.id) for p in prompts]
    found = evaluator(Evidence(prompts, keys, {}, {}, random_policy, random_policy, nobody))
    values = list(map(float, best_choices(random_policy)))
    dealt = (sum(values[0::2]) / 3, sum(values[1::2]) / 2)
    assert found["lm_eval_animals"].values == pytest.approx(dealt)
    assert "5 documents" in found["lm_eval_animals"].note
    wrapper = evaluator(Evidence(prompts, keys, {}, {}, nobody, nobody, nobody))
    assert "no weights" in wrapper["lm_eval_writing"].missing


def test_dealing_leaves_nobody_out() -> None:
    from alignment_bench.evaluators.lm_eval import dealt

    assert dealt([1, 0, 1, 0, 1], 2) == (1.0, 0.0)
    assert dealt([1.0], 2)[0] == 1.0 and math.isnan(dealt([1.0], 2)[1])


def test_fields_on_the_command_line() -> None:
    """Evaluators take fields like teachers and judges; two of one name, or a bad field, are refused."""
    command = ["methods=base", "task=tldr"]
    assert parse([*command, "evaluators=length,lm_eval:limit=3"]).evaluators == ("length", "lm_eval:limit=3")
    for wrong, message in (
        ("lm_eval:limit=3,lm_eval:limit=4", "are one evaluator"),
        ("lm_eval:limits=3", "did you mean limit"),
        ("lm_eval:include=/no/such/folder", "there is no folder"),
    ):
        with pytest.raises(BadInput, match=message):
            parse([*command, f"evaluators={wrong}"])


def test_without_the_harness_a_run_stops_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        harness.importlib.util, "find_spec", lambda name: None if name == "lm_eval" else real(name)
    )
    with pytest.raises(BadInput, match=r"alignment-bench\[lm_eval\]"):
        evaluator_part("lm_eval:tasks=[bbh]")
    with pytest.raises(BenchError, match=r"alignment-bench\[lm_eval\]"):
        harness.run_tasks(SimpleNamespace(), ["bbh"])  # type: ignore[arg-type]


def test_fields_change_the_key_and_files_do(tmp_path: Path) -> None:
    from alignment_bench import plan

    (tmp_path / "a.yaml").write_text("task: a", "utf-8")
    digests = {plan._evaluator_digest(label) for label in ("lm_eval", "lm_eval:limit=1", "lm_eval:fewshot=1")}
    assert len(digests) == 3
    assert plan._evaluator_digest("rouge") == registry.digest("evaluators", "rouge")
    if harness.available():
        before = evaluator_part(f"lm_eval:tasks=[a]:include={tmp_path}").plugin.identity
        (tmp_path / "a.yaml").write_text("task: b", "utf-8")
        assert evaluator_part(f"lm_eval:tasks=[a]:include={tmp_path}").plugin.identity != before


def test_generation_arguments() -> None:
    assert harness.decoding_of({}) == Decoding(temperature=0, max_tokens=harness.TOKENS)
    assert harness.decoding_of({"until": "\n", "temperature": 0.7}) == Decoding(
        temperature=0, max_tokens=harness.TOKENS, stop=("\n",)
    )
    sampled = harness.decoding_of({"do_sample": True, "temperature": 0.7, "top_p": 0.9, "max_gen_toks": 5})
    assert sampled == Decoding(temperature=0.7, top_p=0.9, max_tokens=5)


def test_it_keeps_the_contract_of_an_evaluator() -> None:
    check_evaluator("lm_eval")


@needs_harness
def test_in_a_run_it_is_a_column(small_tldr: Any, folder: Path) -> None:
    label = f"lm_eval:tasks=[animals]:include={folder}"
    rows = small_tldr.run("base", f"evaluators=length,{label}")
    by = {row["metric"]: row for row in rows}
    assert 0 <= by["lm_eval_animals"]["mean"] <= 1 and by["lm_eval_animals"]["n_prompts"] == 5
