"""Prices of feedback and the sizes of the named budgets: the one place to change them.

People are paid in annotator seconds, machine teachers in calls; one run uses one currency. The sizes of
``small`` and ``paper`` are those of Scheurer et al. 2023 (300 and 5,000 critiques at their measured
price); ``smoke`` is for continuous integration.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import CHANNELS, Channel

Currency = Literal["seconds", "calls"]

NAMED_BUDGETS: Mapping[str, Mapping[Currency, float]] = {
    "smoke": {"seconds": 9_000.0, "calls": 500.0},
    "small": {"seconds": 54_750.0, "calls": 5_000.0},
    "paper": {"seconds": 912_500.0, "calls": 50_000.0},
}


@dataclass(frozen=True, slots=True)
class Price:
    """What one act on a channel costs a person, in seconds, and where the figure comes from."""

    seconds: float
    assumed: bool
    source: str


@cache
def human_prices() -> Mapping[Channel, Price]:
    """The shipped price list, `benchmarks/prices.toml`."""
    text = resources.files("alignment_bench.benchmarks").joinpath("prices.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return {channel: Price(**table[channel]) for channel in CHANNELS}


def price(channel: Channel, currency: Currency) -> float:
    """Cost of one act in the currency: seconds from the price list, or one call whatever the channel."""
    return human_prices()[channel].seconds if currency == "seconds" else 1.0


def amount_of(name: str, amount: float | None, given: Currency | None, currency: Currency) -> float:
    """The budget as a number in the teacher's currency.

    Raises BadInput where an explicit budget is in the other currency: seconds and calls do not convert.
    """
    if amount is None:
        return NAMED_BUDGETS[name][currency]
    if given != currency:
        raise BadInput(
            [
                Problem(
                    "budget",
                    f"{name!r} is in {given}, but this teacher is paid in {currency}",
                    "give hours or seconds to a teacher that stands for people, calls to a machine",
                )
            ]
        )
    return amount
