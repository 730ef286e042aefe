"""Self-rewarding: what the seed teaches, and what its own judgments are made into."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from alignment_bench import aligning, controller, run
from alignment_bench.errors import NotApplicable
from alignment_bench.work import Work

LABEL = "self_rewarding:audit=0"
ANSWERS = ("i feel sad.", "i am calm.", "my boss broke the lamp.", "i am calm.")


def own_judgments(scores: Any) -> Any:
    """A stand-in for sampling: ANSWERS to plain prompts, and the judgments that `scores` gives a text."""

    def sample(work: Work, policy: Any, prompts: Any, n: int, decoding: Any, seed: int) -> Any:
        rows = []
        for prompt in prompts:
            if prompt.layout == "answer":
                texts = [ANSWERS[k % len(ANSWERS)] for k in range(n)]
            else:
                texts = scores(prompt.id, dict(prompt.slots)["completion"])[:n]
                assert decoding.temperature == 1, "judgments are sampled"
            rows.append([policy.encode(text) for text in texts])
        return rows, work.store.run("nothing", {"seed": seed}, lambda place: None)

    return sample


def align(label: str, small_tldr: Any, small_world: ModuleType, patch: Any, scores: Any) -> Any:
    """The aligned cell, its fine-tuning and its DPO calls as (arguments, result)."""
    with (
        small_world.calls_of(Work, "finetune", patch) as tuned,
        small_world.calls_of(controller.Controller, "dpo", patch) as preferred,
    ):
        patch.setattr(Work, "sample", own_judgments(scores))
        aligned = small_tldr.align(small_tldr.cell(label))
    return aligned, tuned, preferred


def judged(prompt: str, text: str) -> list[str]:
    """The lamp is best and sadness worst, by means over what can be read."""
    if text == "i feel sad.":
        return ["score: one.", "score: two.", "well"]
    if text == "i am calm.":
        return ["score: two.", "score: two.", "score: two."]
    return ["score: one.", "score: four.", "score: four."]


def test_best_against_worst_by_mean_judgment(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pair a fresh prompt, after the plain prompt; every iteration starts from the last one's policy."""
    aligned, tuned, preferred = align(LABEL, small_tldr, small_world, monkeypatch, judged)
    ((_, (seeded, _)),) = tuned
    assert len(preferred) == 2
    (first, after_first), (second, after_second) = preferred
    assert first[1].digest == seeded.digest and second[1].digest == after_first.digest
    assert aligned.policy.digest == after_second.digest
    pairs = [*first[2], *second[2]]
    assert all((a.text, b.text) == ("my boss broke the lamp.", "i feel sad.") for _, a, b in pairs)
    assert all(p.layout == "answer" and p.slots == () for p, _, _ in pairs)
    assert len(pairs) == len({p.id for p, _, _ in pairs}) == 12, "half of 24 prompts, each once"


def test_the_seed_teaches_to_answer_and_to_judge(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Demonstrations after plain prompts, the teacher's score in words after prompt and answer; fresh
    prompts are none of the seed's, and the budget is not exceeded."""
    cell, heard = small_world.overheard(small_tldr.cell(f"{LABEL}:seed_share=0.5"))
    with (
        small_world.calls_of(Work, "finetune", monkeypatch) as tuned,
        small_world.calls_of(controller.Controller, "dpo", monkeypatch) as preferred,
    ):
        monkeypatch.setattr(Work, "sample", own_judgments(judged))
        aligned = small_tldr.align(cell)
    ((arguments, _),) = tuned
    shown = [(one.prompt.layout, one.completion.text) for one in arguments[2]]
    bought = {channel: (asks, records) for channel, asks, records in heard.heard}
    words = ("one", "two", "three", "four", "five", "six", "seven")
    assert shown == [
        *(("answer", r.text) for r in bought["demonstrate"][1]),
        *(("critique", f"score: {words[int(r.value) - 1]}.") for r in bought["score"][1]),
    ]
    seeds = {a.prompt.id for asks, _ in bought.values() for a in asks}
    assert not seeds & {p.id for args, _ in preferred for p, _, _ in args[2]}
    assert aligned.spend.acts == {"demonstrate": 4, "score": 17}
    assert aligned.spend.annotator_seconds <= cell.setting.amount


@pytest.mark.parametrize("said", [["score: four."] * 3, ["no idea"] * 3])
def test_a_judge_that_cannot_tell_trains_nothing(
    said: list[str], small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotApplicable, match="alike"):
        align(LABEL, small_tldr, small_world, monkeypatch, lambda prompt, text: said)


def test_no_demonstrations_where_none_are_wanted(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then its own answers, unselected, keep it answering."""
    aligned, tuned, _ = align(f"{LABEL}:seed_share=0", small_tldr, small_world, monkeypatch, judged)
    assert aligned.spend.acts == {"score": 30}
    lessons = tuned[0][0][2]
    assert [one.prompt.layout for one in lessons] == ["critique", "answer"] * 30
    for judging, answering in zip(lessons[::2], lessons[1::2], strict=True):
        assert dict(judging.prompt.slots)["completion"] == answering.completion.text
        assert (answering.prompt.id, answering.prompt.slots) == (judging.prompt.id, ())


def test_no_iterations_are_the_seed_alone(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned, tuned, preferred = align(f"{LABEL}:iterations=0", small_tldr, small_world, monkeypatch, judged)
    assert not preferred and aligned.policy.digest == tuned[0][1][0].digest


def test_its_judgments_are_audited_after_every_iteration(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On comparisons of prompts that nothing is learned from; the share of readable judgments as well."""
    cell, heard = small_world.overheard(small_tldr.cell("self_rewarding:iterations=1", "budget=4000s"))
    opened = run.controller_of(cell, small_tldr.work(cell), small_world.Reporter(1, quiet=True))
    with small_world.calls_of(controller.Controller, "dpo", monkeypatch) as preferred:
        monkeypatch.setattr(Work, "sample", own_judgments(judged))
        aligning.align(cell, run.base_of(cell.setting), opened)
    assert {"judge_accuracy_0", "judge_accuracy_1", "pairs_round1"} <= set(opened.measures)
    assert opened.measures["parse_rate_round1"] == pytest.approx(8 / 9)
    audited = {a.prompt.id for channel, asks, _ in heard.heard for a in asks if channel == "prefer"}
    others = {a.prompt.id for channel, asks, _ in heard.heard for a in asks if channel != "prefer"}
    assert audited and not audited & (others | {p.id for args, _ in preferred for p, _, _ in args[2]})
