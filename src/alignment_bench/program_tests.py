"""Unit tests of a task, run on top of the sandbox: MBPP's, HumanEval's, and calls of the built-in programs.

A Key says how a program is tested (`suite_of`). MBPP's tests are assertions; each is a trial of its own in
the sandbox, so that one that fails hides no other, and its two sides are compared apart from the program,
which sees the arguments of a call and never what is expected. A task whose tests build objects of the
program's own classes brings set-up code: it runs *after* the program (before it two of MBPP's references
fail), in the program's process, where the left side of an assertion is then computed. HumanEval's `check` is
one test, with helpers from the prompt.

A result that should be a float is compared within pytest's default tolerance, as Chen et al. 2023 do
(arXiv 2303.16749); whole numbers exactly, where they used the tolerance too.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, TypeGuard

from alignment_bench.digests import generator
from alignment_bench.program_text import program_of
from alignment_bench.prompts import Key

if TYPE_CHECKING:
    from alignment_bench.sandbox import Trial
    from alignment_bench.world.programs.facts import Program

CPU_SECONDS = 8
"""processor time of a program for one test: MBPP's slowest reference needs about 3.5. A wall clock would
change verdicts on a busy machine, so that is far longer"""
WALL_SECONDS = 120.0
MEMORY_MB = 512
SHOWN = 120
"""characters of a value that a message carries"""
_REMEMBERED = 100_000

_PREAMBLE = f"""
class approx:
    def __init__(self, value):
        self.value = value
    def __eq__(self, got):
        number = isinstance(self.value, int) and not isinstance(self.value, bool)
        return _near(got, float(self.value) if number else self.value)
    def __repr__(self):
        return repr(self.value)
def _near(got, want):
    if isinstance(want, (list, tuple)):
        return isinstance(got, type(want)) and len(got) == len(want) and all(map(_near, got, want))
    if type(want) is float and isinstance(got, (int, float)) and not isinstance(got, bool):
        return got == want or abs(got - want) <= max(1e-6 * abs(want), 1e-12)
    return got == want
def _short(value):
    text = repr(value)
    return text if len(text) <= {SHOWN} else text[:{SHOWN}] + "..."
"""


@dataclass(frozen=True)
class Suite:
    """How the programs of one task are tested."""

    entry: str
    """name of the function under test"""
    prefix: str
    """what an answer continues that does not define the function itself"""
    tests: tuple[str, ...]
    """assertions about `entry`, or one source that defines `check(candidate)`"""
    setup: str = ""
    """code that the tests need, run after the program and in its process"""
    imports: str = ""
    """imports that the tests need"""
    whole: bool = False
    """whether the test is such a `check`, whose calls cannot be told one by one"""


@dataclass(frozen=True, slots=True)
class Result:
    """What one test came to: `status` is the sandbox's; `detail` what went wrong, in its words."""

    status: str
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the test passed."""
        return self.status == "passed"


def suite_of(key: Key) -> Suite | None:
    """How a judge tests the Key's task; None where it brings no tests."""
    if key.facts.get("genre") == "program":
        return _built_in(key, hidden=True)
    return _brought(key)


def lessons_of(key: Key) -> Suite | None:
    """The same for a teacher: for built-in programs with calls of its own, none of the judge's."""
    if key.facts.get("genre") == "program":
        return _built_in(key, hidden=False)
    return _brought(key)


def untested(keys: Sequence[Key]) -> str | None:
    """Why programs for these examples cannot be tested, or None where they can."""
    lacking = sum(key.facts.get("genre") != "program" and _brought(key) is None for key in keys)
    return f"{lacking} of {len(keys)} examples bring no tests" if lacking else None


def _brought(key: Key) -> Suite | None:
    facts = key.facts
    if not key.tests or "entry" not in facts:
        return None
    return Suite(
        facts["entry"],
        facts.get("prefix", ""),
        key.tests,
        facts.get("setup", ""),
        facts.get("imports", ""),
        facts.get("harness") == "check",
    )


def run_tests(suites: Sequence[Suite], answers: Sequence[str]) -> list[tuple[Result, ...]]:
    """The results of all tests of each answer, in the tests' order; one that was run lately is not run
    again. BadInput where this machine cannot confine programs."""
    pairs = list(zip(suites, answers, strict=True))
    found = {pair: _RESULTS[pair] for pair in pairs if pair in _RESULTS}
    fresh = [pair for pair in dict.fromkeys(pairs) if pair not in found]
    # a program that does not come to an end on its first test is not run on the others
    for pair, (first,) in zip(fresh, _run([(pair, [0]) for pair in fresh]), strict=True):
        found[pair] = (first,)
    left = [
        (pair, list(range(1, len(pair[0].tests)))) for pair in fresh if found[pair][0].status != "timeout"
    ]
    for (pair, _), others in zip(left, _run(left), strict=True):
        found[pair] += others
    for pair in fresh:
        missing = len(pair[0].tests) - len(found[pair])
        found[pair] += (Result("timeout", "not run: an earlier test did not come to an end"),) * missing
    for pair in dict.fromkeys(pairs):
        _RESULTS[pair] = found[pair]
        _RESULTS.move_to_end(pair)
    while len(_RESULTS) > _REMEMBERED:
        _RESULTS.popitem(last=False)
    return [found[pair] for pair in pairs]


def _run(asked: Sequence[tuple[tuple[Suite, str], Sequence[int]]]) -> list[tuple[Result, ...]]:
    """The results of the numbered tests of each (suite, answer)."""
    # here, so that listing a task needs no sandbox
    from alignment_bench.sandbox import Limits, run

    trials: list[Trial] = []
    for (suite, answer), numbers in asked:
        program = program_of(answer, suite.prefix, suite.entry)
        trials += [_trial(suite, program, number) for number in numbers]
    limits = Limits(cpu_seconds=CPU_SECONDS, wall_seconds=WALL_SECONDS, memory_mb=MEMORY_MB)
    outcomes = iter(run(trials, limits) if trials else ())
    return [
        tuple(Result(one.status, one.detail) for one in islice(outcomes, len(numbers)))
        for _, numbers in asked
    ]


def share(results: Sequence[Result]) -> float:
    """The share of tests passed."""
    return sum(result.passed for result in results) / len(results)


_RESULTS: OrderedDict[tuple[Suite, str], tuple[Result, ...]] = OrderedDict()
"""Results of the latest answers: a pure function of suite and answer, so sharing it changes nothing."""


def _trial(suite: Suite, program: str, number: int) -> Trial:
    from alignment_bench.sandbox import Trial

    test = suite.tests[number]
    if suite.whole:
        return Trial(program, suite.entry, check=f"{suite.prefix}\n{test}")
    part = _assertion(test, suite.entry)
    head = f"{suite.imports}\n{part.imports}{_PREAMBLE}"
    if suite.setup or part.inside:
        code = f"{program}\n{suite.setup}\ndef {_LEFT}():\n    return {part.left}\n"
        return Trial(code, _LEFT, check=f"{head}def check(candidate):\n    got = candidate()\n{part.verdict}")
    # under a name of its own: a function under test may be called check
    code = f"{program}\n{_LEFT} = {suite.entry}\n"
    candidate = f"{suite.entry} = candidate"
    body = f"    {candidate}\n    got = {part.left}\n{part.verdict}"
    return Trial(code, _LEFT, check=f"{head}def check(candidate):\n{body}")


_LEFT = "_alignment_bench_left"
_TYPES = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))


@dataclass(frozen=True, slots=True)
class _Assertion:
    """An assertion taken apart: the value it looks at, and lines that judge it under the name `got`."""

    left: str
    verdict: str
    imports: str
    inside: bool
    """whether `left` can only be computed in the program's process: it names what the program defines, hands
    over a class, or asks only whether an object of any kind is true"""


@lru_cache(maxsize=20_000)
def _assertion(test: str, entry: str) -> _Assertion:
    condition = _condition(test)
    names = {node.id for node in ast.walk(condition) if isinstance(node, ast.Name)}
    modules = sorted(names & sys.stdlib_module_names - {entry})
    imports = "".join(f"import {name}\n" for name in modules)
    if _is_equation(condition):
        left, right = condition.left, ast.unparse(condition.comparators[0])
        verdict = (
            f"    want = {right}\n"
            '    assert _near(got, want), "gives " + _short(got) + " instead of " + _short(want)\n'
        )
    else:
        wanted = not (isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not))
        left = condition if isinstance(condition, ast.expr) and wanted else condition.operand  # type: ignore[attr-defined]
        verdict = f'    assert bool(got) is {wanted}, "is not {str(wanted).lower()}"\n'
        if isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == entry:
            return _Assertion(f"bool({ast.unparse(left)})", verdict, imports, True)
    used = {node.id for node in ast.walk(left) if isinstance(node, ast.Name)}
    local = {
        node.id for node in ast.walk(left) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    arguments = {
        a.id for n in ast.walk(left) if isinstance(n, ast.Call) for a in n.args if isinstance(a, ast.Name)
    }
    unknown = used - local - set(vars(builtins)) - sys.stdlib_module_names - {entry}
    return _Assertion(ast.unparse(left), verdict, imports, bool(unknown or arguments & _TYPES))


def _condition(test: str) -> ast.expr:
    """What is asserted. ValueError where the text is not one assertion."""
    try:
        nodes = ast.parse(test.strip()).body
    except SyntaxError as error:
        raise ValueError(f"{test[:80]!r} is not Python: {error.msg}") from None
    if len(nodes) != 1 or not isinstance(nodes[0], ast.Assert):
        raise ValueError(f"{test[:80]!r} is not one assertion")
    return nodes[0].test


def _is_equation(node: ast.expr) -> TypeGuard[ast.Compare]:
    return isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq)


def called(test: str) -> str:
    """What an assertion looks at, in the task's own words: what stands before its ``==``, or all of it."""
    condition = _condition(test)
    looked_at = condition.left if _is_equation(condition) else condition
    return " ".join((ast.get_source_segment(test.strip(), looked_at) or "").split())


EXAMPLES = 4
"""calls of a built-in program that a teacher makes"""


@lru_cache(maxsize=20_000)
def _calls(right: Program, hidden: bool) -> tuple[str, ...]:
    from alignment_bench.world.programs.facts import identity
    from alignment_bench.world.programs.gold import hidden_calls
    from alignment_bench.world.programs.language import interpret

    kept = list(hidden_calls(right))
    if not hidden:
        judged = {numbers for numbers, _ in kept}
        rng = generator("example calls", identity(right))
        kept = []
        while len(kept) < EXAMPLES:
            numbers = tuple(int(n) for n in rng.integers(-9, 20, size=int(rng.integers(3, 7))))
            answer = interpret(right, numbers)
            if answer not in (None, []) and numbers not in judged:
                kept.append((numbers, answer))
    return tuple(f"assert f({list(numbers)!r}) == {answer!r}" for numbers, answer in kept)


def _built_in(key: Key, hidden: bool) -> Suite:
    from alignment_bench.world.programs.facts import program_of as right_program

    return Suite("f", "", _calls(right_program(key.facts), hidden))
