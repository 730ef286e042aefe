"""What annotator time would have cost, had the prices that nobody measured been half or twice as high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from alignment_bench.amounts import counted
from alignment_bench.comparison import Block
from alignment_bench.tables.sheets import Sheet, column_sheet
from alignment_bench.tables.spend import Columns

if TYPE_CHECKING:
    from alignment_bench.verdicts import PricedLine

FACTORS = {"half": 0.5, "double": 2.0}
DONE = {"half": "halved", "double": "doubled"}
LEGEND = (
    "hours: annotator time of the acts that were bought, a seed, with every assumed price times {factor:g}; "
    "measured prices stay; gain an hour: difference to base of the main metric, up is better, over the hours"
)


def priced(blocks: Sequence[Block], prices: str, width: int) -> list[tuple[Sheet, dict[str, Any]]]:
    """For each block paid in annotator time its sheet at other prices, and the same for machines."""
    from alignment_bench.verdicts import at_prices

    out: list[tuple[Sheet, dict[str, Any]]] = []
    for place, block in enumerate(blocks):
        if block.setting.currency != "seconds":
            continue
        found = at_prices(block, FACTORS[prices])
        lines = found.lines
        columns: Columns = [
            (f"hours at {prices}", [f"{one.hours:.2f}" for one in lines]),
            ("hours as listed", [f"{one.hours_at_listed:.2f}" for one in lines]),
            ("assumed", [f"{one.assumed_share:.0%}" for one in lines]),
            ("budget", ["exceeded" if one.over_budget else "kept" for one in lines]),
            ("gain an hour", [_gain(one) for one in lines]),
        ]
        setting = block.setting
        title = (
            f"{setting.task}, model {setting.model}, budget {setting.budget}: assumed prices {DONE[prices]}"
        )
        caption = [LEGEND.format(factor=found.factor), *([found.note] if found.note else [])]
        none = (
            f"of {counted(found.comparisons, 'comparison')} of gain an hour (Holm, 5 %) none comes out "
            "otherwise than as listed"
            if found.comparisons
            else "no two methods could be compared in gain an hour"
        )
        verdict = found.flips or (none,)
        sheet = column_sheet(title, caption, [one.label for one in lines], columns, width, verdict)
        out.append((sheet, {"block": place, "prices": prices, **asdict(found)}))
    return out


def _gain(line: PricedLine) -> str:
    if line.gain_per_hour is not None:
        return f"{line.gain_per_hour:+.3g}"
    return "loss" if line.loss and line.hours_at_listed else "n/a"
