"""What passes between the process that starts a training and those that do it: files in one folder."""

from __future__ import annotations

import os
import pickle
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alignment_bench.ledger import Spend

if TYPE_CHECKING:
    from alignment_bench.runtime import Runtime
    from alignment_bench.training.orders import Order

MISSION = "mission.pkl"


@dataclass(frozen=True)
class Mission:
    """What every process is told."""

    order: Order
    folder: Path
    """where the first one stores what comes of it"""
    partial: Path
    """where checkpoints lie"""
    runtime: Runtime
    seconds: float
    """least time between two checkpoints"""
    patience: float
    """seconds after which one that waits for another gives up"""


@dataclass(frozen=True)
class Outcome:
    """What one process leaves: what it spent, or what it raised."""

    spend: Spend = field(default_factory=Spend)
    error: BaseException | None = None
    trace: str = ""
    at: float = field(default_factory=time.time)
    """when: an error of one makes others fail later"""


def leave(folder: Path, rank: int, outcome: Outcome) -> None:
    """Writes the outcome of a process; an error that cannot be read back is left as its text."""
    try:
        content = pickle.dumps(outcome)
        pickle.loads(content)
    except Exception:
        text = f"{type(outcome.error).__name__}: {outcome.error}"
        content = pickle.dumps(Outcome(outcome.spend, RuntimeError(text), outcome.trace, outcome.at))
    scratch = folder / f".outcome-{rank}"
    scratch.write_bytes(content)
    os.replace(scratch, folder / f"outcome-{rank}.pkl")


def outcomes(folder: Path) -> dict[int, Outcome]:
    """The outcomes left so far, by rank."""
    found: dict[int, Any] = {}
    for path in folder.glob("outcome-*.pkl"):
        found[int(path.stem.partition("-")[2])] = pickle.loads(path.read_bytes())
    return found
