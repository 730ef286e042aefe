"""How often the gate passes, fails and cannot tell, by simulation at the size of the shipped smoke gate.

    python perf/gate_rates.py [results=DIR] [repeats=200]

With a results folder of the smoke command (more seeds than it has are better) the variance components of
every gated cell are measured: prompts, seeds, and what is left; without one those in docs/gate_rates.json
are used. A simulated re-run draws everything but the prompts anew, seeds' luck included: that is the worst
case, another machine whose rounding sends every training and every sample another way. On one machine the
same code gives the very same scores, and the gate exits with 0. What is left is drawn from the cell's own
residuals, so that heavy tails and ties stay. Each repeat is a whole gate, baseline and run: all cells through
`gate.making` and `gate.checking`, in which one cell may drop.

Writes docs/gate_rates.json and docs/gate.md.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import made_up
import numpy as np

from alignment_bench.cells import CellRecord, MetricScores
from alignment_bench.comparison import Block, Column, compare
from alignment_bench.gate import checking, making
from alignment_bench.gate.margins import USUAL, Margin
from alignment_bench.verdicts.exact import wilson

DOCS = Path(__file__).resolve().parents[1] / "docs"
SEEDS, METRIC = 3, "quality"
BINS = 101


@dataclass(frozen=True)
class Components:
    """One gated cell: its mean, the spread of prompts and seeds, and quantiles of what is left."""

    label: str
    mean: float
    prompt_sd: float
    seed_sd: float
    rest_sd: float
    rest_quantiles: tuple[float, ...]
    prompts: int
    seeds: int
    """of which the components were measured"""


def measured(label: str, scores: np.ndarray) -> Components:
    """The components of scores [seeds, prompts]; a variance estimated below zero is zero."""
    seeds, prompts = scores.shape
    by_seed, by_prompt, mean = scores.mean(axis=1), scores.mean(axis=0), scores.mean()
    rest = scores - by_seed[:, None] - by_prompt[None, :] + mean
    freedom = (seeds - 1) * (prompts - 1)
    noise = float((rest**2).sum() / freedom)
    seed = max(0.0, float(by_seed.var(ddof=1)) - noise / prompts)
    prompt = max(0.0, float(by_prompt.var(ddof=1)) - noise / seeds)
    scaled = rest * np.sqrt(rest.size / freedom)
    quantiles = np.quantile(scaled, np.linspace(0, 1, BINS))
    # quantiles are of fewer values than the residuals, whose spread they are to keep
    spread = float(np.sqrt((draw_from(quantiles, np.random.default_rng(0), (100, 1000)) ** 2).mean()))
    quantiles = quantiles * (np.sqrt(noise) / spread if spread else 0.0)
    rounded = tuple(round(float(one), 8) for one in quantiles)
    return Components(label, float(mean), prompt**0.5, seed**0.5, noise**0.5, rounded, prompts, seeds)


def draw_from(
    quantiles: Sequence[float] | np.ndarray, rng: np.random.Generator, shape: tuple[int, int]
) -> np.ndarray:
    """Values of the distribution that has these quantiles at equal steps, of mean 0."""
    steps = np.linspace(0, 1, len(quantiles))
    values = np.interp(rng.random(shape), steps, quantiles)
    return values - float(np.trapezoid(quantiles, steps))


def simulated(
    cells: Sequence[Components],
    prompts: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    drop: Mapping[str, float],
) -> list[Block]:
    """One run: new luck for every seed and every answer, the given prompts, and `drop` by label."""
    records = []
    for cell in cells:
        shape = (SEEDS, cell.prompts)
        scores = cell.mean + prompts[cell.label] + rng.normal(0, cell.seed_sd, (SEEDS, 1))
        scores = scores + draw_from(cell.rest_quantiles, rng, shape) - drop.get(cell.label, 0.0)
        records += [_record(cell.label, seed, scores[seed]) for seed in range(SEEDS)]
    return compare(records)


def rates(cells: Sequence[Components], repeats: int, drop: float) -> Counter[int]:
    """Exit codes of `repeats` gates; where something drops, each cell in turn is the one."""
    rng = np.random.default_rng(6)
    codes: Counter[int] = Counter()
    for turn in range(repeats):
        prompts = {cell.label: rng.normal(0, cell.prompt_sd, cell.prompts) for cell in cells}
        falls = {cells[turn % len(cells)].label: drop} if drop else {}
        baseline = making.make(simulated(cells, prompts, rng, {}), Margin(), choose=_first).baseline
        codes[checking.check(baseline, simulated(cells, prompts, rng, falls)).code] += 1
    return codes


def _first(block: Block) -> Column | None:
    return block.columns[0]


def _record(label: str, seed: int, values: np.ndarray) -> CellRecord:
    scores = MetricScores(METRIC, "0-1", "higher", tuple(map(float, values)))
    return made_up.record(label, seed, [scores], world="0", budget="smoke", budget_amount=9000.0)


def from_results(root: Path) -> list[Components]:
    """The components of every label stored there."""
    from alignment_bench.results import read_all

    records, unreadable = read_all(root)
    assert not unreadable, unreadable
    (block,) = compare(records)
    return [measured(label, one.values) for label, one in block.scores[METRIC].items()]


def report(cells: Sequence[Components], repeats: int) -> dict[str, Any]:
    """Everything that docs/gate_rates.json holds."""
    situations = {"no change": 0.0, "one margin": USUAL, "two margins": 2 * USUAL}
    out: dict[str, Any] = {
        "seeds": SEEDS,
        "prompts": cells[0].prompts,
        "metric": METRIC,
        "margin": USUAL,
        "repeats": repeats,
        "components": [asdict(cell) for cell in cells],
        "exit_codes": {},
    }
    for name, drop in situations.items():
        codes = rates(cells, repeats, drop)
        out["exit_codes"][name] = {
            str(code): {"share": codes[code] / repeats, "interval": list(wilson(codes[code], repeats))}
            for code in (0, 1, 3)
        }
    return out


def page(found: Mapping[str, Any], template: str) -> str:
    """docs/gate.md: the template with the table of rates."""
    rows = ["| what happened between the two runs | exit 0 | exit 1 | exit 3 |", "|---|---|---|---|"]
    names = {
        "no change": "nothing but another machine",
        "one margin": "one method lost exactly the margin",
        "two margins": "one method lost twice the margin",
    }
    for name, codes in found["exit_codes"].items():
        shares = [
            f"{100 * one['share']:.1f} % [{100 * one['interval'][0]:.1f}, {100 * one['interval'][1]:.1f}]"
            for one in (codes[code] for code in ("0", "1", "3"))
        ]
        rows.append(f"| {names[name]} | {' | '.join(shares)} |")
    spreads = "; ".join(
        f"`{c['label']}` mean {c['mean']:.3f}, seeds {c['seed_sd']:.4f}, prompts {c['prompt_sd']:.3f}, "
        f"rest {c['rest_sd']:.3f} (over {c['seeds']} seeds)"
        for c in found["components"]
    )
    told = {
        "RATES": "\n".join(rows),
        "SPREADS": spreads,
        "REPEATS": str(found["repeats"]),
        "SIZE": f"{found['seeds']} seeds x {found['prompts']} prompts",
    }
    for key, value in told.items():
        template = template.replace("{" + key + "}", value)
    return template


def main(arguments: Sequence[str]) -> None:
    """Measures or reads the components, simulates, and writes both files."""
    given = dict(one.split("=", 1) for one in arguments)
    file = DOCS / "gate_rates.json"
    if "results" in given:
        cells = from_results(Path(given["results"]))
    else:
        stored = json.loads(file.read_text("utf-8"))["components"]
        cells = [Components(**{**one, "rest_quantiles": tuple(one["rest_quantiles"])}) for one in stored]
    found = report(cells, int(given.get("repeats", 200)))
    file.write_text(_compact(found), "utf-8")
    template = Path(__file__).with_name("gate_page.md").read_text("utf-8")
    (DOCS / "gate.md").write_text(page(found, template), "utf-8")
    for name, codes in found["exit_codes"].items():
        print(name, {code: one["share"] for code, one in codes.items()})


def _compact(found: Mapping[str, Any]) -> str:
    from alignment_bench.gate.baseline import lined

    return lined(dict(found)) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
