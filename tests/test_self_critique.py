"""The form of critiques, and the wrappers that criticise at test time."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignment_bench import aligning, run
from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed
from alignment_bench.errors import NotApplicable
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.prompts import Message, Prompt
from alignment_bench.techniques import critiques
from alignment_bench.techniques.critiques import EVERY_PART, Critique, read, write
from alignment_bench.techniques.decode_time import speaking
from alignment_bench.techniques.self_scores import agreement, mean_scores, readable
from alignment_bench.work import Work

WHOLE = "weakness: the wish is missing. suggestion: i want to move out. score: four."
AT_ONE = Decoding(max_tokens=16)
POST = Prompt("1", (Message("user", "the post ."),))

SENTENCES = st.lists(
    st.sampled_from(["the", "wish", "is", "missing", "score", "weakness", "suggestion", "4.5", "a:b"]),
    min_size=1,
    max_size=6,
).map(lambda words: " ".join(words) + ".")


def test_a_remark_in_parts() -> None:
    """The first sentence is what is wrong, the rest what would help, the number is in words."""
    found = critiques.of_remark("the wish is missing. i want to move out.", 4.4)
    assert found == Critique("the wish is missing.", "i want to move out.", 4)
    assert write(found) == WHOLE and read(WHOLE) == found
    assert write(found, ("score",)) == "score: four."
    assert (
        write(critiques.of_remark("the answer is fine.", 7.0))
        == "weakness: the answer is fine. score: seven."
    )
    assert critiques.of_remark('Mention "Anna B. Lee"', 0.3) == Critique('Mention "Anna B.', 'Lee".', None)


@given(SENTENCES, SENTENCES | st.just(""), st.integers(1, 7) | st.none())
def test_what_is_written_is_read_back(weakness: str, suggestion: str, score: int | None) -> None:
    """Whole or not at all: whatever words a part has, reading gives that very critique."""
    critique = Critique(weakness, suggestion, score)
    parts = EVERY_PART if score else ("weakness", "suggestion")
    assert read(write(critique, parts), parts) == critique


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the wish is missing.",
        "score: four.",
        "weakness: the wish is missing.",
        "weakness: the wish is missing. score: eight.",
        "weakness: the wish is missing. score: four",
        "weakness: the wish is missing. score: 4.",
        "suggestion: i want to sue. weakness: it is short. score: four.",
        "weakness: it is short. weakness: it is rude. score: four.",
        f"{WHOLE} and more",
        f"so: {WHOLE}",
        WHOLE.replace("score: four.", "score: four. score: five."),
    ],
)
def test_reading_does_not_guess(text: str) -> None:
    assert read(text) is None
    assert mean_scores([[text]], EVERY_PART) == [None] and readable([[text]], EVERY_PART) == 0


def test_a_part_that_was_not_asked_for_is_not_read() -> None:
    """A model that was to leave the score out and gives one did not write the form."""
    assert read(WHOLE, ("weakness", "suggestion")) is None
    assert read("weakness: it is short. suggestion: i want to sue.", ("weakness", "suggestion")) is not None
    assert read("score: two.", ("score",)) == Critique(score=2)
    assert mean_scores([["score: two.", "score: five.", "what"]], ("score",)) == [3.5]


def test_agreement_counts_what_it_cannot_tell_as_half() -> None:
    texts = ["a", "b", "c", "d", "e", "f", "g", "h"]
    good = dict(zip(texts, (5.0, 1.0, 2.0, 4.0, 3.0, 3.0, None, 2.0), strict=True))
    answers = [Completion(text, (), "eos") for text in texts]
    pairs = [(POST, a, b) for a, b in zip(answers[::2], answers[1::2], strict=True)]
    assert agreement(pairs, lambda prompts, shown: [good[c.text] for c in shown]) == (1 + 0 + 0.5 + 0.5) / 4
    assert agreement([], lambda prompts, shown: []) is None


def test_the_form_is_made_of_words_the_built_in_model_has(small_tldr: Any) -> None:
    base: Any = run.base_of(small_tldr.cell("base").setting)
    ids = base.plain_ids(WHOLE)
    assert base.tokenizer.unk_token_id not in ids and base.decode(ids) == WHOLE
    assert base.tokenizer.unk_token_id not in base.plain_ids(" ".join(critiques.WORDS))


def test_self_refinement_of_the_base_is_possible_and_repeats(small_tldr: Any) -> None:
    """Two rounds are the round of a round; equal answers to one prompt are not refined alike."""
    cell = small_tldr.cell("self_refine")
    aligned = small_tldr.align(cell)
    assert aligned.spend.annotator_seconds == 0 and aligned.spend.tokens_trained == 0
    prompts = [e.prompt for e in cell.setting.data.test]
    twice = small_tldr.align(small_tldr.cell("self_refine:rounds=2")).policy
    greedy = replace(AT_ONE, temperature=0.0)
    once = aligned.policy.generate(prompts, n=1, decoding=greedy, seed=1)
    base = run.base_of(cell.setting)
    asked = [critiques.to_criticise(p, row[0]) for p, row in zip(prompts, once, strict=True)]
    said = base.generate(asked, n=1, decoding=replace(greedy, max_tokens=64), seed=0)
    again = [
        critiques.to_refine(p, row[0], c[0].text, "refine")
        for p, row, c in zip(prompts, once, said, strict=True)
    ]
    assert twice.generate(prompts, n=1, decoding=greedy, seed=1) == base.generate(
        again, n=1, decoding=greedy, seed=0
    )
    drawn = aligned.policy.generate(prompts, n=6, decoding=replace(AT_ONE, temperature=2.0), seed=1)
    assert any(len({c.text for c in row}) > 1 for row in drawn)


def test_self_refinement_without_feedback_criticises_nothing(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = small_tldr.cell("self_refine:feedback=false")
    policy = small_tldr.align(cell).policy
    prompts = [e.prompt for e in cell.setting.data.test][:2]
    with small_world.calls_of(ModelPolicy, "generate", monkeypatch) as drawn:
        policy.generate(prompts, n=1, decoding=AT_ONE, seed=1)
    assert [{p.layout for p in args[1]} for args, _ in drawn] == [{"answer"}, {"improve"}]


def test_prompts_in_other_layouts_are_handed_on(small_tldr: Any) -> None:
    """A wrapper around a wrapper, or a method that asks for a critique, is not answered with a refinement."""
    cell = small_tldr.cell("self_refine")
    policy: Any = small_tldr.align(cell).policy
    asked = [e.prompt.using("critique", completion="i feel sad.") for e in cell.setting.data.test][:3]
    assert policy.generate(asked, n=2, decoding=AT_ONE, seed=1) == policy.inner.generate(
        asked, n=2, decoding=AT_ONE, seed=1
    )


def test_the_innermost_model_criticises(small_tldr: Any) -> None:
    """Around a wrapper the answers are the wrapper's, the words those of the model inside."""
    policy: Any = small_tldr.align(small_tldr.cell("best_of_n:n=2+self_refine")).policy
    assert policy.critic is policy.inner.inner and isinstance(policy.critic, ModelPolicy)
    assert speaking(policy) is policy.critic
    with pytest.raises(NotApplicable):
        speaking(object())  # type: ignore[arg-type]


def test_wrappers_that_buy_nothing_take_no_share_of_the_budget(small_tldr: Any) -> None:
    assert aligning.shares(small_tldr.cell("sft+self_refine")) == [1.0, 0.0]
    assert aligning.shares(small_tldr.cell("sft+self_refine+best_of_n")) == [0.5, 0.0, 0.5]


def test_reranking_by_likelihood_picks_the_likeliest(small_tldr: Any) -> None:
    """Of its own group of draws, ties to the earliest; one of one is the base itself."""
    cell = small_tldr.cell("self_rerank:n=3:by=likelihood")
    policy, base = small_tldr.align(cell).policy, run.base_of(cell.setting)
    prompts = [e.prompt for e in cell.setting.data.test]
    answers = policy.generate(prompts, n=2, decoding=AT_ONE, seed=8)
    drawn = base.generate(prompts, n=6, decoding=AT_ONE, seed=derive_seed("self_rerank", 8))
    for prompt, chosen, row in zip(prompts, answers, drawn, strict=True):
        likely = [sum(x) / len(x) for x in base.logprobs([prompt] * 6, row)]
        for k in (0, 1):
            group = likely[3 * k : 3 * k + 3]
            best = row[3 * k + max(range(3), key=lambda i, group=group: group[i])]  # type: ignore[misc]
            assert chosen[k].text == best.text
    one = small_tldr.align(small_tldr.cell("self_rerank:n=1:by=likelihood")).policy
    assert one.generate(prompts, n=2, decoding=AT_ONE, seed=8) == base.generate(
        prompts, n=2, decoding=AT_ONE, seed=8
    )


def test_reranking_picks_the_highest_score_in_its_own_critiques(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earliest of the highest; what cannot be read ranks below everything."""
    scores = {"aa": "score: two.", "bb": "score: five.", "cc": "what", "dd": "score: five."}
    said = {name: f"weakness: it is short. {score}" for name, score in scores.items()}

    def generate(self: Any, prompts: Any, *, n: int, decoding: Any, seed: int) -> Any:
        if prompts[0].layout == "answer":
            return [[Completion(name, (k,), "eos") for k, name in enumerate(scores)] for _ in prompts]
        assert decoding.temperature == 0
        return [[Completion(said[dict(p.slots)["completion"]], (9,), "eos")] for p in prompts]

    cell = small_tldr.cell("srt:stage=1:audit=0:decode=rerank:n=4", "budget=1200s")
    policy = small_tldr.align(cell).policy
    monkeypatch.setattr(ModelPolicy, "generate", generate)
    (row,) = policy.generate([POST], n=1, decoding=AT_ONE, seed=0)
    assert [c.text for c in row] == ["bb"]
    (pool,) = policy.pool([POST], n=4, decoding=AT_ONE, seed=0)
    assert [(c.text, value) for c, value in pool] == [("aa", 2), ("bb", 5), ("cc", 0), ("dd", 5)]


def test_a_policy_that_writes_no_scores_cannot_rerank_by_them(small_tldr: Any) -> None:
    with pytest.raises(NotApplicable, match="by=likelihood"):
        small_tldr.align(small_tldr.cell("self_rerank:n=2"))


def test_critique_fine_tuning_learns_critiques_alone(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After prompt and own answer, as the teacher wrote them; it answers the plain prompt itself."""
    cell, heard = small_world.overheard(small_tldr.cell("critique_fine_tuning"))
    with small_world.calls_of(Work, "finetune", monkeypatch) as trained:
        policy = small_tldr.align(cell).policy
    ((arguments, _),) = trained
    ((channel, asks, records),) = heard.heard
    assert channel == "critique" and len(records) == 10
    shown = [(one.prompt.layout, dict(one.prompt.slots), one.completion.text) for one in arguments[2]]
    assert shown == [
        ("critique", {"completion": a.completions[0]}, r.text) for a, r in zip(asks, records, strict=True)
    ]
    assert isinstance(policy, ModelPolicy)
