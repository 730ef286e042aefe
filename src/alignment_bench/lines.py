"""Files of JSON lines inside a job's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def dump_lines(path: Path, rows: Sequence[Any]) -> None:
    """Writes one JSON value a line."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def load_lines(path: Path) -> list[Any]:
    """The values that `dump_lines` wrote."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
