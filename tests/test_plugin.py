"""A real third-party package, built and installed by pip, is found, checked and run like what ships."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from alignment_bench import registry, testing
from alignment_bench.cli import main
from alignment_bench.registry import GROUPS

SOURCE = Path(__file__).parent / "plugin"
PACKAGE = "bench_plugin_example"
NAMES = {
    "tasks": "first_sentence",
    "methods": "pick_best",
    "evaluators": "repetition",
    "teachers": "overlap",
    "judges": "closer",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the example package; offline, built from a copy."""
    import shutil

    copy = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    done = subprocess.run([*command, "--target", str(folder), str(copy)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example package on sys.path."""
    monkeypatch.syspath_prepend(site)
    registry.entries.cache_clear()
    yield
    registry.entries.cache_clear()


@pytest.mark.usefixtures("installed")
def test_it_is_listed_with_its_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    for group in GROUPS:
        assert main(["list", group, "format=json"]) == 0
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
        assert rows[NAMES[group]]["distribution"] == "bench-plugin-example"
        assert rows[NAMES[group]]["summary"]
    assert main(["show", "pick_best"]) == 0
    assert "comparisons: int = 64" in capsys.readouterr().out


@pytest.mark.usefixtures("installed")
def test_it_passes_the_checks_for_plugin_authors() -> None:
    testing.check_method("pick_best")
    testing.check_task("first_sentence")
    testing.check_evaluator("repetition")
    testing.check_teacher("overlap")
    testing.check_judge("closer")


@pytest.mark.usefixtures("installed")
def test_it_is_not_among_what_ships() -> None:
    assert not any(NAMES[group] in registry.shipped(group) for group in GROUPS)


def test_its_method_is_one_short_file_and_one_entry_point() -> None:
    source = SOURCE / "src" / "bench_plugin_example" / "pick_best.py"
    assert len(source.read_text("utf-8").splitlines()) < 40
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["alignment_bench.methods"] == {"pick_best": f"{PACKAGE}.pick_best"}
    others = (path for path in source.parent.glob("*.py") if path != source)
    assert not any("pick_best" in path.read_text("utf-8") for path in others)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("check", "name", "change", "fault"),
    [
        ("check_method", "pick_best", ("wants", ("praise",)), "`wants` must be a tuple of channels"),
        ("check_method", "pick_best", ("wrapper", "no"), "`wrapper` must be a class attribute"),
        ("check_method", "pick_best", ("align", lambda self, model: model), "align takes (model)"),
        ("check_evaluator", "repetition", ("metrics", ()), "`metrics` must be a non-empty tuple"),
        (
            "check_evaluator",
            "repetition",
            ("__call__", lambda self, evidence: {}),
            "no Scores for its metric",
        ),
        ("check_teacher", "overlap", ("channels", ("score", "sing")), "`channels` must be a tuple out of"),
        ("check_teacher", "overlap", ("family", ""), "`family` is empty"),
        ("check_teacher", "overlap", ("answer", lambda self, channel, asks, seed: []), "one record per ask"),
        ("check_judge", "closer", ("caption", lambda self: " "), "`caption()` is empty"),
        ("check_judge", "closer", ("name", "other"), "`name` must be 'closer'"),
    ],
)
def test_the_checks_find_faults(
    check: str, name: str, change: tuple[str, object], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = next(group for group in GROUPS if NAMES[group] == name)
    monkeypatch.setattr(registry.load(group, name), *change)
    with pytest.raises(AssertionError) as caught:
        getattr(testing, check)(name)
    assert fault in str(caught.value)


@pytest.mark.usefixtures("installed")
def test_its_method_teacher_and_evaluator_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = "run methods=pick_best:comparisons=8 task=tldr teacher=overlap judge=gold evaluators=repetition"
    code = main([*argv.split(), "budget=20calls", f"results={tmp_path}", "format=json", "quiet=true"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert code == 0, [row["reason"] for row in rows]
    mine = [row for row in rows if row["method"] == "pick_best:comparisons=8"]
    assert [(row["metric"], row["teacher"], row["status"]) for row in mine] == [
        ("repetition", "overlap", "ok")
    ]
    assert mine[0]["delta_low"] <= mine[0]["delta"] <= mine[0]["delta_high"]
