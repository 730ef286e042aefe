"""Tables for machines: CSV with one row a method and metric, and JSON with all that is behind a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from alignment_bench.results import Unreadable
from alignment_bench.tables.alarms import Alarm
from alignment_bench.tables.rows import Row

SCHEMA = 1
"""version of the JSON's shape"""


@dataclass(frozen=True)
class Content:
    """What a table says, before any layout; `block` in all of it is the number of a block."""

    rows: Sequence[Row]
    spend: Sequence[dict[str, Any]] = ()
    verdicts: Sequence[dict[str, Any]] = ()
    alarms: Sequence[tuple[int, Alarm]] = ()
    unreadable: Sequence[Unreadable] = ()
    more: dict[str, Any] = field(default_factory=dict)
    """what was asked for besides: `tasks`, `judges`, `prices`"""


def as_csv(content: Content) -> str:
    """The rows; what else there is has no place in it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [one.name for one in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in content.rows)
    return out.getvalue()


def as_json(content: Content) -> str:
    """Everything, alarms first."""
    body = {
        "schema": SCHEMA,
        "alarms": [
            {
                "block": place,
                "method": alarm.label,
                "metric": alarm.metric,
                "delta": alarm.delta,
                "p": alarm.p,
                "test": "t test on the paired differences, two-way random effects",
                "comparisons": alarm.comparisons,
                "text": str(alarm),
            }
            for place, alarm in content.alarms
        ],
        "unreadable": [{"path": str(one.path), "reason": one.reason} for one in content.unreadable],
        "verdicts": list(content.verdicts),
        **content.more,
        "spend": list(content.spend),
        "rows": [asdict(row) for row in content.rows],
    }
    return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
