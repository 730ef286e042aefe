"""Whether the analysis behind every table keeps its promises: false positives, coverage and power, simulated.

Two methods are scored on the same prompts in the same seeds. A score is a latent quality - of the prompt,
shared by both methods; of the method on that prompt, the same in every seed; of the training; of the answer -
seen as it is (continuous), as right or wrong (binary, three in ten right), or as the share of four answers
that are right (tied). Copies differ in nothing but their answers; trainings in everything, but not on
average. With one seed the two trainings are themselves what is compared, so they have no effect of their own.

Every repetition is analysed by a second implementation here, all at once; the first ones of each scenario
also by `alignment_bench.verdicts.comparisons.contrast`, which must agree to 1e-9. Beside it the analyses that
people use instead. Power is at the median of the detectable effects printed under the null.

    python perf/calibration.py [repeats] [folder]        writes calibration.json, .md, .svg and .png
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from calibration_analyses import ANALYSES, LEVEL, Members, two_way
from numpy.typing import NDArray
from scipy import special

from alignment_bench.statistics import Array
from alignment_bench.verdicts.comparisons import contrast
from alignment_bench.verdicts.exact import wilson

PROMPT, METHOD, SEED, ANSWER = 0.3, 0.15, 0.06, 0.3
"""standard deviations of the latent quality"""
STEEP, RIGHT, ANSWERS = 3.0, 0.3, 4
"""probits of being right a unit of quality, the share of right answers, and answers behind a tied score"""
MOST = 0.4
"""a larger difference of shares is not planted: it would change the variance that its size rests on"""
SEEDS = (1, 2, 3, 5, 10)
LAYOUTS = {"independent": 200, "clustered": 200, "few": 28}
CLUSTERS = 40
CHECKED = 25
"""repetitions of each scenario that go through the package's own analysis"""
BATCH = 500


@dataclass(frozen=True)
class Scenario:
    """What the scores are, how the prompts hang together, how many trainings, and what differs at all."""

    scores: str
    prompts: str
    seeds: int
    truth: str

    @property
    def members(self) -> Members:
        """The cluster of each prompt: of uneven size, the same in every repetition."""
        if self.prompts != "clustered":
            return None
        rng = np.random.default_rng(0)
        sizes = rng.multinomial(LAYOUTS["clustered"] - CLUSTERS, np.full(CLUSTERS, 1 / CLUSTERS)) + 1
        return np.repeat(np.arange(CLUSTERS), sizes)


def scenarios() -> list[Scenario]:
    """Every combination; few prompts with one and with three seeds."""
    return [
        Scenario(scores, prompts, seeds, truth)
        for prompts in LAYOUTS
        for scores in ("continuous", "binary", "tied")
        for truth in ("copies", "trainings")
        for seeds in SEEDS
        if prompts != "few" or seeds in (1, 3)
    ]


def draw(rng: np.random.Generator, one: Scenario, count: int, effect: float) -> tuple[Array, Array]:
    """Scores of two methods [repetitions, seeds, prompts]; on average the first is better by `effect`."""
    prompts, members = LAYOUTS[one.prompts], one.members

    def normal(deviation: float, *shape: int) -> Array:
        """Effects of prompts; in clusters, half of their variance is the cluster's."""
        own = rng.normal(0, deviation, (count, *shape, prompts))
        if members is None:
            return own
        shared = rng.normal(0, deviation, (count, *shape, CLUSTERS))[..., members]
        return np.asarray((own + shared) / np.sqrt(2))

    method = METHOD if one.truth == "trainings" else 0.0
    seed = SEED if one.truth == "trainings" and one.seeds > 1 else 0.0
    quality = normal(PROMPT, 1, 1) + normal(method, 2, 1) + rng.normal(0, seed, (count, 2, one.seeds, 1))
    if one.scores == "continuous":
        values = quality + rng.normal(0, ANSWER, (count, 2, one.seeds, prompts))
        values += np.array([effect / 2, -effect / 2]).reshape(2, 1, 1)
    else:
        spread = np.sqrt(1 + STEEP**2 * (PROMPT**2 + method**2 + seed**2))
        shift = spread * special.ndtri(np.array([RIGHT + effect / 2, RIGHT - effect / 2])).reshape(2, 1, 1)
        right = special.ndtr(STEEP * quality + shift)
        answers = 1 if one.scores == "binary" else ANSWERS
        drawn = (rng.random((count, 2, one.seeds, prompts)) < right for _ in range(answers))
        values = np.asarray(sum(drawn) / answers)
    return values[:, 0], values[:, 1]


def measure(one: Scenario, repeats: int, seed: int) -> dict[str, Any]:
    """Rates of every analysis in one scenario, each with the simulation's own interval (Wilson's)."""
    rng = np.random.default_rng([seed, *map(ord, "".join(map(str, asdict(one).values())))])
    members = one.members
    effect, possible = 0.0, True
    kept: dict[str, dict[str, list[NDArray[Any]]]] = {}
    for planted in (False, True):
        if planted:
            effect = float(np.nanmedian(np.concatenate(kept["two_way"]["mde"])))
            if one.scores != "continuous" and effect > MOST:
                possible, effect = False, MOST
        for start in range(0, repeats, BATCH):
            a, b = draw(rng, one, min(BATCH, repeats - start), effect)
            if start == 0:
                agree(a[:CHECKED], b[:CHECKED], members)
            for name, analyse in ANALYSES.items():
                if name == "clusters_ignored" and members is None:
                    continue
                found = analyse(a, b, members)
                into = kept.setdefault(name, {"false": [], "covers": [], "power": [], "mde": []})
                into["covers"].append((found.low <= effect + 1e-12) & (effect - 1e-12 <= found.high))
                into["power" if planted else "false"].append(found.rejected)
                if not planted:
                    into["mde"].append(found.mde)
    rates = {
        name: {
            "false_positives": share(into["false"]),
            "coverage": share(into["covers"]),
            "power": share(into["power"]) if possible else None,
        }
        for name, into in kept.items()
    }
    return {**asdict(one), "repeats": repeats, "effect": round(effect, 5), "analyses": rates}


def share(outcomes: list[NDArray[Any]]) -> dict[str, float]:
    """A rate with Wilson's interval, four decimals."""
    every = np.concatenate(outcomes)
    low, high = wilson(int(every.sum()), len(every))
    return {"rate": round(float(every.mean()), 4), "low": round(low, 4), "high": round(high, 4)}


def agree(a: Array, b: Array, members: Members) -> None:
    """Raises AssertionError where the package's own analysis of these repetitions says anything else."""
    ours = two_way(a, b, members)
    for place, (first, second) in enumerate(zip(a, b, strict=True)):
        theirs = contrast(first, second, members, LEVEL)
        if theirs.difference.low is None:
            continue
        assert theirs.difference.high is not None and theirs.difference.mde is not None
        assert theirs.p is not None and (theirs.p < 1 - LEVEL) == ours.rejected[place]
        for mine, other in (
            (ours.low, theirs.difference.low),
            (ours.high, theirs.difference.high),
            (ours.mde, theirs.difference.mde),
        ):
            assert abs(mine[place] - other) < 1e-9, (place, mine[place], other)


def broken(found: dict[str, Any]) -> list[str]:
    """Which promises the package's analysis does not keep in a measured scenario, in words.

    No bound on power below 30 prompts: there exact tests of right and wrong answers are coarse.
    """
    rates = found["analyses"]["two_way"]
    coverage, power = rates["coverage"]["rate"], rates["power"]
    name = " ".join(str(found[key]) for key in ("scores", "prompts", "seeds", "truth"))
    said = []
    if rates["false_positives"]["low"] > 1 - LEVEL:
        said.append(f"{name}: false positives {rates['false_positives']['rate']}")
    if found["seeds"] >= 3 and coverage < 0.93:
        said.append(f"{name}: coverage {coverage}")
    if found["seeds"] >= 5 and found["scores"] == "continuous" and coverage > 0.975:
        said.append(f"{name}: coverage {coverage}")
    if power and found["prompts"] != "few" and not 0.75 <= power["rate"] <= 0.85:
        said.append(f"{name}: power {power['rate']}")
    return said


def main(repeats: int, folder: Path) -> int:
    """Measure every scenario and write what was found; 1 where a promise is broken."""
    import calibration_page

    found = []
    for one in scenarios():
        found.append(measure(one, repeats, 0))
        print(one, found[-1]["analyses"]["two_way"], flush=True)
    failures = [line for one in found for line in broken(one)]
    report = {"schema": 1, "repeats": repeats, "broken": failures, "scenarios": found}
    (folder / "calibration.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", "utf-8")
    calibration_page.write(report, folder)
    print(*failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    docs = Path(__file__).parent.parent / "docs"
    sys.exit(
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else 4000, Path(sys.argv[2]) if len(sys.argv) > 2 else docs
        )
    )
