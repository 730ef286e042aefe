"""`bench plan`: the keys of `bench run`, a price of the device's hour, and where the rates come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from alignment_bench.config import RunRequest, pairs, parse
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import values

HELP = """\
bench plan key=value ...: what that bench run would take, before it is paid for; nothing is trained

  methods= task= and the rest   as in bench run
  rate=          money for an hour of the device, to print a price (default 0: none)
  probe=         auto measures this machine for seconds and keeps what it found; true measures again;
                 false measures nothing and needs what an earlier plan kept (default auto)
  format= out=   text or json (default text)

Every method is rehearsed on stand-ins, so jobs, sizes and what cells share are its own; lengths of answers,
ties and what methods filter away are estimates. bench run shows the time that remains from the same numbers.
"""
OWN = ("rate", "probe", "format")


@dataclass(frozen=True)
class PlanRequest:
    """Everything that one `bench plan` was asked for."""

    run: RunRequest
    rate: float = field(default=0.0, metadata={"min": 0.0})
    """money for an hour of the device; 0: no price is printed"""
    probe: Literal["auto", "true", "false"] = "auto"
    """auto: measure what no earlier plan has kept; true: measure again; false: measure nothing"""
    format: Literal["text", "json"] = "text"
    """how it is written"""
    out: Path | None = None
    """file for it; default: print it"""


def parse_plan(argv: Sequence[str]) -> PlanRequest:
    """The request of `bench plan`. Raises one BadInput with everything that is wrong with the arguments."""
    problems: list[Problem] = []
    mine = [argument for argument in argv if argument.partition("=")[0].strip() in OWN]
    rest = [argument for argument in argv if argument not in mine]
    own = values(PlanRequest, pairs(mine, problems), "", problems)
    try:
        run = parse(rest, "plan")
    except BadInput as error:
        raise BadInput([*problems, *error.problems]) from None
    if problems:
        raise BadInput(problems)
    return PlanRequest(dataclasses.replace(run, out=None), out=run.out, **own)


def plan_command(argv: Sequence[str]) -> int:
    """Prints or writes what a run would cost. Returns 0, or 1 where a cell could not be planned."""
    request = parse_plan(argv)
    from alignment_bench.costs import expectations, page
    from alignment_bench.costs.estimate import Start, estimate
    from alignment_bench.planning import make_plan
    from alignment_bench.progress import say_plainly

    say = (lambda text: None) if request.run.quiet else say_plainly
    plan, start = make_plan(request.run, say), Start.of_this_process()
    found = estimate(plan, request.run.workers, probe=request.probe, start=start, say=say)
    expectations.keep(found.expected)
    text = (
        page.as_json(found, request.rate) if request.format == "json" else page.as_text(found, request.rate)
    )
    if request.out is None:
        print(text, end="")
    else:
        request.out.parent.mkdir(parents=True, exist_ok=True)
        request.out.write_text(text, "utf-8")
    return 1 if found.failed else 0
