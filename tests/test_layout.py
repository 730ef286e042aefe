"""The package's shape: what is installed, what may import what, and what plugins owe their readers."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

from alignment_bench import registry
from alignment_bench.testing import check_evaluator, check_method, check_task

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FOLDERS = PROJECT["tool"]["setuptools"]["package-dir"]
PLUGIN_FOLDERS = ("methods", "evaluators", "benchmarks")
SECRET = ("world", "teachers", "judges", "controller", "data", "results")


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).glob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, `from a import b` counted as a and a.b."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_folder_with_python_files_is_a_listed_package() -> None:
    found = {"alignment_bench." + name for name in PLUGIN_FOLDERS}
    source = ROOT / "src"
    for init in source.rglob("*.py"):
        found.add(".".join(init.parent.relative_to(source).parts))
    assert found == set(PROJECT["tool"]["setuptools"]["packages"])
    for package, folder in FOLDERS.items():
        assert (ROOT / folder / "__init__.py").is_file(), package


@pytest.mark.parametrize("package", PROJECT["tool"]["setuptools"]["packages"])
def test_what_is_installed_is_what_is_here(package: str) -> None:
    """A wheel built over an old `build` folder would still hold modules that are gone: remove that folder.

    A folder's `ruff.toml` is for the checkout alone.
    """
    import importlib.resources

    def shipped(folder: Traversable) -> set[str]:
        names = (f.name for f in folder.iterdir())
        return {n for n in names if n.endswith((".py", ".toml", ".typed")) and n != "ruff.toml"}

    parent = next(name for name in sorted(FOLDERS, key=len, reverse=True) if package.startswith(name))
    folder = ROOT / FOLDERS[parent] / Path(*package.removeprefix(parent).split("."))
    installed = importlib.resources.files(package)
    names = shipped(installed)
    assert names == shipped(folder)
    for name in names:
        assert (installed / name).read_bytes() == (folder / name).read_bytes(), f"{package}: {name} is older"


def test_no_top_level_module_called_bench() -> None:
    assert {package.split(".")[0] for package in PROJECT["tool"]["setuptools"]["packages"]} == {
        "alignment_bench"
    }


@pytest.mark.parametrize("folder", PLUGIN_FOLDERS)
def test_plugins_never_import_each_other(folder: str) -> None:
    others = tuple(f"alignment_bench.{name}" for name in PLUGIN_FOLDERS)
    assert [
        (p.name, m)
        for p in python_files(folder)
        for m in imports(p)
        if m.startswith((*others, *PLUGIN_FOLDERS))
    ] == []


@pytest.mark.parametrize("path", python_files("methods"), ids=lambda path: path.stem)
def test_shipped_methods_import_nothing_secret(path: Path) -> None:
    secret = tuple(f"alignment_bench.{name}" for name in SECRET)
    assert [m for m in imports(path) if m == secret or m.startswith(secret)] == []


def test_the_core_reaches_plugins_through_the_registry_only() -> None:
    plugins = tuple(f"alignment_bench.{name}" for name in PLUGIN_FOLDERS)
    core = sorted((ROOT / "src").rglob("*.py"))
    assert [(p.name, m) for p in core for m in imports(p) if m.startswith(plugins)] == []


def test_tested_pins_satisfy_every_declared_dependency() -> None:
    from packaging.requirements import Requirement

    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if "==" in line
    )
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    declared = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        declared += extra
    for requirement in map(Requirement, declared):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name != "setuptools":
            assert name in pinned, f"{name} has no pin in constraints.txt"
            assert requirement.specifier.contains(pinned[name]), f"{requirement} excludes {pinned[name]}"


def test_the_version_is_one() -> None:
    from alignment_bench import __version__

    assert PROJECT["project"]["version"] == __version__


@pytest.mark.parametrize("name", registry.shipped("methods"))
def test_methods_keep_their_contract(name: str) -> None:
    check_method(name)


@pytest.mark.parametrize("name", registry.shipped("evaluators"))
def test_evaluators_keep_their_contract(name: str) -> None:
    check_evaluator(name)


@pytest.mark.parametrize("name", registry.shipped("tasks"))
def test_tasks_keep_their_contract(name: str) -> None:
    check_task(name)


def test_teachers_and_judges_keep_their_contract() -> None:
    from alignment_bench.data import task_data
    from alignment_bench.prompts import Recorded
    from alignment_bench.task import TaskOptions
    from alignment_bench.testing import check_judge, check_teacher

    posts = task_data(registry.load("tasks", "tldr"), TaskOptions())[0].test[:6]
    talked_about = [
        replace(e, key=replace(e.key, recorded=(Recorded("demonstrate", text="a"),))) for e in posts
    ]
    programs = list(task_data(registry.load("tasks", "code"), TaskOptions())[0].test[:6])
    for name in registry.shipped("teachers"):
        check_teacher(name, programs if name == "tests" else talked_about)
    for name in registry.shipped("judges"):
        check_judge(name, programs if name == "tests" else posts)
