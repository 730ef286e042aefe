"""SRT: what is bought, what passes the filters, what is learned, and what is given as the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import aligning, asking, controller, run
from alignment_bench.completions import Completion, Decoding
from alignment_bench.errors import BadInput, NotApplicable
from alignment_bench.feedback import Ask, FeedbackRecord
from alignment_bench.methods.srt import SRT
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.techniques import critiques
from alignment_bench.techniques.critiques import to_criticise, to_refine
from alignment_bench.work import Work

STAGE_1 = "srt:stage=1:audit=0"
BUDGET = "budget=3375s"  # six reviews with the two scores that filter them
AT_ONE = Decoding(max_tokens=16)
GREEDY = replace(AT_ONE, temperature=0.0)


@dataclass(frozen=True)
class Scripted:
    """A teacher that says what a table says: `texts[channel]` and, by text, `values`."""

    inner: Any
    texts: Any
    values: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def answer(self, channel: str, asks: list[Ask], *, seed: int) -> list[FeedbackRecord]:
        """Records in order."""
        found = []
        for number, ask in enumerate(asks):
            record = FeedbackRecord(ask.prompt.id, channel, ask.completions, source="scripted")  # type: ignore[arg-type]
            if channel == "score":
                found.append(replace(record, value=self.values(ask.completions[0])))
            else:
                found.append(replace(record, text=self.texts[channel](number)))
        return found

    def in_review(self, channel: str, asks: list[Ask], *, seed: int) -> list[FeedbackRecord]:
        """The same."""
        return self.answer(channel, asks, seed=seed)


REFINED = ["my boss broke the lamp.", "i feel sad.", "i am calm.", "i want to sue.", "my aunt lost it.", ""]


def scripted(cell: Any, small_world: ModuleType, worse: str = "i feel sad.") -> Any:
    """The cell with a teacher whose refinements are REFINED, one of them `worse` than any answer."""
    texts = {
        "critique": lambda number: "the wish is missing. i want to sue." if number != 2 else "",
        "refine": lambda number: REFINED[number % 6],
    }
    values = lambda text: 1.0 if text == worse else 4.0  # noqa: E731
    return small_world.with_teacher(cell, lambda teacher: Scripted(teacher, texts, values))


def lessons_of(label: str, small_tldr: Any, small_world: ModuleType, patch: Any) -> list[Any]:
    """The lessons of stage 1 under the scripted teacher."""
    cell = scripted(small_tldr.cell(label, BUDGET), small_world)
    with small_world.calls_of(Work, "finetune", patch) as trained:
        small_tldr.align(cell)
    ((arguments, _),) = trained
    return list(arguments[2])


def test_both_filters(small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """(1) a review without words or without a refinement goes; (2) so does one whose refinement scores
    less than the answer, asked for apart; equal scores stay."""
    cell = scripted(small_tldr.cell(STAGE_1, BUDGET), small_world)
    with small_world.calls_of(Work, "finetune", monkeypatch) as trained:
        aligned = small_tldr.align(cell)
    ((arguments, _),) = trained
    taught = [one.completion.text for one in arguments[2] if one.prompt.layout == "refine"]
    assert taught == [REFINED[0], REFINED[3], REFINED[4]]
    assert "4 of 6 reviews have all elements" in aligned.notes
    assert "3 of 4 refinements score no less than the answer, asked apart" in aligned.notes


def test_scores_for_the_filter_are_asked_apart_from_the_review(
    small_tldr: Any, small_world: ModuleType
) -> None:
    """After the review, an act of its own for each answer and each refinement, one text at a time: whoever
    scores does not see the critique or the other text."""
    cell, heard = small_world.overheard(small_tldr.cell(STAGE_1, BUDGET))
    aligned = small_tldr.align(cell)
    reviewed = {channel: asks for channel, asks, _ in heard.heard[:3]}
    assert set(reviewed) == {"critique", "score", "refine"}
    channel, asks, _ = heard.heard[3]
    assert channel == "score" and len(heard.heard) == 4
    answers = [a.completions for a in reviewed["score"]]
    refinements = [(r.text,) for c, _, records in heard.heard if c == "refine" for r in records]
    assert [a.completions for a in asks] == [*answers, *refinements]
    assert aligned.spend.acts == {"critique": 6, "refine": 6, "score": 18}
    assert aligned.spend.annotator_seconds <= cell.setting.amount


def test_without_rescoring_only_elements_are_asked_for(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, heard = small_world.overheard(small_tldr.cell(f"{STAGE_1}:rescore=false", BUDGET))
    aligned = small_tldr.align(cell)
    assert [channel for channel, _, _ in heard.heard] == ["critique", "score", "refine"]
    assert aligned.spend.acts["score"] == aligned.spend.acts["critique"] == 7
    assert not any("asked apart" in note for note in aligned.notes)


def test_all_but_the_prompt_is_learned(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mediocre first answer is a target after the plain prompt, then its critique, then the refinement,
    each in the layout in which it is asked for at test time."""
    lessons = lessons_of(STAGE_1, small_tldr, small_world, monkeypatch)
    assert [one.prompt.layout for one in lessons] == ["answer", "critique", "refine"] * 3
    for first, critique, refined in zip(lessons[::3], lessons[1::3], lessons[2::3], strict=True):
        assert first.prompt.slots == ()
        assert critique.prompt == to_criticise(first.prompt, first.completion)
        assert refined.prompt == to_refine(first.prompt, first.completion, critique.completion.text, "refine")
        assert critique.completion.text == (
            "weakness: the wish is missing. suggestion: i want to sue. score: four."
        )
        assert all(one.weight == 1 and not one.unlikely for one in (first, critique, refined))


@pytest.mark.parametrize(
    ("parts", "critique"),
    [
        ("no_score", "weakness: the wish is missing. suggestion: i want to sue."),
        ("no_suggestion", "weakness: the wish is missing. score: four."),
        ("no_weakness", "suggestion: i want to sue. score: four."),
    ],
)
def test_a_part_left_out_is_in_no_lesson(
    parts: str, critique: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    lessons = lessons_of(f"{STAGE_1}:parts={parts}", small_tldr, small_world, monkeypatch)
    said = {one.completion.text for one in lessons if one.prompt.layout == "critique"}
    shown = {dict(one.prompt.slots)["critique"] for one in lessons if one.prompt.layout == "refine"}
    assert said == shown == {critique}


def test_no_feedback_and_refinement_only_are_two_things(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without feedback the answer is learned and then improved, with no word between; refinement_only
    learns the refinement right after the plain prompt. Neither buys a critique."""
    improving = lessons_of(f"{STAGE_1}:parts=no_feedback", small_tldr, small_world, monkeypatch)
    assert [one.prompt.layout for one in improving] == ["answer", "improve"] * (len(improving) // 2)
    assert all(set(dict(one.prompt.slots)) == {"completion"} for one in improving[1::2])
    direct = lessons_of("srt:audit=0:parts=refinement_only", small_tldr, small_world, monkeypatch)
    assert {one.prompt.layout for one in direct} == {"answer"}
    assert {one.completion.text for one in direct} < set(REFINED)
    for parts in ("no_feedback", "refinement_only"):
        assert SRT(parts=parts).reviewed_on == ("refine",)  # type: ignore[arg-type]
    policy = small_tldr.align(small_tldr.cell("srt:audit=0:parts=refinement_only", BUDGET)).policy
    assert isinstance(policy, ModelPolicy), "it answers directly"


def test_the_refinement_is_the_answer_and_every_token_counts(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written out step by step: the first answer, the greedy critique of it, what is refined from both, in
    prompts that are, byte for byte, those of training."""
    cell = small_tldr.cell(STAGE_1, BUDGET)
    policy = small_tldr.align(cell).policy
    prompts = [e.prompt for e in cell.setting.data.test][:3]
    with small_world.calls_of(ModelPolicy, "generate", monkeypatch) as drawn:
        answers = policy.generate(prompts, n=2, decoding=AT_ONE, seed=3)
    first, *rest = [(args[1], args[2:], result) for args, result in drawn]
    assert first[0] == prompts and first[2] == policy.inner.generate(prompts, n=2, decoding=AT_ONE, seed=3)
    for k, (criticised, refined) in enumerate(zip(rest[::2], rest[1::2], strict=True)):
        assert criticised[0] == [to_criticise(p, row[k]) for p, row in zip(prompts, first[2], strict=True)]
        assert criticised[1][1].temperature == 0
        said = [row[0].text for row in criticised[2]]
        assert refined[0] == [
            to_refine(p, row[k], c, "refine") for p, row, c in zip(prompts, first[2], said, strict=True)
        ]
        assert refined[1][1] == AT_ONE, "the caller's decoding"
        assert [row[k] for row in answers] == [row[0] for row in refined[2]]
    work = small_tldr.work(cell)
    _, result = work.sample(policy, prompts, 1, GREEDY, 4)
    firsts, critique, second = policy_steps(policy, prompts)
    assert result.spend.tokens_generated == sum(len(c.tokens) for c in (*firsts, *critique, *second))


def policy_steps(policy: Any, prompts: Any) -> tuple[list[Completion], list[Completion], list[Completion]]:
    """Answers, critiques and refinements, greedily, by hand."""
    model = policy.inner
    own = replace(GREEDY, max_tokens=64)
    first = [row[0] for row in model.generate(prompts, n=1, decoding=GREEDY, seed=0)]
    asked = [to_criticise(p, a) for p, a in zip(prompts, first, strict=True)]
    said = [row[0] for row in model.generate(asked, n=1, decoding=own, seed=0)]
    again = [to_refine(p, a, c.text, "refine") for p, a, c in zip(prompts, first, said, strict=True)]
    return first, said, [row[0] for row in model.generate(again, n=1, decoding=GREEDY, seed=0)]


def test_decode_changes_nothing_but_decoding(small_tldr: Any) -> None:
    """First answers are those of the very model whose refinements are the default."""
    first = small_tldr.align(small_tldr.cell(f"{STAGE_1}:decode=first", BUDGET)).policy
    refining = small_tldr.align(small_tldr.cell(STAGE_1, BUDGET)).policy
    reranking = small_tldr.align(small_tldr.cell(f"{STAGE_1}:decode=rerank:n=3", BUDGET)).policy
    assert first.digest == refining.inner.digest == reranking.inner.digest
    assert isinstance(first, ModelPolicy) and len({first.digest, refining.digest, reranking.digest}) == 3


def own_feedback(scores: Any) -> Any:
    """A stand-in for the model's sampling in stage 2: answers, critiques with `scores`, refinements."""

    def sample(work: Work, policy: Any, prompts: Any, n: int, decoding: Any, seed: int) -> Any:
        rows = []
        for prompt in prompts:
            if prompt.layout == "answer":
                text = "i feel sad."
            elif prompt.layout == "refine":
                text = "my boss broke the lamp."
            else:
                text = scores(prompt.id, dict(prompt.slots)["completion"])
            rows.append([policy.encode(text)] * n)
        return rows, work.store.run("nothing", {"seed": seed}, lambda place: None)

    return sample


def stage_2(small_tldr: Any, small_world: ModuleType, patch: Any, parts: str, scores: Any) -> Any:
    """What stage 2 trains on, and the fine-tuned policy it starts from."""
    cell = small_tldr.cell(f"srt:audit=0:parts={parts}", BUDGET)
    with (
        small_world.calls_of(Work, "finetune", patch) as tuned,
        small_world.calls_of(controller.Controller, "dpo", patch) as preferred,
    ):
        patch.setattr(Work, "sample", own_feedback(scores))
        aligned = small_tldr.align(cell)
    ((_, (stage_1, _)),) = tuned
    ((arguments, stage_2), *more) = preferred
    assert not more
    return aligned, stage_1, arguments[1:], stage_2


def by_score(better: int, worse: int) -> Any:
    """Critiques whose refinement scores `better`, but for every third prompt, where it scores the same."""

    def scores(prompt: str, text: str) -> str:
        third = int(prompt.rsplit("-", 1)[1]) % 3 == 0
        score = worse if third or text == "i feel sad." else better
        return critiques.write(critiques.Critique("it is short.", "", score))

    return scores


def test_stage_2_prefers_what_it_scores_higher_itself(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refinement over answer after the plain prompt, fresh prompts only, its own strict improvements only;
    it starts from stage 1, which the job takes as the reference."""
    aligned, stage_1, (policy, pairs, settings), after = stage_2(
        small_tldr, small_world, monkeypatch, "all", by_score(6, 3)
    )
    assert policy.digest == stage_1.digest != after.digest == aligned.policy.inner.digest
    assert settings.beta == 0.1
    assert pairs and all(p.layout == "answer" and p.slots == () for p, _, _ in pairs)
    assert all((a.text, b.text) == ("my boss broke the lamp.", "i feel sad.") for _, a, b in pairs)
    fresh = len(pairs) / 18  # 24 prompts, six reviewed
    assert 0.4 < fresh < 0.95
    assert all(int(p.id.rsplit("-", 1)[1]) % 3 for p, _, _ in pairs)


def test_without_a_score_stage_2_keeps_all_that_differ(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "weakness: it is short."
    with small_world.calls_of(asking.Asking, "review", monkeypatch) as reviewed:
        _, _, (_, pairs, _), _ = stage_2(small_tldr, small_world, monkeypatch, "no_score", lambda p, t: said)
    (((_, _, prompts, _), _),) = reviewed
    fresh = {p.id for p, _, _ in pairs}
    assert len(fresh) == len(pairs) == 24 - len(prompts), "one a fresh prompt"
    assert not fresh & {p.id for p in prompts}, "none that a review was bought for"


@pytest.mark.parametrize("scores", [by_score(3, 3), by_score(2, 5), lambda prompt, text: "score four"])
def test_a_stage_2_without_pairs_is_no_stage_2(
    scores: Any, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal scores, worse ones, and unreadable ones leave nothing to prefer: the cell says so."""
    with pytest.raises(NotApplicable, match="stage=1"):
        stage_2(small_tldr, small_world, monkeypatch, "all", scores)


def test_what_it_measures_of_itself(small_tldr: Any, small_world: ModuleType) -> None:
    """Keep and parse rates, and its accuracy as a critic on prompts that nothing was learned from."""
    cell, heard = small_world.overheard(small_tldr.cell("srt:stage=1", "budget=6000s"))
    opened = run.controller_of(cell, small_tldr.work(cell), small_world.Reporter(1, quiet=True))
    aligning.align(cell, run.base_of(cell.setting), opened)
    assert set(opened.measures) == {"keep_rate", "parse_rate_stage1", "critic_accuracy_stage1"}
    assert all(0 <= value <= 1 for value in opened.measures.values())
    asked = {channel: {a.prompt.id for a in asks} for channel, asks, _ in heard.heard}
    assert asked["prefer"] and not asked["prefer"] & asked["critique"]


def test_contradictions_are_refused() -> None:
    for fields in (
        {"parts": "refinement_only", "stage": 2},
        {"parts": "refinement_only", "decode": "refine"},
        {"parts": "no_score", "decode": "rerank"},
    ):
        with pytest.raises(BadInput):
            SRT(**fields)  # type: ignore[arg-type]
