"""What `init=` may name besides base and sft: a policy that an earlier run stored, and what that one cost.

    init=RESULTS/cells/<digest>       the policy of a stored cell; the first 8 or more digits will do
    init=RESULTS/jobs/<kind>/<key>    the policy that one job made
    init=FOLDER                       any folder with a policy.json

A cell's record knows all that its alignment cost, so that is charged whole. A policy in a results folder is
looked up among its cells; where none ended with it, only its last job's cost is known, and elsewhere nothing.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alignment_bench import results
from alignment_bench.cells import CellRecord
from alignment_bench.digests import digest, digest_file
from alignment_bench.errors import BadInput, CorruptResult, Problem
from alignment_bench.ledger import Spend

POLICY, RUN, JOB = "policy.json", "run.json", "job.json"
SHORTEST = 8
"""digits of a cell's digest that must be given"""
_FIX = (
    "write init=base, init=sft, init=RESULTS/cells/<digest> for the policy of a stored cell, "
    "or a folder with a policy.json"
)


@dataclass(frozen=True)
class Start:
    """A stored policy to start from: its folder, the cell that it is the outcome of, and its cost."""

    name: str
    folder: Path
    spend: Spend | None
    """what aligning it has cost, all steps; None: not known"""
    record: CellRecord | None
    """the cell whose policy it is; None: none was found"""
    partial: bool = False
    """`spend` is that of the last step alone"""

    @property
    def identity(self) -> str:
        """Name and digest of the policy's files and of the cost that is charged for it."""
        files = sorted(self.folder.rglob("*.json"))
        stored = {str(file.relative_to(self.folder)): digest_file(file) for file in files}
        cost = None if self.spend is None else replace(self.spend, seconds=0.0).to_json()
        return f"{self.name}@{digest([stored, cost])[:16]}"

    @property
    def note(self) -> str:
        """One line for a footnote."""
        who = f"starts from a stored policy ({self.name})"
        if self.spend is None:
            return f"{who}; what that one cost is not known, and not included"
        if self.partial:
            return f"{who}; its last step's cost is included beyond the budget, earlier ones are not known"
        return f"{who}; all that it cost is included beyond the budget"


def find(text: str) -> Start:
    """The stored policy that `init=` names. Raises BadInput where there is none, or it cannot be read."""
    given = Path(text)
    if cell := _cell(given):
        return _of_cell(cell)
    if os.path.isfile(given / POLICY):  # False, and no error, for what can be no path at all
        return _of_policy(given, given.name)
    if os.path.isfile(given / JOB) and (given / "policy" / POLICY).is_file():
        return _of_policy(given / "policy", given.name)
    raise _problem(f"{text!r} is neither base nor sft nor the folder of a stored policy", _FIX)


def other_data(start: Start, task: str, data_digest: str, fold: int) -> str:
    """A footnote where the start was aligned on other data, whose training prompts may be tested here."""
    record = start.record
    if record is None:
        return f"what {start.name} was aligned on is not known: test prompts may be among it"
    if (record.task, record.data_digest, record.fold) == (task, data_digest, fold):
        return ""
    return f"{start.name} was aligned on other data ({record.task}): test prompts here may be among it"


def place_of(policy_folder: Path, root: Path) -> str | None:
    """Where a policy lies under a results folder, for the record of its cell; None where it is elsewhere."""
    folder, root = policy_folder.resolve(), root.resolve()
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else None


def _cell(given: Path) -> Path | None:
    """The folder of the one stored cell that is meant, if it is a cell."""
    if os.path.isfile(given / RUN):
        return given
    if given.parent.name != "cells" or len(given.name) < SHORTEST:
        return None
    found = sorted(given.parent.glob(f"*/{given.name}*"))
    if len(found) > 1:
        raise _problem(f"{given} fits {len(found)} cells", "give more digits of the digest")
    return found[0] if found else None


def _of_cell(folder: Path) -> Start:
    record = _read(folder)
    name = f"{record.label}, seed {record.seed}"
    if record.status != "ok":
        raise _problem(f"the cell {name} in {folder} has no policy: {record.status}", "name another cell")
    place = record.code.get("policy_folder")
    policy = folder.parents[2] / place if place else None
    if policy is None or not (policy / POLICY).is_file():
        where = "was not recorded" if policy is None else f"is not at {policy} any more"
        raise _problem(f"the policy of {name} {where}", "make it again in another results=, or name a folder")
    return Start(name, policy, Spend.from_json(record.spend), record)


def _of_policy(folder: Path, name: str) -> Start:
    job = folder.resolve().parent
    if folder.name != "policy" or not (job / JOB).is_file():
        return Start(name, folder, None, None)
    root = job.parents[2]
    place = place_of(folder, root)
    records = [_read(run.parent) for run in root.glob(f"cells/*/*/{RUN}") if _place(run) == place]
    if ended := [record for record in records if record.status == "ok"]:
        # One policy, several ways to it: never understate.
        record = max(ended, key=lambda r: (r.spend["annotator_seconds"], r.spend["calls"], r.digest))
        return Start(f"{record.label}, seed {record.seed}", folder, Spend.from_json(record.spend), record)
    try:
        spend = Spend.from_json(json.loads((job / JOB).read_text("utf-8"))["spend"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _problem(f"{job / JOB} is damaged ({error})", "name another policy") from error
    return Start(job.name[:16], folder, spend, None, partial=True)


def _place(run: Path) -> Any:
    """Where a cell's policy lies, by its unchecked record; the checked one is read where it matters."""
    try:
        return json.loads(run.read_text("utf-8"))["code"].get("policy_folder")
    except (OSError, ValueError, KeyError, AttributeError):
        return None  # damaged: it vouches for nothing, and tables name it


def _read(folder: Path) -> CellRecord:
    try:
        return results.read_cell(folder.resolve())
    except CorruptResult as error:
        raise _problem(str(error), "name another cell or policy") from error


def _problem(what: str, fix: str) -> BadInput:
    return BadInput([Problem("init", what, fix)])
