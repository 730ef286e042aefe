"""`bench verify` and `bench paper`: what they were asked for, and doing it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from alignment_bench.checks import no_file, no_results, unwritable
from alignment_bench.config import pairs
from alignment_bench.config_values import FILTERS, listed
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import values
from alignment_bench.registry import suggest

VERIFY_HELP = """\
bench verify: is what is stored still what was written, and do the scores follow from the samples?

  results=DIR    folder of everything stored (default results)
  manifest=FILE  also compare with a manifest that bench paper wrote
  samples=false  check files only, score no samples again
  format=        text or json (default text)
  out=FILE       write there instead of printing

Exit code: 0 every file is what was written, 1 one is not, or scores do not follow from their samples.
What needs a model, a judge that must be asked, or a sandbox is named as not recomputed. Not covered: what
runs asked for (runs/), locks and logs, which are behind no number; a cell deleted whole, unless manifest=FILE
lists it.
"""
PAPER_HELP = """\
bench paper out=DIR: tables (LaTeX, markdown, CSV), figures, a methods paragraph and a manifest of every file
behind the numbers

  out=DIR        the folder to write
  results=DIR    folder of everything stored (default results)
  task= methods= model= data= world= budget= teacher= judge= seeds=
                 keep only what has one of these values

Where jobs were done by older versions, the manifest does not list what a teacher answered inside a training
or a judge when it was asked; bench verify checks those answers where they are stored.
Exit code: 1 where a stored file is damaged; everything else is written all the same.
"""
HELPS = {"verify": VERIFY_HELP, "paper": PAPER_HELP}


@dataclass(frozen=True)
class VerifyRequest:
    """What `bench verify` was asked for."""

    results: Path = Path("results")
    manifest: Path | None = None
    samples: bool = True
    format: Literal["text", "json"] = "text"
    out: Path | None = None


@dataclass(frozen=True)
class PaperRequest:
    """What `bench paper` was asked for."""

    out: Path = Path()
    results: Path = Path("results")
    filters: dict[str, tuple[str, ...]] = field(default_factory=dict)


def parse_verify(arguments: Sequence[str]) -> VerifyRequest:
    """The request of `bench verify`. Raises one BadInput with everything that is wrong."""
    problems: list[Problem] = []
    given = pairs(arguments, problems)
    known = ("results", "manifest", "samples", "format", "out")
    _refuse_strange("verify", given, known, problems)
    found = values(VerifyRequest, {key: given[key] for key in known if key in given}, "", problems)
    problems += no_results(found.get("results", Path("results")))
    problems.extend(no_file("out", found["out"]) if "out" in found else ())
    if (named := found.get("manifest")) is not None and not os.path.isfile(named):
        fix = "name a manifest.json that bench paper wrote"
        problems.append(Problem("manifest", f"there is no file {str(named)!r}", fix))
    if problems:
        raise BadInput(problems)
    return VerifyRequest(**found)


def parse_paper(arguments: Sequence[str]) -> PaperRequest:
    """The request of `bench paper`. Raises one BadInput with everything that is wrong."""
    problems: list[Problem] = []
    given = pairs(arguments, problems)
    _refuse_strange("paper", given, ("out", "results", *FILTERS), problems)
    own: tuple[str, ...] = ("out", "results")
    plain = {key: given[key] for key in own if key in given}
    found = values(PaperRequest, plain, "", problems)
    if "out" not in given:
        problems.append(Problem("out", "is missing", "write out=DIR, the folder to write"))
    elif "out" in found:
        problems.extend(unwritable("out", found["out"]))
    problems += no_results(found.get("results", Path("results")))
    filters = {key: listed(key, given[key], problems) for key in FILTERS if key in given}
    if problems:
        raise BadInput(problems)
    return PaperRequest(**found, filters=filters)


def verify_command(arguments: list[str]) -> int:
    """`bench verify`: prints what was found; 1 where anything is not as it was written."""
    request = parse_verify(arguments)
    from alignment_bench.provenance import manifest
    from alignment_bench.provenance.verify import FORMATS, verify

    against = manifest.read(request.manifest) if request.manifest else None
    done = verify(request.results, against, request.samples)
    if not done.files and not done.faults:
        raise BadInput([Problem("results", f"nothing is stored in {request.results}", "run bench run first")])
    text = FORMATS[request.format](done)
    if request.out is None:
        print(text, end="")
    else:
        request.out.parent.mkdir(parents=True, exist_ok=True)
        request.out.write_text(text, "utf-8")
    return 1 if done.faults else 0


def paper_command(arguments: list[str]) -> int:
    """`bench paper`: writes the folder and lists it; 1 where a file behind it is damaged."""
    request = parse_paper(arguments)
    from alignment_bench.provenance.paper import paper

    done = paper(request.results, request.out, request.filters)
    print("\n".join(map(str, done.paths)))
    for one in done.skipped:
        print(f"not drawn: {one}")
    for one in done.faults:
        print(f"bench: {one}", file=sys.stderr)
    return 1 if done.faults else 0


def _refuse_strange(verb: str, given: dict[str, str], known: Sequence[str], problems: list[Problem]) -> None:
    for key in given:
        if key not in known:
            problems.append(Problem(key, f"is no key of bench {verb}", suggest(key, known)))
