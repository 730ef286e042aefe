"""Human feedback on programs, and human refinements of them (Chen et al. 2023, arXiv 2303.16749).

The rows of `surge_annotations.jsonl`: for a task of MBPP a program by CodeGen-Mono 6.1B that failed, what a
person said about it, and the program that the person made of it. The released file holds 195 rows; 21 of them
are about tasks of the test range, so that whoever trains on all of it trains on what is tested. They are
dropped and counted, as are those about the unused ids; 44 rows are left in the refine part and 128 in the
train part.

The file has no tasks to test on. A file that holds the rows of MBPP as well (one after the other, as JSON
lines, with task.source=ilf_code) gives ILF's own test tasks, tasks without feedback to train on, and gold
programs as references; without them the annotated tasks are split anew, and the references are the people's
refinements.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from alignment_bench.prompts import Recorded
from alignment_bench.sources import _mbpp
from alignment_bench.sources._rows import Fields
from alignment_bench.sources.source import Made, Reading, Row, Source

LEAK = "annotations of tasks that are tested on dropped: the released file holds them"
PROGRAMS = {"original_model_completion": "the program", "unedited_annotator_completion": "the refinement"}


def make(rows: Sequence[Row]) -> Reading:
    """The tasks with their recorded critique and refinement; those of MBPP's rows where the file has them."""
    fields = Fields()
    tasks: dict[int, _mbpp.Programming] = {}
    annotated: dict[int, tuple[_mbpp.Programming, tuple[Recorded, ...]]] = {}
    for number, row in enumerate(rows, start=1):
        annotation = row.get("Feedback") is not None or row.get("code") is None
        found = _annotation(fields, number, row) if annotation else None
        task = found[0] if found else None if annotation else _mbpp.task_of(fields, number, row)
        if task is None:
            continue
        if task.number in (annotated if annotation else tasks):
            fields.bad(number, "task_id", f"{task.number} is there twice", "keep one of the rows")
        elif task.part is None:
            fields.skip(_mbpp.UNUSED)
        elif not found:
            tasks[task.number] = task
        elif task.part == "test":
            fields.skip(LEAK)
        else:
            annotated[task.number] = found
    made: list[Made] = []
    for number, (alone, recorded) in sorted(annotated.items()):
        made.append(tasks.get(number, alone).made(recorded))
    made += [task.made() for number, task in sorted(tasks.items()) if number not in annotated]
    return fields.reading(made)


def _annotation(
    fields: Fields, number: int, row: Row
) -> tuple[_mbpp.Programming, tuple[Recorded, ...]] | None:
    prompt, feedback = fields.text(number, row, "prompt"), fields.text(number, row, "Feedback")
    programs = [fields.text(number, row, column) for column in PROGRAMS]
    task_id, test = fields.number(number, row, "task_id"), fields.text(number, row, "test")
    if prompt is None or feedback is None or task_id is None or test is None or None in programs:
        return None
    head = re.match(r'"""\n(?P<text>.*?)\n\n>>> Example: .*?"""\n\n(?P<prefix>.*)\Z', prompt, re.DOTALL)
    entry = re.findall(r"^def[ \t]+(\w+)", prompt, re.MULTILINE)
    tests = _assertions(test, entry[-1]) if entry else ()
    if head is None or not tests:
        fields.bad(number, "test" if head else "prompt", "is not as released", "give the rows as they are")
        return None
    first, mended = (_without_docstring(program or "") for program in programs)
    task = _mbpp.Programming(
        int(task_id), head["text"].strip(), prompt, head["prefix"], entry[-1], tests, mended
    )
    critique = Recorded("critique", (first,), text=feedback.strip())
    return task, (critique, Recorded("refine", (first,), text=mended))


def _without_docstring(program: str) -> str:
    """The program as an answer: without the docstring that the prompt begins with."""
    program = _mbpp.lines(program)
    return re.sub(r'\A"""\n.*?"""\n+', "", program, count=1, flags=re.DOTALL).strip()


class _Named(ast.NodeTransformer):
    def __init__(self, entry: str) -> None:
        self.entry = entry

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.entry, node.ctx) if node.id == "candidate" else node


def _assertions(test: str, entry: str) -> tuple[str, ...]:
    """The assertions of a released `check(candidate)`, about the function by its own name; none where it is
    anything else."""
    try:
        body = _mbpp.parsed(test).body
    except (SyntaxError, ValueError):
        return ()
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    statements = found[0].body if len(found) == 1 else []
    if not all(isinstance(one, ast.Assert) for one in statements):
        return ()
    named = [_Named(entry).visit(one.test) for one in statements if isinstance(one, ast.Assert)]
    return tuple(f"assert {ast.unparse(condition)}" for condition in named)


SOURCE = Source(
    name="ilf_code",
    summary="people's feedback on failing MBPP programs and their refinements, without the leaked test tasks",
    hub=None,
    licence="MIT",
    noncommercial=False,
    citation="Chen et al. 2023, arXiv 2303.16749 (github.com/nyu-mll/ILF-for-code-generation)",
    columns=("task_id", "prompt", "Feedback", "original_model_completion", "unedited_annotator_completion"),
    make=make,
    notes=("recorded feedback is about programs of CodeGen-Mono 6.1B, whatever model is aligned",),
    layouts=_mbpp.LAYOUTS,
)
