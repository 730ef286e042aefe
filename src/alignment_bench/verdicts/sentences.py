"""The verdict of a block in plain words: who leads, who is tied, who beats base, what could be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from alignment_bench.amounts import counted
from alignment_bench.comparison import BASE, Block, Column, Setting, is_control
from alignment_bench.statistics import ONE_RUN, TWO_RUNS
from alignment_bench.verdicts.best import BestSet, may_be_best
from alignment_bench.verdicts.comparisons import Pair, against, pairs
from alignment_bench.verdicts.main import main_column
from alignment_bench.verdicts.ties import TiedSet, means, sets_of

if TYPE_CHECKING:
    from alignment_bench.tables.alarms import Alarm


MOST = 20
"""labels listed in a sentence; of more it says how many"""


@dataclass(frozen=True)
class AgainstBase:
    """Every method but the controls, by its comparison with base after Holm over these comparisons."""

    better: tuple[str, ...]
    worse: tuple[str, ...]
    unclear: tuple[str, ...]


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
    best: BestSet | None = None
    """the methods that may be the best; None where neither side of the metric is better"""
    against_base: AgainstBase | None = None


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
    best = may_be_best(found, compared, column, level) if judged else None
    beside = against(block, column, BASE, level) if judged else ()
    base = _beside_base(column, beside, level) if judged else None
    mdes = [pair.difference.mde for pair in compared if pair.difference.mde is not None]
    mde = median(mdes) if mdes else None
    sentences = _doubt(alarms)
    if best and base:
        sentences += _leaders(block, column, found, best, compared, level)
        sentences += _against_base(column, beside, base)
    else:
        sentences.append(f"{column.name} has no better side: no method leads.")
    sentences += _pairwise(column, compared, mde, level)
    warnings = _warnings(block, compared)
    return Verdict(tuple(sentences), column, tied, compared, mde, alarms, warnings, best, base)


def _doubt(alarms: Sequence[str]) -> list[str]:
    if not alarms:
        return []
    return ["A control differs from base, so everything below is in doubt: look at the control alarm first."]


def _leaders(
    block: Block,
    column: Column,
    found: Mapping[str, float],
    best: BestSet,
    compared: Sequence[Pair],
    level: float,
) -> list[str]:
    if not found:
        return [f"No verdict: no method has a value of {column.name}."]
    where = _where(block.setting)
    if len(found) == 1:
        return [f"{where}, only {best.labels[0]} was scored: there is nothing to compare it with."]
    if not _tested(compared):
        return [f"{where}, no difference in {column.name} could be tested."]
    adjusted = counted(best.comparisons, "comparison")
    how = f"(each method one-sided against all others, adjusted for {adjusted}; {_tests(compared)})"
    top = _number(found[best.labels[0]])
    if not best.ruled_out:
        return [
            f"{where}, any of the {len(found)} methods may be the best in {column.name}: none is told to be "
            f"worse than another {how}."
        ]
    if len(best.labels) == 1:
        others = "the other one is" if len(found) == 2 else f"all {len(found) - 1} others are"
        return [
            f"{where}, {best.labels[0]} has the best {column.name} ({top}): {others} ruled out as the best "
            f"{how}."
        ]
    return [
        f"{where}, the best method in {column.name} is one of {len(best.labels)} of {len(found)}, with "
        f"{100 * level:g} % confidence: {_some(best.labels)} (best mean {top}).",
        f"Ruled out as the best in {column.name}: {_some(best.ruled_out)} {how}.",
    ]


def _pairwise(column: Column, compared: Sequence[Pair], mde: float | None, level: float) -> list[str]:
    """How many of all pairs differ, and how large a difference would have shown."""
    tested = _tested(compared)
    if tested < 2:
        said = []
    else:
        apart = sum(pair.differs(level) for pair in compared)
        said = [
            f"Of all pairs of methods {apart or 'none'} of {tested} "
            f"{'is' if apart < 2 else 'are'} told apart in {column.name} (Holm over {tested} comparisons)."
        ]
    if mde is not None:
        one = "The comparison of the two methods" if tested == 1 else "A single comparison (the median one)"
        said.append(
            f"{one} sees a true difference of {_number(mde)} or more in {column.name} with 80 % power"
            + (", before any adjustment" if tested > 1 else "")
            + ": methods that are not told apart may well differ by less than that, or even by somewhat more."
        )
    return said


def _against_base(column: Column, made: Sequence[Pair], found: AgainstBase) -> list[str]:
    tests = _tests([pair for pair in made if not is_control(pair.a)])
    if not tests:
        return []
    parts = [
        f"better: {_some(found.better)}",
        f"worse: {_some(found.worse)}",
        f"not told apart: {_some(found.unclear)}",
    ]
    how = f"Holm over {counted(_tested(made), 'comparison')}; {tests}"
    return [f"Against base in {column.name} - {'; '.join(parts)} ({how})."]


def _beside_base(column: Column, made: Sequence[Pair], level: float) -> AgainstBase:
    sign = -1 if column.better == "lower" else 1
    compared = [pair for pair in made if not is_control(pair.a)]
    differ = [pair for pair in compared if pair.differs(level)]
    return AgainstBase(
        tuple(pair.a for pair in differ if sign * (pair.difference.mean or 0.0) > 0),
        tuple(pair.a for pair in differ if sign * (pair.difference.mean or 0.0) < 0),
        tuple(pair.a for pair in compared if not pair.differs(level)),
    )


def _tests(compared: Sequence[Pair]) -> str:
    return ", ".join(dict.fromkeys(pair.test for pair in compared if pair.p is not None))


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


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:MOST]) or "none"
    return f"{shown} and {len(labels) - MOST} more (format=json names all)" if len(labels) > MOST else shown


def _number(value: float) -> str:
    return f"{value:.3g}"
