"""Programs that mean harm (`sandbox_hostile.py`): none passes, none does harm, none survives."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import alignment_bench
from alignment_bench.sandbox import protection, run
from alignment_bench.sandbox.probes import AT_MOST

HERE = Path(__file__).parent
LEVELS = ("full", "partial")
STRANGER = 65534
"""a user id that owns nothing"""


@pytest.fixture(scope="module")
def hostile() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("sandbox_hostile", HERE / "sandbox_hostile.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sandbox_hostile"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["sandbox_hostile"]


def attack(hostile: ModuleType, limits: Any, *, by_check: bool) -> None:
    """Runs every program and looks at verdicts and damage."""
    with hostile.world() as world:
        outcomes = hostile.outcomes(world.targets, limits, by_check=by_check, least="partial")
        damage = world.damage()
    assert len(outcomes) >= 25
    assert [
        name for name, outcome in outcomes.items() if outcome.status == "passed" or any(outcome.passed)
    ] == []
    assert damage == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("processes", "by_check"),
    [
        pytest.param(1, False, marks=pytest.mark.slow),
        pytest.param(8, False),
        pytest.param(8, True, marks=pytest.mark.slow),
    ],
)
def test_hostile_programs(
    hostile: ModuleType, monkeypatch: pytest.MonkeyPatch, level: str, processes: int, by_check: bool
) -> None:
    monkeypatch.setenv(AT_MOST, level)
    found = protection()
    if found.level != level:
        pytest.skip(found.describe())
    counted = processes > 1 and found.counts_processes
    attack(hostile, hostile.FEW if counted else hostile.ALONE, by_check=by_check)


def test_the_attacks_work_where_nothing_protects(
    hostile: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else their failure above would prove nothing. Only those that read."""
    monkeypatch.setenv(AT_MOST, "none")
    names = ["reads a file outside", "reads by symbolic link", "connects", "local socket"]
    with hostile.world() as world:
        trials = [hostile.trial(name, world.targets, by_check=False) for name in names]
        outcomes = run(trials, hostile.ALONE, least="none")
    assert [outcome.status for outcome in outcomes] == ["passed"] * len(names)


def _interpreter() -> str | None:
    """A Python of this version or later that any user can start."""
    for path in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        script = "import sys, math; sys.exit(sys.version_info < (3, 11))"
        try:
            done = subprocess.run(
                [path, "-c", script],
                user=STRANGER,
                group=STRANGER,
                extra_groups=[],
                env={},
                check=False,
                cwd="/",
            )
        except OSError:
            continue
        if done.returncode == 0:
            return path
    return None


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_hostile_programs_of_an_unprivileged_user(
    level: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if os.getuid() != 0:
        pytest.skip("the other tests have run without root")
    if (python := _interpreter()) is None:
        pytest.skip("no Python 3.11 that other users can start")
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        # the checkout may be closed to others
        package = Path(folder, "alignment_bench")
        installed = Path(str(alignment_bench.__file__)).parent
        package.mkdir()
        for name in ("__init__.py", "errors.py"):
            shutil.copy(installed / name, package / name)
        shutil.copytree(
            installed / "sandbox", package / "sandbox", ignore=shutil.ignore_patterns("__pycache__")
        )
        tests = Path(folder, "tests")
        tests.mkdir()
        shutil.copy(HERE / "sandbox_hostile.py", tests)
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o755)
        done = subprocess.run(
            [python, str(tests / "sandbox_hostile.py")],
            user=STRANGER,
            group=STRANGER,
            extra_groups=[],
            cwd=folder,
            env={"PYTHONPATH": folder, AT_MOST: level, "HOME": folder, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout, done.stderr
    first, *programs, last = map(json.loads, done.stdout.splitlines())
    if first["level"] != level:
        pytest.skip(f"an unprivileged user gets {first['level']} here: {first['reasons']}")
    assert first["uid"] == STRANGER and len(programs) >= 25
    assert [p for p in programs if p["status"] == "passed"] == [] and last["damage"] == []
    assert done.returncode == 0, done.stderr
