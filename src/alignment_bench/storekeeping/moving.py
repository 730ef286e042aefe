"""`bench export` and `bench import`: what they were asked for, and saying what has been done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alignment_bench.amounts import counted, size
from alignment_bench.checks import no_file, no_results, unwritable
from alignment_bench.config import pairs
from alignment_bench.config_values import FILTERS, listed
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import values
from alignment_bench.storekeeping.asking import bar, known_keys

SUFFIXES = (".tar", ".tar.gz", ".tgz")
EXPORT_HELP = """\
bench export out=FILE.tar: finished jobs as one file, for another machine or a colleague

  out=FILE       .tar, or .tar.gz, which is smaller and slower (weights hardly shrink)
  results=DIR    folder of everything stored (default results)
  cells=true     also the cells, so that tables can be made there, and audits of their judges
  task= methods= model= data= world= budget= teacher= judge= seeds=
                 only cells that have one of these values, base included, and the jobs that they rest on

Every file is compared with its digest on the way. The same content gives the same bytes, but for the library
that packs a .gz. A job's record holds what went in: prompts, and what was asked of endpoints; no keys.
"""
IMPORT_HELP = """\
bench import FILE.tar [results=DIR]: jobs, and cells where it has some, of a file that bench export wrote

  results=DIR    the results folder that takes them, new or not (default results)

The whole file is checked first; if anything about it is wrong, nothing is imported. Jobs that are here stay
as they are; the same command goes on where one was killed. Runs that ask for imported jobs do not do them
again. Digests show that nothing has changed on the way, not that somebody's numbers are true: import from
people whom you would believe them.
"""
HELPS = {"export": EXPORT_HELP, "import": IMPORT_HELP}


@dataclass(frozen=True)
class ExportRequest:
    """What `bench export` was asked for."""

    out: Path
    results: Path = Path("results")
    cells: bool = False
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportRequest:
    """What `bench import` was asked for."""

    path: Path
    results: Path = Path("results")


def parse_export(arguments: Sequence[str]) -> ExportRequest:
    """The request of `bench export`. Raises one BadInput with everything that is wrong with the arguments."""
    problems: list[Problem] = []
    given = pairs(arguments, problems)
    known = known_keys("export", given, ExportRequest, FILTERS, problems)
    found = values(ExportRequest, known, "", problems)
    if "out" not in given:
        problems.append(Problem("out", "is missing", "write out=FILE.tar"))
    elif "out" in found:
        problems += no_file("out", found["out"])
        if not found["out"].name.endswith(SUFFIXES):
            what = f"{found['out'].name!r} does not end in .tar or .tar.gz"
            problems.append(Problem("out", what, "write out=FILE.tar"))
    problems += no_results(found.get("results", ExportRequest.results))
    filters = {key: listed(key, given[key], problems) for key in FILTERS if key in given}
    if problems:
        raise BadInput(problems)
    return ExportRequest(**found, filters=filters)


def parse_import(arguments: Sequence[str]) -> ImportRequest:
    """The request of `bench import`. Raises one BadInput with everything that is wrong with the arguments."""
    problems: list[Problem] = []
    words = [one for one in arguments if "=" not in one]
    given = pairs([one for one in arguments if "=" in one], problems)
    found = values(ImportRequest, known_keys("import", given, ImportRequest, (), problems), "", problems)
    if len(words) != 1:
        what = "a file is missing" if not words else f"takes one file, not {', '.join(words)}"
        problems.append(Problem("import", what, "write bench import FILE.tar"))
    elif not Path(words[0]).is_file():
        problems.append(Problem(words[0], "there is no such file", "name a file that bench export wrote"))
    problems += unwritable("results", found.get("results", ImportRequest.results))
    if problems:
        raise BadInput(problems)
    return ImportRequest(Path(words[0]), **found)


def export_command(arguments: list[str]) -> int:
    """`bench export`."""
    request = parse_export(arguments)
    from alignment_bench.jobs import JobStore
    from alignment_bench.storekeeping import archive
    from alignment_bench.storekeeping.exchange import choose

    nothing = BadInput([Problem("results", "no finished jobs are stored there", "run bench run first")])
    if not (request.results / "jobs").is_dir():  # a folder of something else is left as it is
        raise nothing
    store = JobStore(request.results / "jobs")
    store.enter()  # nothing is cleared away meanwhile
    with bar(f"exporting {request.results}") as progress:
        choice = choose(request.results, request.filters, request.cells, progress.say)
        if not choice.bundles:
            raise nothing
        progress.say(f"writing {request.out.name}")
        progress.expect(sum(one.size for one in choice.bundles))
        request.out.parent.mkdir(parents=True, exist_ok=True)
        archive.write(request.out, request.results, choice.bundles, progress.come)
    written = request.out.stat().st_size
    print(f"{request.out}: {counted(choice.jobs, 'job')}, {counted(choice.cells, 'cell')}, {size(written)}")
    if choice.doubts:
        print("jobs that these cells rest on may be missing, and would be done again:")
        print("\n".join(f"  {one}" for one in choice.doubts))
    if choice.damaged:
        print(f"left out as damaged: {', '.join(map(str, choice.damaged))}; bench verify says more")
    return 0


def import_command(arguments: list[str]) -> int:
    """`bench import`."""
    request = parse_import(arguments)
    from alignment_bench.jobs import CORE_VERSION
    from alignment_bench.storekeeping import archive
    from alignment_bench.storekeeping.exchange import take

    with bar(f"reading {request.path.name}") as progress:
        progress.expect(2 * sum(one.size for one in archive.listed(request.path)))
        taken = take(request.path, request.results, progress.come, progress.say)
    print(f"{request.results}: {_counted(taken.new)} new, {_counted(taken.here)} here already")
    if taken.other:
        print(f"here with another outcome, which stays: {len(taken.other):,}, as {taken.other[0]}")
    for core, count in sorted(taken.cores.items()):
        what = f"of core version {core}, which no run here asks for (this is {CORE_VERSION})"
        print(f"{counted(count, 'job')} {what}")
    return 0


def _counted(found: Mapping[str, int]) -> str:
    return (
        ", ".join(counted(found[f"{one}s"], one) for one in ("job", "cell", "audit") if found.get(f"{one}s"))
        or "0"
    )
