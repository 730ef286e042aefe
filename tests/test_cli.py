"""Verbs, help, and how errors leave: exit codes, and no traceback for what was foreseen."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import __version__, cli, registry
from alignment_bench.cli import main
from alignment_bench.errors import BadInput, BenchError, Problem
from alignment_bench.registry import GROUPS

Capture = pytest.CaptureFixture[str]


def failing(error: BaseException) -> Callable[[list[str]], int]:
    def verb(arguments: list[str]) -> int:
        raise error

    return verb


@pytest.mark.parametrize("argv", [[], ["help"], ["--help"], ["-h"]])
def test_help_names_every_verb(argv: list[str], capsys: Capture) -> None:
    assert main(argv) == 0
    page = capsys.readouterr().out
    assert all(f"bench {verb}" in page for verb in cli.VERBS)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself(verb: str, capsys: Capture) -> None:
    assert main(["help", verb]) == 0
    page = capsys.readouterr().out
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out == page and f"bench {verb}" in page


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"alignment-bench {__version__}"


@pytest.mark.parametrize("group", GROUPS)
def test_list_has_one_line_a_plugin(group: Any, capsys: Capture) -> None:
    assert main(["list", group]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in heads] == list(registry.names(group))
    assert all(len(line.split()) > 3 for line in heads), "a plugin has no summary"
    assert main(["list", group, "format=json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(registry.names(group))
    assert {row["distribution"] for row in rows} == {"alignment-bench"}


def test_list_alone_names_the_groups(capsys: Capture) -> None:
    assert main(["list"]) == 0
    page = capsys.readouterr().out
    assert all(group in page for group in GROUPS)
    assert main(["list", "format=json"]) == 0
    assert [row["group"] for row in json.loads(capsys.readouterr().out)] == list(GROUPS)


def test_show_says_type_default_and_help_of_every_field(capsys: Capture) -> None:
    assert main(["show", "ilf", "format=json"]) == 0
    page = json.loads(capsys.readouterr().out)
    fields = {row["name"]: row for row in page["fields"]}
    assert fields["feedback"]["type"].startswith("right | none | shuffled")
    assert fields["feedback"]["default"] == "right"
    assert all(row["help"] for row in page["fields"])
    assert main(["show", "ilf"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(f"{name}: {row['type']} = {row['default']}" in text for name, row in fields.items())
    assert all(" ".join(row["help"].split()) in text for row in page["fields"])


def test_show_knows_every_plugin(capsys: Capture) -> None:
    for group in GROUPS:
        for name in registry.names(group):
            assert main(["show", f"{group}/{name}"]) == 0
            assert name in capsys.readouterr().out


def test_show_asks_which_one(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    real = registry.names
    monkeypatch.setattr(
        registry, "names", lambda group: (*real(group), "twin") if group != "tasks" else real(group)
    )
    assert main(["show", "twin"]) == 2
    assert "write methods/twin or evaluators/twin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (BadInput([Problem("a", "is bad", "mend a"), Problem("b", "is bad", "mend b")]), 2, 2),
        (BenchError("the teacher went home"), 1, 1),
        (KeyboardInterrupt(), 130, 1),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/file"), 1, 1),
    ],
)
def test_deliberate_errors_are_lines(
    error: BaseException, code: int, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(cli, "VERBS", {"run": failing(error)})
    assert main(["run"]) == code
    err = capsys.readouterr().err
    assert len(err.splitlines()) == lines and "Traceback" not in err
    assert ("resume with the same command" in err) == (code in (1, 130) and not isinstance(error, BenchError))


@pytest.mark.parametrize("error", [ZeroDivisionError("surprise"), OSError(errno.EIO, "broken disk")])
def test_surprises_keep_their_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "VERBS", {"run": failing(error)})
    with pytest.raises(type(error)):
        main(["run"])


def test_run_returns_the_exit_code_of_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import alignment_bench.run as run

    seen = []
    monkeypatch.setattr(run, "run", lambda request: seen.append(request) or 1)
    assert main(["run", "methods=base", "task=tldr", f"results={tmp_path}"]) == 1
    assert seen[0].tasks == ("tldr",)


def test_table_prints_or_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    from alignment_bench.tables import page

    def render(results: Path, format: str, filters: dict[str, object], **asked: object) -> str:
        return f"{results.name} {format} {dict(filters)}\n"

    monkeypatch.setattr(page, "render", render)
    (tmp_path / "r").mkdir()
    assert main(["table", f"results={tmp_path / 'r'}", "format=csv", "seeds=0"]) == 0
    printed = capsys.readouterr().out
    assert printed == "r csv {'seeds': ('0',)}\n"
    out = tmp_path / "deep" / "t.csv"
    assert main(["table", f"results={tmp_path / 'r'}", "format=csv", "seeds=0", f"out={out}"]) == 0
    assert out.read_text() == printed and capsys.readouterr().out == ""


def test_fetch_names_the_folder(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    from alignment_bench.models import catalog

    monkeypatch.setattr(catalog, "fetch", lambda name, source: Path(f"{name}-{source or 'anywhere'}"))
    assert main(["fetch", "smollm2", "source=hub"]) == 0
    assert capsys.readouterr().out == "smollm2: smollm2-hub\n"


def test_a_closed_pipe_is_no_error() -> None:
    code = "import sys; from alignment_bench.cli import main; sys.exit(main(['help', 'run']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_broken_pipe_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker that is gone, say: what reads stdout is still there, or stdout is no pipe at all."""
    monkeypatch.setitem(cli.VERBS, "table", failing(BrokenPipeError("a worker")))
    with pytest.raises(BrokenPipeError, match="a worker"):
        main(["table"])
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(BrokenPipeError, match="a worker"):
            main(["table"])


def test_the_commands_are_installed() -> None:
    from importlib.metadata import entry_points

    scripts = entry_points(group="console_scripts")
    for command in ("bench", "alignment-bench"):
        assert {point.value for point in scripts.select(name=command)} == {"alignment_bench.cli:main"}
    done = subprocess.run(
        [sys.executable, "-m", "alignment_bench", "--version"], capture_output=True, text=True
    )
    assert done.stdout.strip() == f"alignment-bench {__version__}"
