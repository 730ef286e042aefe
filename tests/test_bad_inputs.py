"""Bad input, end to end: one clear line each, with field and fix, exit code 2, nothing stored or harmed."""

import json
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alignment_bench import registry
from alignment_bench.cli import main

RUN = "run methods=base task=tldr"
DATA = "run methods=base task=tldr model={base} task.data={file}"
# command, field that the line begins with, what the line says, the fix in it
COMMANDS = [
    ("rnu", "rnu", "no verb", "did you mean run"),
    ("run methods=base", "task", "is missing", "write task=tldr"),
    ("run task=tldr", "methods", "is missing", "write methods=ilf,ppo"),
    ("run methods=ilff task=tldr", "methods", "'ilff'", "did you mean ilf"),
    ("run methods=ilf,,ppo task=tldr", "methods", "an empty label", "remove the extra comma"),
    ("run methods=ilf:rounds task=tldr", "methods", "not a name with fields", "name:field=value"),
    ("run methods=ilf:rounds=[1 task=tldr", "methods", "do not match", "write lists as [a,b]"),
    ("run methods=ilf:round=2 task=tldr", "ilf.round", "no field", "did you mean rounds"),
    ("run methods=ilf:rounds=two task=tldr", "ilf.rounds", "not a whole number", "write digits"),
    ("run methods=ilf:rounds=0 task=tldr", "ilf.rounds", "out of range", "must be at least 1"),
    ("run methods=ilf:feedback=wrong task=tldr", "ilf.feedback", "not one of", "right"),
    ("run methods=ilf,ilf task=tldr", "methods", "the same configuration", "remove one of them"),
    ("run methods=best_of_n,base+best_of_n task=tldr", "methods", "the same configuration", "change a field"),
    ("run methods=ilf+sft task=tldr", "methods", "not a wrapper", "wrappers are best_of_n"),
    (f"{RUN} ppo.epochs=2", "ppo.epochs", "no label", "add ppo to methods="),
    ("run methods=base task=tdlr", "task", "'tdlr'", "did you mean tldr"),
    (f"{RUN} seeds=0,0", "seeds", "given twice", "keep one"),
    (f"{RUN} seeds=one", "seeds", "not a whole number", "seeds=0,1,2"),
    (f"{RUN} seeds=-1", "seeds", "negative", "count from 0"),
    (f"{RUN} budget=huge", "budget", "no budget", "smoke, small or paper"),
    (f"{RUN} budget=0h", "budget", "no amount to spend", "15h"),
    (f"{RUN} budget=20calls", "budget", "paid in seconds", "give hours or seconds"),
    (f"{RUN} teacher=annotator", "teacher", "'annotator'", "did you mean annotators"),
    (f"{RUN} teacher=annotators:explicit=maybe", "teacher=annotators:explicit", "not a number", "float"),
    (f"{RUN} teacher=annotators:family=x", "teacher=annotators:family", "no field", "choose from"),
    (f"{RUN} judge=golden", "judge", "'golden'", "did you mean gold"),
    (f"{RUN} evaluators=qualty", "evaluators", "'qualty'", "did you mean quality"),
    (f"{RUN} budegt=smoke", "budegt", "no key", "did you mean budget"),
    (f"{RUN} --seeds=1", "--seeds", "no dashes", "write seeds=1"),
    (f"{RUN} quiet", "quiet", "not of the form", "write quiet=VALUE"),
    (f"{RUN} quiet=perhaps", "quiet", "not true or false", "write true or false"),
    (f"{RUN} seeds=", "seeds", "has no value", "leave it out"),
    (f"{RUN} seeds=1 seeds=2", "seeds", "given twice", "keep one"),
    (f"{RUN} decoding.top_p=1.5", "decoding.top_p", "out of range", "at most 1"),
    (f"{RUN} decoding.temperature=hot", "decoding.temperature", "not a number", "write a number"),
    (f"{RUN} decoding.tempreature=1", "decoding.tempreature", "no field", "did you mean temperature"),
    (f"{RUN} task.wrold=1", "task.wrold", "no field", "did you mean world"),
    (f"{RUN} model=tinny", "model", "'tinny'", "did you mean tiny"),
    (f"{RUN} model=tiny:99", "model", "tiny:99", "tiny:0"),
    (f"{RUN} model=./nowhere", "model", "nowhere", "check the path"),
    (f"{RUN} model=./nowhere.gguf", "model", "does not exist", "check the path"),
    (f"{RUN} model=./empty_folder", "model", "config.json", "transformers can load"),
    (f"{RUN} init=nowhere", "init", "neither base nor sft", "policy.json"),
    (f"{RUN} device=tpu", "device", "'tpu'", "cpu"),
    (f"{RUN} dtype=int4", "dtype", "'int4'", "float32"),
    (f"{RUN} threads=-2", "threads", "out of range", "at least 0"),
    (f"{RUN} share=2", "share", "out of range", "less than 1"),
    (f"{RUN} format=pdf", "format", "not one of", "markdown"),
    (f"{RUN} results=/proc/results", "results", "cannot be written", "another folder"),
    (f"{RUN} results=a_file/below", "results", "is a file", "another folder"),
    (f"{RUN} out=a_file/table.md", "out", "is a file", "another folder"),
    (f"{RUN} task.data=five.jsonl", "task.data", "only its own small language", "model=smollm2"),
    (f"{RUN} model=smollm2 task.data=absent.jsonl", "task.data", "absent.jsonl", "path"),
    (f"{RUN} model=smollm2 task.data=a_file", "task.data", "a_file", "jsonl"),
    (f"{RUN} model=smollm2 task.data=some/dataset", "task.revision", "no revision", "name a revision"),
    (f"{RUN} task.limit=3", "task.limit", "task.data is not set", "task.data=FILE"),
    (f"{RUN} model=smollm2 task.data=five.jsonl task.folds=1", "task.folds", "1", "2 or more"),
    (
        f"{RUN} model=smollm2 task.data=five.jsonl task.holdout=1",
        "task.holdout",
        "not a share",
        "holdout < 1",
    ),
    ("list methodss", "list", "no group", "did you mean methods"),
    ("list methods format=csv", "format", "'csv'", "json"),
    ("show ilff", "show", "'ilff'", "did you mean ilf"),
    ("show", "show", "missing", "bench show ilf"),
    ("show ilf ppo", "ppo", "takes one name", "bench show ppo"),
    ("fetch", "fetch", "missing", "bench fetch smollm2"),
    ("fetch smolm2", "model", "'smolm2'", "did you mean smollm2"),
    ("table results=absent", "results", "no folder", "results="),
    ("table results=empty_folder", "results", "no cells", "bench run"),
    ("table seed=1 results=empty_folder", "seed", "no key", "did you mean seeds"),
    ("help rnu", "help", "no verb", "did you mean run"),
]
GOOD = '{"prompt": "a dog", "reference": "dog"}\n'
ROW = {"id": "a", "prompt": "a dog ran", "reference": "a dog"}
# content of the file, further arguments, field, what the line says (the row among it)
FILES = [
    ("", "", "task.data", "empty"),
    ('{"prompt": "x"\n', "", "task.data", "1"),
    (GOOD + "[1]\n", "", "task.data", "2"),
    (GOOD + '{"prompt": 7, "reference": "dog"}\n', "", "task.data", "row 2"),
    (GOOD + '{"prompt": "", "reference": "dog"}\n', "", "task.data", "row 2"),
    ('{"text": "a dog", "reference": "dog"}\n', "", "task.columns", "no column 'prompt'"),
    (json.dumps(ROW) + "\n" + json.dumps({**ROW, "prompt": "other"}) + "\n", "", "task.data", "'a'"),
    (json.dumps(ROW) + "\n", "task.columns=[prompt:post]", "task.columns", "post"),
    (json.dumps(ROW) + "\n", "task.columns=[promt:prompt]", "task.columns", "promt"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file, an empty folder, and five good rows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_text("something")
    (tmp_path / "empty_folder").mkdir()
    rows = [{"prompt": f"dog number {i} ran", "reference": "a dog"} for i in range(5)]
    (tmp_path / "five.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what it holds."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(argv: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stderr of a command that must end with 2 and change nothing."""
    before = everything(here)
    code = main(argv)
    captured = capsys.readouterr()
    assert code == 2, captured.err
    assert captured.out == "" and everything(here) == before and not (here / "results").exists()
    lines = captured.err.splitlines()
    assert lines and all(line.startswith("bench: ") for line in lines), captured.err
    return lines


@pytest.mark.parametrize(("command", "field", "message", "fix"), COMMANDS, ids=[c[0] for c in COMMANDS])
def test_one_clear_line(
    command: str, field: str, message: str, fix: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = refused(shlex.split(command), here, capsys)
    assert len(lines) == 1, lines
    about, _, repair = lines[0].removesuffix(")").rpartition(" (") if "(" in lines[0] else (lines[0], "", "")
    assert about.startswith(f"bench: {field}: "), lines
    assert message in lines[0] and fix in lines[0] and repair, lines


@pytest.mark.parametrize(("content", "extra", "field", "message"), FILES, ids=range(len(FILES)))
def test_a_bad_file_names_the_row(
    content: str,
    extra: str,
    field: str,
    message: str,
    here: Path,
    random_base: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / "bad.jsonl").write_text(content)
    command = DATA.format(base=random_base, file="bad.jsonl")
    lines = refused([*shlex.split(command), *shlex.split(extra)], here, capsys)
    assert any(line.startswith(f"bench: {field}: ") and message in line for line in lines), lines
    assert all(line.endswith(")") for line in lines), lines


def test_all_of_it_at_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = shlex.split("run methods=ilff task=tdlr seeds=x budget=huge model=tinny judge=golden foo=1 bar")
    lines = refused(argv, here, capsys)
    fields = [line.removeprefix("bench: ").partition(":")[0] for line in lines]
    assert sorted(fields) == sorted(["methods", "task", "seeds", "budget", "model", "judge", "foo", "bar"])


@pytest.fixture
def raising(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed method whose module raises when it is imported."""
    about = here / "site" / "sour-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: sour\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[alignment_bench.methods]\nsour = sour_method\n")
    (here / "site" / "sour_method.py").write_text("raise RuntimeError('out of luck')\n")
    monkeypatch.syspath_prepend(here / "site")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    registry.entries.cache_clear()
    yield
    registry.entries.cache_clear()


@pytest.mark.usefixtures("raising")
def test_a_plugin_that_raises(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = refused(shlex.split("run methods=sour task=tldr"), here, capsys)
    assert line.startswith("bench: methods: ") and "RuntimeError: out of luck" in line
    assert "pip uninstall sour" in line
    assert main(["list", "methods"]) == 0 and "sour" in capsys.readouterr().out


def test_a_full_disk_breaks_off_cleanly(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file may grow beyond 20 kB, so the first weights or samples to be stored do not fit."""
    command = "run methods=base task=tldr budget=smoke evaluators=length quiet=true format=json"
    assert main(shlex.split(command)) == 0
    stored = {name: data for name, data in everything(here / "results").items() if name.startswith("cells")}
    assert stored

    code = "import sys; from alignment_bench.cli import main; sys.exit(main(sys.argv[1:]))"
    full = subprocess.run(
        [sys.executable, "-c", code, *shlex.split(command), "seeds=0,1"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY)),
    )
    assert full.returncode == 1 and "Traceback" not in full.stderr, full.stderr
    assert "File too large" in full.stdout + full.stderr
    after = everything(here / "results")
    assert {name: after[name] for name in stored} == stored

    capsys.readouterr()
    assert main([*shlex.split(command), "seeds=0,1"]) == 0
    assert {row["n_seeds"] for row in json.loads(capsys.readouterr().out)["rows"]} == {2}


@pytest.mark.parametrize(
    ("argv", "field", "fix"),
    [
        (f"{RUN} out=.", "out", "name a file in it"),
        (f"{RUN} results={'r' * 300}", "results", "choose another folder"),
        (f"{RUN} model={'m' * 300}", "model", "smollm2"),
        (f"{RUN} model={'m' * 300}.gguf", "model", "check the path"),
        (f"{RUN} init={'i' * 300}", "init", "init=sft"),
        (f"{RUN} tuned={'t' * 300}", "tuned", "bench tune"),
        (f"table results={'r' * 300}", "results", "earlier bench run"),
        (f"{RUN} budget={'9' * 400}s", "budget", "smoke, small or paper"),
        (f"{RUN} threads=100000", "threads", "1024"),
        (f"{RUN} model=tiny,tiny:0", "model", "keep one of the two"),
        (f"{RUN} task.world=-1", "task.world", "0"),
        (f"{RUN} seeds=\uff11", "seeds", "whole"),
    ],
)
def test_odd_values_are_named_with_their_fix(
    argv: str, field: str, fix: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv.split()) == 2
    said = capsys.readouterr().err
    assert field in said
    assert fix in said


@pytest.mark.parametrize("row", ["1,the post,the reference", "the post"])
def test_a_csv_row_that_does_not_fit_its_header_is_refused_by_number(
    row: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("uneven.csv").write_text(f"prompt,reference\na post,a reference\n{row}\n", "utf-8")
    assert main(["run", "methods=sft", "task=tldr", "model=smollm2", "task.data=uneven.csv"]) == 2
    assert "row 2" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["table", "figures", "report", "paper", "baseline"])
def test_every_verb_reads_a_filter_alike(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is stored is picked by the same keys everywhere, with the same mistakes told at once."""
    out = f"out={tmp_path / 'new'}"
    assert main([verb, f"results={tmp_path}", out, "methods=a,,b", "task=x,x"]) == 2
    told = capsys.readouterr().err
    assert "methods: 'a,,b' has an empty element" in told
    assert "task: 'x' is given twice" in told
