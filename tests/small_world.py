"""A world small enough to run whole comparisons in seconds: few posts, short answers, a small budget.

Used as a fixture (`small_tldr`) and by `kill_driver.py`, which runs outside pytest.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from alignment_bench import aligning, cli, results, run
from alignment_bench.aligning import Aligned
from alignment_bench.cells import CellRecord
from alignment_bench.config import RunRequest, parse
from alignment_bench.feedback import Ask, Channel, FeedbackRecord
from alignment_bench.labels import ResolvedPart
from alignment_bench.plan import Cell
from alignment_bench.planning import make_plan
from alignment_bench.progress import Reporter
from alignment_bench.runtime import activate
from alignment_bench.work import Work
from alignment_bench.world import tasks

TRAIN, TEST = 24, 12
OPTIONS = {
    "task": "tldr",
    "budget": "1845s",  # 30 comparisons, 10 critiques or 9 demonstrations
    "decoding.max_tokens": "16",
    "evaluators": "quality,kl,length",
    "device": "cpu",
    "quiet": "true",
    "format": "json",
    "tuned": "none",
    "workers": "1",
}
PPO = "ppo:iterations=2:rollouts=8"
"""ppo small enough for a test"""


def shrink(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Makes the built-in world small in this process; `put` is setattr or monkeypatch's."""
    put(tasks, "TRAIN", TRAIN)
    put(tasks, "TEST", TEST)


@dataclass(frozen=True)
class SmallWorld:
    """Commands on the small world, stored under one results folder unless `results=` says otherwise."""

    results: Path

    def argv(self, methods: str, *options: str) -> list[str]:
        """The words after `bench run`; `options` replace the small world's own or add to them."""
        given = {**OPTIONS, "results": str(self.results), "methods": methods}
        given |= dict(cast(tuple[str, str], option.split("=", 1)) for option in options)
        return [f"{key}={value}" for key, value in given.items()]

    def request(self, methods: str, *options: str) -> RunRequest:
        """The command, parsed."""
        return parse(self.argv(methods, *options))

    def cells(self, methods: str, *options: str) -> dict[str, Cell]:
        """The command's cells by label, of its first seed."""
        plan = make_plan(self.request(methods, *options), say=lambda text: None)
        found: dict[str, Cell] = {}
        for cell in plan.cells():
            found.setdefault(cell.label.text, cell)
        return found

    def cell(self, label: str, *options: str) -> Cell:
        """The one cell of that label."""
        return self.cells(label, *options)[label]

    def run(self, methods: str, *options: str, code: int = 0) -> list[dict[str, Any]]:
        """`bench run` in this process: the rows of its JSON table. The exit code must be `code`."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            found = cli.main(["run", *self.argv(methods, *options)])
        assert found == code, f"exit code {found}: {printed.getvalue()}"
        rows: list[dict[str, Any]] = json.loads(printed.getvalue())["rows"]
        return rows

    def records(self, folder: Path | None = None) -> dict[str, CellRecord]:
        """Everything stored, by label and, but for seed 0, seed."""
        found, unreadable = results.read_all(folder or self.results)
        assert not unreadable, unreadable
        return {r.label + (f" seed {r.seed}" if r.seed else ""): r for r in found}

    def work(self, cell: Cell) -> Work:
        """The cell's jobs."""
        activate(cell.setting.runtime)
        return run.work_of(cell.setting)

    def align(self, cell: Cell) -> Aligned:
        """The cell's alignment alone, by the very function that a run calls."""
        controller = run.controller_of(cell, self.work(cell), Reporter(1, quiet=True))
        return aligning.align(cell, run.base_of(cell.setting), controller)


@dataclass(frozen=True)
class Spy:
    """A method that shows what it was given to `before` and, once its `inner` method is done, to `after`."""

    inner: Any
    before: Callable[[Any, Any, Any], None] = lambda policy, prompts, lab: None
    after: Callable[[Any, Any, Any], None] = lambda policy, prompts, lab: None
    wrapper = False

    def align(self, policy: Any, prompts: Any, lab: Any) -> Any:
        """What `inner` returns, after both have seen it."""
        self.before(policy, prompts, lab)
        aligned = self.inner.align(policy, prompts, lab)
        self.after(aligned, prompts, lab)
        return aligned


def with_plugin(cell: Cell, change: Callable[[Any], Any]) -> Cell:
    """The cell with another plugin in the place of each of its own."""
    parts = tuple(ResolvedPart(part.name, change(part.plugin)) for part in cell.parts)
    return replace(cell, parts=parts)


@dataclass(frozen=True)
class Listening:
    """A teacher that hands every question on to `inner`, and notes (channel, asks, answers) in `heard`."""

    inner: Any
    heard: list[tuple[Channel, list[Ask], list[FeedbackRecord]]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def answer(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """The inner teacher's answers."""
        records: list[FeedbackRecord] = self.inner.answer(channel, asks, seed=seed)
        self.heard.append((channel, list(asks), records))
        return records

    def in_review(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """The inner teacher's answers in a review."""
        records: list[FeedbackRecord] = self.inner.in_review(channel, asks, seed=seed)
        self.heard.append((channel, list(asks), records))
        return records


def with_teacher(cell: Cell, change: Callable[[Any], Any]) -> Cell:
    """The cell with another teacher in the place of its own, under its own teacher's digest."""
    part = cell.setting.teacher_part
    setting = replace(cell.setting, teacher_part=ResolvedPart(part.name, change(part.plugin)))
    setting.__dict__["teacher_digest"] = cell.setting.teacher_digest
    return replace(cell, setting=setting)


def overheard(cell: Cell) -> tuple[Cell, Listening]:
    """The cell with a teacher that is listened to."""
    listening = Listening(cell.setting.teacher, [])
    return with_teacher(cell, lambda teacher: listening), listening


@contextlib.contextmanager
def calls_of(owner: Any, name: str, monkeypatch: Any) -> Iterator[list[tuple[tuple[Any, ...], Any]]]:
    """Collects (arguments, result) of every call of `owner.name` inside the block; lists as they were."""
    found: list[tuple[tuple[Any, ...], Any]] = []
    original = getattr(owner, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        given = tuple(list(a) if isinstance(a, list) else a for a in (*args, *kwargs.values()))
        result = original(*args, **kwargs)
        found.append((given, result))
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, watched)
        yield found
