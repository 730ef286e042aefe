"""A manifest: the digest of every file behind the numbers of a results folder, and which cell each is behind.

What a publication can carry: whoever has the files can tell, years later, that they are the very ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_bench.cells import CellRecord
from alignment_bench.digests import digest, digest_file, vouched
from alignment_bench.errors import BadInput, Problem
from alignment_bench.jobs import write_durably
from alignment_bench.provenance.files import Found, files_of

SCHEMA = 1
KIND = "alignment-bench manifest"


@dataclass(frozen=True)
class Manifest:
    """`files` by path under the results folder; `cells` by digest: who it is and the files behind it."""

    files: Mapping[str, str]
    cells: Mapping[str, Mapping[str, Any]]


def manifest(root: Path, found: Found, records: Sequence[CellRecord] | None = None) -> Manifest:
    """The manifest of these cells (default: all that were found sound)."""
    cells: dict[str, Mapping[str, Any]] = {}
    files: dict[str, str] = {}
    for record in found.records if records is None else records:
        behind = files_of(root, record, found)
        cells[record.digest] = {
            "task": record.task,
            "method": record.label,
            "seed": record.seed,
            "fold": record.fold,
            "files": behind,
        }
        for name in behind:
            if name not in files:
                files[name] = digest_file(root / name)
    return Manifest(dict(sorted(files.items())), dict(sorted(cells.items())))


def write(path: Path, made: Manifest) -> None:
    """Writes the manifest, whole or not at all."""
    body: dict[str, Any] = {"kind": KIND, "schema": SCHEMA, "files": made.files, "cells": made.cells}
    body["sha256"] = digest(body)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, json.dumps(body, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> Manifest:
    """A manifest read back. Raises BadInput naming the file where it is not one, damaged or too new."""
    try:
        body = json.loads(path.read_bytes())
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _unusable(path, f"is not JSON ({error})") from error
    if not isinstance(body, dict) or body.get("kind") != KIND:
        raise _unusable(path, "is no manifest")
    if not isinstance(body.get("schema"), int) or body["schema"] > SCHEMA:
        raise _unusable(
            path, f"has schema {body.get('schema')!r} and this version reads up to {SCHEMA}: upgrade"
        )
    if not vouched(body):
        raise _unusable(path, "has changed since it was written")
    return Manifest(body["files"], body["cells"])


def differences(root: Path, made: Manifest) -> list[str]:
    """One line for each file that is missing or is not what the manifest says."""
    lines = []
    for name, stored in made.files.items():
        path = root / name
        if not path.is_file():
            lines.append(f"{path} is missing: the manifest lists it")
        elif digest_file(path) != stored:
            lines.append(f"{path} is not the file that the manifest lists")
    return lines


def _unusable(path: Path, what: str) -> BadInput:
    return BadInput([Problem(str(path), what, "name a manifest.json that bench paper wrote")])
