"""Audits kept in a results folder, so that a judge that failed marks every verdict it gave.

`audits/<judge>/<pairs>.json`: one file a judge (its label and the digest of its source) and file of pairs.
Audits are read where a table is made, not where a cell is stored: one made later marks older cells too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from alignment_bench.cells import CellRecord
from alignment_bench.digests import digest, vouched
from alignment_bench.errors import CorruptResult
from alignment_bench.jobs import write_durably
from alignment_bench.judging.audit import Audit
from alignment_bench.judging.audit_page import as_json

FLAG = "judge failed its audit"
SCHEMA = 1


def store(root: Path, audit: Audit, judge_source: str, pairs_digest: str) -> Path:
    """Writes the audit into a results folder and returns its file; the newest audit on a file of pairs stays.

    `judge_source` is the digest of the judge plugin's source, `pairs_digest` that of the file of pairs.
    """
    path = folder_of(root, audit.card.judge, judge_source) / f"{pairs_digest[:16]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "schema": SCHEMA,
        "source": audit.source,
        "failed": list(audit.card.failed),
        "audit": as_json(audit),
    }
    body = json.loads(json.dumps(body))
    body["sha256"] = digest(body)
    write_durably(path, json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False))
    return path


def failures(root: Path, judge: str, judge_source: str) -> tuple[str, ...]:
    """One line for every file of pairs on which this judge failed; empty where it never did, or was not
    audited. Raises CorruptResult where a stored audit cannot be read."""
    lines = []
    for path in sorted(folder_of(root, judge, judge_source).glob("*.json")):
        try:
            body = json.loads(path.read_text("utf-8"))
            schema, source, failed = int(body["schema"]), body["source"], body["failed"]
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptResult(
                f"{path} is no audit ({error}): delete it and run bench audit again"
            ) from error
        if schema > SCHEMA:
            raise CorruptResult(f"{path} has schema {schema}, this version reads {SCHEMA}: upgrade")
        if "sha256" in body and not vouched(body):
            raise CorruptResult(
                f"{path} has changed since it was written: delete it and run bench audit again"
            )
        if failed:
            lines.append(f"{FLAG} on {source}: {judge}: {'; '.join(failed)}")
    return tuple(lines)


def marked(records: Sequence[CellRecord], root: Path) -> list[CellRecord]:
    """The cells, those flagged whose judge failed an audit that is stored in this results folder."""
    known: dict[tuple[str, str], tuple[str, ...]] = {}
    out = []
    for record in records:
        key = judge_of(record)
        if key not in known:
            known[key] = failures(root, *key)
        if known[key]:
            flags = (*(flag for flag in record.flags if flag != FLAG), FLAG)
            captions = (*(line for line in record.captions if line not in known[key]), *known[key])
            record = replace(record, flags=flags, captions=captions)
        out.append(record)
    return out


def judge_of(record: CellRecord) -> tuple[str, str]:
    """A cell's judge as it was called and the digest of its source, by which its audits are kept."""
    name = record.judge.partition(":")[0]
    return record.judge, str(record.code.get("plugins", {}).get(f"judges/{name}", ""))


def folder_of(root: Path, judge: str, judge_source: str) -> Path:
    """Where a results folder keeps the audits of a judge, if there are any."""
    return root / "audits" / digest([judge, judge_source])[:16]
