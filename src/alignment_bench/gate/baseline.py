"""A baseline: the per-prompt scores that later runs are paired with, in one file that can be committed.

The file is JSON with a schema number and the sha256 of its content, so that one that was edited by hand, cut
off or written by a later version is refused by name. A group holds the cells of one setting, a cell one
label's scores of one metric.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, get_args

import numpy as np

from alignment_bench.comparison import Setting
from alignment_bench.digests import digest, vouched
from alignment_bench.errors import BadInput, Problem
from alignment_bench.evaluation import Better
from alignment_bench.gate.margins import Margin
from alignment_bench.jobs import write_durably
from alignment_bench.statistics import Array

SCHEMA = 1
KIND = "alignment-bench baseline"
ADDRESS = ("task", "budget_amount", "currency", "teacher", "judge", "init", "folds", "decoding")
"""what a run's cell must share with a baseline's to be the same cell"""
IDENTITY = ("task_version", "model_digest", "data_digest", "world")
"""what must not differ between the two, or the comparison means nothing"""
NAMES = ("model", "data", "budget", "format_digest")
"""also kept: names for people and for filters, and what is told where it changed"""


@dataclass(frozen=True)
class Kept:
    """One label's scores of one metric: `values[i]` [prompts of the group] of seed `seeds[i]`."""

    label: str
    method: Any
    """its resolved configuration"""
    metric: str
    unit: str
    better: Better
    seeds: tuple[int, ...]
    values: Array
    """[seeds, prompts]; nan: not scored"""
    sources: Mapping[str, str]
    """first digits of the digest of every plugin's source, as `methods/sft`"""

    @property
    def gated(self) -> bool:
        """Whether it can be worse: a metric without a better side is shown only."""
        return self.better != "neither"


@dataclass(frozen=True)
class Group:
    """The cells of one setting; `prompts` and `clusters` name the last axis of their values."""

    setting: Mapping[str, Any]
    prompts: tuple[str, ...]
    clusters: tuple[int, ...]
    cells: tuple[Kept, ...]

    @property
    def address(self) -> tuple[str, ...]:
        """Equal for the cells of a run that these are to be compared with."""
        return address(self.setting)


@dataclass(frozen=True)
class Baseline:
    """Everything a baseline file holds."""

    margin: Margin
    groups: tuple[Group, ...]
    versions: Mapping[str, str]
    commit: str

    @property
    def gated(self) -> int:
        """How many cells can fail."""
        return sum(cell.gated for group in self.groups for cell in group.cells)


def described(setting: Setting) -> dict[str, Any]:
    """What a baseline keeps of a block's setting."""
    found = {name: getattr(setting, name) for name in (*ADDRESS, *IDENTITY, *NAMES)}
    return {**found, "decoding": json.loads(setting.decoding)}


def address(setting: Mapping[str, Any]) -> tuple[str, ...]:
    """The part of a setting by which a baseline's cells and a run's find each other."""
    return tuple(json.dumps(setting[name], sort_keys=True) for name in ADDRESS)


def write(path: Path, baseline: Baseline) -> None:
    """Writes the file, whole or not at all."""
    body = _body(baseline)
    body["sha256"] = digest(body)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, lined(body) + "\n")


def read(path: Path) -> Baseline:
    """The baseline in a file. Raises BadInput naming the file where it is not one, damaged or too new."""
    try:
        body = json.loads(path.read_bytes())
    except OSError as error:
        fix = "name a file that bench baseline wrote"
        raise _unusable(path, f"cannot be read: {error.strerror}", fix) from error
    except (ValueError, RecursionError) as error:
        raise _unusable(path, f"is not JSON ({error})") from error
    if not isinstance(body, dict) or body.get("kind") != KIND:
        raise _unusable(path, "is no baseline", "name a file that bench baseline wrote")
    schema = body.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise _unusable(path, f"has schema {schema!r}")
    if schema > SCHEMA:
        what = f"has schema {schema} and this version reads up to {SCHEMA}"
        raise _unusable(path, what, "upgrade alignment-bench")
    if not vouched(body):
        raise _unusable(path, "has changed since it was written")
    try:
        return _baseline(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(path, f"does not describe a baseline: {type(error).__name__}: {error}") from error


def _unusable(
    path: Path, what: str, fix: str = "restore it, or delete it and write it again with bench baseline"
) -> BadInput:
    return BadInput([Problem(str(path), what, fix)])


def _body(baseline: Baseline) -> dict[str, Any]:
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "margin": baseline.margin.to_json(),
        "versions": dict(baseline.versions),
        "commit": baseline.commit,
        "groups": [
            {
                "setting": dict(group.setting),
                "prompts": list(group.prompts),
                "clusters": list(group.clusters),
                "cells": [
                    {
                        "label": cell.label,
                        "method": cell.method,
                        "metric": cell.metric,
                        "unit": cell.unit,
                        "better": cell.better,
                        "sources": dict(cell.sources),
                        "seeds": list(cell.seeds),
                        "values": [[_plain(value) for value in row] for row in cell.values],
                    }
                    for cell in group.cells
                ],
            }
            for group in baseline.groups
        ],
    }


def _plain(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _baseline(body: Mapping[str, Any]) -> Baseline:
    groups = tuple(_group(one) for one in body["groups"])
    return Baseline(Margin.from_json(body["margin"]), groups, dict(body["versions"]), str(body["commit"]))


def _group(stored: Mapping[str, Any]) -> Group:
    prompts, clusters = tuple(stored["prompts"]), tuple(int(one) for one in stored["clusters"])
    if len(set(prompts)) != len(prompts) or len(clusters) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts, {len(set(prompts))} different, {len(clusters)} clusters")
    setting = dict(stored["setting"])
    address(setting)
    if lacking := [name for name in (*IDENTITY, *NAMES) if name not in setting]:
        raise ValueError(f"no {', '.join(lacking)}")
    return Group(setting, prompts, clusters, tuple(_kept(one, len(prompts)) for one in stored["cells"]))


def _kept(stored: Mapping[str, Any], prompts: int) -> Kept:
    rows = [[float("nan") if value is None else float(value) for value in row] for row in stored["values"]]
    seeds = tuple(int(one) for one in stored["seeds"])
    if len(rows) != len(seeds) or not seeds or any(len(row) != prompts for row in rows):
        raise ValueError(f"{stored['label']}: {len(rows)} rows of scores for {len(seeds)} seeds")
    if stored["better"] not in get_args(Better):
        raise ValueError(f"{stored['label']}: better is {stored['better']!r}")
    return Kept(
        label=stored["label"],
        method=stored["method"],
        metric=stored["metric"],
        unit=stored["unit"],
        better=stored["better"],
        seeds=seeds,
        values=np.array(rows, dtype=np.float64),
        sources=dict(stored["sources"]),
    )


def lined(value: Any, indent: str = "") -> str:
    """JSON in which a list of plain values takes one line, so that a diff shows whose scores changed."""
    deeper = indent + " "
    if isinstance(value, Mapping) and value:
        inner = (f"{deeper}{json.dumps(key)}: {lined(one, deeper)}" for key, one in value.items())
        return "{\n" + ",\n".join(inner) + f"\n{indent}}}"
    if isinstance(value, Sequence) and any(isinstance(one, list | dict) for one in value):
        return "[\n" + ",\n".join(f"{deeper}{lined(one, deeper)}" for one in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
