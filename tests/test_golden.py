"""Golden numbers: when they move, CORE_VERSION must move with them.

The version is part of every job's key; without a bump, results of the old code and of the new would be
mixed. To make the file again after a wanted change, set ALIGNMENT_BENCH_REMAKE_GOLDEN=1 and run this file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import registry
from alignment_bench.jobs import CORE_VERSION
from alignment_bench.world.pretrain import machine

GOLDEN = Path(__file__).with_name("golden.json")
METHODS = {
    "base": "base",
    "sft": "sft",
    "ilf": "ilf",
    "best_of_n": "best_of_n:n=2",
    "ppo": "ppo:iterations=2:rollouts=8",
    "alt": "alt:iterations=2:prompts=4:samples=5",
    "quark": "quark:rounds=2:prompts=6:steps=2",
    "coh": "coh:epochs=1",
    "srt": "srt:stage=1",
    "dpo": "dpo:epochs=1",
    "kto": "kto:epochs=1",
    "grpo": "grpo:steps=2:rollouts=8:group=4:iterations=2",
    "rloo": "rloo:steps=2:rollouts=8:group=4:iterations=2",
    "online_dpo": "online_dpo:steps=2:rollouts=8",
    "expert_iteration": "expert_iteration:rounds=2:samples=2",
}
STEADY = ("base", "sft")
"""methods that train on nothing they have sampled: elsewhere one token drawn differently moves everything"""
EXACT, ELSEWHERE = 1e-6, 0.02
"""tolerances: on the kind of machine and torch that made the file, and on others, whose last digits differ"""
COUNTS = ("acts", "words", "annotator_seconds", "tokens_generated", "tokens_trained")
REMAKE = "make it again with ALIGNMENT_BENCH_REMAKE_GOLDEN=1 pytest tests/test_golden.py"


def measured(small_tldr: Any) -> dict[str, Any]:
    """The numbers of now, and what of them is in the keys besides the core's version."""
    small_tldr.run(",".join(METHODS.values()))
    records = small_tldr.records()
    base = records["base"]
    keyed = {
        "model": base.model_digest,
        "data": base.data_digest,
        "format": base.format_digest,
        "evaluators": [registry.digest("evaluators", name) for name in base.evaluators],
        "teacher": registry.digest("teachers", base.teacher),
        "judge": registry.digest("judges", base.judge),
        "methods": {name: registry.digest("methods", name) for name in METHODS},
    }
    numbers = {}
    for name, label in METHODS.items():
        record = records[label]
        values = {m.name: sum(m.values) / len(m.values) for m in record.scores if m.values}
        numbers[name] = {"values": values, "spend": {count: record.spend[count] for count in COUNTS}}
    return {"core": CORE_VERSION, "machine": machine(), "keyed": keyed, "numbers": numbers}


def moved(old: dict[str, Any], new: dict[str, Any], same_machine: bool) -> list[str]:
    """Every number that differs, in a list; on another machine only those that may not."""
    out = []
    for name, then in old["numbers"].items():
        now = new["numbers"][name]
        for metric, value in then["values"].items():
            near = EXACT if same_machine else ELSEWHERE * max(1.0, abs(value))
            if (same_machine or name in STEADY) and abs(now["values"][metric] - value) > near:
                out.append(f"{name} {metric}: {value:.6g} -> {now['values'][metric]:.6g}")
        for count, value in then["spend"].items():
            if (same_machine or not count.startswith(("tokens", "words"))) and now["spend"][count] != value:
                out.append(f"{name} {count}: {value} -> {now['spend'][count]}")
    return out


def verdict(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What is wrong between the golden numbers and those of now, and what to do; empty where nothing is."""
    changes = moved(old, new, same_machine=old["machine"] == new["machine"])
    if not changes:
        return "" if old["core"] == new["core"] else f"CORE_VERSION was bumped but no number moved: {REMAKE}"
    listed = "; ".join(changes)
    if old["core"] != new["core"]:
        return f"CORE_VERSION is {new['core']}, golden.json is of {old['core']}: {REMAKE} ({listed})"
    other = [name for name, value in old["keyed"].items() if new["keyed"][name] != value]
    if other:
        return f"{', '.join(other)} changed, which is in every key, so no bump is due: {REMAKE} ({listed})"
    return f"numbers moved: bump CORE_VERSION in jobs.py, then {REMAKE} ({listed})"


def test_golden_numbers_move_only_with_the_core_version(small_tldr: Any) -> None:
    """Quality, KL, length and spending of one method of every kind on the small world."""
    now = measured(small_tldr)
    if os.environ.get("ALIGNMENT_BENCH_REMAKE_GOLDEN") == "1":
        GOLDEN.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n", "utf-8")
    problem = verdict(json.loads(GOLDEN.read_text("utf-8")), json.loads(json.dumps(now)))
    assert not problem, problem


def made_up() -> dict[str, Any]:
    """A small golden file."""
    spend = {"acts": {"prefer": 1}, "words": 0, "annotator_seconds": 61.5, "tokens_trained": 7}
    return {
        "core": "1",
        "machine": {"cpu": "a"},
        "keyed": {"model": "m", "data": "d"},
        "numbers": {"sft": {"values": {"quality": 0.5}, "spend": spend}},
    }


@pytest.mark.parametrize(
    "change,expected",
    [
        ({}, ""),
        ({"quality": 0.5 + 1e-7}, ""),
        ({"quality": 0.501}, "bump CORE_VERSION"),
        ({"tokens_trained": 8}, "bump CORE_VERSION"),
        ({"quality": 0.501, "model": "other"}, "model changed, which is in every key"),
        ({"model": "other"}, ""),
        ({"quality": 0.501, "core": "2"}, "golden.json is of 1"),
        ({"core": "2"}, "no number moved"),
        ({"quality": 0.501, "tokens_trained": 8, "cpu": "b"}, ""),
        ({"quality": 0.53, "cpu": "b"}, "bump CORE_VERSION"),
        ({"annotator_seconds": 60.0, "cpu": "b"}, "bump CORE_VERSION"),
    ],
)
def test_what_the_check_says(change: dict[str, Any], expected: str) -> None:
    """It asks for a bump exactly where results of one key would differ."""
    now = made_up()
    for name, value in change.items():
        numbers = now["numbers"]["sft"]
        for place in (now, now["machine"], now["keyed"], numbers["values"], numbers["spend"]):
            if name in place:
                place[name] = value
    problem = verdict(made_up(), now)
    assert (expected in problem) if expected else not problem
