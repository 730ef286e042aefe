"""The command: draws a world, runs every mechanism on it, and adds the record to the list.

    python -m alignment_bench.confirmation world=draw [seeds=0,1] [results=DIR] [records=docs/confirmations]
                                           [note=TEXT] [workers=N]
    python -m alignment_bench.confirmation page=true [records=docs/confirmations]

A world from 1000 on is a rehearsal: it prints its findings and stores no record. `world=draw` takes a seed
below 1000 that no record names, at random; to go on after a kill, give the seed that it printed.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from alignment_bench import provenance
from alignment_bench.config import RunRequest
from alignment_bench.confirmation.mechanisms import MECHANISMS
from alignment_bench.confirmation.record import PAGE, Record, page, stored
from alignment_bench.confirmation.trial import TASK, carry_out, request_for, rows_of
from alignment_bench.confirmation.verdicts import Finding, findings
from alignment_bench.digests import digest
from alignment_bench.errors import BadInput, BenchError, Problem
from alignment_bench.jobs import CORE_VERSION
from alignment_bench.models import catalog
from alignment_bench.plan import Plan
from alignment_bench.world import VERSION
from alignment_bench.world.tasks import DEVELOPMENT

KNOWN = {
    "world": "",
    "seeds": "0,1",
    "budget": "small",
    "results": "results",
    "records": "docs/confirmations",
    "note": "",
    "workers": "0",
    "page": "false",
}


def main(arguments: Sequence[str]) -> int:
    """Runs the command; 0 whatever the verdicts are, because they are the outcome and not an error."""
    options = _options(arguments)
    folder = Path(options["records"])
    if options["page"] != "true":
        earlier = stored(folder)
        _request(DEVELOPMENT, options)  # what cannot be read is said before a world is drawn
        world = _drawn(earlier) if options["world"] == "draw" else _fresh(int(options["world"]), earlier)
        if world < DEVELOPMENT:
            _committed()
        print(f"world {world}", flush=True)
        record = confirm(world, len(earlier) + 1, options)
        print("\n".join(_line(one) for one in record.findings))
        if world >= DEVELOPMENT:
            print("a rehearsal on a development world: no record is stored")
            return 0
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{record.number:03d}-world-{world}.json"
        (folder / name).write_text(record.dumps(), "utf-8")
    (folder.parent / PAGE).write_text(page(stored(folder), MECHANISMS), "utf-8")
    return 0


def confirm(world: int, number: int, options: dict[str, str]) -> Record:
    """One run of all mechanisms on every shipped base."""
    trial, plan = carry_out(MECHANISMS, _request(world, options), print)
    return Record(
        number=number,
        world=world,
        versions=_versions(plan),
        settings={
            "budget": options["budget"],
            "task": TASK,
            "test prompts": len(plan.settings[0].data.test),
        },
        runs=trial.runs,
        claims={one.name: one.claim for one in MECHANISMS},
        findings=tuple(findings(MECHANISMS, trial)),
        rows=rows_of(trial),
        note=options["note"],
    )


def _request(world: int, options: dict[str, str]) -> RunRequest:
    """The run of every mechanism's labels on that world. Raises BadInput where an option makes no sense."""
    models = [name for name in catalog.names() if name.startswith("tiny:")]
    seeds = [int(seed) for seed in options["seeds"].split(",")]
    keys = {key: options[key] for key in ("budget", "results", "workers")}
    return request_for(MECHANISMS, world, models, seeds, out=f"{options['results']}/table.txt", **keys)


def _versions(plan: Plan) -> dict[str, str]:
    plugins = {name: value for cell in plan.cells() for name, value in cell.plugins.items()}
    bases = {f"base {s.source.name}": s.source.digest[:16] for s in plan.settings}
    return {
        "world": VERSION,
        "core": CORE_VERSION,
        "plugins": digest(plugins)[:16],
        "mechanisms": digest([asdict(one) for one in MECHANISMS])[:16],
        "tuned values": digest([cell.tuning.get("digest", "") for cell in plan.cells()])[:16],
        **bases,
        **provenance.versions(),
        "commit": str(provenance.code().get("commit") or "unknown"),
    }


def _drawn(earlier: Sequence[Record]) -> int:
    """A world seed that nothing was worked out on."""
    return secrets.choice([seed for seed in range(1, DEVELOPMENT) if seed not in _used(earlier)])


def _fresh(world: int, earlier: Sequence[Record]) -> int:
    """The seed that was given. Raises BadInput where a record of it would be of no fresh world."""
    if world in _used(earlier):
        what = f"{world} is no fresh world: a record or the examples are made of it"
        raise BadInput([Problem("world", what, "write world=draw")])
    return world


def _committed() -> None:
    """Raises BadInput where what runs is not what a commit holds: a draw comes after the claims."""
    commit = str(provenance.code().get("commit") or "")
    new = provenance.untracked() if commit else ()
    if not commit or commit.endswith("-dirty") or new:
        what = "the code differs from any commit" if commit else "the code is under no version control"
        if new:
            what += f": {', '.join(new)} in none"
        fix = "commit mechanisms, tuned values and code first, or rehearse with world=1000"
        raise BadInput([Problem("world", what, fix)])


def _used(earlier: Sequence[Record]) -> set[int]:
    """Worlds that something was worked out on: those of records, and 0, which examples are made of."""
    return {0, *(record.world for record in earlier)}


def _line(one: Finding) -> str:
    numbers = ", ".join("-" if x is None else f"{x:+.3f}" for x in (one.mean, one.low, one.high))
    return f"{one.verdict:13} {one.name}: {numbers} {one.reason}"


def _options(arguments: Sequence[str]) -> dict[str, str]:
    options, problems = dict(KNOWN), []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key not in KNOWN or not equals:
            problems.append(
                Problem(argument, "is no option", f"write one of {', '.join(KNOWN)}, as key=value")
            )
        options[key] = value
    if options["page"] != "true" and not (options["world"] == "draw" or options["world"].isdecimal()):
        problems.append(Problem("world", "is no seed", "write world=draw, or the seed of a world"))
    if not all(seed.isdecimal() for seed in options["seeds"].split(",")):
        problems.append(Problem("seeds", f"{options['seeds']!r} is no list of seeds", "write seeds=0,1"))
    if problems:
        raise BadInput(problems)
    return options


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BadInput as error:
        print("\n".join(f"confirmation: {problem}" for problem in error.problems), file=sys.stderr)
        sys.exit(2)
    except BenchError as error:
        print(f"confirmation: {error}", file=sys.stderr)
        sys.exit(1)
