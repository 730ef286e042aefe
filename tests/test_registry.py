"""Plugins are found by file name and entry point, without importing them; trouble names its origin."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alignment_bench import registry
from alignment_bench.errors import BadInput
from alignment_bench.registry import GROUPS

METHOD = '''
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Mine:
    """Does nothing at all.

    And says more about it here.
    """
    wrapper: ClassVar[bool] = False
    wants: ClassVar[tuple] = ()
    def align(self, policy, prompts, lab):
        """Nothing."""
        return policy

PLUGIN = Mine
'''
Install = Callable[[str, str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """install(distribution, entry points, module, source): as pip would leave it, on sys.path."""

    def write(distribution: str, points: str, module: str, source: str) -> None:
        folder = tmp_path / distribution
        about = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(points)
        (folder / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        registry.entries.cache_clear()

    yield write
    registry.entries.cache_clear()


def points(group: str, line: str) -> str:
    return f"[alignment_bench.{group}]\n{line}\n"


def test_shipped_plugins_are_the_files_of_their_folders() -> None:
    assert "tldr" in registry.shipped("tasks")
    assert {"base", "ilf", "ppo"} <= set(registry.shipped("methods"))
    assert not [name for group in GROUPS for name in registry.names(group) if name.startswith("_")]


def test_listing_and_parsing_import_nothing_heavy() -> None:
    code = """
import sys
from alignment_bench.cli import main
for argv in (["list"], ["list", "methods"], ["list", "tasks"], ["list", "teachers"], ["help", "run"],
             ["show", "tldr"], ["run", "methods=nonesuch", "task=tldr", "seeds=x"]):
    main(argv)
print("heavy:", *[m for m in ("torch", "transformers", "datasets", "pandas", "scipy") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


def test_names_summaries_and_digests_do_not_import_the_plugin(install: Install) -> None:
    install(
        "mine-dist",
        points("methods", "mine = mine_module_a"),
        "mine_module_a",
        METHOD + "\nraise SystemError",
    )
    assert "mine" in registry.names("methods")
    assert registry.summary("methods", "mine") == "Does nothing at all."
    assert len(registry.digest("methods", "mine")) == 64
    assert "mine_module_a" not in sys.modules


def test_an_entry_point_may_name_the_object(install: Install) -> None:
    install("mine-dist", points("methods", "mine = mine_module_b:Mine"), "mine_module_b", METHOD)
    assert registry.load("methods", "mine").__name__ == "Mine"
    assert registry.summary("methods", "mine") == "Does nothing at all."
    assert registry.origin("methods", "mine") == "mine-dist (mine_module_b)"
    assert "mine" not in registry.shipped("methods")


def test_digest_follows_the_source(install: Install, tmp_path: Path) -> None:
    install("mine-dist", points("methods", "mine = mine_module_c"), "mine_module_c", METHOD)
    before = registry.digest("methods", "mine")
    (tmp_path / "mine-dist" / "mine_module_c.py").write_text(METHOD + "# changed\n")
    assert registry.digest("methods", "mine") != before


def test_the_task_summary_is_read_from_its_call() -> None:
    assert registry.summary("tasks", "tldr") == registry.load("tasks", "tldr").summary


@pytest.mark.parametrize(("typed", "meant"), [("ilff", "ilf"), ("best_of", "best_of_n"), ("pppo", "ppo")])
def test_unknown_names_suggest_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(BadInput) as caught:
        registry.load("methods", typed)
    assert f"did you mean {meant}" in str(caught.value)


def test_a_collision_names_both_origins(install: Install) -> None:
    install("mine-dist", points("methods", "ilf = mine_module_d"), "mine_module_d", METHOD)
    with pytest.raises(BadInput) as caught:
        registry.names("methods")
    assert "alignment-bench (alignment_bench.methods.ilf)" in str(caught.value)
    assert "mine-dist (mine_module_d)" in str(caught.value)


@pytest.mark.parametrize("name", ["My-Method", "a,b", "all", "decoding"])
def test_a_name_that_cannot_be_typed_is_refused(install: Install, name: str) -> None:
    install("mine-dist", points("methods", f"{name} = mine_module_e"), "mine_module_e", METHOD)
    with pytest.raises(BadInput) as caught:
        registry.names("methods")
    assert "mine-dist" in str(caught.value) and "rename its entry point" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import no_such_module_anywhere", "no_such_module_anywhere"),
        ("def broken(:", "SyntaxError"),
        ("PLUGIN = 3", "is not a dataclass"),
        ("x = 1", "PLUGIN"),
        (METHOD.replace("wants", "wishes"), "Mine lacks wants"),
    ],
)
def test_a_broken_plugin_names_its_distribution(install: Install, source: str, why: str) -> None:
    module = f"mine_broken_{abs(hash(source))}"
    install("mine-dist", points("methods", f"mine = {module}"), module, source)
    assert "mine" in registry.names("methods")
    with pytest.raises(BadInput) as caught:
        registry.load("methods", "mine")
    (problem,) = caught.value.problems
    assert "mine-dist" in problem.message and why in problem.message
