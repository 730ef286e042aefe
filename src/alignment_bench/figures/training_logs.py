"""The logs of the trainings that made a stored policy, found from where the policy lies.

A training job leaves `log.jsonl` beside `policy/`. A wrapper's policy holds the one it wraps in `inner/`, and
every job's `job.json` names the digest of the policy it started from: a method that trains in rounds is a
chain of jobs. Where two lie under the same digest, they are the same weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_bench.cells import CellRecord
from alignment_bench.errors import CorruptResult


@dataclass(frozen=True)
class Training:
    """One training job: its kind, as `finetune`, and a row of numbers for every step it logged."""

    kind: str
    rows: tuple[dict[str, float], ...]

    def has(self, *names: str) -> bool:
        """Whether any row has all of these columns."""
        return any(all(name in row for name in names) for row in self.rows)


class Logs:
    """The training logs under one results folder, each read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_policy: dict[str, Path] | None = None
        self._read: dict[Path, Training] = {}

    def of(self, cell: CellRecord) -> tuple[tuple[Training, ...], str]:
        """The trainings behind a cell's policy, the first first, or none and the reason."""
        place = cell.code.get("policy_folder")
        if not place:
            return (), "where its policy lies is not stored"
        digest = self._digest(self.root / str(place))
        if digest is None:
            return (), "its policy is no longer stored"
        chain: list[Training] = []
        seen = set()
        while digest is not None and digest in self._jobs() and digest not in seen:
            seen.add(digest)
            folder = self._jobs()[digest]
            if (folder / "log.jsonl").is_file():
                chain.append(self._training(folder))
            digest = _object(folder / "job.json").get("inputs", {}).get("inputs", {}).get("policy")
        return tuple(reversed(chain)), "" if chain else "its policy was not trained"

    def _jobs(self) -> dict[str, Path]:
        """Every stored job that made a policy with weights, by the digest of that policy."""
        if self._by_policy is None:
            self._by_policy = {}
            for path in sorted(self.root.glob("jobs/*/*/policy/policy.json")):
                digest, folder = _object(path).get("digest"), path.parent.parent
                # of several the one with a log: a copy of a policy has none
                if digest and (digest not in self._by_policy or (folder / "log.jsonl").is_file()):
                    self._by_policy[digest] = folder
        return self._by_policy

    def _digest(self, folder: Path) -> str | None:
        """The digest of the policy with weights that a policy is, or wraps."""
        while (folder / "policy.json").is_file():
            if (found := _object(folder / "policy.json").get("digest")) is not None:
                return str(found)
            folder = folder / "inner"
        return None

    def _training(self, folder: Path) -> Training:
        if folder not in self._read:
            path = folder / "log.jsonl"
            try:
                rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
            except ValueError as error:
                raise CorruptResult(f"{path} is no log ({error}): delete its folder") from error
            kept = tuple({k: float(v) for k, v in row.items() if isinstance(v, int | float)} for row in rows)
            self._read[folder] = Training(folder.parent.name, kept)
        return self._read[folder]


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CorruptResult(f"{path} cannot be read ({error}): delete its folder") from error
    if not isinstance(found, dict):
        raise CorruptResult(f"{path} is not a JSON object: delete its folder")
    return found
