"""Reads `scores.json` fast: a table of a thousand cells is ten million ids and tens of millions of numbers.

The ids of a task recur in every cell, so the text that holds them is parsed once and remembered. Numbers go
through Arrow's reader, which rounds as exactly as Python's in half the time and never makes a Python float.
Inside a JSON string a quote is always escaped, so the two marks that the text is cut at occur nowhere else.
A text of another layout than `results.write_cell` gives is parsed by `json` as a whole.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignment_bench.cells import MetricScores, Values

Ids = tuple[tuple[str, ...], tuple[str, ...]]
"""prompt ids and clusters"""
Shared = dict[bytes, Ids]
"""the ids that cells have in common, by the text they were read from"""

_SCORES, _VALUES = b'"scores":[', b'"values":['


def parse(raw: bytes, shared: Shared) -> tuple[Ids, tuple[MetricScores, ...]]:
    """Ids and metrics of one file; raises ValueError, KeyError or TypeError where it holds something else."""
    head, mark, tail = raw.partition(_SCORES)
    if not mark or not head.endswith(b","):
        whole = json.loads(raw)
        metrics = [MetricScores(**{**one, "values": Values(one["values"])}) for one in whole["scores"]]
        return _ids(whole), tuple(metrics)
    if head not in shared:
        shared[head] = _ids(json.loads(head[:-1] + b"}"))
    first, *rest = tail.split(_VALUES)
    numbers, between = [], [first]
    for part in rest:
        text, end, after = part.partition(b"]")
        numbers.append(_floats(text))
        between.append(end + after)
    # what is left once the numbers are out: a small JSON text with empty lists
    metrics = json.loads(b'{"scores":[' + _VALUES.join(between))["scores"]
    if any(one["values"] for one in metrics) or len(metrics) != len(numbers):
        raise ValueError("scores are not one list of numbers a metric")
    made = (
        MetricScores(**{**one, "values": Values(values)})
        for one, values in zip(metrics, numbers, strict=True)
    )
    return shared[head], tuple(made)


def _ids(found: dict[str, Any]) -> Ids:
    # one string each, however many lists it is in
    return tuple(map(sys.intern, found["prompt_ids"])), tuple(map(sys.intern, found["clusters"]))


def _floats(text: bytes) -> NDArray[np.float64]:
    """The numbers of a JSON list without its brackets, null as nan."""
    if not text.strip():
        return np.zeros(0)
    import pyarrow
    import pyarrow.csv

    lines = pyarrow.BufferReader(text.replace(b",", b"\n"))
    table = pyarrow.csv.read_csv(lines, read_options=_reading(len(text)), convert_options=_converting())
    values: NDArray[np.float64] = table.column(0).to_numpy()
    if len(values) != text.count(b",") + 1:
        raise ValueError("an empty place in a list of numbers")
    return values


def _reading(size: int) -> Any:
    from pyarrow.csv import ReadOptions

    return ReadOptions(column_names=["value"], use_threads=False, block_size=size + 1)


@cache
def _converting() -> Any:
    import pyarrow
    from pyarrow.csv import ConvertOptions

    return ConvertOptions(column_types={"value": pyarrow.float64()}, null_values=["null"])
