"""`bench score`: evaluators over a file of samples, methods side by side and, where there is a base, paired.

Means, intervals and comparisons are those of every table (`alignment_bench.comparison`): one value a prompt,
clusters of prompts where rows name a `group`. A file holds answers and nothing else, so what needs a policy,
gold or the base's answers is n/a and says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, Literal

from alignment_bench.checks import no_file
from alignment_bench.completions import Completion
from alignment_bench.config import evaluator_labels, pairs
from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import Judge
from alignment_bench.fields import values
from alignment_bench.labels import ResolvedPart, evaluator_part, parse_part, resolve_part
from alignment_bench.registry import suggest
from alignment_bench.scoring.rows import BASE, SPECS, UNNAMED, Samples, Spec, read_samples

KEYS = ("evaluators", "judge", "base", "references", "spec", "format", "out", "results")
MEANING: Mapping[str, str] = {
    "task": "answers at the task's evaluation temperature, as one would deploy the policy",
    "t1": "answers at temperature 1 without truncation",
    "greedy": "greedy answers",
}
HELP = """\
bench score SAMPLES.jsonl evaluators=rouge,length,...: scores a file of answers

  evaluators=      as in bench run; bench list evaluators
  judge=           who compares answers (default: the panel by references, where every row has one)
  base=FILE        answers to the same prompts to compare with (or rows with method base)
  references=FILE  rows of prompt_id and reference
  spec=            what rows without a column `spec` stand for: task, t1 or greedy (default task)
  format=          text, markdown, csv or json (default text)
  out=FILE         every score, one JSON line a method, metric and prompt
  results=DIR      where a judge that asks a model keeps its answers (default results)

A row is {"prompt_id", "prompt", "completion", "sample"} and may have "method", "reference" (a text or a
list), "tokens", "spec", "end" (eos, length or stop) and "group" (prompts of one source).
"""


@dataclass(frozen=True)
class ScoreRequest:
    """What one `bench score` was asked for."""

    samples: Path
    evaluators: tuple[str, ...] = ()
    judge: ResolvedPart | None = None
    base: Path | None = None
    references: Path | None = None
    spec: Spec = "task"
    format: Literal["text", "markdown", "csv", "json"] = "text"
    out: Path | None = None
    results: Path = Path("results")


@dataclass(frozen=True)
class _Plain:
    """The keys that are plain values."""

    base: Path | None = None
    references: Path | None = None
    spec: Spec = "task"
    format: Literal["text", "markdown", "csv", "json"] = "text"
    out: Path | None = None
    results: Path = field(default=Path("results"))


def parse_score(argv: Sequence[str]) -> ScoreRequest:
    """The request of `bench score`. Raises one BadInput with everything that is wrong with the arguments."""
    problems: list[Problem] = []
    files = [argument for argument in argv if "=" not in argument]
    given = pairs([argument for argument in argv if "=" in argument], problems)
    for key in sorted(given.keys() - set(KEYS)):
        problems.append(Problem(key, "is no key of bench score", suggest(key, KEYS)))
    if len(files) != 1:
        what = "one file of samples is scored at a time" if files else "a file is missing"
        problems.append(Problem("samples", what, "write bench score SAMPLES.jsonl evaluators=length"))
    if "evaluators" not in given:
        problems.append(Problem("evaluators", "is missing", "write evaluators=length; bench list evaluators"))
    labels = evaluator_labels(given["evaluators"], problems) if "evaluators" in given else ()
    judge = None
    if "judge" in given:
        try:
            judge = resolve_part("judges", parse_part(given["judge"], "judge"), {}, "judge", problems)
        except BadInput as error:
            problems += error.problems
    plain = values(_Plain, {k: v for k, v in given.items() if k not in ("evaluators", "judge")
                            and k in KEYS}, "", problems)  # fmt: skip
    named = {"samples": Path(files[0]) if files else None, "base": plain.get("base"),
             "references": plain.get("references")}  # fmt: skip
    for key, file in named.items():
        if file is not None and file.suffix != ".jsonl":
            problems.append(Problem(key, f"{file.name} is no .jsonl file", "write one JSON object a line"))
        elif file is not None and not file.is_file():
            problems.append(Problem(key, f"there is no file {str(file)!r}", "check the path"))
    problems += no_file("out", plain["out"]) if plain.get("out") else ()
    if problems:
        raise BadInput(problems)
    return ScoreRequest(Path(files[0]), labels, judge, **plain)


def score(request: ScoreRequest) -> str:
    """The table of the request's scores, in its format; every score goes to `out` where that is named.

    Raises BadInput with every bad row."""
    from alignment_bench.scoring.compared import Scored, table

    samples = read_samples(request.samples, request.spec, request.base, request.references)
    scored: Scored = score_samples(samples, request)
    if request.out is not None:
        write_scores(request.out, scored.by_prompt())
    return table(scored, request.format)


def score_samples(samples: Samples, request: ScoreRequest) -> Any:
    """Every method's scores, with what a reader of them must know."""
    from alignment_bench.hosting import Host, host_of
    from alignment_bench.jobs import JobStore
    from alignment_bench.runtime import resolve
    from alignment_bench.scoring.compared import Scored
    from alignment_bench.scoring.evidence import Given, evidence_of, judge_for, scores_of

    evaluators = {label: evaluator_part(label).plugin for label in request.evaluators}
    everything = list(samples.prompts.values())
    named: Judge | None = None if request.judge is None else request.judge.plugin
    wanted = judge_for([samples.key(p.id) for p in everything], named)
    judge = host_of(wanted, Host(JobStore(request.results / "jobs"), resolve()))
    scored = Scored(title(samples, request), captions(samples, request, judge.caption()))
    for method in samples.methods:
        prompts = samples.answered(method)
        reasons: dict[str, str] = {}
        base: dict[str, Sequence[Sequence[Completion]]] = {}
        for spec in SPECS:
            found = samples.of(BASE, spec, prompts) if BASE in samples.drawn else _NO_BASE
            if isinstance(found, str):
                reasons[spec] = found
            else:
                base[spec] = found
        own = {spec: samples.of(method, spec, prompts) for spec in samples.drawn[method]}
        drawn = {spec: rows for spec, rows in own.items() if not isinstance(rows, str)}
        keys = [samples.key(prompt.id) for prompt in prompts]
        evidence = evidence_of(prompts, keys, drawn, Given(base, reasons), judge)
        found_scores = {
            label: scores_of(label, evaluator, evidence) for label, evaluator in evaluators.items()
        }
        notes = [rows for rows in own.values() if isinstance(rows, str)]
        scored.add(method, prompts, evaluators, found_scores, notes, samples.ends)
    return scored


_NO_BASE = "it needs the base's answers: give base=FILE, or rows with method base"


def title(samples: Samples, request: ScoreRequest) -> str:
    """What the table is of."""
    return f"{request.samples.name}: {len(samples.prompts)} prompts"


def captions(samples: Samples, request: ScoreRequest, judge: str) -> list[str]:
    """What the rows are taken for, and who judged them."""
    counts: dict[str, set[int]] = {}
    for by_spec in samples.drawn.values():
        for spec, by_prompt in by_spec.items():
            counts.setdefault(spec, set()).update(map(len, by_prompt.values()))
    lines = [f"files: {'; '.join(samples.sources)}"]
    for spec, sizes in counts.items():
        many = f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
        lines.append(
            f"rows stand for the sample specification {spec!r} ({MEANING[spec]}), {many} a prompt; how they "
            "were drawn the file does not say"
        )
    lines += [judge, "intervals cover prompts, not how another training would have turned out"]
    if request.base is not None:
        lines.append(f"base: {request.base.name}")
    elif BASE not in samples.drawn:
        lines.append("no base: methods are not compared (base=FILE, or rows with method base)")
    if list(samples.drawn) == [UNNAMED]:
        lines.append(f"the rows name no method: {UNNAMED!r} stands for all of them")
    if samples.unread:
        lines.append(f"columns that nothing reads: {', '.join(samples.unread)}")
    return lines


def write_scores(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One JSON line a row; a prompt without a value has null."""
    plain = [{k: None if isinstance(v, float) and isnan(v) else v for k, v in row.items()} for row in rows]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in plain), "utf-8")
