"""The teacher that only replays: what it hands out, what it costs, who can work with it, and whole runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from alignment_bench import casting, cli, registry, results
from alignment_bench.budgets import price
from alignment_bench.controller import Controller
from alignment_bench.errors import BenchError, NotApplicable, OverBudget
from alignment_bench.feedback import FeedbackRecord
from alignment_bench.ledger import Ledger
from alignment_bench.prompts import Example, Key, Message, Prompt, Recorded
from alignment_bench.teachers.recorded import RecordedTeacher
from alignment_bench.techniques.preferences import collect_pairs

WORDS = ("dog", "cat", "bird", "park", "ran", "sat", "saw")


def example(name: str, *acts: Recorded) -> Example:
    prompt = Prompt(name, (Message("user", f"the {name}"),), name)
    return Example(prompt, Key(name, ("a dog",), recorded=acts))


def prefer(first: str, second: str, preference: str) -> Recorded:
    return Recorded("prefer", (first, second), preference=preference)


def controller_of(
    examples: Sequence[Example], budget: float = 1e6, teacher: Any = None, base: Any = None
) -> Controller:
    made = Controller(
        work=SimpleNamespace(),  # type: ignore[arg-type]
        teacher=teacher or RecordedTeacher(),
        teacher_digest="t",
        examples=examples,
        data_digest="d",
        ledger=Ledger("seconds", budget),
        seed=0,
        tier=SimpleNamespace(),  # type: ignore[arg-type]
        rollout_decoding=SimpleNamespace(),  # type: ignore[arg-type]
    )
    made.known_base = base
    return made


MIXED = (
    example("dog", Recorded("critique", ("a cat",), text="No cat."), prefer("a dog", "a cat", "first")),
    example("cat", prefer("a", "b", "second"), prefer("c", "d", "tie"), Recorded("demonstrate", text="x y")),
)


def test_records_come_in_the_datas_order_and_are_paid_one_by_one() -> None:
    controller = controller_of(MIXED)
    with controller.open_lab() as lab:
        records = lab.feedback.recorded()
    assert [(r.prompt_id, r.channel) for r in records] == [
        ("dog", "critique"),
        ("dog", "prefer"),
        ("cat", "prefer"),
        ("cat", "prefer"),
        ("cat", "demonstrate"),
    ]
    spent = controller.ledger.spent
    assert spent.acts == {"critique": 1, "prefer": 3, "demonstrate": 1}
    assert spent.annotator_seconds == pytest.approx(sum(price(r.channel, "seconds") for r in records))
    assert [r.cost for r in records] == [price(r.channel, "seconds") for r in records]
    assert spent.words == 4


def test_only_the_channels_asked_for_are_paid() -> None:
    controller = controller_of(MIXED)
    with controller.open_lab() as lab:
        assert len(lab.feedback.recorded("prefer", most=2)) == 2
    assert controller.ledger.spent.acts == {"prefer": 2}


def test_only_the_prompts_asked_for_are_paid() -> None:
    controller = controller_of(MIXED)
    dog, cat = (one.prompt for one in MIXED)
    with controller.open_lab() as lab:
        assert {r.prompt_id for r in lab.feedback.recorded(prompts=[cat])} == {cat.id}
        assert lab.feedback.recorded("critique", prompts=[cat]) == []
        assert len(lab.feedback.recorded("prefer", prompts=[dog], most=3)) == 1
    assert controller.ledger.spent.acts == {"prefer": 3, "demonstrate": 1}


def test_the_budget_ends_the_records_and_is_never_exceeded() -> None:
    controller = controller_of(MIXED, budget=2.5 * price("prefer", "seconds"))
    with controller.open_lab() as lab:
        assert len(lab.feedback.recorded("prefer")) == 2
        assert lab.feedback.recorded("prefer") == []
    assert controller.ledger.remaining == pytest.approx(0.5 * price("prefer", "seconds"))
    assert controller.notes[0] == "recorded feedback: 2 records used, the budget ends there"


def test_records_of_other_examples_are_out_of_reach() -> None:
    """A method hears of training examples only: the teacher is never shown another one's Key."""
    train, test = MIXED
    controller = controller_of([train])
    with controller.open_lab() as lab:
        records = lab.feedback.recorded()
    assert {r.prompt_id for r in records} == {train.prompt.id} != {test.prompt.id}


def test_a_teacher_that_brings_another_examples_feedback_is_stopped() -> None:
    class Leaky(RecordedTeacher):
        name: ClassVar[str] = "leaky"

        def recorded(self, examples: Sequence[Example]) -> list[FeedbackRecord]:
            return [FeedbackRecord("a test prompt", "critique", ("a",), text="said elsewhere")]

    controller = controller_of(MIXED, teacher=Leaky())
    with controller.open_lab() as lab, pytest.raises(BenchError, match="'a test prompt', no training prompt"):
        lab.feedback.recorded()
    assert controller.ledger.spent.acts == {}


def test_nothing_is_answered_afresh() -> None:
    controller = controller_of(MIXED)
    with controller.open_lab() as lab:
        assert lab.feedback.channels == ()
        with pytest.raises(NotApplicable, match="gives no fresh answers on 'demonstrate'"):
            lab.feedback.demonstrate([MIXED[0].prompt])
    with pytest.raises(NotApplicable, match="only replays"):
        RecordedTeacher().answer("score", [], seed=0)
    assert controller.ledger.spent.acts == {}


def test_it_is_unfit_where_nothing_was_recorded() -> None:
    assert RecordedTeacher().unfit([one.key for one in MIXED]) is None
    assert RecordedTeacher().unfit([MIXED[0].key, Key("x")]) is None
    assert RecordedTeacher().unfit([Key("x", ("a reference",))]) == "it brings no recorded feedback"


def test_comparisons_become_pairs_winner_first(random_policy: Any) -> None:
    controller = controller_of(MIXED, base=random_policy)
    prompts = [one.prompt for one in MIXED]
    with controller.open_lab() as lab:
        pairs, ties = collect_pairs(random_policy, prompts, lab)
    assert [(p.id, good.text, bad.text) for p, good, bad in pairs] == [
        ("dog", "a dog", "a cat"),
        ("cat", "b", "a"),
    ]
    assert ties == 1
    assert pairs[0][1] == random_policy.encode("a dog")
    assert controller.notes == ["3 recorded comparisons, of answers that are not the policy's own"]


def test_a_share_of_the_budget_buys_as_many_comparisons(random_policy: Any) -> None:
    controller = controller_of(MIXED, budget=4 * price("prefer", "seconds"))
    with controller.open_lab() as lab:
        collect_pairs(random_policy, [one.prompt for one in MIXED], lab, share=0.5)
        assert controller.ledger.spent.acts == {"prefer": 2}
        with pytest.raises(OverBudget, match="a single comparison"):
            collect_pairs(random_policy, [one.prompt for one in MIXED], lab, share=0.1)


def test_a_wrapper_without_weights_takes_the_bases_tokens(random_policy: Any) -> None:
    wrapper: Any = SimpleNamespace(folder=None, digest="w", generate=None)
    controller = controller_of(MIXED, base=random_policy)
    with controller.open_lab() as lab:
        pairs, _ = collect_pairs(wrapper, [one.prompt for one in MIXED], lab)
    assert pairs[0][1] == random_policy.encode("a dog")


FROM_RECORDS = (
    *("dpo", "kto", "coh", "ppo", "best_of_n", "expert_iteration", "grpo", "rloo", "online_dpo", "quark"),
    *("alt:variant=rm", "sft", "critique_fine_tuning", "base", "sft+best_of_n"),
)


def muted(label: str, examples: Sequence[Example] | None = None) -> list[str]:
    from alignment_bench.labels import parse_labels, resolve_labels

    problems: list[Any] = []
    labels = resolve_labels(parse_labels(label, problems), {}, problems)
    assert not problems
    return [str(p) for p in casting.mute(RecordedTeacher(), labels, None, examples)]


@pytest.mark.parametrize("label", FROM_RECORDS)
def test_methods_that_can_work_from_records_are_let_through(label: str) -> None:
    assert muted(label) == []


@pytest.mark.parametrize(
    "label",
    [
        "alt:variant=lmc",
        "srt",
        "self_rewarding",
        "kto:labels=score",
        "ppo:reward=teacher",
        "online_dpo:labels=teacher",
        "expert_iteration:reward=teacher",
        "alt:variant=lmu+best_of_n",
    ],
)
def test_the_rest_fail_with_one_line_that_names_teacher_and_method(label: str) -> None:
    (line,) = muted(label)
    assert "recorded cannot be asked to" in line and label in line
    assert "\n" not in line


def test_data_without_the_wanted_records_is_told_before_any_work() -> None:
    critics = [example("dog", Recorded("critique", ("a",), text="b"))]
    (line,) = muted("dpo", critics)
    assert "recorded has no prefer on this data, which dpo needs" in line
    assert muted("critique_fine_tuning", critics) == []
    assert muted("sft:source=own", critics) == []


def test_fresh_answers_are_still_wanted_of_a_teacher_that_gives_some() -> None:
    """Records stand in for fresh answers only where there are no fresh ones at all."""
    critic: Any = SimpleNamespace(name="critic", channels=("critique",), recorded=lambda examples: [])
    label: Any = SimpleNamespace(
        text="dpo", parts=[SimpleNamespace(plugin=registry.load("methods", "dpo")())]
    )
    (problem,) = casting.mute(critic, [label], None, MIXED)
    assert "critic cannot be asked to prefer" in problem.message


def test_a_teacher_with_fresh_answers_replays_what_it_has_besides() -> None:
    """Unit tests criticise programs afresh; people's refinements of them are on record."""
    refined = [example("dog", Recorded("refine", ("a",), text="b"))]
    label: Any = SimpleNamespace(
        text="sft:source=teacher", parts=[SimpleNamespace(plugin=registry.load("methods", "sft")("teacher"))]
    )
    tests: Any = SimpleNamespace(name="tests", channels=("critique",), recorded=RecordedTeacher().recorded)
    assert casting.mute(tests, [label], None, refined) == []
    assert casting.mute(tests, [label]) == [], "what the data holds is not known yet"
    (problem,) = casting.mute(tests, [label], None, [example("dog", Recorded("critique", ("a",), text="b"))])
    assert "tests cannot be asked to refine" in problem.message


@pytest.fixture
def slf5k(tmp_path: Path) -> Path:
    """Sixteen posts in SLF5K's schema, in words that the random model has."""
    rows = []
    for i in range(16):
        a, b = WORDS[i % 7], WORDS[(i + 3) % 7]
        rows.append(
            {
                "id": f"t3_{i}",
                "title": f"the {a}",
                "post": f"the {a} {b} . it was happy {i}",
                "summary_prompt": "x",
                "generated_summary_for_feedback": f"a {b}",
                "feedback": f"no {b}",
                "generated_summary_for_comparison_A": f"the {a}",
                "generated_summary_for_comparison_B": f"the {b}",
                "comparison_preference": "Summary A" if i % 2 else "Summary B",
                "ideal_human_summary": f"a {a}",
            }
        )
    path = tmp_path / "slf5k.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def run(tmp_path: Path, model: Path, file: Path, *argv: str) -> tuple[int, dict[str, Any]]:
    status = cli.main(
        [
            "run",
            "task=tldr",
            f"model={model}",
            f"task.data={file}",
            "teacher=recorded",
            "evaluators=length,nll_reference",
            "decoding.max_tokens=8",
            "budget=4000s",
            f"results={tmp_path / 'results'}",
            f"out={tmp_path / 'table.json'}",
            "format=json",
            "quiet=true",
            "workers=1",
            *argv,
        ]
    )
    records, damaged = results.read_all(tmp_path / "results")
    assert not damaged
    return status, {record.label: record for record in records}


def test_whole_runs_from_records(tmp_path: Path, random_base: Path, slf5k: Path) -> None:
    """Each method pays for the records of its own channel, and learns from them alone."""
    labels = ["sft", "dpo", "coh", "critique_fine_tuning", "best_of_n:n=2"]
    status, records = run(tmp_path, random_base, slf5k, f"methods={','.join(labels)}")
    assert status == 0, {label: record.reason for label, record in records.items()}
    trained = 11  # of 16 posts, a third held out
    assert {label: record.spend["acts"] for label, record in records.items()} == {
        "base": {},
        "sft": {"demonstrate": trained},
        "dpo": {"prefer": trained},
        "coh": {"prefer": trained},
        "critique_fine_tuning": {"critique": trained},
        "best_of_n:n=2": {"prefer": trained},
    }
    sft = records["sft"]
    assert sft.data.endswith(" as slf5k") and sft.teacher == "recorded"
    assert "data set slf5k: Apache-2.0" in sft.captions
    assert f"{trained} recorded answers trained on" in sft.notes
    assert sft.spend["annotator_seconds"] == pytest.approx(trained * price("demonstrate", "seconds"))
    drawn = {label: record.spend["tokens_generated"] for label, record in records.items()}
    assert drawn["sft"] == drawn["dpo"] == drawn["critique_fine_tuning"] == 0


def test_a_method_that_needs_fresh_answers_stops_the_run_before_any_work(
    tmp_path: Path, random_base: Path, slf5k: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, records = run(tmp_path, random_base, slf5k, "methods=sft,srt")
    assert status == 2 and not records
    lines = [line for line in capsys.readouterr().err.splitlines() if "teacher" in line]
    assert len(lines) == 1 and "recorded cannot be asked to" in lines[0] and "srt needs" in lines[0]
