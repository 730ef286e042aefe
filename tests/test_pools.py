"""Quantiles, what is kept, the end-of-sequence rule and levels in words, on examples made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignment_bench.completions import Completion, End
from alignment_bench.errors import NotApplicable
from alignment_bench.prompts import Message, Prompt
from alignment_bench.techniques import levels, pools
from alignment_bench.techniques.pools import Sample

A, B = (Prompt(name, (Message("user", f"post {name}."),)) for name in "ab")
PHRASES = ("low", "middle", "high")


def sample(prompt: Prompt, score: float = 0.0, level: int = 0, end: End = "eos", number: int = 0) -> Sample:
    """A sample whose text tells it apart."""
    text = f"{prompt.id}{score}{level}{end}{number}"
    return Sample(prompt, Completion(text, (5, 1), end), number, score, level, PHRASES[max(0, level - 1)])


def levels_of(samples: list[Sample]) -> list[int]:
    """Their levels, in order."""
    return [one.level for one in samples]


def test_quantiles_are_equal_and_the_remainder_goes_to_the_worst() -> None:
    assert pools.quantile_levels([0.1, 0.9, 0.5, 0.3, 0.7], 5) == [1, 5, 3, 2, 4]
    assert pools.quantile_levels([8, 7, 6, 5, 4, 3, 2, 1], 3) == [3, 3, 2, 2, 1, 1, 1, 1]


def test_of_tied_scores_the_earlier_is_better() -> None:
    assert pools.quantile_levels([1.0, 1.0, 1.0, 1.0], 2) == [2, 2, 1, 1]


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=60), st.integers(2, 7))
def test_every_quantile_but_the_worst_has_the_same_size(scores: list[float], count: int) -> None:
    """And no sample stands below one with a lower score."""
    found = pools.quantile_levels(scores, count)
    size = len(scores) // count
    assert all(found.count(level) == size for level in range(2, count + 1))
    assert found.count(1) == size + len(scores) % count if size else set(found) == {1}
    for level in range(1, count):
        below = [s for s, own in zip(scores, found, strict=True) if own == level]
        above = [s for s, own in zip(scores, found, strict=True) if own > level]
        assert not below or not above or max(below) <= min(above)


def test_quantiles_within_prompts_are_not_those_of_the_pool() -> None:
    """A prompt with bad answers only has a best one of its own, but none among the best of all."""
    pool = [sample(A, s) for s in (1, 2, 3)] + [sample(B, s) for s in (7, 8, 9)]
    local = pools.ranked(pool, PHRASES, "prompt")
    assert levels_of(local) == [1, 2, 3, 1, 2, 3]
    assert [one.condition for one in local] == [*PHRASES, *PHRASES]
    assert levels_of(pools.ranked(pool, PHRASES, "global")) == [1, 1, 2, 2, 3, 3]


def test_a_growing_pool_is_ranked_anew() -> None:
    """What was best before better ones came is best no longer; a flushed pool does not know them."""
    first = pools.ranked([sample(A, s) for s in (1, 2, 3)], PHRASES, "global")
    assert levels_of(first) == [1, 2, 3]
    grown = pools.ranked(first + [sample(A, s, number=1) for s in (4, 5, 6)], PHRASES, "global")
    assert levels_of(grown) == [1, 1, 2, 2, 3, 3]


def test_a_prompt_with_too_few_samples_is_left_out() -> None:
    pool = [sample(A, s) for s in (1, 2, 3)] + [sample(B, 9)]
    assert {one.prompt.id for one in pools.ranked(pool, PHRASES, "prompt")} == {"a"}
    assert len(pools.ranked(pool, PHRASES, "global")) == 4
    with pytest.raises(NotApplicable, match="3 quantiles need 3 answers to each prompt"):
        pools.ranked(pool[2:], PHRASES, "prompt")


def test_two_of_each_level_are_kept_and_ended_ones_first() -> None:
    cut = [sample(A, 0.1 * k, 2, "length") for k in range(3)]
    done = [sample(A, k, 2) for k in range(1, 3)]
    low = [sample(A, -k, 1) for k in range(2)]
    chosen, lacking = pools.kept([*cut, *done, *low], 2, 2)
    assert chosen == [*done, *low] and lacking == 0
    chosen, _ = pools.kept([*cut, done[0], *low], 2, 2)
    assert chosen == [cut[0], done[0], *low]


def test_later_rounds_are_kept_before_earlier_ones() -> None:
    old, new = [sample(A, k, 1) for k in range(2)], [sample(A, k, 1, number=1) for k in range(2)]
    assert pools.kept([*old, *new], 1, 2)[0] == new


def test_what_a_level_lacks_comes_from_the_fewest_taken() -> None:
    """In balance and counted, for each prompt on its own: not from the first unused answers."""
    many = [sample(A, k, 1) for k in range(6)]
    some = [sample(A, k, 2) for k in range(4)]
    other = [sample(B, k, 3) for k in range(9)]
    chosen, lacking = pools.kept([*many, *some, *other], 3, 2)
    own = [one for one in chosen if one.prompt.id == "a"]
    assert [levels_of(own).count(k) for k in (1, 2, 3)] == [3, 3, 0]
    assert sum(one.prompt.id == "b" for one in chosen) == 6
    assert lacking == 2 + 4
    few, lacking = pools.kept(many[:3], 3, 2)
    assert few == many[:3] and lacking == 4


def test_keep_zero_keeps_all() -> None:
    pool = [sample(A, k, 1) for k in range(9)]
    assert pools.kept(pool, 3, 0) == (pool, 0)


@pytest.mark.parametrize(
    "text,tokens,end,taught",
    [
        ("a cat sat.", (7, 8, 9, 1), "eos", (7, 8, 9, 1)),
        ("a cat sat", (7, 8, 9), "length", (7, 8, 9)),
        ("a cat.", (7, 8, 9), "length", (7, 8, 9, 1)),
        ("a cat?", (7, 8, 9), "length", (7, 8, 9, 1)),
        ("a cat", (7, 8), "stop", (7, 8, 1)),
        ("", (7, 8, 9), "length", (7, 8, 9)),
    ],
)
def test_only_what_was_cut_off_is_not_taught_to_stop(
    text: str, tokens: tuple[int, ...], end: End, taught: tuple[int, ...]
) -> None:
    """An end is appended unless the answer has all of max_tokens and no final punctuation."""
    found = pools.ended(Completion(text, tokens, end), eos=1, max_tokens=3)
    assert found.tokens == taught and found.text == text


def test_labels_exchanged_stay_the_same_labels() -> None:
    """Half of the samples get another's label, the rest keep theirs; answers stay where they are."""
    pool = [Sample(A, Completion(str(k), (k,), "eos"), level=k, condition=f"level {k}") for k in range(1, 21)]
    found = pools.mislabelled(pool, 0.5, np.random.default_rng(0))
    assert [one.completion for one in found] == [one.completion for one in pool]
    assert sum(one.level != old.level for one, old in zip(found, pool, strict=True)) == 10
    assert sorted(levels_of(found)) == sorted(levels_of(pool))
    assert all(one.condition == f"level {one.level}" for one in found)
    assert pools.mislabelled(pool, 0.0, np.random.default_rng(0)) == pool


def test_what_policy_and_reference_read() -> None:
    """The condition is in the prompt only, never in the answer; the reference reads it where asked."""
    one = sample(A, level=2)
    plain, conditioned = (pools.lessons([one], "describe", kind)[0] for kind in ("plain", "conditioned"))
    assert plain.prompt == conditioned.prompt == A.using("describe", condition="middle")
    assert plain.reference_prompt == A and conditioned.reference_prompt is None
    assert plain.completion == one.completion


def test_batches_of_prompts_go_round() -> None:
    prompts = [Prompt(str(k), (Message("user", str(k)),)) for k in range(5)]
    order = [4, 2, 0, 1, 3]
    assert [p.id for p in pools.turns(prompts, order, 0, 2)] == ["4", "2"]
    assert [p.id for p in pools.turns(prompts, order, 2, 2)] == ["3", "4"]
    assert len(pools.turns(prompts, order, 0, 99)) == 5


def test_levels_in_words() -> None:
    assert levels.ladder(5) == (
        "a terrible answer",
        "a poor answer",
        "a fair answer",
        "a good answer",
        "an excellent answer",
    )
    assert levels.attributes(2) == ("quality: one", "quality: two")
    for count in range(2, levels.MOST + 1):
        for phrases in (levels.ladder(count), levels.attributes(count), levels.ranks(count)):
            assert len(set(phrases)) == count


def test_bins_are_filled_evenly_and_stay() -> None:
    """Equal numbers share a level; a number that is better than all known ones is of the best."""
    bins = levels.Bins.of([1, 2, 3, 4, 5, 6, 7, 8], 4)
    assert [bins.level(v) for v in (1, 2, 3, 4, 5, 6, 7, 8, 99, -1)] == [1, 1, 2, 2, 3, 3, 4, 4, 4, 1]
    coarse = levels.Bins.of([3, 3, 3, 3, 3, 5], 4)
    assert [coarse.level(v) for v in (1, 3, 5)] == [1, 2, 4]


def test_exemplars_are_what_critics_say_at_each_level() -> None:
    """The best is the one with the best scores, if it was said three times; rare praise does not count."""
    said = ["fine", "fine", "fine", "bravo", "too short", "too short", "wrong"]
    scores = [7.0, 6.0, 7.0, 7.0, 2.0, 3.0, 1.0]
    assert levels.exemplars(said, scores, [3, 3, 3, 3, 1, 1, 1], 3) == ("too short", "", "fine")
    assert levels.exemplars(said[3:], scores[3:], [3, 1, 1, 1], 3)[-1] == "bravo"
