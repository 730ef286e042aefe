"""Spend columns: what a method paid its teacher, generated, trained on and computed, and what tests cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alignment_bench.comparison import Block, Line

SPEND = (
    "spend is that of one training, a mean over seeds and folds: tokens sampled and trained on, seconds of "
    "wall time; test: tokens sampled, GFLOPs and seconds to answer the test prompts"
)
Columns = list[tuple[str, list[str]]]
"""columns as header and cells"""
ACTS = "acts"
_KEYS = ("annotator_seconds", "calls", "words", "tokens_generated", "tokens_trained", "flops", "seconds")


def spend_columns(block: Block) -> Columns:
    """What one training of each line cost: the mean over its seeds and folds, each with its own budget."""
    seconds = block.setting.currency == "seconds"
    spends = [mean_spend(line, "spend") for line in block.lines]
    tests = [mean_spend(line, "test_spend") for line in block.lines]
    used = [one.get("annotator_seconds" if seconds else "calls", 0.0) for one in spends]
    amounts = [line.cells[0].budget_amount if line.cells else 0.0 for line in block.lines]
    paid = [f"{one / 3600:.2f}" if seconds else f"{one:,.0f}" for one in used]

    def of(key: str, where: Sequence[Mapping[str, float]] = spends, unit: float = 1.0) -> list[str]:
        return [short(one.get(key, 0.0) / unit) for one in where]

    acts = [", ".join(f"{name} {count:,.0f}" for name, count in bought(one).items()) for one in spends]
    tuning = [one.cells[0].tuning if one.cells else {} for one in block.lines]
    return [
        ("hours" if seconds else "calls", paid),
        (
            "used",
            [f"{one / amount:.0%}" if amount else "-" for one, amount in zip(used, amounts, strict=True)],
        ),
        ("words", of("words")),
        ("sampled", of("tokens_generated")),
        ("trained", of("tokens_trained")),
        ("GFLOPs", of("flops", unit=1e9)),
        ("seconds", of("seconds")),
        ("test", of("tokens_generated", tests)),
        ("test GFLOPs", of("flops", tests, 1e9)),
        ("test seconds", of("seconds", tests)),
        *([("tuning", [_tuning(one, seconds) for one in tuning])] if any(tuning) else []),
        (ACTS, [one or "-" for one in acts]),
    ]


def spend_rows(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """The same for machines: one dictionary a block and method, numbers in the units of their names."""
    return [
        {
            "block": place,
            "method": line.label,
            **{name: _numbers(mean_spend(line, name)) for name in ("spend", "test_spend")},
            "tuning": dict(line.cells[0].tuning) if line.cells else {},
        }
        for place, block in enumerate(blocks)
        for line in block.lines
    ]


def mean_spend(line: Line, name: str) -> dict[str, float]:
    """`spend` or `test_spend` of a line's mean training, over seeds and folds; acts as `acts/CHANNEL`."""
    totals: dict[str, float] = {}
    cells = [cell for cell in line.cells if cell.seed in line.seeds] or line.cells
    for cell in cells:
        stored: Mapping[str, Any] = getattr(cell, name)
        flat = {f"acts/{channel}": count for channel, count in stored.get("acts", {}).items()}
        for key, value in (flat | {key: stored[key] for key in stored if key != "acts"}).items():
            totals[key] = totals.get(key, 0.0) + float(value) / len(cells)
    return totals


def bought(spend: Mapping[str, float]) -> dict[str, float]:
    """Acts by channel of what `mean_spend` gives, those that happened."""
    return {key[5:]: value for key, value in spend.items() if key.startswith("acts/") and value}


def short(value: float) -> str:
    """A count in three digits: 12.3k, 1.16M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def _numbers(spend: Mapping[str, float]) -> dict[str, Any]:
    return {**{key: spend.get(key, 0.0) for key in _KEYS}, "acts": bought(spend)}


def _tuning(tuning: Mapping[str, Any], seconds: bool) -> str:
    """What finding the tuned values of a line cost, once for all of its seeds."""
    if not tuning:
        return "-"
    paid = f"{tuning['annotator_seconds'] / 3600:.1f} h" if seconds else f"{tuning['calls']:,.0f} calls"
    return f"{paid}, {tuning['trials']} trials"
