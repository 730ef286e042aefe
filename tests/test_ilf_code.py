"""ILF for code: who is criticised, by whom, who refines, what passes, and what is learnt and paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from alignment_bench import casting, sandbox, tiers
from alignment_bench.completions import Completion
from alignment_bench.digests import generator
from alignment_bench.errors import BadInput, NotApplicable, OverBudget
from alignment_bench.feedback import Ask, FeedbackRecord
from alignment_bench.layouts import Layout
from alignment_bench.methods.ilf import ILF
from alignment_bench.prompts import Example, Key, Message, Prompt, Recorded
from alignment_bench.sources._mbpp import LAYOUTS
from alignment_bench.teachers.recorded import RecordedTeacher
from alignment_bench.teachers.tests import UnitTests

pytestmark = pytest.mark.skipif(
    sandbox.protection().level == "none", reason="no protection for generated programs on this machine"
)


def example(name: str, part: str = "train", said: bool = False) -> Example:
    """Give back x: with a recorded critique and refinement if `said`."""
    first = (f"def f(x):\n    return '{name}'",)
    refined = Recorded("refine", first, text=f"def f(x):\n    return x  # {name}")
    acts = (Recorded("critique", first, text=f"people on {name}"), refined) if said else ()
    facts = {"harness": "asserts", "entry": "f", "prefix": "def f(x):\n"}
    key = Key(name, ("def f(x): return x",), ("assert f(1) == 1", "assert f(2) == 2"), facts, acts)
    return Example(Prompt(name, (Message("user", f"task {name}"),), name, (("part", part),)), key)


def done(text: str) -> Completion:
    return Completion(text, tuple(range(len(text))), "eos")


class Model:
    """A policy with a name."""

    def __init__(self, name: str, kind: str = "chat") -> None:
        self.name = name
        self.formatter: Any = SimpleNamespace(kind=kind, layouts=LAYOUTS, layout=LAYOUTS.__getitem__)

    def encode(self, text: str, layout: str = "answer") -> Completion:
        return done(text.strip())


class Lab:
    """A lab with a real teacher, whose models write what `write(model, prompt, number)` says."""

    tier = replace(tiers.TINY, ilf_rounds=1)

    def __init__(
        self,
        examples: Sequence[Example],
        write: Any,
        calls: int = 1000,
        teacher: Any = None,
    ) -> None:
        self.examples = {example.prompt.id: example for example in examples}
        self.write, self.calls = write, calls
        self.teacher = teacher or UnitTests()
        self.channels = self.teacher.channels
        self.feedback = self
        self.notes: list[str] = []
        self.paid: dict[str, int] = {}
        self.trained: list[tuple[str, list[Any]]] = []
        self.sampled: list[tuple[str, list[Prompt], int]] = []
        self.measures: dict[str, float] = {}

    def affordable(self, channel: str) -> int:
        return self.calls - sum(self.paid.values())

    def _ask(self, channel: Any, prompts: Any, answers: Any) -> list[FeedbackRecord]:
        if len(prompts) > self.affordable(channel):
            raise OverBudget("too dear")
        self.paid[channel] = self.paid.get(channel, 0) + len(prompts)
        asks = [
            Ask(self.examples[p.id].prompt, self.examples[p.id].key, (a.text,))
            for p, a in zip(prompts, answers, strict=True)
        ]
        found: list[FeedbackRecord] = self.teacher.answer(channel, asks, seed=0)
        return found

    def critique(self, prompts: Any, answers: Any) -> list[FeedbackRecord]:
        return self._ask("critique", prompts, answers)

    def score(self, prompts: Any, answers: Any) -> list[FeedbackRecord]:
        return self._ask("score", prompts, answers)

    def recorded(
        self, *channels: str, most: int | None = None, prompts: Sequence[Prompt] = ()
    ) -> list[FeedbackRecord]:
        asked = [self.examples[prompt.id] for prompt in prompts]
        found = [r for r in self.teacher.recorded(asked) if r.channel in channels]
        for record in found:
            self.paid[record.channel] = self.paid.get(record.channel, 0) + 1
        return found

    def sample(self, policy: Any, prompts: Any, *, n: int = 1, stream: str = "") -> list[list[Completion]]:
        self.sampled.append((policy.name, list(prompts), n))
        return [[done(self.write(policy.name, p, k)) for k in range(n)] for p in prompts]

    def finetune(self, policy: Any, rows: Any, settings: Any) -> Any:
        self.trained.append((policy.name, list(rows)))
        return Model(f"{policy.name}+{len(self.trained)}")

    def random(self, *names: Any) -> np.random.Generator:
        return generator("test", *names)

    def settings(self, **fields: Any) -> Any:
        return fields

    def note(self, text: str) -> None:
        self.notes.append(text)

    def measure(self, name: str, value: float) -> None:
        self.measures[name] = value


def write(model: str, prompt: Prompt, number: int) -> str:
    """A task called easy* is solved by the second try; a refinement passes where its number is even and the
    critique shown is about something, and each is a text of its own."""
    if prompt.layout == "answer":
        return f"return x + 0 * {number}" if prompt.id.startswith("easy") and number else f"return {number}"
    if prompt.id.startswith("hopeless"):
        return f"return 'no {number}'"
    return f"return x  # {number}" if number % 2 == 0 else f"return 0  # {number}"


def align(method: ILF, lab: Any, kind: str = "chat") -> Any:
    return method.align(Model("base", kind), [e.prompt for e in lab.examples.values()], lab)  # type: ignore[arg-type]


def learnt(lab: Lab) -> dict[str, str]:
    """What the last training taught, by prompt id."""
    return {row.prompt.id: row.completion.text for row in lab.trained[-1][1]}


def test_only_programs_of_tasks_that_no_try_solved_are_criticised() -> None:
    lab = Lab([example("easy1"), example("hard1"), example("hard2")], write)
    align(ILF(failing=3, selection="passing", refinements=2), lab)
    criticised = [prompts for model, prompts, _ in lab.sampled if prompts[0].layout == "refine"]
    assert {p.id for prompts in criticised for p in prompts} == {"hard1", "hard2"}
    assert dict(criticised[0][0].slots)["critique"] == "f(1) gives 0 instead of 1."
    # first tries of three, second tries of three, third tries of two; two critiques; two refinements each
    assert lab.paid == {"score": 3 + 3 + 2 + 4, "critique": 2}
    assert "2 of 3 prompts have no passing answer among 3" in lab.notes


def test_one_passing_refinement_is_learnt_and_tasks_without_any_are_left_out() -> None:
    lab = Lab([example("hard1"), example("hard2"), example("hopeless")], write)
    align(ILF(selection="passing", refinements=5), lab)
    assert set(learnt(lab)) == {"hard1", "hard2"}
    assert all(text.startswith("return x") for text in learnt(lab).values())
    assert all(row.prompt.layout == "answer" and not row.prompt.slots for row in lab.trained[-1][1])
    assert "6 of 15 refinements pass, of 2 out of 3 answers" in lab.notes
    many = Lab([example(f"hard{i}") for i in range(30)], write)
    align(ILF(selection="passing", refinements=5), many)
    assert len(set(learnt(many).values())) == 3, "one at random of the three that pass, not the first"


def test_nothing_to_learn_is_said() -> None:
    for examples, method in (
        ([example("hopeless")], ILF(selection="passing")),
        ([example("easy")], ILF(failing=2, selection="passing")),
    ):
        with pytest.raises(NotApplicable, match="nothing to learn from"):
            align(method, Lab(examples, write))


def test_a_budget_pays_for_tests_too() -> None:
    """Each prompt may cost two tries, a critique and three refinements: 20 calls are three prompts."""
    lab = Lab([example(f"hard{i}") for i in range(9)], write, calls=20)
    align(ILF(failing=2, selection="passing", refinements=3), lab)
    assert lab.paid == {"score": 6 + 9, "critique": 3}


def split() -> list[Example]:
    """Two tasks for the refiner, three to learn from, one without words."""
    taught = [example("r1", "refine", said=True), example("r2", "refine", said=True)]
    return [*taught, *(example(f"hard{i}", said=True) for i in range(3)), example("silent")]


def test_recorded_words_are_on_recorded_programs() -> None:
    lab = Lab(split(), write)
    align(ILF(critiques="recorded", selection="passing", refinements=2), lab)
    (asked,) = [prompts for _, prompts, _ in lab.sampled]
    assert {p.id for p in asked} == {"r1", "r2", "hard0", "hard1", "hard2"}
    for prompt in asked:
        slots = dict(prompt.slots)
        assert slots["critique"] == f"people on {prompt.id}"
        assert slots["completion"] == f"def f(x):\n    return '{prompt.id}'"
    assert lab.paid == {"critique": 5, "score": 10}


@pytest.mark.parametrize("critiques", ["fresh", "recorded"])
def test_a_trained_refiner_learns_from_tasks_that_the_policy_does_not(critiques: Any) -> None:
    lab = Lab(split(), write)
    align(ILF(critiques=critiques, refiner="trained", selection="passing", refinements=2), lab)
    (first, lessons), (second, rows) = lab.trained
    assert first == second == "base"
    assert {row.prompt.id for row in lessons} == {"r1", "r2"}
    for row in lessons:
        slots = dict(row.prompt.slots)
        assert row.prompt.layout == "refine" and slots["critique"] == f"people on {row.prompt.id}"
        assert row.completion.text == f"def f(x):\n    return x  # {row.prompt.id}"
    assert {model for model, prompts, _ in lab.sampled if prompts[0].layout == "refine"} == {"base+1"}
    wanted = {"hard0", "hard1", "hard2"} | ({"silent"} if critiques == "fresh" else set())
    assert {row.prompt.id for row in rows} == wanted
    # words and refinements of two tasks for the refiner; of the three others words alone, where they are used
    bought = {"refine": 2, "critique": 2 + (3 if critiques == "recorded" else 4)}
    assert lab.paid == {**bought, "score": 2 * len(wanted)}


def test_a_few_refinements_are_shown_as_turns() -> None:
    lab = Lab(split(), write)
    align(ILF(refiner="fewshot", shots=1, selection="passing", refinements=2), lab)
    (asked,) = [prompts for _, prompts, _ in lab.sampled if prompts[0].layout == "refine"]
    for prompt in asked:
        user, assistant, own = prompt.messages
        shown = "r1" if "task r1" in user.content else "r2"
        assert f"people on {shown}" in user.content and f"return '{shown}'" in user.content
        assert assistant.content == f"```python\ndef f(x):\n    return x  # {shown}\n```"
        assert own.content == f"task {prompt.id}" and prompt.id not in ("r1", "r2")
    assert len(lab.trained) == 1
    few = Lab(split(), write)
    align(ILF(refiner="fewshot", shots=5, selection="passing", refinements=2), few)
    assert "the refiner was shown 2 refinements: the data has no more" in few.notes
    with pytest.raises(NotApplicable, match="chat"):
        align(ILF(refiner="fewshot"), Lab(split(), write), kind="plain")


def test_without_a_part_to_learn_refining_from_it_is_not_applicable() -> None:
    lab = Lab([example("hard", said=True)], write)
    with pytest.raises(NotApplicable, match="'refine'"):
        align(ILF(refiner="trained"), lab)


@pytest.mark.parametrize("critiques", ["fresh", "recorded"])
def test_shuffled_words_are_bought_alike_and_never_an_answers_own(critiques: Any) -> None:
    def ask(feedback: Any) -> tuple[Lab, dict[str, str]]:
        lab = Lab(split(), lambda m, p, k: f"return '{p.id}'" if p.layout == "answer" else write(m, p, k))
        align(ILF(critiques=critiques, feedback=feedback, selection="passing", refinements=2), lab)
        (asked,) = [prompts for _, prompts, _ in lab.sampled if prompts[0].layout == "refine"]
        return lab, {p.id: dict(p.slots)["critique"] for p in asked}

    (right, own), (shuffled, moved) = ask("right"), ask("shuffled")
    assert right.paid == shuffled.paid
    assert sorted(own.values()) == sorted(moved.values()) and own.keys() == moved.keys()
    assert all(own[name] != moved[name] for name in own)


def test_a_teacher_that_only_replays_makes_recorded_words_the_default() -> None:
    lab = Lab(split(), write, teacher=RecordedTeacher())
    align(ILF(selection="longest", refinements=2), lab)
    assert lab.paid == {"critique": 5}
    label: Any = SimpleNamespace(text="ilf", parts=[SimpleNamespace(plugin=ILF(selection="longest"))])
    assert casting.mute(RecordedTeacher(), [label], tiers.TINY, split()) == []
    tested: Any = SimpleNamespace(text="ilf", parts=[SimpleNamespace(plugin=ILF(selection="passing"))])
    (problem,) = casting.mute(RecordedTeacher(), [tested], tiers.TINY, split())
    assert "score" in problem.message


def test_what_it_buys() -> None:
    assert ILF(selection="passing").wants == ("critique", "score")
    assert ILF(selection="random", failing=4).wants == ("critique", "score")
    assert ILF(selection="passing", critiques="recorded").wants == ("score",)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"feedback": "none"}, "critiques"),
        ({"feedback": "own"}, "critiques"),
        ({"rounds": 2}, "rounds"),
        ({"failing": 3}, "failing"),
    ],
)
def test_what_recorded_words_cannot_be_combined_with(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        ILF(critiques="recorded", **wrong)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_layouts_of_the_papers_order_exist_for_both() -> None:
    paper: Layout = LAYOUTS["refine_paper"]
    order = [paper.user.index(word) for word in ("OLD CODE", "FEEDBACK", "REFINEMENT", "{prompt}")]
    assert order == sorted(order) and "improve_paper" in LAYOUTS
