"""How the scripts of perf/ measure: two sides in turn, CPU seconds beside wall seconds, medians and spread.

On a machine that others use as well, wall time measures them; CPU seconds of one thread measure the work.
Ratios are therefore taken repeat by repeat, of CPU seconds, A and B in turn, so that both meet the same
machine; wall is recorded beside them and tells how busy it was.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("alignment-bench", "torch", "transformers", "peft", "trl")


@dataclass(frozen=True)
class Took:
    """What one piece of work took, of this process or of a finished one with all its children."""

    cpu: float
    wall: float
    peak: float = 0.0
    """bytes of the largest single process; 0 where nobody looked"""


@dataclass(frozen=True)
class Figure:
    """One measured quantity, a value a repeat."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Half of the values lie below it."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest."""
        return max(self.values)


@dataclass(frozen=True)
class Claim:
    """A figure, what is wanted of its median, and whether it is so."""

    figure: Figure
    wanted: str
    """`>= x` or `<= x`, in the figure's unit; empty: reported, nothing is promised"""

    @property
    def met(self) -> bool | None:
        """Whether the median is as wanted; None where nothing is promised."""
        if not self.wanted:
            return None
        sign, _, bound = self.wanted.partition(" ")
        if sign not in ("<=", ">="):
            raise ValueError(f"{self.wanted!r} is neither `>= x` nor `<= x`")
        return self.figure.median >= float(bound) if sign == ">=" else self.figure.median <= float(bound)


@dataclass
class Comparison:
    """Everything that one comparison found, as it is stored."""

    name: str
    title: str
    compared: str
    """what is compared, in a paragraph: model, data, settings of both sides"""
    figures: list[Figure] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    """more detail: `title`, `head` and `rows` of cells"""
    notes: list[str] = field(default_factory=list)
    """caveats"""
    machine: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""
    """why nothing was measured"""

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping; `from_json` reads it back."""
        return asdict(self)

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Comparison:
        """The comparison that `to_json` wrote."""
        figures = [_figure(one) for one in stored["figures"]]
        claims = [Claim(_figure(one["figure"]), one["wanted"]) for one in stored["claims"]]
        return Comparison(**{**stored, "figures": figures, "claims": claims})


def _figure(stored: Mapping[str, Any]) -> Figure:
    return Figure(stored["name"], stored["unit"], tuple(stored["values"]))


def ratios(name: str, above: Sequence[float], below: Sequence[float]) -> Figure:
    """`above` over `below`, repeat by repeat."""
    return Figure(name, "x", tuple(a / b for a, b in zip(above, below, strict=True)))


def timed(work: Callable[[], Any]) -> Took:
    """CPU and wall seconds of a call in this process, all its threads together."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Took(time.process_time() - cpu, time.perf_counter() - wall)


def in_turn(sides: Mapping[str, Callable[[], Any]], repeats: int, warm: bool = True) -> dict[str, list[Took]]:
    """Every side `repeats` times, A B A B, after one turn that does not count where `warm`.

    A side that times a part of itself alone returns a Took; of any other the whole call counts.
    """
    if warm:
        for work in sides.values():
            work()
    took: dict[str, list[Took]] = {name: [] for name in sides}
    for turn in range(repeats):
        # The side that goes first changes, so that neither always follows the other.
        names = list(sides) if turn % 2 == 0 else list(reversed(sides))
        for name in names:
            took[name].append(_timed_itself(sides[name]))
    return took


def _timed_itself(work: Callable[[], Any]) -> Took:
    returned: list[Any] = []
    whole = timed(lambda: returned.append(work()))
    return returned[0] if isinstance(returned[0], Took) else whole


def in_process(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Took:
    """A command with all its descendants, by the operating system's account. Raises where it fails.

    A child's peak starts from that of the process that started it: this one should hold no model.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        list(argv),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}:\n{said.decode()[-2000:]}")
    return Took(used.ru_utime + used.ru_stime, time.perf_counter() - started, _bytes(used))


def peak_here() -> float:
    """Bytes that this process had resident at most, so far."""
    return _bytes(resource.getrusage(resource.RUSAGE_SELF))


def _bytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def one_thread(threads: int = 1) -> dict[str, str]:
    """The environment in which no library takes more threads than these."""
    return {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def bench(*words: str) -> list[str]:
    """A command line of `bench`, by this interpreter."""
    return [sys.executable, "-m", "alignment_bench", *words]


def machine() -> dict[str, Any]:
    """Processor, cores, memory and versions, the date, and how many processes waited for a core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def straight_line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, list[float]]:
    """Least squares: where it starts, its slope, and what each y is above it as a share of the fit."""
    slope, start = statistics.linear_regression(x, y)
    fits = [start + slope * one for one in x]
    return start, slope, [(value - fit) / fit for value, fit in zip(y, fits, strict=True)]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def options_of(argv: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """`key=value` words over the known keys' defaults. Raises SystemExit on anything else."""
    given = dict(known)
    for word in argv:
        key, equals, value = word.partition("=")
        if not equals or key not in known:
            raise SystemExit(f"{word!r}: give key=value, the keys are {', '.join(known)}")
        given[key] = value
    return given


def script(compare: Callable[[Mapping[str, str]], Comparison], **known: str) -> int:
    """A comparison as a command: measures, prints, and writes JSON where `out=` says so.

    1 where a claim is not met; with `out=` who reads the file judges that.
    """
    options = options_of(sys.argv[1:], {"repeats": "5", "out": "", **known})
    before = machine()
    found = compare({key: value for key, value in options.items() if value})
    found.machine = before
    print(told(found))
    if options["out"]:
        Path(options["out"]).write_text(json.dumps(rounded(found.to_json()), indent=1) + "\n", "utf-8")
        return 0
    return int(any(claim.met is False for claim in found.claims))


def told(found: Comparison) -> str:
    """The comparison in lines for a terminal."""
    if found.skipped:
        return f"{found.title}: skipped, {found.skipped}"
    lines = [found.title]
    for one in [*found.figures, *(claim.figure for claim in found.claims)]:
        lines.append(f"  {one.name:44} {one.median:10.4g} {one.unit}  [{one.low:.4g}, {one.high:.4g}]")
    for claim in found.claims:
        if claim.wanted:
            lines.append(f"  {claim.figure.name}: wanted {claim.wanted}, {'met' if claim.met else 'NOT MET'}")
    return "\n".join(lines)


def rounded(value: Any) -> Any:
    """Floats to five digits, in whatever holds them."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return value
