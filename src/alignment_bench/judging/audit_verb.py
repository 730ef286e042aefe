"""`bench audit PAIRS.jsonl judge=NAME`: parses the command, audits the judge, stores and prints its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from alignment_bench.checks import no_file
from alignment_bench.config import pairs as key_values
from alignment_bench.digests import by_digest, digest, digest_file
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import values
from alignment_bench.labels import ResolvedPart, parse_part, resolve_part
from alignment_bench.registry import suggest

HELP = """\
bench audit PAIRS.jsonl judge=NAME[:field=value]: what a judge's verdicts are worth, measured on pairs
that people have labelled

  judge=         the judge, fields as in judge=reward_model:folder=FOLDER
  own=           models whose texts are of the judge's own kin, for self-preference (default: its model)
  limit=N        N of the pairs, always the same ones (default: all)
  results=DIR    where answers and the audit are kept (default results); a judge that fails there marks
                 every table made of that folder
  format=        text, markdown or json (default text)
  out=FILE       write there instead of printing
  strict=true    exit with 1 where the judge fails
  device= dtype= threads=   how models run

PAIRS: JSON lines with prompt, first, second, label (1, 2, 0 for a tie); id, group, first_model, second_model
and references where known. Files of LLMBar, PandaLM, auto-j, SQuALITY and benchmark_llm_summarization are
read as published.
"""


@dataclass(frozen=True)
class AuditRequest:
    """What `bench audit` was asked for."""

    path: Path
    judge: ResolvedPart
    own: tuple[str, ...] = ()
    limit: int = field(default=0, metadata={"min": 0})
    """0: all"""
    results: Path = Path("results")
    format: Literal["text", "markdown", "json"] = "text"
    out: Path | None = None
    strict: bool = False
    device: str = "auto"
    dtype: str = "auto"
    threads: int = field(default=0, metadata={"min": 0, "max": 1024})


_KEYS = ("own", "limit", "results", "format", "out", "strict", "device", "dtype", "threads")


def parse_audit(arguments: Sequence[str]) -> AuditRequest:
    """The request of `bench audit`. Raises one BadInput with everything that is wrong with the arguments."""
    problems: list[Problem] = []
    words = [one for one in arguments if "=" not in one]
    given = key_values([one for one in arguments if "=" in one], problems)
    if len(words) != 1:
        what = "a file of pairs is missing" if not words else f"takes one file, not {', '.join(words)}"
        problems.append(Problem("audit", what, "write bench audit PAIRS.jsonl judge=NAME"))
    elif not Path(words[0]).is_file():
        problems.append(Problem(words[0], "there is no such file", "name a JSONL file of pairs"))
    for key in given:
        if key not in ("judge", *_KEYS):
            problems.append(Problem(key, "is no key of bench audit", suggest(key, ("judge", *_KEYS))))
    judge = _judge(given.get("judge"), problems)
    own = {key: value for key, value in given.items() if key in _KEYS}
    found = values(AuditRequest, own, "", problems)
    if out := found.get("out"):
        problems.extend(no_file("out", out))
    if problems or judge is None:
        raise BadInput(problems)
    return AuditRequest(Path(words[0]), judge, **found)


def _judge(text: str | None, problems: list[Problem]) -> ResolvedPart | None:
    if text is None:
        problems.append(Problem("judge", "is missing", "write judge=NAME; bench list judges names all"))
        return None
    try:
        return resolve_part("judges", parse_part(text, "judge"), {}, "judge", problems)
    except BadInput as error:
        problems.extend(error.problems)
        return None


def run_audit(request: AuditRequest) -> int:
    """Audits, stores the card under the results folder, and prints it; 1 where strict and the judge fails."""
    from alignment_bench import registry
    from alignment_bench.hosting import Host
    from alignment_bench.jobs import JobStore
    from alignment_bench.judging import cards
    from alignment_bench.judging.audit import audit
    from alignment_bench.judging.audit_page import render
    from alignment_bench.judging.human_pairs import read_pairs
    from alignment_bench.runtime import resolve

    schema, found = read_pairs(request.path)
    picked = ""
    if request.limit and request.limit < len(found):
        by_id = {pair.id: pair for pair in found}
        picked = f", {request.limit} of {len(found)} pairs"
        found = [by_id[one] for one in by_digest(by_id, "audit")[: request.limit]]
    runtime = resolve(request.device, request.dtype, request.threads)
    host = Host(JobStore(request.results / "jobs"), runtime)
    source = f"{request.path.name} ({schema.name}, {digest_file(request.path)[:8]}{picked})"
    done = audit(request.judge.plugin, request.judge.label, found, source, host, request.own)
    judge_source = registry.digest("judges", request.judge.name)
    # Some of the pairs are another file: passing on a few must not replace a failure on all.
    of = digest_file(request.path)
    cards.store(request.results, done, judge_source, digest([of, request.limit]) if picked else of)
    text = render(done, request.format)
    if request.out is None:
        print(text, end="")
    else:
        request.out.parent.mkdir(parents=True, exist_ok=True)
        request.out.write_text(text, "utf-8")
    return 1 if request.strict and done.card.failed else 0


def audit_command(arguments: list[str]) -> int:
    """`bench audit`."""
    return run_audit(parse_audit(arguments))
