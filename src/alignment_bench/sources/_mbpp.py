"""What MBPP and the feedback of ILF for code share: prompts, splits by task id, tests, and how they are put.

A prompt is that of Chen et al. 2023 (arXiv 2303.16749): a docstring with the task's text and its first test
as an example, then everything of the reference program up to and including its ``def`` line, imports and
helpers before that line included. The splits are theirs too, by task id, and not MBPP's own: 11 to 110 test,
111 to 310 train the refiner, 311 to 974 train the policy, 1 to 10 unused.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alignment_bench.data_rows import same
from alignment_bench.digests import digest
from alignment_bench.layouts import Layout, conditioned, reviewed
from alignment_bench.prompts import Example, Key, Message, Prompt, Recorded
from alignment_bench.sources._rows import Fields
from alignment_bench.sources.source import Made

PARTS = {"test": range(11, 111), "refine": range(111, 311), "train": range(311, 975)}
UNUSED = "tasks with ids 1 to 10 left out, as in ILF for code"

BLOCK = "```python\n"
REQUEST = "Complete this Python program:\n```python\n{prompt}```\n\n"
WANTED = "Write the whole function, without any explanation."
SHOWN = REQUEST + "This was written:\n```python\n{completion}\n```\n"
ANSWER = Layout(REQUEST + WANTED, BLOCK)
LAYOUTS: Mapping[str, Layout] = {
    "answer": ANSWER,
    **conditioned(ANSWER, end="```\n"),
    **reviewed(
        SHOWN,
        "program",
        "What is wrong with this program, and how could it be mended? Say it in a few sentences.",
    ),
    "refine": Layout(
        SHOWN + "Feedback: {critique}\n\nMend the program as the feedback says. " + WANTED, BLOCK
    ),
    "improve": Layout(SHOWN + "Write a better program. " + WANTED, BLOCK),
    # the authors' order and headings; theirs ends in the prompt, which the refiner continues
    "refine_paper": Layout(
        "OLD CODE:\n{completion}\n\nFEEDBACK:\n{critique}\n\nREFINEMENT:\n{prompt}\n" + WANTED, BLOCK
    ),
    "improve_paper": Layout("OLD CODE:\n{completion}\n\nREFINEMENT:\n{prompt}\n" + WANTED, BLOCK),
}


@dataclass(frozen=True)
class Programming:
    """One task: `prefix` is what of the program is given, `code` a right one."""

    number: int
    text: str
    prompt: str
    prefix: str
    entry: str
    tests: tuple[str, ...]
    code: str
    setup: str = ""
    imports: str = ""

    @property
    def part(self) -> str | None:
        """The split of ILF for code; None for an id that it does not use."""
        return next((name for name, ids in PARTS.items() if self.number in ids), None)

    def made(self, recorded: tuple[Recorded, ...] = ()) -> Made:
        """The task as an example of its split."""
        name, part = f"mbpp-{self.number}", self.part or "train"
        prompt = Prompt(
            name,
            (Message("user", self.prompt),),
            digest(same(self.text))[:16],
            (("part", part), ("task_id", str(self.number))),
        )
        facts = {
            "harness": "asserts",
            "entry": self.entry,
            "prefix": self.prefix,
            "setup": self.setup,
            "imports": self.imports,
        }
        key = Key(name, (self.code,), self.tests, facts, recorded)
        return Made(Example(prompt, key), "test" if part == "test" else "train")


def task_of(fields: Fields, number: int, row: Mapping[str, Any]) -> Programming | None:
    """A row of MBPP, full or sanitized; None, and a problem, where it cannot be used."""
    text = fields.text(number, row, "text" if "text" in row and row["text"] is not None else "prompt")
    code = fields.text(number, row, "code")
    task_id = fields.number(number, row, "task_id")
    tests = fields.inner(number, row, "test_list", list)
    imports: Any = fields.inner(number, row, "test_imports", list) if row.get("test_imports") else []
    if text is None or code is None or task_id is None or tests is None or imports is None:
        return None
    if not tests or not all(is_assertion(test) for test in tests):
        fields.bad(number, "test_list", "is not a list of assertions", "give the tests as MBPP has them")
        return None
    code = lines(code)
    entry = tested(code, tests[0])
    head = None if entry is None else re.search(rf"def {re.escape(entry)}\(.*\):", code)
    if entry is not None and head is None:
        head = re.search(rf"def[ \t]+{re.escape(entry)}[ \t]*\([^\n]*\)[^\n:]*:", code)
    if entry is None or head is None:
        fields.bad(number, "code", "defines nothing that the first test calls", "repair the row")
        return None
    prefix = code[: head.end()] + "\n"
    return Programming(
        int(task_id),
        text.strip(),
        f'"""\n{lines(text)}\n\n>>> Example: {example(tests[0])}\n"""\n\n{prefix}',
        prefix,
        entry,
        tuple(test.strip() for test in tests),
        code.strip(),
        lines(fields.maybe(number, row, "test_setup_code")),
        "\n".join(str(one) for one in imports),
    )


def example(test: str) -> str:
    """The first test as ILF for code shows it."""
    return test.split("assert ")[-1].replace("==", "=")


def tested(code: str, test: str) -> str | None:
    """The function of the program that the test calls."""
    try:
        defined = {
            node.name
            for node in parsed(code).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(parsed(test.strip())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in defined:
            return node.func.id
    return None


def is_assertion(test: Any) -> bool:
    """Whether a value is the text of one assertion."""
    try:
        nodes = parsed(test.strip()).body
    except (SyntaxError, ValueError, AttributeError, TypeError):
        return False
    return len(nodes) == 1 and isinstance(nodes[0], ast.Assert)


def parsed(code: str) -> ast.Module:
    """The syntax tree; what Python would warn about in somebody's program is not said. Raises SyntaxError or
    ValueError where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except (RecursionError, MemoryError):
            raise SyntaxError("nested too deeply") from None


def lines(text: str) -> str:
    """The text with one kind of line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
