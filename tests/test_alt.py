"""What the ALT paper says of its loop, on the small world: whom it samples, what it learns and asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from alignment_bench import asking, run
from alignment_bench.completions import Completion
from alignment_bench.errors import BadInput, NotApplicable
from alignment_bench.methods.alt import ALT
from alignment_bench.techniques.critics import ByHand, Labels, Review, score_phrases
from alignment_bench.techniques.levels import ladder
from alignment_bench.work import Work

ONE = "prompts=4:samples=7:iterations=1"
SMALL = "prompts=4:samples=7:iterations=2"
BEST = "an excellent answer"


@dataclass
class Heard:
    """What the jobs of an alignment were given."""

    trained: list[Any]
    sampled: list[Any]
    rewarded: list[Any]
    asked: list[Any]

    @property
    def rounds(self) -> list[Any]:
        """(policy, prompts) of the samplings of ALT's own rounds: several answers a prompt."""
        return [(args[1], args[2]) for args, _ in self.sampled if args[3] == 7]


@contextmanager
def watched(small_world: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """Listens to the jobs inside the block."""
    with ExitStack() as stack:
        yield Heard(
            *(
                stack.enter_context(small_world.calls_of(owner, name, monkeypatch))
                for owner, name in (
                    (Work, "finetune"),
                    (Work, "sample"),
                    (Work, "rewards"),
                    (asking.Asking, "_ask"),
                )
            )
        )


def trained_policies(results: Path) -> int:
    """How many fine-tuning jobs the store holds."""
    return len(list(results.glob("jobs/finetune/*/job.json")))


@pytest.mark.parametrize("reference", ["plain", "conditioned"])
def test_the_loop_of_the_paper(
    reference: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Iteration 1 samples the start without a condition, later ones the trained policy under the exemplar;
    every level is learnt, under its phrase, and no answer that is scored or learnt holds a phrase."""
    cell = small_tldr.cell(f"alt:{SMALL}:reference={reference}:kl_coefficient=0.07")
    base: Any = run.base_of(cell.setting)
    with watched(small_world, monkeypatch) as heard:
        aligned = small_tldr.align(cell)
    (first, _), (second, _) = heard.rounds
    assert first.digest == base.digest
    assert (second.layout, second.slots) == ("describe", {"condition": BEST})
    plain = {e.prompt.id: e.prompt for e in cell.setting.data.train}
    assert len(heard.trained) == 2
    current = None
    for args, (policy, _) in heard.trained:
        lessons, objective, held_to = args[2], args[5], args[6]
        assert (objective.kl_coefficient, objective.entropy_coefficient) == (0.07, 0.06)
        assert objective.kl_direction == "forward"
        assert (held_to.digest == base.digest) == (reference == "plain")
        assert current is None or args[1].digest == current.digest, "the policy goes on"
        levels = Counter(dict(one.prompt.slots)["condition"] for one in lessons)
        assert set(levels) == set(ladder(5)) and sum(levels.values()) == len(lessons)
        assert set(Counter(one.prompt.id for one in lessons).values()) == {7}
        for one in lessons:
            assert one.prompt.layout == "describe"
            assert one.reference_prompt == (plain[one.prompt.id] if reference == "plain" else None)
            assert "answer" not in one.completion.text.split()
        current = policy
    for args, _ in heard.rewarded:
        assert all(prompt == plain[prompt.id] for prompt in args[2]), "scored without the condition"
    assert aligned.policy.inner.digest == current.digest


def test_the_condition_is_the_same_ids_in_training_sampling_and_testing(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = small_tldr.cell(f"alt:{SMALL}")
    with watched(small_world, monkeypatch) as heard:
        policy: Any = small_tldr.align(cell).policy
    sampler = heard.rounds[1][0]
    lessons = [one for args, _ in heard.trained for one in args[2]]
    best = [one.prompt for one in lessons if dict(one.prompt.slots)["condition"] == BEST]
    plain = {e.prompt.id: e.prompt for e in cell.setting.data.train}
    assert best
    for prompt in best:
        ids = policy.inner.render(prompt)
        assert ids == policy.render(plain[prompt.id]) == sampler.render(plain[prompt.id])
        assert policy.inner.decode(ids).endswith(f"write {BEST}:")


def test_quantiles_follow_the_reward_model(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a prompt, no answer with a better phrase has a lower reward."""
    with watched(small_world, monkeypatch) as heard:
        small_tldr.align(small_tldr.cell(f"alt:{ONE}"))
    (args, (rewards, _)), *_ = heard.rewarded
    known = {(p.id, c.tokens): r for p, c, r in zip(args[2], args[3], rewards, strict=True)}
    lessons = heard.trained[0][0][2]
    order = list(ladder(5))
    by_prompt: dict[str, list[tuple[int, float]]] = {}
    for one in lessons:
        # an end that was appended is not among the ids that were scored
        reward = known.get(
            (one.prompt.id, one.completion.tokens), known.get((one.prompt.id, one.completion.tokens[:-1]))
        )
        assert reward is not None
        level = order.index(dict(one.prompt.slots)["condition"])
        by_prompt.setdefault(one.prompt.id, []).append((level, reward))
    for rows in by_prompt.values():
        rewards_in_order = [reward for _, reward in sorted(rows)]
        assert rewards_in_order == sorted(rewards_in_order)


def test_what_is_asked_for_changes_no_training(small_tldr: Any) -> None:
    """The best, another level and no phrase are one trained policy behind three prefixes."""
    best = small_tldr.align(small_tldr.cell(f"alt:{SMALL}")).policy
    done = trained_policies(small_tldr.results)
    assert done == 2
    second = small_tldr.align(small_tldr.cell(f"alt:{SMALL}:level=2")).policy
    bare = small_tldr.align(small_tldr.cell(f"alt:{SMALL}:level=none")).policy
    assert trained_policies(small_tldr.results) == done
    assert best.slots == {"condition": BEST} and second.slots == {"condition": "a poor answer"}
    assert best.inner.digest == second.inner.digest == bare.digest
    top = small_tldr.align(small_tldr.cell(f"alt:{SMALL}:level=5")).policy
    assert top.digest == best.digest


def test_no_kl_needs_no_reference_and_inconsistent_labels_are_the_same_labels(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched(small_world, monkeypatch) as right:
        small_tldr.align(small_tldr.cell(f"alt:{ONE}:kl_coefficient=0"))
    with watched(small_world, monkeypatch) as wrong:
        small_tldr.align(small_tldr.cell(f"alt:{ONE}:kl_coefficient=0:consistency=0.5"))
    assert right.trained[0][0][6] is None and right.trained[0][0][5].kl_coefficient == 0
    true, false = right.trained[0][0][2], wrong.trained[0][0][2]
    assert [one.completion for one in true] == [one.completion for one in false]
    asked = [[dict(one.prompt.slots)["condition"] for one in rows] for rows in (true, false)]
    assert Counter(asked[0]) == Counter(asked[1])
    changed = sum(a != b for a, b in zip(*asked, strict=True))
    assert 0 < changed <= len(true) / 2


@pytest.mark.parametrize("variant", ["lmc", "lmu", "steer"])
def test_machine_labels_come_from_what_was_bought(
    variant: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget buys reviews once, of the base's samples; the critic that learnt them labels all others."""
    monkeypatch.setattr(Labels, "heard", forgiving(Labels.heard))
    cell = small_tldr.cell(f"alt:variant={variant}:{SMALL}", "budget=7380s")
    with watched(small_world, monkeypatch) as heard:
        aligned = small_tldr.align(cell)
    channels = ["critique", "score"] if variant == "lmu" else ["score"]
    assert [args[1] for args, _ in heard.asked] == channels
    critic = heard.trained[0][0][2]
    assert all(one.prompt.layout == "critique" for one in critic)
    bought = heard.asked[0][0][2]
    assert len(critic) == len(bought) - len(bought) // 10
    labelled = [p for args, _ in heard.sampled for p in args[2] if p.layout == "critique"]
    assert len(labelled) == 2 * 28 + len(bought) // 10
    learnt = [one for args, _ in heard.trained[1:] for one in args[2]]
    assert learnt and all(one.prompt.layout == "describe" for one in learnt)
    assert sum(aligned.spend.acts.values()) == len(bought) * len(channels)


def forgiving(heard: Any) -> Any:
    """A reader that takes what a critic of a dozen reviews could not write for the second level: the small
    world's critics learn too little to be understood, and what is tested is who is asked."""

    def found(labels: Any, completion: Completion) -> Any:
        return heard(labels, completion) or (2, labels.exemplars[1] or "it is too long.")

    return found


@pytest.mark.parametrize("variant,each", [("rm", 5), ("lmc", 4), ("lmu", 4)])
def test_hand_labels_are_bought_one_by_one(
    variant: str, each: int, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both iterations share the budget, every labelled answer is learnt, and under the words it got."""
    cell = small_tldr.cell(f"alt:variant={variant}:labels=hand", "budget=4920s")
    with watched(small_world, monkeypatch) as heard:
        aligned = small_tldr.align(cell)
    assert aligned.spend.annotator_seconds <= 4920
    assert len(heard.trained) == 2
    records = [r for args, (found, _) in heard.asked if args[1] == "score" for r in found]
    learnt = [one for args, _ in heard.trained for one in args[2]]
    assert len(learnt) == len(records)
    assert set(Counter(r.prompt_id for r in records).values()) <= {each, 2 * each}
    conditions = {dict(one.prompt.slots)["condition"] for one in learnt}
    if variant == "lmu":
        critiques = {r.text for args, (found, _) in heard.asked if args[1] == "critique" for r in found}
        assert conditions <= critiques
    else:
        assert conditions <= set(ladder(each))


def test_only_answers_that_were_cut_off_are_not_taught_to_stop(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was drawn is learnt, with an end where the draw has none, but for those cut off in a sentence."""
    cell = small_tldr.cell(f"alt:{ONE}", "decoding.max_tokens=8")
    base: Any = run.base_of(cell.setting)
    eos = base.tokenizer.eos_token_id
    with watched(small_world, monkeypatch) as heard:
        small_tldr.align(cell)
    lists = [rows for args, (rows, _) in heard.sampled if args[3] == 7]
    drawn = {c.tokens: c.text for rows in lists for row in rows for c in row}
    learnt = [one.completion.tokens for one in heard.trained[0][0][2]]
    added = [tokens for tokens in learnt if tokens not in drawn]
    cut = [tokens for tokens in learnt if tokens[-1] != eos]
    assert added and cut
    assert all(tokens[-1] == eos and drawn[tokens[:-1]][-1] in ".?!," for tokens in added)
    assert all(len(tokens) == 8 and drawn[tokens][-1].isalnum() for tokens in cut)


def test_a_growing_pool_is_learnt_whole_and_the_exemplar_is_asked_for(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second iteration learns the first one's answers again; sampled and tested under one condition."""
    cell = small_tldr.cell(f"alt:{SMALL}:pool=grow:exemplar=a great answer")
    with watched(small_world, monkeypatch) as heard:
        policy: Any = small_tldr.align(cell).policy
    first, second = ([one.completion for one in args[2]] for args, _ in heard.trained)
    assert len(second) == 2 * len(first) and set(first) <= set(second)
    asked = {"condition": "a great answer"}
    assert heard.rounds[1][0].slots == policy.slots == asked


def test_levels_by_hand_stay_where_the_first_round_put_them() -> None:
    """Otherwise the share of the best could not rise when answers get better."""

    class Reviewing:
        """A lab whose annotators give these numbers."""

        feedback = property(lambda self: self)

        def __init__(self, *values: float) -> None:
            self.values = values

        def review(self, prompts: Any, completions: Any, channels: Any) -> list[Any]:
            assert channels == ("score",)
            return [{"score": SimpleNamespace(value=value, ok=True)} for value in self.values]

    critics = ByHand("category", ladder(2))
    found = []
    for values in ((1.0, 2.0, 5.0, 6.0), (6.0, 6.0, 7.0, 5.0)):
        lab: Any = Reviewing(*values)
        shown: Any = [None] * 4
        found.append([one.level for one in critics.samples(shown, shown, len(found), lab)])
    assert found == [[1, 1, 2, 2], [2, 2, 2, 2]]


def reviews(*scored: tuple[float, str]) -> list[Review]:
    """Reviews with these scores and critiques."""
    return [Review(None, None, score, words) for score, words in scored]  # type: ignore[arg-type]


def test_a_critic_is_taken_at_its_word() -> None:
    """Exact equality whatever the case; anything else is no label, never the nearest one."""
    labels = Labels.of(reviews((1, ""), (2, ""), (6, ""), (7, "")), "category", ladder(2))
    assert labels.written(reviews((1, ""))[0]) == "a terrible answer"
    assert labels.read("A Terrible answer ") == (1, "a terrible answer")
    assert labels.read("an excellent answer") == (2, "an excellent answer")
    assert labels.read("an excellent answer.") is None and labels.read("excellent") is None
    sentences = Labels.of(
        reviews((1, "the wish is missing."), (7, "the answer is fine.")), "sentence", score_phrases(2)
    )
    written = sentences.written(reviews((1, "the wish is missing."))[0])
    assert written == "score one. the wish is missing."
    assert sentences.read(written) == (1, "the wish is missing.")
    assert sentences.read("score one.") is None and sentences.read("the wish is missing.") is None
    assert sentences.exemplars == ("the wish is missing.", "the answer is fine.")


def test_a_critique_that_did_not_end_is_no_label() -> None:
    """Half a sentence would be learnt as a condition."""
    labels = Labels.of(reviews((1, "it is short."), (7, "it is fine.")), "sentence", score_phrases(2))
    assert labels.heard(Completion("score two. it is fine.", (1, 2), "eos")) == (2, "it is fine.")
    assert labels.heard(Completion("score two. it is fine.", (1, 2), "length")) is None


def test_a_level_without_a_critique_cannot_be_asked_for(small_tldr: Any) -> None:
    cell = small_tldr.cell("alt:variant=lmu:labels=hand:iterations=1:samples=1:level=1", "budget=250s")
    with pytest.raises(NotApplicable, match="no critique was given at level 1"):
        small_tldr.align(cell)


def test_a_layout_must_show_the_condition(small_tldr: Any) -> None:
    """Otherwise all levels would be trained on under one prompt."""
    with pytest.raises(NotApplicable, match="shows no condition"):
        small_tldr.align(small_tldr.cell("alt:layout=answer"))


@pytest.mark.parametrize(
    "fields,named",
    [
        ({"level": 6}, "level"),
        ({"variant": "lmc", "level": 5}, "level"),
        ({"phrases": ("bad", "good"), "levels": 3}, "phrases"),
        ({"phrases": ("bad", "bad")}, "phrases"),
        ({"variant": "lmu", "phrases": ("bad", "good")}, "phrases"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput) as caught:
        ALT(**fields)
    assert caught.value.problems[0].field == named
