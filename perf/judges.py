"""What the judges that run offline are worth on pairs that people labelled: every one on every file.

    python perf/judges.py results=DIR judges=lm,reference_panel FILE.jsonl ... [limit=N] [lm.limit=N]

One `bench audit` a judge and file, resumable like every audit; the cards go to `docs/judges.json`, the page
made of them to `docs/judges.md`. A judge that cannot judge a file (no references in it, say) is listed with
the reason. `JUDGE.limit=N` gives a slow judge fewer pairs, always the same ones; the page says how many.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from alignment_bench import cli

DOCS = Path(__file__).parent.parent / "docs"
SHOWN = (
    "agreement",
    "balanced_agreement",
    "kappa",
    "length_slope",
    "swap_consistency",
    "first_slot_advantage",
)
HEAD = """\
# Judges against people

Every judge that runs without a network, audited on published pairs that people labelled (`bench audit`).
Agreement is with people's decided pairs, ties half; *balanced* is its mean over pairs where people chose the
longer and where they chose the shorter text, so that any rule on length alone scores .5; length slope: how
much more than people the judge follows length; swap consistency: same verdict in both orders; first slot:
how much oftener the text shown first wins. 95 % intervals, clustered by prompt. A judge *fails* on a file
where an interval crosses its limit; tables then mark every verdict it gave. `always_longer` and
`random_choice` are controls that must fail. Written by `python perf/judges.py`; the numbers are in
`judges.json`.
"""


def audited(path: Path, judge: str, results: str, limit: str) -> dict[str, Any]:
    """The JSON of one audit, or the reason why there is none."""
    argv = ["audit", str(path), f"judge={judge}", f"results={results}", "format=json"]
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = cli.main([*argv, f"limit={limit}"] if limit else argv)
    if code:
        return {"reason": errors.getvalue().strip().splitlines()[-1].removeprefix("bench: ")}
    return dict(json.loads(out.getvalue()))


def number(value: dict[str, Any] | None) -> str:
    """A value with its interval, as the page shows it."""
    if value is None or value["mean"] is None:
        return "n/a"
    if value["low"] is None:
        return f"{value['mean']:.2f}"
    return f"{value['mean']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def row(card: dict[str, Any]) -> str:
    """A judge's line of the page."""
    verdict = "fails" if card["failed"] else "passes"
    numbers = " | ".join(number(card["values"].get(name)) for name in SHOWN)
    return f"| `{card['judge']}` | {card['pairs']} | {numbers} | {verdict} |"


def page(files: dict[str, dict[str, Any]]) -> str:
    """The page of all audits by file and judge."""
    parts = [HEAD]
    cards = [one["judge"] for by_judge in files.values() for one in by_judge.values() if "judge" in one]
    parts += [f"- {caption}" for caption in {card["judge"]: card["caption"] for card in cards}.values()]
    parts.append("")
    for by_judge in files.values():
        done = [one for one in by_judge.values() if "judge" in one]
        reasons = [f"- `{name}`: {one['reason']}" for name, one in by_judge.items() if "reason" in one]
        if not done:
            continue
        whole = max(done, key=lambda one: int(one["judge"]["pairs"]))
        parts.append(f"## {whole['source']}\n")
        parts.append("| judge | pairs | agreement | balanced | kappa | length slope | swap | first slot | |")
        parts.append("|---|---:|---|---|---|---|---|---|---|")
        parts += [row(card) for card in (*(one["judge"] for one in done), *whole["controls"])]
        parts.append("")
        parts += [*reasons, ""] if reasons else []
    return "\n".join(parts).rstrip() + "\n"


def main(argv: list[str]) -> None:
    """Audits, and writes both files after each file of pairs."""
    options = dict(one.split("=", 1) for one in argv if "=" in one)
    found: dict[str, dict[str, Any]] = {}
    for path in (Path(one) for one in argv if "=" not in one):
        for judge in options["judges"].split(","):
            limit = options.get(f"{judge.partition(':')[0]}.limit", options.get("limit", ""))
            found.setdefault(path.name, {})[judge] = audited(path, judge, options["results"], limit)
            print(path.name, judge, flush=True)
    (DOCS / "judges.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", "utf-8")
    (DOCS / "judges.md").write_text(page(found), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
