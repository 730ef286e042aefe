"""Amounts and names as sentences give them."""

from __future__ import annotations

import pytest

from alignment_bench.amounts import counted, duration, named, size


def test_nouns_agree_with_their_counts() -> None:
    assert [counted(n, "cell") for n in (0, 1, 1326)] == ["0 cells", "1 cell", "1,326 cells"]
    assert counted(2, "entry", "entries") == "2 entries"


def test_long_rows_of_names_say_how_many_are_left_out() -> None:
    assert named(["a", "b", "c"], most=3) == "a, b, c"
    assert named(["a", "b", "c", "d"], most=2) == "a, b and 2 more"


@pytest.mark.parametrize("seconds,said", [(0.94, "0.9 s"), (75, "75 s"), (600, "10.0 min"), (7200, "2.0 h")])
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    "count,said", [(12, "12 B"), (1500, "1.5 kB"), (2.36e9, "2.4 GB"), (3e15, "3,000.0 TB")]
)
def test_sizes(count: float, said: str) -> None:
    assert size(count) == said
