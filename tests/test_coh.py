"""Chain of Hindsight: what is learned after what, and what the trained model is asked for."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from alignment_bench import run
from alignment_bench.completions import Completion
from alignment_bench.controller import Controller
from alignment_bench.errors import BadInput
from alignment_bench.methods.coh import SEQUENCES, ChainOfHindsight
from alignment_bench.models.conditioned import ConditionedPolicy
from alignment_bench.prompts import Message, Prompt
from alignment_bench.techniques.hindsight import (
    MARKERS,
    SIMPLE,
    hindsight_lessons,
    phrases,
    unlikelihood_lessons,
)
from alignment_bench.training.settings import Objective
from alignment_bench.work import Work, training_rows

POST = Prompt("1", (Message("user", "the post ."),))
BETTER, WORSE = Completion("yes", (7, 1), "eos"), Completion("no", (8, 9, 1), "eos")
PAIRS = [(POST, BETTER, WORSE)]
GOOD, BAD = "a good answer", "a bad answer"


def taught(form: str) -> set[tuple[str, tuple[tuple[str, str], ...], str, float]]:
    """(layout, slots, answer, weight) of the lessons made of one comparison."""
    lessons = hindsight_lessons(PAIRS, SEQUENCES[form], [SIMPLE])
    assert all(one.prompt.messages == POST.messages for one in lessons)
    return {(one.prompt.layout, one.prompt.slots, one.completion.text, one.weight) for one in lessons}


def test_every_form_written_out() -> None:
    """Good answers after the good phrase, bad ones after the bad one; a second answer after the first."""
    p = ("describe", (("condition", GOOD),), "yes")
    n = ("describe", (("condition", BAD),), "no")
    pn = ("chain", (("completion", "yes"), ("condition", GOOD), ("next_condition", BAD)), "no")
    np = ("chain", (("completion", "no"), ("condition", BAD), ("next_condition", GOOD)), "yes")
    assert taught("p") == {(*p, 1.0)}
    assert taught("n") == {(*n, 1.0)}
    assert taught("csft") == {(*p, 1.0), (*n, 1.0)}
    assert taught("pn") == {(*p, 1.0), (*pn, 1.0)}
    assert taught("np") == {(*n, 1.0), (*np, 1.0)}
    # six answers in four sequences: each of the two single ones also begins a chain
    assert taught("mixed") == {(*p, 4 / 3), (*n, 4 / 3), (*pn, 2 / 3), (*np, 2 / 3)}


def test_every_pair_of_phrases_is_used_for_every_comparison() -> None:
    auxiliary = MARKERS["auxiliary"]
    assert auxiliary[0] == SIMPLE and len(auxiliary) > 3
    lessons = hindsight_lessons(PAIRS * 2, ("p", "n"), auxiliary)
    found = [(dict(one.prompt.slots)["condition"], one.completion.text) for one in lessons]
    assert sorted(found) == sorted(
        2 * [row for marker in auxiliary for row in ((marker.good, "yes"), (marker.bad, "no"))]
    )
    assert len(phrases(auxiliary)) == 2 * len(auxiliary), "no phrase means both"


def test_unlikelihood_is_for_answers_not_preferred_alone() -> None:
    found = unlikelihood_lessons(PAIRS, 0.3)
    assert [(one.completion.text, one.unlikely, one.weight) for one in found] == [
        ("yes", False, 1.0),
        ("no", True, 0.3),
    ]
    assert all(one.prompt == POST for one in found), "no phrase"


def test_every_phrase_is_made_of_words_the_built_in_model_has(small_tldr: Any) -> None:
    """Otherwise two of them could read alike, as unknown words."""
    base: Any = run.base_of(small_tldr.cell("base").setting)
    unknown = base.tokenizer.unk_token_id
    read = [tuple(base.plain_ids(phrase)) for phrase in phrases(MARKERS["auxiliary"])]
    assert len(set(read)) == len(read) and not any(unknown in ids for ids in read)


def test_the_loss_is_on_answers_and_their_one_end_alone(small_tldr: Any) -> None:
    """Post, phrases and earlier answers are read, once each; each answer ends once, and is trained on."""
    cell = small_tldr.cell("base")
    base: Any = run.base_of(cell.setting)
    prompt = cell.setting.data.train[0].prompt
    first, second = base.encode("my aunt sold the car."), base.encode("my boss lost the ring.")
    end = base.tokenizer.eos_token_id
    lessons = hindsight_lessons([(prompt, first, second)], ("pn",), [SIMPLE])
    rows = training_rows(base, lessons, ())
    assert [row.completion for row in rows] == [first.tokens, second.tokens]
    assert [row.completion.count(end) for row in rows] == [1, 1]
    assert [row.completion[-1] for row in rows] == [end, end]
    assert [row.prompt.count(end) for row in rows] == [0, 1]
    post = base.plain_ids(prompt.text)
    for row in rows:
        places = [k for k in range(len(row.prompt)) if list(row.prompt[k : k + len(post)]) == post]
        assert places == [0], "the post is given once, at the beginning"
    assert rows[1].prompt[: len(rows[0].prompt)] == rows[0].prompt
    assert rows[1].prompt[len(rows[0].prompt) :][: len(first.tokens)] == first.tokens


def trained_with(small_world: ModuleType, small_tldr: Any, label: str, monkeypatch: Any) -> tuple[Any, ...]:
    """The aligned policy, the one fine-tuned, its lessons, its objective and its plain texts."""
    with small_world.calls_of(Work, "finetune", monkeypatch) as calls:
        aligned = small_tldr.align(small_tldr.cell(label))
    (((_, start, lessons, _, _, objective, _, texts), _),) = calls
    return aligned, start, lessons, objective, texts


def test_the_method_trains_good_and_bad_and_asks_for_good(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From fresh words, under the paper's objective, with one comparison as four lessons."""
    with small_world.calls_of(Controller, "measure", monkeypatch) as measured:
        aligned, start, lessons, objective, texts = trained_with(small_world, small_tldr, "coh", monkeypatch)
    assert aligned.spend.acts["prefer"] == 30
    (((_, name, pairs), _),) = measured
    assert name == "comparisons_trained_on" and 0 < pairs <= 30
    assert len(lessons) == 4 * pairs and len(texts) == pairs
    assert objective == Objective(hidden_share=0.05, plain_weight=0.01)
    assert start.digest != run.base_of(small_tldr.cell("base").setting).digest, "its words start afresh"
    by_marker: dict[str, set[tuple[str, str]]] = {GOOD: set(), BAD: set()}
    for one in lessons:
        slots = dict(one.prompt.slots)
        asked = slots.get("next_condition", slots["condition"])
        by_marker[asked].add((one.prompt.id, one.completion.text))
    assert len(by_marker[GOOD]) == len(by_marker[BAD]) == pairs
    assert not by_marker[GOOD] & by_marker[BAD], "no answer was preferred to itself"
    assert isinstance(aligned.policy, ConditionedPolicy)
    assert (aligned.policy.layout, aligned.policy.slots) == ("describe", {"condition": GOOD})


def test_what_is_asked_for_changes_no_training(small_tldr: Any) -> None:
    """One trained model behind "good", behind "bad", and bare; bought with the same comparisons."""
    labels = {m: f"coh:marker={m}" for m in ("good", "bad", "none")}
    found = {m: small_tldr.align(small_tldr.cell(label, "budget=600s")) for m, label in labels.items()}
    bare = found["none"].policy
    assert not isinstance(bare, ConditionedPolicy)
    for name, phrase in (("good", GOOD), ("bad", BAD)):
        policy = found[name].policy
        assert policy.inner.digest == bare.digest and policy.slots == {"condition": phrase}
    assert len({aligned.policy.digest for aligned in found.values()}) == 3
    assert len({aligned.spend.tokens_trained for aligned in found.values()}) == 1


@pytest.mark.parametrize("form", ["sft", "sft_u"])
def test_the_forms_without_phrases(
    form: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain prompts from the base itself, everything else as in the other forms."""
    label = f"coh:form={form}"
    aligned, start, lessons, objective, _ = trained_with(small_world, small_tldr, label, monkeypatch)
    assert start.digest == run.base_of(small_tldr.cell("base").setting).digest
    assert {one.prompt.layout for one in lessons} == {"answer"}
    assert [one.unlikely for one in lessons].count(True) == (len(lessons) // 2 if form == "sft_u" else 0)
    assert objective == Objective(hidden_share=0.05, plain_weight=0.01)
    assert not isinstance(aligned.policy, ConditionedPolicy)
    with pytest.raises(BadInput, match="without phrases"):
        ChainOfHindsight(form=form, marker="bad")  # type: ignore[arg-type]


def test_no_plain_text_is_drawn_where_it_does_not_count(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = "coh:form=csft:plain_weight=0:hidden_share=0"
    _, _, _, objective, texts = trained_with(small_world, small_tldr, label, monkeypatch)
    assert objective == Objective() and not texts


def test_more_phrases_mean_fewer_passes(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless epochs are given: the tier's two passes over one pair are one pass over six."""
    for label, passes in (("coh:markers=auxiliary:form=p", 1), ("coh:form=p", 2), ("coh:form=p:epochs=3", 3)):
        with small_world.calls_of(Work, "finetune", monkeypatch) as calls:
            small_tldr.align(small_tldr.cell(label, "budget=400s"))
        (((_, _, _, settings, *_), _),) = calls
        assert settings.epochs == passes
