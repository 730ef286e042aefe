"""The comparisons of cost: the page says what the stored numbers say, the arithmetic under it is right."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PERF = ROOT / "perf"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts of perf/ import each other by name."""
    monkeypatch.syspath_prepend(str(PERF))


def test_the_page_is_made_of_the_stored_numbers() -> None:
    import compare
    import performance_page

    found = compare.everything()
    assert (ROOT / "docs" / "performance.md").read_text("utf-8") == performance_page.page(found)
    stored = {file.stem for file in compare.STORED.iterdir()}
    assert {one.name for one in found} == stored <= set(compare.COMMANDS)
    for one in found:
        assert bool(one.skipped) != bool(one.claims)
        assert all(claim.figure.values for claim in one.claims)


def test_every_comparison_has_its_script_and_takes_what_it_is_given() -> None:
    """Every word of every command line is a key that the script knows."""
    import compare

    for name, (file, *_) in compare.COMMANDS.items():
        tree = ast.parse((PERF / file).read_text("utf-8"))
        calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call)]
        (known,) = [
            {keyword.arg for keyword in one.keywords}
            for one in calls
            if isinstance(one.func, ast.Name) and one.func.id == "script"
        ]
        words = compare.command(name, {"repeats": "5", "trl112": "folder", "posts": "file"}, Path("out"))[2:]
        assert {word.partition("=")[0] for word in words} <= known | {"repeats", "out"}


def test_no_script_takes_the_name_of_what_libraries_import() -> None:
    """A script's folder comes first on its path: torch asks for NVIDIA's `cuda`, installed or not."""
    names = {file.stem for file in PERF.glob("*.py")}
    assert "sampling" in names
    assert not names & {"cuda", *sys.stdlib_module_names, *packages_distributions()}


def test_both_samplers_are_measured_and_what_each_drew_is_counted() -> None:
    import sampling

    found = sampling.compare({"model": "tiny", "prompts": "2", "n": "2", "repeats": "1"})
    assert [one.name for one in found.figures[:2]] == ["model.generate", "sampler"]
    assert all(one.median > 0 for one in found.figures) and not found.skipped
    assert found.claims[0].figure.values == pytest.approx(
        (found.figures[1].median / found.figures[0].median,)
    )


def figure(*values: float) -> Any:
    from measuring import Figure

    return Figure("what", "x", values)


def test_medians_spread_and_targets() -> None:
    from measuring import Claim, ratios

    assert (figure(3, 1, 2).median, figure(3, 1, 2).low, figure(3, 1, 2).high) == (2, 1, 3)
    assert ratios("r", (4, 9, 2), (2, 3, 4)).values == (2, 3, 0.5)  # by repeat, not of medians
    assert Claim(figure(1, 2, 3), ">= 2").met is True
    assert Claim(figure(1, 1.9, 3), ">= 2").met is False
    assert Claim(figure(1, 2.1, 3), "<= 2").met is False
    assert Claim(figure(1, 2, 3), "").met is None
    with pytest.raises(ValueError, match="neither"):
        _ = Claim(figure(1), "about 2").met


def test_a_line_through_points() -> None:
    from measuring import straight_line

    start, slope, off = straight_line((1, 2, 4), (13, 16, 22))
    assert (start, slope) == (pytest.approx(10), pytest.approx(3))
    assert off == pytest.approx([0, 0, 0])
    _, _, off = straight_line((0, 1, 2), (1, 1, 4))
    assert off == pytest.approx([1 / 0.5 - 1, 1 / 2 - 1, 4 / 3.5 - 1])


def test_sides_take_turns_and_a_side_may_time_itself() -> None:
    from measuring import Took, in_turn

    order: list[str] = []

    def second() -> Took:
        order.append("b")
        return Took(7.0, 8.0)

    took = in_turn({"a": lambda: order.append("a"), "b": second}, 3)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"  # a turn to warm up, then the first side alternates
    assert took["b"] == [Took(7.0, 8.0)] * 3 and all(0 <= one.wall < 1 for one in took["a"])


def test_a_job_that_two_runs_did_is_shared_and_counted_once() -> None:
    from measuring import Took
    from together import Done, rows_of, shares

    def done(cpu: float, **jobs: float) -> Done:
        return Done(Took(cpu, 1.0), jobs, dict.fromkeys(jobs, "sample"), 0)

    together = done(20.0, base=3.0, reward=4.0, a=5.0, b=6.0)
    apart = {
        "ppo": done(15.0, base=3.1, reward=4.1, a=5.1),
        "best_of_n": done(10.0, base=2.9, reward=4.2),
        "ilf": done(12.0, base=3.0, b=6.5),
    }
    own, shared, rest = shares(together, apart)
    assert own == {"ppo": 5.0, "best_of_n": 0, "ilf": 6.0}
    assert (shared, rest) == (7.0, 2.0)
    rows, overhead, work = rows_of([together], apart)
    assert overhead == (pytest.approx(100 * 2 / 18),) and work == (18.0,)
    assert rows[-1] == ["the whole run", 4, 20.0] and sum(row[2] for row in rows[:-1]) == 20.0


TIMED = """
import json, time
from pathlib import Path
from alignment_bench.jobs import JobStore

store = JobStore(Path("jobs"))

def busy(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass

def outer(place):
    busy(.1)
    store.run("inner", {"x": 1}, lambda place: busy(.4))

for _ in range(2):
    print(store.run("outer", {"x": 1}, outer).stored)
"""


def test_jobs_are_timed_once_and_without_the_jobs_inside_them(tmp_path: Path) -> None:
    """As the measured commands are: in a process that knows nothing of it."""
    from together import timing

    environment = {**os.environ, **timing()}
    said = subprocess.run(
        [sys.executable, "-c", TIMED],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["False", "True"]
    lines = [json.loads(line) for line in (tmp_path / "jobs" / "cpu.jsonl").read_text("utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["inner", "outer"]
    inner, outer = (line["cpu"] for line in lines)
    assert inner >= 0.4 and 0.1 <= outer < inner


def test_numbers_are_written_with_three_digits() -> None:
    from performance_page import number, spread

    written = [number(one) for one in (0.0, 1234.5, 12.34, 0.01234, 1.2e-6, -0.5)]
    assert written == ["0", "1,234", "12.3", "0.0123", "1.2e-06", "-0.5"]
    assert spread(figure(1.0, 2.0, 4.0)) == "2 [1, 4]" and spread(figure(2.0)) == "2"


STUB = """
import sys
sys.path.insert(0, {perf!r})
from measuring import Claim, Comparison, Figure, script

def compare(options):
    if options["fate"] == "breaks":
        raise RuntimeError("no")
    if options["fate"] == "skipped":
        return Comparison(options["name"], "Stub", "", skipped="it lacks something")
    values = tuple(float(one) for one in range(1, int(options["repeats"]) + 1))
    claim = Claim(Figure("what it promises", "x", values), options["wanted"])
    return Comparison(options["name"], "Stub", "Nothing is compared.", claims=[claim])

sys.exit(script(compare, fate="runs", name="stub", wanted=">= 2"))
"""


def test_the_command_keeps_what_each_comparison_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that breaks off does not stop the others, a skipped one forgets nothing, a miss is said."""
    import compare

    (tmp_path / "stub.py").write_text(STUB.format(perf=str(PERF)), "utf-8")
    monkeypatch.setattr(compare, "HERE", tmp_path)
    monkeypatch.setattr(compare, "DOCS", tmp_path)
    monkeypatch.setattr(compare, "STORED", tmp_path / "performance")
    words = {
        "bad": ("stub.py", "name=bad", "fate=breaks"),
        "good": ("stub.py", "name=good"),
        "none": ("stub.py", "name=none", "fate=skipped"),
    }
    monkeypatch.setattr(compare, "COMMANDS", words)
    assert compare.main(["repeats=3"]) == 1
    assert "BROKE OFF bad" in capsys.readouterr().out
    assert [one.name for one in compare.everything()] == ["good", "none"]
    page = (tmp_path / "performance.md").read_text("utf-8")
    assert (
        "| Stub | what it promises | 2 [1, 3] x | at least 2 | met |" in page and "it lacks something" in page
    )

    words["good"] = ("stub.py", "name=good", "fate=skipped")
    assert compare.main(["only=good", "repeats=3"]) == 0
    assert [len(one.claims) for one in compare.everything()] == [1, 0]

    words["none"] = ("stub.py", "name=none", "wanted=<= 1")
    words.pop("bad")
    assert compare.main(["missing=true", "repeats=3"]) == 1
    assert "MISSED what it promises: 2 x, wanted <= 1" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="else is no comparison, there are good, none"):
        compare.main(["only=else"])


def world(cost: float) -> Any:
    """A `run` without a run: a base and a reward model of 10 CPU seconds a seed, `cost` for every label."""
    from measuring import Took
    from together import Done

    def run(results: Path, *words: str) -> Done:
        given = dict(word.split("=", 1) for word in words)
        jobs: dict[str, float] = {}
        for seed in given.get("seeds", "0").split(","):
            jobs |= {f"base {seed}": 4.0, f"reward {seed}": 6.0}
            jobs |= {f"{label} {seed}": cost for label in given["methods"].split(",")}
        return Done(Took(5.0 + sum(jobs.values()), 9.0, 1.5e9), jobs, dict.fromkeys(jobs, "kind"), 0)

    return run


def test_together_and_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    import together

    monkeypatch.setattr(together, "run", world(2.0))
    found = together.compare({"methods": "a,b,c", "budget": "small", "repeats": "5", "apart": "1"})
    assert [claim.figure.median for claim in found.claims] == [
        9.0,
        1.5,
        pytest.approx(100 * 5 / 16),
        pytest.approx(3 * 17 / 21),
    ]
    assert [claim.met for claim in found.claims] == [True, True, False, None]
    (table,) = found.tables
    assert table["rows"][0] == ["`a`: its own work", 1, 2.0]
    assert table["rows"][3:] == [
        ["jobs that several need, each once", 2, 10.0],
        ["everything else: imports, plan, files, table", "", 5.0],
        ["the whole run", 5, 21.0],
    ]
    (note,) = found.notes
    assert note.startswith("0 jobs were done twice") and note.endswith("the same jobs between them.")


def test_cost_by_methods_and_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    import scaling

    monkeypatch.setattr(scaling, "run", world(3.0))
    found = scaling.compare({"methods": "1,2,4,8", "seeds": "1,2,4", "repeats": "2"})
    assert [claim.figure.median for claim in found.claims] == pytest.approx([0, 0, 0], abs=1e-6)
    assert all(claim.met for claim in found.claims)
    by_methods, by_seeds, shared = found.tables
    assert "15.0 + 3.00 x methods" in by_methods["title"] and "5.0 + 16.00 x seeds" in by_seeds["title"]
    assert shared["rows"] == [[1, 10.0], [2, 10.0], [4, 10.0], [8, 10.0]]
