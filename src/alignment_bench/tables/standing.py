"""What the verdict says of each line of a table: the letters of its tied sets, and the words above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from alignment_bench.amounts import counted
from alignment_bench.comparison import Block, Column, Line

if TYPE_CHECKING:
    from alignment_bench.tables.alarms import Alarm
    from alignment_bench.verdicts import AgainstBase, BestSet, TiedSet

TIED = (
    "tied set, of {metric}: methods that share a letter are not told apart ({how}); a holds the best mean. "
    "Sharing a letter is no proof of being equal"
)
PICKED = (
    "the verdict, its tied sets and every adjustment are of all {all} methods that are stored, of which "
    "{shown} are shown"
)


@dataclass(frozen=True)
class Standing:
    """The verdict on one block, as its table shows it."""

    column: Column | None = None
    letters: Mapping[str, str] = field(default_factory=dict)
    """method to the letters of its tied sets"""
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    mde: float | None = None
    """between two methods of the block, median over pairs"""
    tied: tuple[TiedSet, ...] = ()
    legend: str = ""
    """what the letters mean, which tests they rest on, and whose verdict it is where not all are shown"""
    best: BestSet | None = None
    against_base: AgainstBase | None = None

    def by_metric(self) -> dict[tuple[str, str], str]:
        """Letters by method and metric."""
        return (
            {(label, self.column.name): text for label, text in self.letters.items()} if self.column else {}
        )


def standing(block: Block, raised: Sequence[Alarm] | None = None, shown: int | None = None) -> Standing:
    """The verdict of a whole block, before `shown` of its lines are picked; `raised` as in `verdict`."""
    from alignment_bench.verdicts import verdict

    found = verdict(block, raised=raised)
    tests = dict.fromkeys(pair.test for pair in found.pairs if pair.p is not None)
    adjusted = sum(pair.p_holm is not None for pair in found.pairs)
    legend = ""
    if found.column and found.tied:
        untested = len(found.pairs) - adjusted
        which = f"{'all' if not untested and adjusted > 1 else 'the'} {counted(adjusted, 'pair')}"
        how = f"{' or '.join(tests)}; Holm over {which} of methods, family-wise 5 %" if tests else "no test"
        if untested and tests:
            how += (
                f"; {counted(untested, 'pair')} could not be tested and count{'s' * (untested == 1)} as tied"
            )
        legend = TIED.format(metric=found.column.name, how=how)
    if shown is not None and shown < len(block.lines):
        legend = "; ".join(filter(None, (legend, PICKED.format(all=len(block.lines), shown=shown))))
    return Standing(
        found.column,
        letters([one.labels for one in found.tied]),
        found.sentences,
        found.warnings,
        found.mde,
        found.tied,
        legend,
        found.best,
        found.against_base,
    )


def letters(sets: Sequence[Sequence[str]]) -> dict[str, str]:
    """Each method's letters, the first set being a: a compact letter display (Piepho 2004)."""
    out: dict[str, str] = {}
    for place, labels in enumerate(sets):
        for label in labels:
            out[label] = out.get(label, "") + letter(place)
    return out


def letter(place: int) -> str:
    """a to z, then a2 to z2, and so on."""
    turn, within = divmod(place, 26)
    return chr(ord("a") + within) + (str(turn + 1) if turn else "")


def detectable(lines: Sequence[Line], columns: Sequence[Column]) -> list[str]:
    """The caption's line on what this run could have seen of a difference to base, before any adjustment."""
    parts = []
    for column in columns:
        mdes = [d.mde for line in lines if (d := line.estimates[column.name].delta) and d.mde is not None]
        if mdes:
            ends = (
                f"{median(mdes):.3g}"
                if len(mdes) == 1
                else f"median {median(mdes):.3g}, at most {max(mdes):.3g}"
            )
            parts.append(f"{column.name} {ends}")
    said = "smallest difference to base seen with 80 % power"
    return [f"{said}: {'; '.join(parts)}; of one comparison, unadjusted"] if parts else []


def as_json(place: int, found: Standing) -> dict[str, Any]:
    """The verdict of block number `place` for machines."""
    return {
        "block": place,
        "metric": found.column.name if found.column else None,
        "sentences": list(found.sentences),
        "warnings": list(found.warnings),
        "tied_sets": [
            {"letter": letter(rank), "methods": list(one.labels), "means": list(one.means)}
            for rank, one in enumerate(found.tied)
        ],
        "may_be_best": list(found.best.labels) if found.best else None,
        "ruled_out": list(found.best.ruled_out) if found.best else None,
        "against_base": asdict(found.against_base) if found.against_base else None,
        "detectable": found.mde,
        "legend": found.legend,
    }
