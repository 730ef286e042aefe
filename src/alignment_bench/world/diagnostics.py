"""What a tiny model of the built-in world can do before any alignment, and how good its annotators are.

    python -m alignment_bench.world.diagnostics FOLDER [out=FILE] [parts=answers,refinement] [tasks=tldr,code]
                                                [world=1000] [prompts=200]

Five parts: quality of *answers* by temperature; *refinement* of answers with right, no, shuffled and the
model's own feedback at the temperature of the answer; *style* asked for in a descriptive phrase; accuracy of
*reward* models by number of comparisons; agreement of the *annotators* with gold. The first three are in
`measures`, the last two in `measures_feedback`; what a shipped base must show is in `acceptance`.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from alignment_bench.errors import BadInput, Problem
from alignment_bench.world import VERSION
from alignment_bench.world.acceptance import Row, check
from alignment_bench.world.bench import SAMPLES, Bench, open_base
from alignment_bench.world.command import folder_of, run

PARTS = ("answers", "refinement", "style", "reward", "annotators")
TASK_NAMES = ("tldr", "toxicity", "dialogue", "code", "word_removal")


@dataclass(frozen=True)
class Record:
    """What was measured of one model, as `diagnostics.json` beside it holds it."""

    version: str
    """of the world"""
    model: str
    """digest of the model measured"""
    world: int
    """the seed whose test prompts were used"""
    prompts: int
    samples: int
    """answers a prompt; greedy ones and refinements: one, and one for each answer"""
    seconds: dict[str, float]
    """CPU seconds of each part"""
    rows: tuple[Row, ...]

    def dumps(self) -> str:
        """JSON text."""
        plain = asdict(self)
        rows = [json.dumps([r.name, round(r.mean, 4), round(r.low, 4), round(r.high, 4)]) for r in self.rows]
        head = json.dumps({key: value for key, value in plain.items() if key != "rows"}, indent=1)
        return head.removesuffix("\n}") + ',\n "rows": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"

    @staticmethod
    def loads(text: str) -> Record:
        """The record that `dumps` wrote."""
        stored = json.loads(text)
        return Record(**{**stored, "rows": tuple(Row(*row) for row in stored["rows"])})


def measure(
    folder: Path,
    *,
    parts: Sequence[str] = PARTS,
    tasks: Sequence[str] = TASK_NAMES,
    world: int = 1000,
    prompts: int = 200,
    say: Callable[[str], None] = lambda line: None,
) -> Record:
    """Measures the model in `folder`. `tasks` narrows answers and refinement; rewards are of tldr alone."""
    from alignment_bench.world.measures import answers, refinement, style
    from alignment_bench.world.measures_feedback import annotators, reward

    work: Mapping[str, Callable[[Bench, Sequence[str]], list[Row]]] = {
        "answers": answers,
        "refinement": refinement,
        "style": style,
        "reward": reward,
        "annotators": annotators,
    }
    rows: list[Row] = []
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(open_base(folder, Path(scratch) / "base"), world, prompts, Path(scratch))
        for part in parts:
            start = time.process_time()
            found = work[part](bench, tasks)
            seconds[part] = round(time.process_time() - start, 1)
            rows += found
            say("\n".join([*map(markdown, found), f"({part}: {seconds[part]} CPU seconds)"]))
        return Record(VERSION, bench.policy.base_digest, world, prompts, SAMPLES, seconds, tuple(rows))


def markdown(row: Row) -> str:
    """One line of a table."""
    return f"| {row.name} | {row.mean:.3f} | {row.low:.3f} to {row.high:.3f} |"


def merged(old: Record, new: Record) -> Record:
    """The old record with the parts of the new one in their place. Raises BadInput where they differ in
    what was measured."""
    same = ("version", "model", "world", "prompts", "samples")
    if wrong := [name for name in same if getattr(old, name) != getattr(new, name)]:
        fix = "measure all parts afresh, or write to another file"
        raise BadInput([Problem("out", f"the file there is of another {', '.join(wrong)}", fix)])
    fresh = {row.name: row for row in new.rows}
    kept = [fresh.pop(row.name, row) for row in old.rows]
    return replace(new, seconds={**old.seconds, **new.seconds}, rows=(*kept, *fresh.values()))


def options_of(arguments: Sequence[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """key=value words as the types of `known`'s values. Raises BadInput with all that is wrong."""
    found, problems = dict(known), []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key not in known or not equals:
            problems.append(
                Problem(argument, "is no option", f"write one of {', '.join(known)}, as key=value")
            )
            continue
        if isinstance(known[key], int):
            if not value.isdigit() or (int(value) == 0 and key != "world"):
                problems.append(Problem(key, f"{value!r} is no count", "give a whole number"))
                continue
            found[key] = int(value)
        elif isinstance(known[key], tuple):
            found[key] = tuple(value.split(","))
            problems += [
                Problem(key, f"{one!r} is unknown", f"choose from {', '.join(known[key])}")
                for one in found[key]
                if one not in known[key]
            ]
        else:
            found[key] = value
    if problems:
        raise BadInput(problems)
    return found


def main(arguments: Sequence[str]) -> None:
    """Runs the command: rows as they are measured, then every acceptance bound that is violated."""
    folder = folder_of(arguments)
    known = {"out": "", "parts": PARTS, "tasks": TASK_NAMES, "world": 1000, "prompts": 200}
    options = options_of(arguments[1:], known)
    out = options.pop("out")
    record = measure(folder, **options, say=print)
    if out:
        file = Path(out)
        if file.is_file() and options["parts"] != PARTS:
            record = merged(Record.loads(file.read_text("utf-8")), record)
        file.write_text(record.dumps(), "utf-8")
    for violated in check(record.rows):
        print(violated)


if __name__ == "__main__":
    run(main)
