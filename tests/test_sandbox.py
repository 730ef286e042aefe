"""The sandbox's contract: verdicts, limits, order, clean-up, and what is refused before anything runs."""

from __future__ import annotations

import enum
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest

from alignment_bench.errors import BadInput
from alignment_bench.sandbox import Call, Limits, Trial, protection, run, wire
from alignment_bench.sandbox.probes import AT_MOST
from alignment_bench.sandbox.room import empty

ADD = "def add(a, b):\n    return a + b\n"
DEFAULT = Limits()
CHECK = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert add(0, 0) == 0, 'zero'\n"


@pytest.fixture(params=["full", "partial"])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything holds at both levels; skips where the machine lacks one."""
    monkeypatch.setenv(AT_MOST, request.param)
    found = protection()
    if found.level != request.param:
        pytest.skip(found.describe())
    return str(request.param)


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where sandboxes make their folders, and what the command lines of their processes name."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def alive(scratch: Path) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if (
                os.fsencode(scratch) in Path("/proc", name, "cmdline").read_bytes()
                and int(name) != os.getpid()
            ):
                found.append(int(name))
        except OSError:
            continue
    return found


def one(code: str, *calls: Call, entry: str = "f", check: str = "", limits: Limits = DEFAULT) -> Any:
    return run([Trial(code, entry, calls, check)], limits)[0]


def test_calls_are_compared_one_by_one(level: str) -> None:
    outcome = one(
        ADD, Call((1, 2), 3), Call((1, 2), 4), Call(("a", "b"), "ab"), Call((1, "b"), 0), entry="add"
    )
    assert outcome.passed == (True, False, True, False)
    assert outcome.status == "failed" and outcome.detail == "call 2 returned 3"
    assert one(ADD, Call((1, 2), 3), entry="add").status == "passed"


def test_a_check_runs_apart_and_reaches_the_program(level: str) -> None:
    assert one(ADD, entry="add", check=CHECK).passed == (True,)
    wrong = one("def add(a, b):\n    return 3\n", entry="add", check=CHECK)
    assert (wrong.status, wrong.passed, wrong.detail) == (
        "failed",
        (False,),
        "check: assertion failed, line 3: zero",
    )
    both = one(ADD, Call((1, 1), 3), entry="add", check=CHECK)
    assert both.passed == (False, True) and both.status == "failed"


def test_a_check_sees_the_programs_exceptions(level: str) -> None:
    check = "def check(candidate):\n    try:\n        candidate(0)\n    except ZeroDivisionError:\n"
    check += "        return\n    assert False\n"
    assert one("def f(x):\n    return 1 / x\n", check=check).status == "passed"
    assert one("def f(x):\n    return x\n", check=check).status == "failed"
    exits = one("def f(x):\n    raise SystemExit(0)\n", check="def check(candidate):\n    candidate(0)\n")
    assert exits.status == "error" and exits.passed == (False,)


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("def f(x) return x", "error", "SyntaxError"),
        ("def g(x): return x", "error", "the program defines no 'f'"),
        ("def f(x): raise ValueError('odd')", "error", "ValueError: odd, line 1"),
        ("def f(x): return lambda: x", "error", "function is not plain data"),
        ("def f(x): return bytearray(1 << 30)", "memory", "MemoryError"),
        ("def f(x): return 'x' * (1 << 20)", "output", "262144 are allowed"),
        ("import os\ndef f(x): os._exit(0)", "crashed", "ended itself with status 0"),
        ("import numpy\ndef f(x): return x", "error", "No module named 'numpy'"),
        ("def f(x):\n    open('big', 'wb').write(bytes(9 << 20))", "error", "OSError"),
        ("if __name__ == '__main__': raise ValueError\ndef f(x): return [x]", "failed", "returned [0]"),
    ],
)
def test_what_goes_wrong_is_told(level: str, code: str, status: str, words: str) -> None:
    outcome = one(code, Call((0,), 0))
    assert outcome.status == status and words in outcome.detail and outcome.passed == (False,)


def test_time_is_limited(level: str) -> None:
    limits = Limits(cpu_seconds=1, wall_seconds=9.0)
    spinning = one("def f(x):\n    while True: pass", Call((0,), 0), limits=limits)
    assert spinning.status == "timeout" and "processor" in spinning.detail
    limits = Limits(cpu_seconds=5, wall_seconds=0.5)
    sleeping = one("import time\ndef f(x): time.sleep(60)", Call((0,), 0), limits=limits)
    assert sleeping.status == "timeout" and sleeping.seconds < 5


def test_library_and_scratch_folder_are_there(level: str) -> None:
    code = (
        "import asyncio, dataclasses, decimal, hashlib, os, sqlite3, tempfile, unittest, zlib\n"
        "@dataclasses.dataclass\nclass P:\n    x: 'int'\n"
        "async def g(): return 1\n"
        "def f(x):\n    open('a', 'w').write('text')\n    assert os.listdir() == ['a'], os.listdir()\n"
        "    with tempfile.TemporaryFile() as t: t.write(b'x')\n"
        "    return asyncio.run(g()) + P(1).x, open('a').read(), dict(os.environ), hash('x') == hash('x')\n"
    )
    outcome = one(code, Call((0,), (2, "text", {}, True)))
    assert outcome.status == "passed", outcome


def test_programs_are_repeatable(level: str) -> None:
    code = "import random\ndef f(x): return hash('text'), random.random(), list({'a', 'b', 'c', 'd'})"
    details = {one(code, Call((0,), None)).detail for _ in range(2)}
    assert len(details) == 1


def test_equal_trials_share_an_outcome_and_order_is_kept() -> None:
    trials = [Trial(f"def f(x): return x + {n % 5}", "f", (Call((1,), 3),)) for n in range(20)]
    outcomes = run(trials, workers=2)
    assert [o.status == "passed" for o in outcomes] == [n % 5 == 2 for n in range(20)]
    assert all(outcomes[n] is outcomes[n % 5] for n in range(20))
    assert run([]) == []


def test_a_limit_of_processes_is_kept(level: str) -> None:
    code = (
        "import os, time\ndef f(x):\n    made = 0\n    for _ in range(40):\n        try:\n"
        "            if os.fork() == 0: time.sleep(9)\n            made += 1\n        except OSError: pass\n"
        "    return made"
    )
    assert one(code, Call((0,), 0)).status == "passed"
    limits = Limits(processes=6)
    if protection().counts_processes:
        assert one(code, Call((0,), 5), limits=limits).status == "passed"
    else:
        with pytest.raises(BadInput, match="a limit of 6 processes cannot be kept here"):
            one(code, Call((0,), 5), limits=limits)


def test_two_hundred_programs_leave_nothing(level: str, scratch: Path) -> None:
    """In folders of their own, nor where anybody may write. (Other processes' sandboxes may come and go.)"""
    mine = f"left-{os.getpid()}"
    code = f"def f(x):\n    open('{mine}', 'w').write('x')\n    return x + {{}}"
    trials = [Trial(code.format(n), "f", (Call((1,), n + 1),)) for n in range(200)]
    assert {outcome.status for outcome in run(trials, workers=2)} == {"passed"}
    assert alive(scratch) == []
    assert not any(scratch.iterdir())
    assert not {mine} & {*os.listdir("/tmp"), *os.listdir("/dev/shm")}


def test_a_killed_caller_leaves_nothing(level: str, scratch: Path) -> None:
    source = (
        "from alignment_bench.sandbox import *\nprotection()\nprint('probed', flush=True)\n"
        "run([Trial('import time\\ndef f(x): time.sleep(60)', 'f', (Call((0,), 0),))],"
        " Limits(wall_seconds=60.0))"
    )
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen([sys.executable, "-c", source], env=environment, stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None and caller.stdout.readline() == b"probed\n"
        # the program beside its server, which at full protection are two processes
        running = 3 if level == "full" else 2
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and len(alive(scratch)) < running:
            time.sleep(0.05)
        assert len(alive(scratch)) == running
        caller.send_signal(signal.SIGKILL)
    while time.monotonic() < deadline and (alive(scratch) or any(scratch.glob("*sandbox*"))):
        time.sleep(0.05)
    assert not alive(scratch) and not any(scratch.glob("*sandbox*"))


def test_protection_below_the_least_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(ADD, "add", (Call((1, 2), 3),))
    monkeypatch.setenv(AT_MOST, "none")
    assert protection().level == "none" and "none" in protection().describe()
    with pytest.raises(BadInput, match=r"must not run at protection none.*accept running without"):
        run([trial])
    assert run([trial], least="none")[0].status == "passed"
    monkeypatch.setenv(AT_MOST, "partial")
    with pytest.raises(BadInput, match="must not run at protection"):
        run([trial], least="full")


def test_every_problem_of_the_input_is_told_at_once() -> None:
    trials = [Trial(ADD, "add"), Trial(ADD, "add", (Call((object(),), 3),))]
    with pytest.raises(BadInput) as caught:
        run(trials, Limits(cpu_seconds=0, memory_mb=1, wall_seconds=0.0))
    fields = [problem.field for problem in caught.value.problems]
    assert fields == [
        "limits.cpu_seconds",
        "limits.memory_mb",
        "limits.wall_seconds",
        "trials[0]",
        "trials[1]",
    ]


class _Colour(enum.IntEnum):
    RED = 1


PLAIN = [
    None, True, 0, -1, 2**53, -(2**5000), 0.1, -0.0, float("inf"), 1e308, "text", "\ud800", "\0", b"\0\xff",
    1 + 2j, [], [1, [2]], (), (1,), {}, {1: 2, (1, "a"): [None]}, {1, 2}, frozenset({(1, 2)}),
    [{"d": [["a", 1]]}],
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_plain_data_comes_back_with_its_types(value: Any) -> None:
    back = wire.loads(wire.dumps(value))
    assert back == value and type(back) is type(value) and repr(back) == repr(value)


def test_subclasses_are_reduced() -> None:
    class Liar(str):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    sent = [_Colour.RED, Liar("x"), Counter("aa"), OrderedDict(a=1), [Liar("y")]]
    back = wire.loads(wire.dumps(sent))
    assert back == [1, "x", {"a": 2}, {"a": 1}, ["y"]]
    assert [type(item) for item in back] == [int, str, dict, dict, list] and type(back[4][0]) is str
    assert back[1] != "z"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"nul", b"\xff", b'{"x":1}', b'{"i":1}', b'{"i":"zz"}', b'{"t":1}', b'{"c":[1]}',
        b'{"s":[[]]}',
        b'{"d":[[1]]}', b'{"t":[],"s":[]}', b"[" * 100_000, b"[" * 200 + b"]" * 200, b"9" * 5000,
        b'{"s":[' + b",".join(b"%d" % n for n in range(5001)) + b"]}",
    ],
    ids=lambda data: repr(data[:12]),
)  # fmt: skip
def test_other_messages_are_refused(data: bytes) -> None:
    with pytest.raises(wire.Refused):
        wire.loads(data)


def test_deep_and_closed_folders_are_emptied(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("stays", "utf-8")
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(".", os.O_RDONLY)
    os.chdir(top)
    try:
        for _ in range(600):
            os.mkdir("d" * 8)
            os.chdir("d" * 8)
        os.symlink(outside, "link")
    finally:
        os.chdir(here)
        os.close(here)
    (top / "closed" / "inner").mkdir(parents=True)
    (top / "closed").chmod(0)
    empty(str(top))
    assert list(top.iterdir()) == [] and outside.read_text("utf-8") == "stays"
