"""Verdicts: what is told apart, what is tied, and that the words say no more than the numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_cells import PROMPTS, cell, three_seeds

from alignment_bench.cells import MetricScores
from alignment_bench.comparison import Block, Column, compare
from alignment_bench.p_values import p_value
from alignment_bench.results import CellRecord
from alignment_bench.statistics import paired, paired_each
from alignment_bench.verdicts import (
    Pair,
    against,
    at_prices,
    bradley_terry,
    iqm,
    main_column,
    may_be_best,
    pairs,
    probability_of_improvement,
    tied_sets,
    verdict,
    win_matrix,
)
from alignment_bench.verdicts.comparisons import TWO_WAY
from alignment_bench.verdicts.ties import sets_of


def block_of(cells: list[CellRecord]) -> Block:
    """The one block that these cells make."""
    (block,) = compare(cells)
    return block


def valued(label: str, seed: int, values: Any, **changes: Any) -> CellRecord:
    """A cell whose quality is these values [prompts], each prompt its own source."""
    metric = MetricScores("quality", "score", changes.pop("better", "higher"), tuple(map(float, values)))
    ids = tuple(f"p{index}" for index in range(len(values)))
    return cell(label, seed, prompt_ids=ids, clusters=ids, scores=(metric,), **changes)


def ladder(gains: dict[str, float], noise: float, seeds: int = 5, **changes: Any) -> Block:
    """Methods with these gains over a shared prompt effect."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0.5, 0.1, 60)
    return block_of(
        [
            valued(label, seed, shared + gain + rng.normal(0, noise, 60), **changes)
            for label, gain in gains.items()
            for seed in range(seeds)
        ]
    )


def column(block: Block) -> Column:
    """The block's main metric."""
    found = main_column(block)
    assert found is not None
    return found


def test_the_main_metric_is_the_tasks_own() -> None:
    block = block_of(three_seeds())
    assert column(block).name == "quality"
    assert column(replace(block, columns=block.columns[::-1])).name == "quality"
    unknown = replace(block, setting=replace(block.setting, task="somebody_elses"))
    assert column(unknown).name == "quality", "the first with a better side, not length"
    assert main_column(replace(block, scores={})) is None


def test_pairs_are_paired_differences_under_holm() -> None:
    block = block_of(three_seeds())
    found = pairs(block, column(block))
    assert [(one.a, one.b) for one in found] == [("base", "base_copy"), ("base", "ilf"), ("base_copy", "ilf")]
    scores = block.scores["quality"]
    for one in found:
        difference = paired(scores[one.a].values, scores[one.b].values, block.clusters)
        assert one.difference.low == pytest.approx(difference.low, abs=1e-12)
        assert one.p == pytest.approx(p_value(difference), rel=1e-6)
        assert one.test == TWO_WAY
        assert one.p is not None and one.p_holm is not None and one.p_holm >= one.p
    smallest = min(found, key=lambda one: one.p or 0.0)
    assert smallest.p_holm == pytest.approx(3 * (smallest.p or 0.0))
    alone = against(block, column(block), "base")
    assert [one.a for one in alone] == ["base_copy", "ilf"]
    assert alone[1].difference.mean == pytest.approx(-(found[1].difference.mean or 0.0))
    assert alone[1].p_holm == pytest.approx(2 * (alone[1].p or 0.0))
    assert against(block, column(block), "nobody") == ()


def test_seeds_that_are_not_shared_are_left_out_and_said() -> None:
    cells = [one for one in three_seeds() if (one.label, one.seed) != ("ilf", 2)]
    (found,) = [one for one in against(block_of(cells), column(block_of(cells)), "base") if one.a == "ilf"]
    assert found.difference.n_seeds == 2
    assert "on the 2 seeds both have" in found.note


def test_tied_sets_overlap_where_being_tied_does_not_carry_over() -> None:
    block = ladder({"base": 0.0, "a": 0.1, "b": 0.1, "c": 0.3}, 0.02)
    sets = tied_sets(block, column(block))
    assert [set(one.labels) for one in sets] == [{"c"}, {"a", "b"}, {"base"}]
    assert [one.best_mean for one in sets] == sorted((one.best_mean for one in sets), reverse=True)
    chain = pairs(block, column(block))
    # a is not told from b, nor b from c, but a is from c
    chained = tuple(
        replace(one, p_holm=0.01 if {one.a, one.b} == {"a", "c"} else 0.9)
        for one in chain
        if "base" not in (one.a, one.b)
    )
    means = {"a": 0.1, "b": 0.2, "c": 0.3}
    found = sets_of(means, chained, column(block), 0.95)
    assert [one.labels for one in found] == [("c", "b"), ("b", "a")]
    lower = sets_of(means, chained, replace(column(block), better="lower"), 0.95)
    assert [one.labels for one in lower] == [("a", "b"), ("b", "c")]


def test_the_words_say_who_leads_and_what_could_be_seen() -> None:
    block = ladder({"base": 0.0, "base_copy": 0.0, "ilf": 0.3, "dpo": 0.3, "bad": -0.3}, 0.02)
    found = verdict(block)
    assert found.best is not None and set(found.best.labels) == {"ilf", "dpo"}
    assert f"one of 2 of 5, with 95 % confidence: {', '.join(found.best.labels)} (" in found.sentences[0]
    assert "adjusted for 4 comparisons" in found.sentences[1] and TWO_WAY in found.sentences[1]
    assert "better: ilf, dpo; worse: bad; not told apart: none" in found.sentences[2]
    assert "8 of 10 are told apart in quality (Holm over 10 comparisons)" in found.sentences[3]
    assert found.mde is not None and f"{found.mde:.3g}" in found.sentences[4]
    assert found.alarms == () and found.warnings == ()
    lower = verdict(ladder({"base": 0.0, "ilf": 0.3, "dpo": -0.3}, 0.02, better="lower"))
    assert "dpo has the best quality" in lower.sentences[0]
    assert "all 2 others are ruled out" in lower.sentences[0]
    assert "better: dpo; worse: ilf" in lower.sentences[1]
    two = verdict(ladder({"base": 0.0, "ilf": 0.3}, 0.02))
    assert "the other one is ruled out" in two.sentences[0] and "for 1 comparison;" in two.sentences[0]
    assert two.sentences[-1].startswith("The comparison of the two methods sees")


def test_the_best_method_is_rarely_ruled_out_and_a_worse_one_often() -> None:
    """Each family is k - 1 comparisons. Two methods share the best mean, the hardest case."""
    names = ("a", "b", "c", "d", "e", "f")
    gains = np.array([0.1, 0.1, 0.05, 0.0, 0.0, -0.1])
    metric = Column("quality", "0-1", "higher")
    rng = np.random.default_rng(5)
    missed, repeats, kept = 0, 300, 0
    for _ in range(repeats):
        shared = rng.normal(0.5, 0.1, 30)
        rows = shared + (gains[:, None] + rng.normal(0, 0.02, (6, 4)))[:, :, None]
        rows = rows + rng.normal(0, 0.1, rows.shape)
        which = [(i, j) for i in range(6) for j in range(i + 1, 6)]
        found = [
            Pair(names[i], names[j], "quality", one, p_value(one), None, TWO_WAY, "")
            for (i, j), one in zip(which, paired_each(list(rows), which), strict=True)
        ]
        best = may_be_best(dict(zip(names, rows.mean(axis=(1, 2)), strict=True)), found, metric)
        missed += "a" not in best.labels
        kept += "f" in best.labels
    assert missed <= 24, "5 % of 300, and as many more as luck gives in 1 of 100 such tests"
    assert kept < 60


def test_nobody_is_ruled_out_by_what_could_not_be_tested() -> None:
    block = ladder({"base": 0.0, "ilf": 0.3}, 0.02)
    untested = [replace(one, p=None) for one in pairs(block, column(block))]
    best = may_be_best({"base": 0.5, "ilf": 0.8}, untested, column(block))
    assert best.labels == ("ilf", "base") and best.comparisons == 0


def test_a_control_that_differs_and_one_seed_are_said_first_and_last() -> None:
    found = verdict(ladder({"base": 0.0, "base_copy": 0.3, "ilf": 0.0}, 0.01))
    assert "in doubt" in found.sentences[0] and "CONTROL ALARM" in found.alarms[0]
    assert any(
        "one training run" in one for one in verdict(ladder({"base": 0.0, "ilf": 0.1}, 0.1, 1)).warnings
    )
    nothing = verdict(replace(block_of(three_seeds()), scores={}))
    assert nothing.column is None and "No verdict" in nothing.sentences[0]


def test_wins_count_ties_half_and_the_better_side() -> None:
    a, b = [1.0, 1.0, 0.0, 0.5], [0.0, 1.0, 1.0, 0.0]
    cells = [valued(label, seed, v) for seed in (0, 1) for label, v in (("base", b), ("ilf", a))]
    matrix = win_matrix(block_of(cells), column(block_of(cells)))
    assert matrix.labels == ("base", "ilf")
    assert matrix.rate[1, 0] == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert matrix.rate[0, 1] == pytest.approx(1 - matrix.rate[1, 0])
    assert np.diag(matrix.rate) == pytest.approx([0.5, 0.5])
    lower = block_of([valued(one.label, one.seed, one.scores[0].values, better="lower") for one in cells])
    assert win_matrix(lower, column(lower)).rate[0, 1] == pytest.approx(matrix.rate[1, 0])
    assert 0 <= matrix.low[1, 0] <= matrix.rate[1, 0] <= matrix.high[1, 0] <= 1
    block = block_of(three_seeds())
    with pytest.raises(ValueError, match="no better side"):
        win_matrix(block, next(one for one in block.columns if one.name == "length"))


def test_two_strengths_are_the_log_odds_of_winning_and_resamples_agree_with_choix() -> None:
    import choix

    from alignment_bench.verdicts.strengths import PRIOR, refit

    block = ladder({"base": 0.0, "ilf": 0.05, "dpo": 0.02}, 0.1)
    two = replace(block, lines=tuple(line for line in block.lines if line.label != "dpo"))
    rate = float(win_matrix(two, column(two)).rate[1, 0])
    base, ilf = bradley_terry(two, column(two), resamples=100)
    odds = np.log((60 * rate + PRIOR) / (60 * (1 - rate) + PRIOR))
    assert ilf.log_strength - base.log_strength == pytest.approx(odds, abs=1e-8)
    assert ilf.low is not None and ilf.high is not None and ilf.low < ilf.log_strength < ilf.high
    assert sum(
        one.log_strength for one in bradley_terry(block, column(block), resamples=10)
    ) == pytest.approx(0)
    counts = np.array([[0, 10, 3.5], [5, 0, 8], [6.5, 2, 0]])
    theirs = choix.ilsr_pairwise_dense(counts)
    assert refit(counts[None], np.zeros(3))[0] == pytest.approx(theirs - theirs.mean(), abs=1e-7)


def test_several_tasks_at_once() -> None:
    values = {"ilf": [0.1, 0.2, 0.9, 0.4], "dpo": [0.2, 0.2, 0.1, 0.3]}
    blocks = [
        block_of(
            [
                valued(label, seed, [run, run + 0.02], task=task)
                for label, runs in values.items()
                for seed, run in enumerate(runs)
            ]
        )
        for task in ("tldr", "other")
    ]
    mean = iqm(blocks, "ilf")
    assert mean is not None and mean.value == pytest.approx((0.2 + 0.4) / 2 + 0.01)
    assert (mean.tasks, mean.runs) == (("tldr", "other"), 8)
    assert mean.low is not None and mean.high is not None and mean.low < mean.value < mean.high
    assert "too narrow" in mean.note
    better = probability_of_improvement(blocks, "ilf", "dpo")
    # of 16 pairs: .1 beats none but ties .1, .2 beats .1 and ties two, .9 and .4 beat all four
    assert better is not None and better.value == pytest.approx((0.5 + 2 + 4 + 4) / 16)
    assert iqm(blocks, "nobody") is None and probability_of_improvement(blocks, "ilf", "nobody") is None
    other = block_of([valued("ilf", 0, [1.0, 2.0], task="other", better="lower")])
    with pytest.raises(ValueError, match="no common mean"):
        iqm([blocks[0], other], "ilf")


def test_assumed_prices_change_time_and_may_flip_a_verdict() -> None:
    spends = {
        "base": {"acts": {}, "annotator_seconds": 0.0},
        "measured": {"acts": {"critique": 100}, "annotator_seconds": 18_250.0},
        "assumed": {"acts": {"score": 500}, "annotator_seconds": 30_750.0},
    }
    rng = np.random.default_rng(1)
    gains = {"base": 0.0, "measured": 0.1, "assumed": 0.2}
    block = block_of(
        [
            valued(label, seed, 0.3 + gains[label] + rng.normal(0, 0.005, PROMPTS), spend=spends[label])
            for label in gains
            for seed in range(5)
        ]
    )
    doubled = at_prices(block, 2.0)
    lines = {line.label: line for line in doubled.lines}
    assert lines["assumed"].hours == pytest.approx(2 * 30_750 / 3600)
    assert lines["assumed"].hours_at_listed == pytest.approx(30_750 / 3600)
    assert lines["measured"].hours == lines["measured"].hours_at_listed
    assert (lines["assumed"].assumed_share, lines["measured"].assumed_share) == (1.0, 0.0)
    assert lines["assumed"].over_budget and not lines["measured"].over_budget
    assert lines["base"].gain_per_hour is None
    (flip,) = doubled.flips
    assert "assumed ahead at the listed prices, measured ahead" in flip
    assert "could not have bought all of it" in doubled.note
    assert at_prices(block, 1.0).flips == ()
    assert "not known" in at_prices(block, 0.5).note
    with pytest.raises(ValueError, match="above 0"):
        at_prices(block, 0.0)
    calls = replace(block, setting=replace(block.setting, currency="calls"))
    assert at_prices(calls, 2.0).lines == () and "calls" in at_prices(calls, 2.0).note


def test_an_adjustment_is_over_the_comparisons_that_were_tested() -> None:
    (block,) = compare([*three_seeds(), cell("late", 7), cell("late", 8)])
    found = verdict(block)
    said = " ".join(found.sentences)
    assert len(found.pairs) == 6 and "Holm over 3 comparisons" in said and "over 6" not in said
    assert "Holm over 2 comparisons" in said  # with base; `late` shares no seed with it
    assert any("could not be compared" in warning for warning in found.warnings)
