"""Quark's own rules on the small world: its pool, its quantiles, its reference and its batches."""

from __future__ import annotations

from collections import Counter
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from alignment_bench import run
from alignment_bench.completions import Completion
from alignment_bench.errors import BadInput, NotApplicable
from alignment_bench.methods.quark import Quark
from alignment_bench.prompts import Message, Prompt
from alignment_bench.techniques.critics import Scored
from alignment_bench.techniques.levels import ranks
from alignment_bench.work import Work

SMALL = "rounds=3:prompts=7:steps=4:batch_size=8"


def test_the_loop_of_the_paper(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Round 0 samples the start, later ones under the best token; the pool grows and is ranked whole; batches
    are drawn from all of it; the KL is backward, to the start, which reads no token."""
    cell = small_tldr.cell(f"quark:{SMALL}")
    base: Any = run.base_of(cell.setting)
    with (
        small_world.calls_of(Work, "finetune", monkeypatch) as trained,
        small_world.calls_of(Work, "rewards", monkeypatch) as rewarded,
        small_world.calls_of(Work, "sample", monkeypatch) as sampled,
    ):
        policy: Any = small_tldr.align(cell).policy
    plain = {e.prompt.id: e.prompt for e in cell.setting.data.train}
    own = [args for args, _ in sampled if len(args[2]) == 7]
    assert [len(args[2]) for args in own] == [7, 7, 7]
    assert own[0][1].digest == base.digest
    assert all(args[1].slots == {"condition": "a quality five answer"} for args in own[1:])
    assert policy.slots == {"condition": "a quality five answer"}
    scores: dict[tuple[str, tuple[int, ...]], float] = {}
    seen = 0
    for (args, _), (scored, (rewards, _)) in zip(trained, rewarded, strict=True):
        seen += 7
        scores |= {(p.id, c.tokens): r for p, c, r in zip(scored[2], scored[3], rewards, strict=True)}
        lessons, settings, objective, reference = args[2], args[3], args[5], args[6]
        assert len(lessons) == 4 * 8 and (settings.epochs, settings.batch_size) == (1, 8)
        assert (objective.kl_coefficient, objective.kl_direction) == (0.05, "backward")
        assert objective.entropy_coefficient == 0.06 and reference.digest == base.digest
        assert all(one.reference_prompt == plain[one.prompt.id] for one in lessons)
        found = {
            (one.prompt.id, one.completion.tokens): dict(one.prompt.slots)["condition"] for one in lessons
        }
        assert set(found) <= set(scores)
        ranked = sorted(((ranks(5).index(token), scores[key]) for key, token in found.items()))
        assert [score for _, score in ranked] == sorted(score for _, score in ranked)
        sizes = Counter(token for token in found.values())
        assert all(sizes[token] <= seen // 5 for token in ranks(5)[1:]), "the remainder goes to the worst"
    early = {key for key in found if key[0] in {p.id for p in own[0][2]}}
    assert early, "answers of the first round are still learnt in the last"


def test_what_is_asked_for_changes_no_training(small_tldr: Any) -> None:
    """The best, the worst and no token are one trained policy."""
    best, worst, bare = (
        small_tldr.align(small_tldr.cell(label)).policy
        for label in (f"quark:{SMALL}", f"quark:{SMALL}:level=1", f"quark:{SMALL}:level=none")
    )
    assert len(list(small_tldr.results.glob("jobs/finetune/*/job.json"))) == 3
    assert best.inner.digest == worst.inner.digest == bare.digest
    assert worst.slots == {"condition": "a quality one answer"}


def test_the_teacher_as_reward_shares_its_budget_over_rounds(small_tldr: Any) -> None:
    aligned = small_tldr.align(small_tldr.cell(f"quark:reward=teacher:{SMALL}"))
    assert aligned.spend.acts == {"score": 21}
    aligned = small_tldr.align(small_tldr.cell("quark:reward=teacher:rounds=3:steps=2"))
    assert aligned.spend.acts == {"score": 30}, "1845 s pay for 30, 10 a round"


def test_answers_without_a_score_are_dropped_and_counted() -> None:
    """And where none has one, the cell says so."""
    notes: list[str] = []
    lab: Any = SimpleNamespace(note=notes.append)
    asked: Any = [Prompt(name, (Message("user", name),)) for name in "abc"]
    answers = [Completion(name, (1,), "eos") for name in "abc"]
    found = Scored((), lambda p, c: [0.5, None, 0.0]).samples(asked, answers, 1, lab)
    assert [(one.prompt.id, one.score, one.round) for one in found] == [("a", 0.5, 1), ("c", 0.0, 1)]
    assert notes == ["round 2: 1 of 3 answers got no score"]
    with pytest.raises(NotApplicable, match="none of 3 answers got a score"):
        Scored((), lambda p, c: [None] * 3).samples(asked, answers, 0, lab)


def test_a_level_that_there_is_not_is_refused() -> None:
    with pytest.raises(BadInput, match="1 to 5"):
        Quark(level=6)
