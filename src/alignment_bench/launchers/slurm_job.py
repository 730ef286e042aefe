"""One job of Slurm: does its cells in turn, and keeps a diary for the driver (`launchers.slurm`) to read."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_bench.launchers.worker import Message, Orders, outcome, unfit


@dataclass(frozen=True)
class Diary:
    """A `progress.Hearer` that writes down what it hears, a line each, for the driver to read."""

    file: Path

    def put(self, kind: str, what: object) -> None:
        """One line, there at once."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([kind, what]) + "\n")

    def say(self, text: str) -> None:
        """One line for people."""
        self.put("say", text)

    def step(self, text: str) -> None:
        """What the cell is doing now: into the job's log."""
        print(text, flush=True)

    def end(self, outcome: str) -> None:
        """The cell has an outcome."""
        self.put("end", outcome)


@dataclass(frozen=True)
class Share:
    """The function of one job: does its cells in turn, and returns what came of each."""

    orders: bytes
    """pickled: it is read where it is needed"""
    cells: tuple[int, ...]
    deaths: Mapping[int, tuple[str, ...]]
    """how workers died that were at these cells before"""
    diary: Path

    def __call__(self) -> list[tuple[int | None, Message]]:
        """Cell and message of each; a message of no cell is why none could be done."""
        orders: Orders = pickle.loads(self.orders)
        if why := unfit(orders):
            return [(None, ("unfit", why))]
        diary = Diary(self.diary)
        done: list[tuple[int | None, Message]] = []
        for number in self.cells:
            diary.put("begin", number)
            done.append((number, outcome(orders, number, self.deaths.get(number, ()), diary)))
            if done[-1][1][0] != "done":
                break
            diary.put("done", number)
        return done

    def checkpoint(self) -> Any:
        """What submitit queues when Slurm stops the job: the same again, for finished work is stored."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
