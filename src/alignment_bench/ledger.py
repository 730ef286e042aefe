"""What was spent. `Spend` adds up, `metering` collects what the engine uses, `Ledger` enforces a budget.

The engine reports every token it samples, scores or trains on to the innermost open meter; teachers'
acts are charged by the ledger before they happen. A job stores the Spend of its work, and whoever gets
the stored result is charged that same Spend: sharing saves time, never budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from alignment_bench.budgets import Currency, human_prices, price
from alignment_bench.errors import OverBudget
from alignment_bench.feedback import Channel


@dataclass(frozen=True)
class Spend:
    """Additive cost of some work. FLOPs are estimated as 2 (forward) or 6 (training) per weight and token."""

    acts: Mapping[str, int] = field(default_factory=dict)
    """answered acts of the teacher, by channel"""
    words: int = 0
    """words the teacher wrote"""
    annotator_seconds: float = 0.0
    """priced time of the people the teacher stands for"""
    calls: int = 0
    """calls of a machine teacher"""
    tokens_generated: int = 0
    """tokens sampled, thrown away or not"""
    tokens_scored: int = 0
    """tokens whose probability was computed"""
    tokens_trained: int = 0
    """tokens that went through a training step, prompts included, once per epoch"""
    flops: float = 0.0
    seconds: float = 0.0
    """wall time of the work when it was done"""
    tokens_read: int = 0
    """tokens that a language model which plays teacher or judge was given"""
    tokens_written: int = 0
    """tokens that it wrote"""
    money: float = 0.0
    """what its endpoint charges for both, at the prices that were told"""

    def __add__(self, other: Spend) -> Spend:
        channels = {**self.acts, **other.acts}
        acts = {c: self.acts.get(c, 0) + other.acts.get(c, 0) for c in channels}
        sums = {
            f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "acts"
        }
        return Spend(acts=acts, **sums)

    @property
    def spoken(self) -> str:
        """What language models that play teacher or judge took, in words; "" where there was none."""
        if not (self.tokens_read or self.tokens_written):
            return ""
        paid = f", {self.money:.4f} in money at the prices given" if self.money else ""
        return f"{self.tokens_read:,} tokens read and {self.tokens_written:,} written{paid}"

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping; `from_json` reads it back."""
        return asdict(self)

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Spend:
        """The Spend that `to_json` wrote."""
        return Spend(**stored)


class Meter:
    """Adds up what the engine reports while it is the innermost open meter."""

    def __init__(self) -> None:
        self.total = Spend()
        self.bills: dict[str, Spend] = {}
        """the named part of it: answers that are paid once, however often they are looked up"""


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metering() -> Iterator[Meter]:
    """Collects everything reported inside the block; an outer meter does not see it a second time."""
    meter = Meter()
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)


def report(spend: Spend) -> None:
    """Called by the engine and the training loops for what they used; without an open meter, dropped."""
    meter = _METER.get()
    if meter is not None:
        meter.total = meter.total + spend


def report_bills(bills: Mapping[str, Spend]) -> None:
    """Reports what answers took, each by a name: one that the open meter knows already is not added again."""
    meter = _METER.get()
    if meter is not None:
        new = {name: spend for name, spend in bills.items() if name not in meter.bills}
        meter.bills |= new
        meter.total = sum(new.values(), meter.total)


def current_spend() -> Spend:
    """What the innermost open meter has collected so far; checkpoints store it."""
    meter = _METER.get()
    return meter.total if meter is not None else Spend()


def forward_cost(parameters: int, tokens: int) -> float:
    """FLOPs of a forward pass over `tokens`."""
    return 2.0 * parameters * tokens


def training_cost(parameters: int, tokens: int) -> float:
    """FLOPs of a forward and backward pass over `tokens`."""
    return 6.0 * parameters * tokens


class Ledger:
    """One method's account: a budget in one currency, and everything spent under it."""

    def __init__(self, currency: Currency, budget: float) -> None:
        self.currency: Currency = currency
        self.budget = budget
        self.spent = Spend()
        self.assumed: set[str] = set()
        """channels bought at an assumed price"""
        self._limit = budget
        self._inherited = 0.0

    @property
    def used(self) -> float:
        """Spent so far of the budget, in its currency."""
        return self._in_currency(self.spent) - self._inherited

    def _in_currency(self, spend: Spend) -> float:
        return spend.annotator_seconds if self.currency == "seconds" else float(spend.calls)

    def inherit(self, spend: Spend) -> None:
        """Books what the policy that alignment starts from has cost: shown, but beyond the budget."""
        self.charge(spend)
        self._inherited += self._in_currency(spend)

    @property
    def remaining(self) -> float:
        """What the part of the method that is running may still spend on feedback."""
        return self._limit - self.used

    def open_part(self, share: float) -> None:
        """The next part of a composition may spend `share` of the whole budget and nothing of the rest."""
        self._limit = min(self.budget, self.used + share * self.budget)

    def affordable(self, channel: Channel) -> int:
        """How many acts on the channel the remaining budget pays for."""
        return int((self.remaining + 1e-6) // price(channel, self.currency))

    def authorise(self, channel: Channel, acts: int) -> None:
        """Raises OverBudget, with nothing charged, where `acts` cost more than what remains."""
        self._authorise(f"{acts} {channel} acts", acts * price(channel, self.currency))

    def _authorise(self, what: str, cost: float) -> None:
        if cost > self.remaining + 1e-6:
            raise OverBudget(
                f"{what} cost {cost:,.0f} {self.currency}; {self.remaining:,.0f} of "
                f"{self.budget:,.0f} remain: raise budget= or ask for fewer"
            )

    def review_price(self, channels: Sequence[Channel]) -> float:
        """Of one act that fills several channels: people are paid for each, a machine once."""
        prices = [price(channel, self.currency) for channel in channels]
        return sum(prices) if self.currency == "seconds" else max(prices)

    def affordable_reviews(self, channels: Sequence[Channel]) -> int:
        """How many acts that fill all these channels the remaining budget pays for."""
        return int((self.remaining + 1e-6) // self.review_price(channels))

    def authorise_reviews(self, channels: Sequence[Channel], acts: int) -> None:
        """Raises OverBudget, with nothing charged, where `acts` cost more than what remains."""
        self._authorise(f"{acts} reviews ({', '.join(channels)})", acts * self.review_price(channels))

    def charge(self, spend: Spend) -> None:
        """Books a Spend, whether its work was just done or came from the store."""
        self.spent = self.spent + spend
        if self.currency == "seconds":
            self.assumed |= {
                c for c, price_ in human_prices().items() if price_.assumed and spend.acts.get(c)
            }


def price_of_acts(channel: Channel, acts: int, words: int, currency: Currency) -> Spend:
    """The Spend of `acts` answers on a channel."""
    seconds = acts * price(channel, currency) if currency == "seconds" else 0.0
    return Spend(
        acts={channel: acts},
        words=words,
        annotator_seconds=seconds,
        calls=acts if currency == "calls" else 0,
    )
