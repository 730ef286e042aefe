"""The audit of a judge: what its verdicts are worth, measured on pairs that people have labelled.

Always-longer and random are judged on the same pairs beside it. A judge that breaks a rule
(`alignment_bench.judging.rules`) marks every verdict it gave; `Card.failed` are the lines for captions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alignment_bench import registry
from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import Judge
from alignment_bench.hosting import Host, host_of
from alignment_bench.jobs import JobResult, JobStore
from alignment_bench.judging import measures, rules
from alignment_bench.judging.human_pairs import HumanPair
from alignment_bench.judging.measures import Judged
from alignment_bench.judging.pairwise import BothOrders, Choice, Pairing, watched
from alignment_bench.ledger import Spend, metering
from alignment_bench.prompts import Key, Message, Prompt
from alignment_bench.statistics import Interval

CONTROLS = ("always_longer", "random_choice")
"""judges that know nothing, audited beside every judge"""


@dataclass(frozen=True)
class Cost:
    """What judging the pairs took. Answers that were stored already are charged as when they were given;
    `seconds` alone are those of this audit."""

    questions: int
    """questions whose answer can depend on order, both orders counted; 0 for a judge without any"""
    spend: Spend
    seconds: float


@dataclass(frozen=True)
class Card:
    """One judge on one file of pairs."""

    judge: str
    caption: str
    pairs: int
    groups: int
    left_out: int
    """pairs that the judge cannot judge"""
    why_left_out: str
    values: Mapping[str, Interval | None]
    outcomes: Mapping[str, rules.Outcome]
    failed: tuple[str, ...]
    cost: Cost
    own: tuple[str, ...] = ()
    """the models whose texts count as the judge's own"""


@dataclass(frozen=True)
class Audit:
    """A judge's card, and the controls' on the same pairs."""

    source: str
    card: Card
    controls: tuple[Card, ...] = field(default=())

    @property
    def cards(self) -> tuple[Card, ...]:
        """The judge's card first."""
        return (self.card, *self.controls)


def audit(
    judge: Judge,
    label: str,
    pairs: Sequence[HumanPair],
    source: str,
    host: Host,
    own: Sequence[str] = (),
) -> Audit:
    """The audit of a judge, called `label`, on pairs of `source`. `own`: models of the judge's own kin.

    Without `own`, the judge's `model` where it wrote some of the texts. Raises BadInput where it can judge
    none of the pairs.
    """
    fit, reason = _fitting(judge, pairs)
    if not fit:
        what = f"{label} can judge none of the {len(pairs)} pairs: {reason}"
        raise BadInput([Problem("judge", what, "choose another judge or other pairs")])
    writers = {name for pair in fit for name in (pair.first_model, pair.second_model) if name}
    kin = tuple(own) or tuple({str(getattr(judge, "model", ""))} & writers)
    card = _card(judge, label, fit, host, kin, len(pairs) - len(fit), reason)
    controls = [
        _card(registry.load("judges", name)(), name, fit, host, (), 0, "")
        for name in CONTROLS
        if name != label
    ]
    return Audit(source, card, tuple(controls))


def _fitting(judge: Judge, pairs: Sequence[HumanPair]) -> tuple[list[HumanPair], str]:
    """The pairs that the judge can judge, and why not the others."""
    keys = [_key(pair) for pair in pairs]
    reason = judge.unfit(keys)
    if reason is None:
        return list(pairs), ""
    fit = [pair for pair, key in zip(pairs, keys, strict=True) if judge.unfit([key]) is None]
    return fit, reason


def _card(
    judge: Judge,
    label: str,
    pairs: Sequence[HumanPair],
    host: Host,
    own: tuple[str, ...],
    left_out: int,
    why: str,
) -> Card:
    store = _Counting(host.store.root)
    ready = host_of(judge, replace(host, store=store))
    started = time.perf_counter()
    with metering() as meter, watched() as asked:
        judged = _judged(ready, pairs)
    seconds = time.perf_counter() - started
    spend = store.spent + meter.total
    asked_twice = asked or _swapped(ready, judged)
    values = _values(judged, asked_twice, own)
    return Card(
        judge=label,
        caption=ready.caption(),
        pairs=len(pairs),
        groups=len(set(judged.groups)),
        left_out=left_out,
        why_left_out=why,
        values=values,
        outcomes=rules.outcomes(values),
        failed=rules.failed(values),
        cost=Cost(2 * len(asked), spend, seconds),
        own=own,
    )


def _judged(judge: Judge, pairs: Sequence[HumanPair]) -> Judged:
    verdicts = judge.compare(*_asked(pairs))
    values = np.array([verdict.value if verdict.parsed else 0.5 for verdict in verdicts])
    return Judged(tuple(pairs), values, tuple(verdict.parsed for verdict in verdicts))


def _asked(pairs: Sequence[HumanPair]) -> tuple[list[Prompt], list[Key], list[str], list[str]]:
    prompts = [Prompt(pair.id, (Message("user", pair.prompt),), pair.group) for pair in pairs]
    return prompts, [_key(p) for p in pairs], [p.first for p in pairs], [p.second for p in pairs]


def _key(pair: HumanPair) -> Key:
    return Key(pair.id, pair.references)


def _swapped(judge: Judge, judged: Judged) -> list[BothOrders]:
    """For a judge that asks nothing in both orders by itself: its verdicts on the pairs turned round."""
    prompts, keys, first, second = _asked(judged.pairs)
    turned = judge.compare(prompts, keys, second, first)
    return [
        BothOrders(
            Pairing(prompt, key, one, other),
            Choice(float(value) if parsed else None),
            Choice(back.value if back.parsed else None),
        )
        for prompt, key, one, other, value, parsed, back in zip(
            prompts, keys, first, second, judged.verdicts, judged.parsed, turned, strict=True
        )
        if one != other
    ]


def _values(judged: Judged, asked: Sequence[BothOrders], own: Sequence[str]) -> dict[str, Interval | None]:
    groups = [one.pairing.prompt.group or one.pairing.prompt.id for one in asked]
    decided = bool((judged.people != 0.5).any())
    ours, people = measures.prefers_longer(judged)
    return {
        "agreement": measures.agreement(judged) if decided else None,
        "balanced_agreement": measures.balanced_agreement(judged),
        "kappa": measures.kappa(judged),
        "length_slope": measures.length_slope(judged),
        "prefers_longer": ours,
        "people_prefer_longer": people,
        "swap_consistency": measures.swap_consistency(asked, groups),
        "first_slot_advantage": measures.first_slot_advantage(asked, groups),
        "self_preference": measures.self_preference(judged, own),
        "ties": measures.ties(judged),
        "unparsed": measures.unparsed(judged),
    }


class _Counting(JobStore):
    """A job store that adds up what the jobs asked of it cost, done now or stored."""

    def __init__(self, root: Any) -> None:
        super().__init__(root)
        self.spent = Spend()
        self._adding = threading.Lock()  # endpoints are asked by several threads

    def run(self, *asked: Any, **named: Any) -> JobResult:
        """As in JobStore, with the job's Spend added."""
        result = super().run(*asked, **named)
        with self._adding:
            self.spent = self.spent + result.spend
        return result
