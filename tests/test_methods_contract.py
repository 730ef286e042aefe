"""What every shipped method must do, and what the papers say that each of them is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignment_bench import asking, controller, registry, run
from alignment_bench.completions import Decoding
from alignment_bench.digests import derive_seed
from alignment_bench.models import loading
from alignment_bench.models.storage import load_policy
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.techniques import criticised
from alignment_bench.techniques.refinements import shuffled
from alignment_bench.work import Work

SMALL = {
    "ppo": "ppo:iterations=1:rollouts=4:epochs=1",
    "best_of_n": "best_of_n:n=2",
    "alt": "alt:iterations=1:prompts=4:samples=5",
    "quark": "quark:rounds=1:prompts=6:steps=2",
    "dpo": "dpo:epochs=1",
    "kto": "kto:epochs=1",
    "grpo": "grpo:steps=1:rollouts=4:group=2",
    "rloo": "rloo:steps=1:rollouts=4:group=2",
    "online_dpo": "online_dpo:steps=1:rollouts=4",
    "srt": "srt:stage=1",
    "self_rerank": "self_rerank:n=2:by=likelihood",
}
"""labels of the methods whose defaults are too much for a test"""
AT_ONE = Decoding(max_tokens=12)


def label_of(method: str) -> str:
    """The method with minimal settings."""
    return SMALL.get(method, method)


@pytest.mark.parametrize("method", registry.shipped("methods"))
def test_every_method_gives_a_policy_that_can_be_stored(method: str, small_tldr: Any, tmp_path: Path) -> None:
    """It restores with the same digest and the same answers, also from a copy of its folder elsewhere."""
    cell = small_tldr.cell(label_of(method))
    aligned = small_tldr.align(cell)
    assert isinstance(aligned.policy, Policy)
    prompts = [e.prompt for e in cell.setting.data.test][:4]
    answers = aligned.policy.generate(prompts, n=2, decoding=AT_ONE, seed=5)
    assert [len(row) for row in answers] == [2] * 4
    assert all(len(c.tokens) <= AT_ONE.max_tokens for row in answers for c in row)
    loading.forget()
    moved = Path(shutil.copytree(aligned.policy.folder, tmp_path / "moved"))
    for folder in (aligned.policy.folder, moved):
        restored = load_policy(folder, cell.setting.runtime)
        assert restored.digest == aligned.policy.digest
        assert restored.generate(prompts, n=2, decoding=AT_ONE, seed=5) == answers
    assert aligned.spend.annotator_seconds <= cell.setting.amount
    assert not controller._OPEN, "the lab is closed"


@pytest.mark.parametrize("method", registry.shipped("methods"))
def test_only_a_change_of_weights_or_wrapping_changes_the_digest(method: str, small_tldr: Any) -> None:
    """Whatever is not the base has a digest of its own, and aligning again gives the same one."""
    cell = small_tldr.cell(label_of(method))
    base, first = run.base_of(cell.setting), small_tldr.align(cell).policy
    assert (first.digest == base.digest) == (method == "base")
    assert small_tldr.align(cell).policy.digest == first.digest


def test_base_copy_has_the_weights_of_base_and_samples_of_its_own(small_tldr: Any) -> None:
    """The same log-probability of every token and the same greedy answers; other draws at temperature 1."""
    cell = small_tldr.cell("base_copy")
    base, copy = run.base_of(cell.setting), small_tldr.align(cell).policy
    prompts = [e.prompt for e in cell.setting.data.test]
    drawn = base.generate(prompts, n=1, decoding=AT_ONE, seed=3)
    own = copy.generate(prompts, n=1, decoding=AT_ONE, seed=3)
    assert isinstance(copy, LogitPolicy)
    completions = [row[0] for row in drawn]
    assert copy.logprobs(prompts, completions) == base.logprobs(prompts, completions)
    same = sum(a[0].tokens == b[0].tokens for a, b in zip(drawn, own, strict=True))
    assert same <= len(prompts) // 2, "nearly all answers must differ"
    greedy = replace(AT_ONE, temperature=0.0)
    assert copy.generate(prompts, n=1, decoding=greedy, seed=3) == base.generate(
        prompts, n=1, decoding=greedy, seed=4
    )


def test_best_of_one_is_base(small_tldr: Any) -> None:
    """Sample for sample, whatever the reward model says."""
    cell = small_tldr.cell("best_of_n:n=1")
    base, best = run.base_of(cell.setting), small_tldr.align(cell).policy
    prompts = [e.prompt for e in cell.setting.data.test]
    assert best.generate(prompts, n=3, decoding=AT_ONE, seed=8) == base.generate(
        prompts, n=3, decoding=AT_ONE, seed=8
    )


def test_best_of_n_returns_the_best_of_the_bases_samples(small_tldr: Any) -> None:
    """Each answer is the highest-scoring of its own group of draws of the base, ties to the earliest; the
    draws are a stream of their own, so that none of them is the very answer base gives at this seed."""
    cell = small_tldr.cell("best_of_n:n=4")
    base, best = run.base_of(cell.setting), small_tldr.align(cell).policy
    prompts = [e.prompt for e in cell.setting.data.test]
    answers = best.generate(prompts, n=2, decoding=AT_ONE, seed=8)
    drawn = base.generate(prompts, n=8, decoding=AT_ONE, seed=derive_seed("best_of_n", 8))
    assert drawn != base.generate(prompts, n=8, decoding=AT_ONE, seed=8)
    for prompt, chosen, row in zip(prompts, answers, drawn, strict=True):
        scores = best.reward_model.score([prompt] * 8, row)
        for k in (0, 1):
            group = scores[4 * k : 4 * k + 4]
            assert chosen[k] == row[4 * k + group.index(max(group))]


def refinements_of(calls: list[Any]) -> list[Any]:
    """The prompts in the refiner's layouts among the calls of `Work.sample`."""
    shown = [prompt for args, _ in calls for prompt in args[2]]
    return [p for p in shown if p.layout in ("refine", "improve")]


@pytest.mark.parametrize("feedback", ["right", "shuffled", "none"])
def test_whose_feedback_ilf_shows(
    feedback: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One's own; another's, never one's own; or none at all, and then none is bought."""
    cell = small_tldr.cell(f"ilf:feedback={feedback}:rounds=2")
    with (
        small_world.calls_of(Work, "sample", monkeypatch) as sampled,
        small_world.calls_of(asking.Asking, "_ask", monkeypatch) as asked,
        small_world.calls_of(criticised, "shuffled", monkeypatch) as moved,
    ):
        aligned = small_tldr.align(cell)
    shown = {p.id: dict(p.slots) for p in refinements_of(sampled)}
    bought = {r.prompt_id: r for _, (records, _) in asked for r in records}
    assert len(shown) == 10
    if feedback == "none":
        assert not asked and aligned.spend.acts == {}
        assert all(set(slots) == {"completion"} for slots in shown.values())
        return
    assert set(bought) == set(shown) and aligned.spend.acts == {"critique": 10}
    assert all(slots["completion"] == bought[name].completions[0] for name, slots in shown.items())
    if feedback == "right":
        assert not moved
        assert all(slots["critique"] == bought[name].text for name, slots in shown.items())
        return
    assert sorted(slots["critique"] for slots in shown.values()) == sorted(r.text for r in bought.values())
    assert len(moved) == 2
    for (texts, order), _ in moved:
        # texts can be equal by chance, so places are told apart by number
        places = [str(i) for i in range(len(texts))]
        assert all(a != b for a, b in zip(places, shuffled(places, order), strict=True))


@given(st.integers(2, 12).flatmap(lambda n: st.permutations(range(n))))
def test_a_shuffle_leaves_nobody_their_own(order: list[int]) -> None:
    """Along any cycle of two or more, and everybody gets one."""
    texts = [f"critique {i}" for i in range(len(order))]
    moved = shuffled(texts, order)
    assert sorted(moved) == sorted(texts)
    assert all(a != b for a, b in zip(texts, moved, strict=True))


def test_ilf_trains_the_base_on_plain_prompts(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No critique, no earlier answer and no test prompt in what it trains on; the base, in every round."""
    cell = small_tldr.cell("ilf:rounds=2", "decoding.max_tokens=40")
    base: Any = run.base_of(cell.setting)
    plain = {e.prompt.id: e.prompt for e in cell.setting.data.train}
    with (
        small_world.calls_of(Work, "finetune", monkeypatch) as trained,
        small_world.calls_of(Work, "sample", monkeypatch) as sampled,
        small_world.calls_of(asking.Asking, "_ask", monkeypatch) as asked,
    ):
        small_tldr.align(cell)
    critiques = {r.text for _, (records, _) in asked for r in records}
    refined = {
        (prompt.id, c.tokens)
        for args, (lists, _) in sampled
        for prompt, row in zip(args[2], lists, strict=True)
        if prompt.layout == "refine"
        for c in row
    }
    assert len(trained) == 2 and critiques
    for number, (args, _) in enumerate(trained, start=1):
        policy, rows = args[1], args[2]
        assert policy.digest == base.digest
        assert len(rows) == 5 * number, "later rounds train on the pool of all rounds"
        for prompt, completion in ((row.prompt, row.completion) for row in rows):
            assert prompt == plain[prompt.id] and prompt.layout == "answer" and not prompt.slots
            text = base.decode(base.render(prompt))
            assert not any(critique in text for critique in critiques)
            assert (prompt.id, completion.tokens) in refined, "trained on as it was sampled"


def test_sft_trains_on_what_was_written(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the bought demonstrations, each with the end-of-sequence id, and on nothing else."""
    cell = small_tldr.cell("sft")
    with (
        small_world.calls_of(Work, "finetune", monkeypatch) as trained,
        small_world.calls_of(asking.Asking, "_ask", monkeypatch) as asked,
    ):
        small_tldr.align(cell)
    written = {r.prompt_id: r.text for _, (records, _) in asked for r in records}
    rows = trained[0][0][2]
    base: Any = run.base_of(cell.setting)
    assert {row.prompt.id: row.completion.text for row in rows} == written
    assert all(row.completion.tokens[-1] in base.eos for row in rows)


def test_distinct_refinements_keep_the_first_of_each_text() -> None:
    from alignment_bench.completions import Completion
    from alignment_bench.techniques.refinements import distinct

    row = [Completion(text, (i,), "eos") for i, text in enumerate("ABCDAEFGHA")]
    assert [(c.text, c.tokens[0]) for c in distinct(row)[:5]] == [
        ("A", 0),
        ("B", 1),
        ("C", 2),
        ("D", 3),
        ("E", 5),
    ]


def test_a_single_critique_is_not_passed_off_as_shuffled(small_tldr: Any) -> None:
    from alignment_bench.errors import NotApplicable

    with pytest.raises(NotApplicable, match="cannot be shuffled"):
        small_tldr.align(small_tldr.cell("ilf:feedback=shuffled:rounds=1", "budget=200s"))
