"""The verdict of a block in plain words: who leads, who is tied, who beats base, what could be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from alignment_bench.comparison import BASE, Block, Column, Setting, is_control
from alignment_bench.statistics import ONE_RUN, TWO_RUNS
from alignment_bench.verdicts.comparisons import Pair, against, pairs
from alignment_bench.verdicts.main import main_column
from alignment_bench.verdicts.ties import TiedSet, means, sets_of

if TYPE_CHECKING:
    from alignment_bench.tables.alarms import Alarm


@dataclass(frozen=True)
class Verdict:
    """What a block's main metric supports saying."""

    sentences: tuple[str, ...]
    """in plain words, the most important first"""
    column: Column | None
    """the metric it is about"""
    tied: tuple[TiedSet, ...]
    """tied sets, best first; empty where neither side of the metric is better"""
    pairs: tuple[Pair, ...]
    """all pairs of methods"""
    mde: float | None
    """median over the pairs of the smallest difference that one comparison sees with 80 % power"""
    alarms: tuple[str, ...]
    """controls that differ from base in this block"""
    warnings: tuple[str, ...]
    """why the words may be weaker than they sound"""


def verdict(block: Block, level: float = 0.95, raised: Sequence[Alarm] | None = None) -> Verdict:
    """The verdict on a block's main metric.

    `raised` are the alarms of the table that it stands in, adjusted over all of its blocks; without them
    the block is looked at by itself.
    """
    from alignment_bench.tables.alarms import alarms as own

    found_alarms = own([block]) if raised is None else [one for one in raised if one.block is block]
    alarms = tuple(map(str, found_alarms))
    column = main_column(block)
    if column is None:
        said = (f"No verdict: nothing was scored on {block.setting.task}.",)
        return Verdict(said, None, (), (), None, alarms, _warnings(block, ()))
    compared = pairs(block, column, level)
    found = means(block, column)
    judged = column.better != "neither"
    tied = sets_of(found, compared, column, level) if judged else ()
    mdes = [pair.difference.mde for pair in compared if pair.difference.mde is not None]
    mde = median(mdes) if mdes else None
    sentences = [*_doubt(alarms), *_leaders(block, column, tied, compared)] if judged else [*_doubt(alarms)]
    sentences += _against_base(block, column, level) if judged else []
    if not judged:
        sentences.append(f"{column.name} has no better side: no method leads.")
    if mde is not None:
        sentences.append(
            f"A single comparison of two methods (the median one) sees a true difference of {_number(mde)} "
            f"or more in {column.name} with 80 % power, before the adjustment for {_tested(compared)} "
            "comparisons: tied methods may well differ by less than that, or even by somewhat more."
        )
    return Verdict(tuple(sentences), column, tied, compared, mde, alarms, _warnings(block, compared))


def _doubt(alarms: Sequence[str]) -> list[str]:
    if not alarms:
        return []
    return ["A control differs from base, so everything below is in doubt: look at the control alarm first."]


def _leaders(block: Block, column: Column, tied: Sequence[TiedSet], compared: Sequence[Pair]) -> list[str]:
    if not tied:
        return [f"No verdict: no method has a value of {column.name}."]
    where = _where(block.setting)
    best = tied[0]
    everyone = {label for one in tied for label in one.labels}
    tests = ", ".join(dict.fromkeys(pair.test for pair in compared if pair.p is not None))
    how = f"(Holm over {_tested(compared)} comparisons; {tests})" if tests else ""
    if len(everyone) == 1:
        return [f"{where}, only {best.labels[0]} was scored: there is nothing to compare it with."]
    if not tests:
        return [f"{where}, no difference in {column.name} could be tested."]
    if set(best.labels) == everyone:
        return [f"{where}, no two of the {len(everyone)} methods are told apart in {column.name} {how}."]
    rest = len(everyone) - len(best.labels)
    if len(best.labels) == 1:
        return [
            f"{where}, {best.labels[0]} has the best {column.name} ({_number(best.best_mean)}) and differs "
            f"from all {rest} others {how}."
        ]
    return [
        f"{where}, {_listed(best.labels)} lead in {column.name} (best mean {_number(best.best_mean)}) and "
        f"are not told apart; each of the other {rest} differs from at least one of them {how}."
    ]


def _against_base(block: Block, column: Column, level: float) -> list[str]:
    made = against(block, column, BASE, level)
    compared = [pair for pair in made if not is_control(pair.a)]
    tests = ", ".join(dict.fromkeys(pair.test for pair in compared if pair.p is not None))
    if not tests:
        return []
    sign = -1 if column.better == "lower" else 1
    differ = [pair for pair in compared if pair.differs(level)]
    above = [pair.a for pair in differ if sign * (pair.difference.mean or 0.0) > 0]
    below = [pair.a for pair in differ if sign * (pair.difference.mean or 0.0) < 0]
    unclear = [pair.a for pair in compared if not pair.differs(level)]
    parts = [
        f"better: {', '.join(above) or 'none'}",
        f"worse: {', '.join(below) or 'none'}",
        f"not told apart: {', '.join(unclear) or 'none'}",
    ]
    how = f"Holm over {_tested(made)} comparisons; {tests}"
    return [f"Against base in {column.name} - {'; '.join(parts)} ({how})."]


def _tested(compared: Sequence[Pair]) -> int:
    """Comparisons that have a p-value, over which Holm's adjustment goes."""
    return sum(pair.p is not None for pair in compared)


def _warnings(block: Block, compared: Sequence[Pair]) -> tuple[str, ...]:
    found = []
    for note, count in ((ONE_RUN, 1), (TWO_RUNS, 2)):
        labels = [line.label for line in block.lines if len(line.seeds) == count]
        if labels:
            everyone = len(labels) == sum(bool(line.seeds) for line in block.lines)
            found.append(note if everyone else f"{', '.join(labels)}: {note}")
    failed = [f"{line.label} ({line.status.replace('_', ' ')})" for line in block.lines if not line.seeds]
    if failed:
        found.append(f"not in the verdict: {', '.join(failed)}")
    untested = [f"{pair.a} and {pair.b}" for pair in compared if pair.p is None]
    if untested:
        found.append(f"could not be compared, counted as tied: {', '.join(untested)}")
    if not any(line.label == BASE for line in block.lines):
        found.append("base is not stored here: nothing says whether any method helps")
    return tuple(found)


def _where(setting: Setting) -> str:
    return f"On {setting.task} with {setting.model} at budget {setting.budget}"


def _listed(labels: Sequence[str]) -> str:
    return f"{', '.join(labels[:-1])} and {labels[-1]}"


def _number(value: float) -> str:
    return f"{value:.3g}"
