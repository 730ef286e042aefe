"""Aligning one cell: every part of its label in turn, each with its share of the budget, from its start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from alignment_bench import starts
from alignment_bench.controller import Controller
from alignment_bench.errors import CorruptResult, NotApplicable
from alignment_bench.ledger import Spend, metering
from alignment_bench.models.storage import load_policy
from alignment_bench.plan import UNTRAINED, Cell
from alignment_bench.policy import LogitPolicy, Policy


@dataclass(frozen=True)
class Aligned:
    """A policy with what it cost and what there is to say about it."""

    policy: Policy
    spend: Spend
    notes: tuple[str, ...]


def align(cell: Cell, base: LogitPolicy, controller: Controller) -> Aligned:
    """The cell's policy: every part of its label in turn, each with its share of the budget.

    What was spent and noted until something goes wrong stays with the controller.
    """
    ledger = controller.ledger
    controller.known_base = base
    prompts = [example.prompt for example in cell.setting.data.train]
    policy: Policy = start_of(cell, base, controller)
    try:
        for part, share in zip(cell.parts, shares(cell), strict=True):
            ledger.open_part(share)
            with controller.open_lab() as lab, charging(controller, part.name):
                policy = part.plugin.align(policy, list(prompts), lab)
    finally:
        controller.asking.tell()
        if ledger.assumed:
            controller.note(f"assumed price: {', '.join(sorted(ledger.assumed))}")
    return Aligned(policy, ledger.spent, tuple(controller.notes))


@contextmanager
def charging(controller: Controller, name: str) -> Iterator[None]:
    """Charges, however the block ends, for models that a part ran in it outside its lab."""
    with metering() as outside:
        try:
            yield
        finally:
            if outside.total != Spend():
                controller.ledger.charge(outside.total)
                controller.note(f"{name} ran models outside its lab: charged, but not stored for a resume")


def shares(cell: Cell) -> list[float]:
    """Each part's share of the budget: equal, or `share=` for the first and equal parts of the rest."""
    buying = [
        part.name not in UNTRAINED
        and not (getattr(part.plugin, "wrapper", False) and getattr(part.plugin, "wants", None) == ())
        for part in cell.parts
    ]
    count = max(1, sum(buying))
    first = cell.setting.request.share
    out, seen = [], 0
    for buys in buying:
        if not buys:
            out.append(0.0)
            continue
        if first is None or count == 1:
            out.append(1.0 / count)
        else:
            out.append(first if seen == 0 else (1.0 - first) / (count - 1))
        seen += 1
    return out


def start_of(cell: Cell, base: LogitPolicy, controller: Controller) -> Policy:
    """What alignment starts from: the base, or the stored policy that init= names."""
    init = cell.setting.request.init
    if init in ("base", "sft") or cell.label.parts[0].name in UNTRAINED:
        return base
    start = starts.find(init)
    policy = load_policy(start.folder, cell.setting.runtime)
    if start.record is not None and policy.digest != start.record.code["policy"]:
        raise CorruptResult(f"{start.folder} is not the policy of {start.name} any more: make it again")
    if getattr(policy, "base_digest", cell.setting.source.digest) != cell.setting.source.digest:
        raise NotApplicable(f"init: {start.name} was not trained from {cell.setting.source.name}")
    controller.note(start.note)
    if other := starts.other_data(start, cell.setting.task.name, cell.setting.data.digest, cell.setting.fold):
        controller.note(other)
    controller.note("the start is one training run, the same for every seed: no interval shows its luck")
    if start.spend is not None:
        controller.ledger.inherit(start.spend)
    return policy
