"""Who may import what: methods nothing of the world, evaluators nothing of the teachers."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

import alignment_bench.evaluators
import alignment_bench.methods

FORBIDDEN_TO_METHODS = (
    "world",
    "teachers",
    "judges",
    "controller",
    "jobs",
    "work",
    "run",
    "plan",
    "data",
    "evaluate",
)


def imported(source: str) -> set[str]:
    """Every module a file could import: import statements anywhere in it, and module names in strings."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            found |= {node.value.partition(":")[0]} if node.value.startswith("alignment_bench.") else set()
    return found


def offences(folder: Path, forbidden: tuple[str, ...]) -> list[str]:
    """Every import in the folder's files of one of the package's forbidden parts."""
    banned = [f"alignment_bench.{name}" for name in forbidden]
    return [
        f"{file.name} imports {module}"
        for file in sorted(folder.glob("*.py"))
        for module in sorted(imported(file.read_text("utf-8")))
        if any(module == name or module.startswith(f"{name}.") for name in banned)
    ]


def folder_of(package: ModuleType) -> Path:
    """Where an installed package lies."""
    return Path(next(iter(package.__path__)))


def test_shipped_methods_import_nothing_of_the_world() -> None:
    """Nor teachers, judges, accounts or other plugins; only what a method may know of the package."""
    folder = folder_of(alignment_bench.methods)
    assert len(list(folder.glob("*.py"))) > 6
    assert offences(folder, (*FORBIDDEN_TO_METHODS, "methods", "evaluators", "benchmarks")) == []


def test_shipped_evaluators_import_no_teacher() -> None:
    """The teacher's noisy voice scores nothing; gold comes through the judge."""
    folder = folder_of(alignment_bench.evaluators)
    assert len(list(folder.glob("*.py"))) > 4
    banned = ("teachers", "world", "judges", "controller", "jobs", "run", "plan", "methods", "evaluators")
    assert offences(folder, banned) == []


@pytest.mark.parametrize(
    "line",
    [
        "import alignment_bench.world.gold",
        "from alignment_bench.world import gold",
        "from alignment_bench import world",
        "def f():\n    from alignment_bench.judges.gold import Gold",
        "import importlib\nx = importlib.import_module('alignment_bench.world.gold')",
        "x = 'alignment_bench.teachers.annotators:PLUGIN'",
    ],
)
def test_the_import_rule_can_fail(line: str, tmp_path: Path) -> None:
    """However the import is written."""
    (tmp_path / "cheat.py").write_text(line)
    assert offences(tmp_path, FORBIDDEN_TO_METHODS)
