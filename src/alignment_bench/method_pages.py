"""`docs/methods.md`, made from the methods themselves, and from what they were measured to cost.

    python -m alignment_bench.method_pages out=docs/methods.md [results=DIR]

With `results=`, the folder of one comparison, its spending is first written to `methods_measured.json`
beside the page. The page shows that file where it lies there, and says what it was measured on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from alignment_bench import registry
from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import Channel
from alignment_bench.fields import describe
from alignment_bench.method_docs import feedback_of, text_of, tuned_range, work_of

MEASURED = "methods_measured.json"
"""beside the page: what `measured` found"""
BOUGHT: Mapping[Channel, str] = {
    "critique": "critiques",
    "score": "scores",
    "prefer": "comparisons",
    "demonstrate": "demonstrations",
    "refine": "refinements",
}
TRAINING = {
    "sample": "samples answers",
    "reward_model": "trains a reward model on the comparisons it buys",
    "finetune": "fine-tunes",
    "dpo": "trains on pairs (DPO)",
    "kto": "trains on marked answers (KTO)",
    "ppo": "trains online (PPO)",
    "online": "trains online",
    "logprobs": "scores answers with the policy",
    "answer_probabilities": "scores answers with the policy's yes and no",
    "rewards": "scores answers with a reward model",
}
"""the jobs that cost something, in the order in which a page names them"""
INTRODUCTION = """\
# Methods

Every method that ships, from its own source: `bench show NAME` prints the same. Made by
`python -m alignment_bench.method_pages out=docs/methods.md`; a test fails where it is out of date.

*Feedback* is what a method buys, by default and under other settings. *Training* names the jobs that its code
can call, and *at test time* what an answer costs. *Tuned* is the range that `bench tune` searches.
"""
AGAIN = "run python -m alignment_bench.method_pages out=docs/methods.md"


def page(measured: Mapping[str, Any] | None = None) -> str:
    """The whole page; `measured` is what the function of that name returned."""
    names = registry.shipped("methods")
    parts = [INTRODUCTION, _overview(names)]
    if measured is not None:
        parts.append(_costs(measured))
    parts += [_method(name) for name in names]
    return "\n".join(parts)


def measured(results: Path) -> dict[str, Any]:
    """Mean spending by label in a results folder. Raises BadInput unless it holds one comparison."""
    from alignment_bench.comparison import compare
    from alignment_bench.results import read_all

    records, unreadable = read_all(results)
    blocks = compare(records)
    if unreadable or len(blocks) != 1:
        what = f"holds {len(blocks)} comparisons and {len(unreadable)} damaged cells, not one comparison"
        raise BadInput([Problem("results", what, "name the folder of a single bench run methods=all")])
    (block,) = blocks
    setting = block.setting
    return {
        "task": setting.task,
        "model": setting.model,
        "data": setting.data,
        "budget": setting.budget,
        "teacher": setting.teacher,
        "seeds": max(len(line.seeds) for line in block.lines),
        "rows": {
            line.label: {
                "training": _mean([cell.spend for cell in line.cells if cell.seed in line.seeds]),
                "answering": _mean([cell.test_spend for cell in line.cells if cell.seed in line.seeds]),
            }
            for line in block.lines
            if line.seeds
        },
    }


def main(arguments: Sequence[str]) -> int:
    """Writes the page, and what it is measured on where a results folder is given."""
    try:
        given = dict(_pair(argument) for argument in arguments)
        if "out" not in given:
            raise BadInput([Problem("out", "is missing", "write out=docs/methods.md")])
        out = Path(given["out"])
        beside = out.with_name(MEASURED)
        if "results" in given:
            found = json.dumps(measured(Path(given["results"])), indent=1)
            beside.write_text(found + "\n", "utf-8")
        out.write_text(page(read_measured(beside)), "utf-8")
    except BadInput as error:
        for problem in error.problems:
            print(f"method_pages: {problem}", file=sys.stderr)
        return 2
    return 0


def read_measured(file: Path) -> dict[str, Any] | None:
    """What lies beside a page, if anything does."""
    if not file.is_file():
        return None
    stored: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return stored


def _pair(argument: str) -> tuple[str, str]:
    key, _, value = argument.partition("=")
    if key not in ("out", "results") or not value:
        raise BadInput([Problem(argument, "is no key of it", "out=FILE and results=DIR are")])
    return key, value


def _overview(names: Sequence[str]) -> str:
    rows = []
    for name in names:
        plugin = registry.load("methods", name)
        text = text_of(plugin)
        wants = next(iter(feedback_of(plugin)))
        rows.append([f"[`{name}`](#{name})", text.title, _papers(text.papers), _bought(wants)])
    return _table(["method", "what it does", "papers", "feedback by default"], rows)


def _method(name: str) -> str:
    plugin = registry.load("methods", name)
    text = text_of(plugin)
    lines = [f"## {name}", "", text.title, ""]
    lines += [f"- **Papers:** {_papers(text.papers)}"]
    lines += [f"- **Feedback:** {_feedback(plugin)}"]
    lines += [f"- **Training:** {_training(plugin)}"]
    lines += [f"- **At test time:** {_answering(plugin)}"]
    if plugin.wrapper:
        lines += [f"- **Wraps** what stands before it: `sft+{name}`"]
    lines += ["", *_unwrapped(text.about), *_unwrapped(text.deviations)]
    if text.papers and not text.deviations:
        lines += ["No deviations stated.", ""]
    fields = [
        [f"`{row.name}`", row.type, f"`{row.default}`", tuned_range(plugin, row.name), row.help]
        for row in describe(plugin)
    ]
    lines.append(
        _table(["field", "values", "default", "tuned", "meaning"], fields) if fields else "No fields.\n"
    )
    return "\n".join(lines)


def _feedback(plugin: type) -> str:
    usual, *others = feedback_of(plugin).items()
    said = [_bought(usual[0])]
    said += [
        f"{_bought(wants)} with " + " or ".join(f"`{s}`" for s in settings) for wants, settings in others
    ]
    return "; ".join(said)


def _training(plugin: type) -> str:
    jobs = work_of(plugin)
    return ", ".join(words for job, words in TRAINING.items() if job in jobs) or "none"


def _answering(plugin: type) -> str:
    jobs = work_of(plugin)
    if "wrap" in jobs:
        always = "" if getattr(plugin, "wrapper", False) else ", under the settings that wrap the policy"
        return f"several samples or passes for each answer{always}"
    return "as the base, behind a condition" if "condition" in jobs else "as the base"


def _costs(found: Mapping[str, Any]) -> str:
    rows = []
    for label, spend in found["rows"].items():
        training, answering = spend["training"], spend["answering"]
        acts = ", ".join(f"{n:,.0f} {BOUGHT[c]}" for c, n in training.get("acts", {}).items() if n)
        numbers = [
            training[key] for key in ("tokens_generated", "tokens_scored", "tokens_trained", "seconds")
        ]
        numbers.append(answering["tokens_generated"])
        rows.append([f"`{label}`", acts or "nothing", *(f"{number:,.0f}" for number in numbers)])
    where = (
        f"Means over {found['seeds']} seed(s): {found['task']}, {found['data']}; model {found['model']};"
        f" budget {found['budget']}; teacher {found['teacher']}. Seconds are those of that machine."
    )
    heads = ["method", "bought", "sampled", "scored", "trained on", "seconds", "sampled to answer the test"]
    return f"## What they cost\n\n{where}\n\n" + _table(heads, rows)


def _mean(spends: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    keys = [key for key in spends[0] if key != "acts"]
    channels = dict.fromkeys(channel for spend in spends for channel in spend["acts"])
    acts = {channel: fmean(spend["acts"].get(channel, 0) for spend in spends) for channel in channels}
    return {"acts": acts, **{key: round(fmean(spend[key] for spend in spends), 1) for key in keys}}


def _papers(ids: Sequence[str]) -> str:
    return ", ".join(f"[{one}](https://arxiv.org/abs/{one})" for one in ids) or "none"


def _bought(wants: Sequence[Channel]) -> str:
    return ", ".join(BOUGHT[channel] for channel in wants) or "nothing"


def _unwrapped(paragraphs: Sequence[str]) -> list[str]:
    """Paragraphs as lines of their own; lists keep their lines."""
    return list(_paragraphs(paragraphs))


def _paragraphs(paragraphs: Sequence[str]) -> Iterator[str]:
    for text in paragraphs:
        yield text if "\n- " in text or text.startswith("- ") else " ".join(text.split())
        yield ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(heads), line(["---"] * len(heads)), *map(line, rows)]) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
