"""ILF: who answers, criticises, refines and is trained; what is learnt; what controls share; the guard."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from alignment_bench import asking, casting, registry, run, tiers
from alignment_bench.completions import Completion, Decoding
from alignment_bench.errors import BadInput, NotApplicable
from alignment_bench.methods import ilf
from alignment_bench.methods.ilf import ILF
from alignment_bench.models.storage import load_policy
from alignment_bench.techniques.refinements import (
    COPY,
    ECHO,
    EMPTY,
    UNFINISHED,
    Drawing,
    fault,
    tidied,
    usable,
)
from alignment_bench.work import Work

ROOM = "decoding.max_tokens=40"
"""enough for an answer of the built-in world to end"""


def ended(text: str, *tokens: int) -> Completion:
    return Completion(text, tokens or tuple(range(len(text.split()))), "eos")


def acted(small_tldr: Any, small_world: ModuleType, monkeypatch: Any, label: str, *options: str) -> Any:
    """What aligning the label sampled, bought and trained on, and what came of it."""
    cell = small_tldr.cell(label, ROOM, *options)
    with (
        small_world.calls_of(Work, "sample", monkeypatch) as sampled,
        small_world.calls_of(Work, "finetune", monkeypatch) as trained,
        small_world.calls_of(asking.Asking, "_ask", monkeypatch) as asked,
    ):
        aligned = small_tldr.align(cell)
    records = [record for _, (records, _) in asked for record in records]
    return SimpleNamespace(
        cell=cell,
        base=run.base_of(cell.setting),
        drawn=[(args[1].digest, args[2], args[3]) for args, _ in sampled],
        outputs=[(prompt, row) for a, (rows, _) in sampled for prompt, row in zip(a[2], rows, strict=True)],
        trained=[(args[1].digest, args[2]) for args, _ in trained],
        results=[policy.digest for _, (policy, _) in trained],
        records=records,
        aligned=aligned,
    )


def layouts(seen: Any, *names: str) -> list[tuple[str, Any, int]]:
    """(policy digest, prompts, n) of the draws in these layouts."""
    return [draw for draw in seen.drawn if draw[1][0].layout in names]


@pytest.mark.parametrize("retrain", ["base", "continue"])
def test_the_base_refines_and_whoever_is_to_be_trained_is(
    retrain: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest policy answers and the base refines; the base learns the pool, or the newest policy the
    round's own rows."""
    seen = acted(small_tldr, small_world, monkeypatch, f"ilf:rounds=2:retrain={retrain}")
    base = seen.base.digest
    assert [who for who, _, _ in layouts(seen, "answer")] == [base, seen.results[0]]
    assert {who for who, _, _ in layouts(seen, "refine")} == {base}
    (first, rows), (second, more) = seen.trained
    assert first == base
    if retrain == "base":
        assert second == base and more[: len(rows)] == rows and len(more) > len(rows)
    else:
        assert second == seen.results[0] and not set(rows) & set(more)
    assert seen.aligned.policy.digest == seen.results[1] != seen.results[0]


def test_controls_sample_as_much_and_select_alike(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same first answers of the same prompts, as many refinements, the same selection's job; what is
    bought is the same, or nothing. Hidden feedback leaves exactly what no feedback does."""
    seen = {}
    for feedback in ("right", "none", "shuffled", "own", "hidden"):
        with small_world.calls_of(Work, "logprobs", monkeypatch) as scored:
            label = f"ilf:rounds=1:refinements=3:feedback={feedback}"
            seen[feedback] = acted(small_tldr, small_world, monkeypatch, label)
        assert len(scored) == 1 and scored[0][0][1].digest == seen[feedback].base.digest
    right = seen["right"]
    for feedback, other in seen.items():
        assert layouts(other, "answer") == layouts(right, "answer")
        first, *again = layouts(other, "refine", "improve")
        assert (len(first[1]), first[2]) == (10, 3)
        assert all(n == 3 for _, _, n in again) and len(again) <= 1
        bought = {} if feedback in ("none", "own") else {"critique": 10}
        assert other.aligned.spend.acts == bought
    assert seen["hidden"].trained == seen["none"].trained != right.trained
    assert [p.layout for _, asked, _ in seen["own"].drawn for p in asked].count("critique") == 10
    shown = {p.id: dict(p.slots)["critique"] for p in layouts(seen["own"], "refine")[0][1]}
    written = {p.id: row[0].text for p, row in seen["own"].outputs if p.layout == "critique"}
    assert shown == written, "the base's own words, and nobody's else"


def test_hidden_feedback_is_read_by_the_selection_and_not_by_the_refiner(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer's own bought words reach the selection; no prompt put to a model holds any."""
    with small_world.calls_of(ilf, "select", monkeypatch) as selected:
        label = "ilf:rounds=1:feedback=hidden:selection=overlap"
        seen = acted(small_tldr, small_world, monkeypatch, label)
    bought = {r.prompt_id: r for r in seen.records}
    (((_, _, candidates, *_), _),) = selected
    assert candidates and len(bought) == 10
    for one in candidates:
        record = bought[one.prompt.id]
        assert (one.critique, one.answer) == (record.text, record.completions[0])
    assert all("critique" not in dict(p.slots) for _, asked, _ in seen.drawn for p in asked)


def test_feedback_is_never_in_what_is_learnt(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain prompts only; what is learnt is a refinement as it was sampled."""
    seen = acted(small_tldr, small_world, monkeypatch, "ilf:rounds=1")
    drawn = {(p.id, c.tokens) for p, row in seen.outputs if p.layout == "refine" for c in row}
    for row in seen.trained[0][1]:
        assert row.prompt.layout == "answer" and row.prompt.slots == ()
        assert (row.prompt.id, row.completion.tokens) in drawn


def test_the_ablation_learns_feedback_and_refinement_and_reads_off_the_refinement(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the base's answer: the bought words, then the refinement under them; an answer is the third
    text drawn, and the stored policy gives it again."""
    label = "ilf:rounds=1:targets=feedback_and_refinement"
    seen = acted(small_tldr, small_world, monkeypatch, label)
    bought = {r.prompt_id: r for r in seen.records}
    rows = seen.trained[0][1]
    for criticise, refine in zip(rows[::2], rows[1::2], strict=True):
        record = bought[criticise.prompt.id]
        assert criticise.prompt == seen_as(criticise, "critique", completion=record.completions[0])
        assert criticise.completion == seen.base.encode(record.text)
        assert refine.prompt == seen_as(
            criticise, "refine", completion=record.completions[0], critique=record.text
        )
    policy: Any = seen.aligned.policy
    prompts = [e.prompt for e in seen.cell.setting.data.test][:4]
    with small_world.calls_of(type(seen.base), "generate", monkeypatch) as calls:
        answers = policy.generate(prompts, n=2, decoding=Decoding(max_tokens=20), seed=3)
    asked = [(args[0].digest, args[1][0].layout) for args, _ in calls]
    one = [(seen.base.digest, "answer"), (seen.results[0], "critique"), (seen.results[0], "refine")]
    assert asked == one * 2
    assert [row[0] for row in answers] == [row[0] for row in calls[2][1]]
    assert any(first.text != second.text for first, second in answers)
    again = load_policy(policy.folder, seen.cell.setting.runtime)
    assert again.generate(prompts, n=2, decoding=Decoding(max_tokens=20), seed=3) == answers


def seen_as(row: Any, layout: str, **slots: str) -> Any:
    return row.prompt.using(layout, **slots)


def test_an_audit_is_paid_from_a_tenth_of_the_budget_and_measured(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty scores are affordable: one answer is audited, for two of them, and a critique fewer bought."""
    seen = acted(small_tldr, small_world, monkeypatch, "ilf:rounds=1:selection=longest:audit=9")
    assert seen.aligned.spend.acts == {"critique": 9, "score": 2}
    assert seen.aligned.spend.annotator_seconds <= seen.cell.setting.amount
    picked, other = (r for r in seen.records if r.channel == "score")
    assert picked.prompt_id == other.prompt_id
    assert len(picked.completions[0].split()) >= len(other.completions[0].split())
    assert any("over a random pick, on 1 audited answers" in note for note in seen.aligned.notes)


def test_contradicting_fields_are_refused_before_any_work() -> None:
    for wrong, field in (
        ({"feedback": "none", "selection": "instruct_rm"}, "selection"),
        ({"feedback": "none", "selection": "embedding"}, "selection"),
        ({"feedback": "none", "targets": "feedback_and_refinement"}, "targets"),
        ({"refinements": 5, "tries": 5}, "tries"),
    ):
        with pytest.raises(BadInput) as caught:
            ILF(**wrong)  # type: ignore[arg-type]
        assert [problem.field for problem in caught.value.problems] == [field]
    ILF(feedback="hidden", selection="instruct_rm", tries=6)


@pytest.mark.parametrize(
    ("label", "reason"),
    [("ilf:layout=refine_paper", "refine_paper"), ("ilf:selection=instruct_rm", "accept_")],
)
def test_what_a_format_cannot_do_costs_nothing(
    label: str, reason: str, small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = small_tldr.cell(label)
    with (
        small_world.calls_of(Work, "sample", monkeypatch) as sampled,
        pytest.raises(NotApplicable, match=reason),
    ):
        small_tldr.align(cell)
    assert not sampled


def test_what_it_buys_is_known_before_any_work() -> None:
    """Small models default to a reward model, which a teacher without comparisons cannot serve."""
    assert ILF().wants_at(tiers.TINY) == ("critique",)
    assert ILF().wants_at(tiers.SMALL) == ("critique", "prefer")
    assert ILF(feedback="none", selection="random").wants_at(tiers.SMALL) == ()
    assert ILF(audit=4).wants == ("critique", "score")
    teacher: Any = SimpleNamespace(name="critic", channels=("critique",))
    label: Any = SimpleNamespace(text="ilf", parts=[SimpleNamespace(plugin=ILF())])
    assert casting.mute(teacher, [label]) == casting.mute(teacher, [label], tiers.TINY) == []
    (problem,) = casting.mute(teacher, [label], tiers.SMALL)
    assert "prefer" in problem.message


def test_the_questions_of_instruct_rm_are_answered_in_tokens_that_follow_a_colon() -> None:
    """Five for summaries, three of Yes or No and two of True or False; a leading space everywhere."""
    asked = {
        name: {key: layout for key, layout in registry.load("tasks", name).layouts.items() if layout.answers}
        for name in registry.shipped("tasks")
    }
    answers = [layout.answers for layout in asked["tldr"].values()]
    assert sorted(answers) == [(" True", " False")] * 2 + [(" Yes", " No")] * 3
    for task, questions in asked.items():
        assert questions, task
        for layout in questions.values():
            assert layout.opening.endswith(":")
            assert all(word.startswith(" ") and word.strip() for word in layout.answers or ())
            assert "{critique}" in layout.user and "{completion}" in layout.user


def test_the_guard_on_hand_built_refinements() -> None:
    row = [
        ended("the first answer."),
        ended("  "),
        ended("new. Mention   the dog."),
        Completion("new and", (1, 2), "length"),
        ended("new."),
        ended("new.", 7),
        ended("newer."),
    ]
    kept, faults = usable(row, "The  first answer.", "mention the dog.")
    assert [c.text for c in kept] == ["new.", "newer."] and kept[0].tokens == row[4].tokens
    assert faults == [COPY, EMPTY, ECHO, UNFINISHED]
    assert fault(row[0], None, "mention the dog.") is None, "a copy is fit unless asked otherwise"
    assert fault(row[2], None, "") is None, "no feedback, no echo"


class FewTexts:
    """A lab whose samples are given in advance, one list of rows a call."""

    def __init__(self, *calls: list[list[Completion]]) -> None:
        self.calls, self.asked = list(calls), list[tuple[int, int]]()
        self.notes: list[str] = []
        self.measures: dict[str, float] = {}

    def sample(self, policy: Any, prompts: Any, *, n: int, stream: str) -> list[list[Completion]]:
        self.asked.append((len(prompts), n))
        return self.calls.pop(0)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def measure(self, name: str, value: float) -> None:
        self.measures[name] = value


def test_short_rows_are_drawn_again_once_and_rows_without_any_left_out() -> None:
    a, b, c, none = ended("a"), ended("b"), ended("c"), Completion("d", (1,), "length")
    lab: Any = FewTexts([[a, b], [a, a], [none, none]], [[c, b, a], [none, none, none]])
    drawing = Drawing(wanted=2, tries=5)
    prompts: Any = [object()] * 3
    assert drawing.draw(Any, prompts, ["x"] * 3, [""] * 3, "s", lab) == [[a, b], [a, c], []]  # type: ignore[arg-type]
    assert lab.asked == [(3, 2), (2, 3)]
    drawing.report(lab)
    assert lab.measures == {"keep_rate": 2 / 3}
    assert lab.notes == [
        f"refinements left out: 1 {UNFINISHED}; 1 of 3 answers had no other and were left out too"
    ]
    with pytest.raises(NotApplicable, match="usable"):
        Drawing(2, 5, answers=3).report(lab)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" - so  it  went. And then I", "so it went."),
        ("No end at all", "No end at all"),
        ("One! Two?\nThree.", "One! Two?"),
        ("...", "..."),
    ],
)
def test_tidying_is_the_papers(text: str, expected: str) -> None:
    assert tidied(text) == expected


def test_tidied_refinements_are_encoded_anew() -> None:
    lab: Any = FewTexts([[Completion(" a b. c", (1, 2, 3), "length")]])
    refiner: Any = SimpleNamespace(encode=lambda text: ended(text, 9))
    prompts: Any = [object()]
    assert Drawing(1, 2, tidy=True).draw(refiner, prompts, [""], [""], "s", lab) == [[ended("a b.", 9)]]
