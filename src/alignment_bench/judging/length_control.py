"""Win rates with the length difference held at zero: AlpacaEval 2's regression, fitted over a whole table.

    logit P(answer of method m to prompt x beats base's) = theta_m + phi * tanh(d_mx / sd_m) + gamma_x

d is by how many characters the method's answers are longer than base's, sd_m its standard deviation over
the method's prompts, gamma_x how easy prompt x is for everybody. The length-controlled rate of m is the mean
over prompts of the fitted probability at d = 0 (Dubois et al. 2024, arXiv 2404.04475).

Deviations: phi is one number for all methods, because it belongs to the judge; AlpacaEval fits one for each
and therefore has to pull it towards two models told to be verbose or brief. gamma_x is estimated from the
methods of the table, with a standard normal prior, and weighs the same in all; AlpacaEval took it once from
its leaderboard and weighs it by method. On 34 models that AlpacaEval annotated this comes within .58 points
of its published rates at the median and .79 in the mean, worst 4.6; its own three weights for each model,
with its difficulties and without that pull, .55, 1.19 and 15.3 (tests/test_alpaca_eval.py).

The interval includes the fit. Each prompt's pseudo-value is the rate plus that prompt's influence on it,
through theta, phi and its own gamma alike (infinitesimal jackknife, which is the delta method for a sum over
prompts; only sd_m counts as given). A mean of pseudo-values is the rate, and their spread over prompts and
seeds gives its error, so that `statistics.interval` treats them as it does any other scores. The standard
error of the predictions, which AlpacaEval prints, leaves the fit out.

Own code, because logistic regressions in scipy, statsmodels and scikit-learn have no such random term with
its influence values; here it is one Newton iteration with the gammas eliminated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignment_bench.statistics import Array

METRIC = "lc_win_rate_vs_base"
VERDICT, LONGER = "lc_verdict", "lc_longer"
INPUTS = (VERDICT, LONGER)
"""what a cell stores for the fit; no columns of their own"""
FITTED_LATER = "fitted over all methods of a table, not known of one cell"
HOW = (
    "the length difference held at zero by one regression over all methods of the table, whose error the "
    "interval includes (delta method)"
)

PRIOR_THETA = 0.01
"""keeps a method that wins or loses everything finite; moves a rate by less than .01 / prompts"""
PRIOR_PHI = 0.25
"""of a length weight: standard deviation 2; those published lie around 1.6"""
PRIOR_GAMMA = 1.0
"""of a prompt's ease: standard deviation 1"""
TOLERANCE, STEPS, LONGEST_STEP = 1e-9, 200, 2.0


@dataclass(frozen=True)
class Fit:
    """A joint fit over methods [methods] and prompts [prompts]."""

    theta: Array
    phi: float
    gamma: Array
    rates: Array
    """length-controlled rate of each method"""
    pseudo: Array
    """[methods, prompts]: their mean over a method's prompts is its rate; nan where it has no verdict"""


def fit(verdicts: Any, longer: Any) -> Fit:
    """The regression on mean verdicts and surplus of characters, both [methods, prompts]; nan: no verdict.

    Raises ValueError on unequal shapes, a verdict outside [0, 1], a method without any verdict, or a fit
    that does not converge.
    """
    wins, surplus = np.asarray(verdicts, float), np.asarray(longer, float)
    if wins.ndim != 2 or wins.shape != surplus.shape:
        raise ValueError(f"verdicts {wins.shape} and lengths {surplus.shape} must both be [methods, prompts]")
    there = ~(np.isnan(wins) | np.isnan(surplus))
    if not there.any(axis=1).all():
        raise ValueError("a method has no verdict on any prompt")
    if ((wins < 0) | (wins > 1))[there].any():
        raise ValueError("a verdict lies outside [0, 1]")
    lengths = standardised(surplus, there)
    wins = np.where(there, wins, 0.0)
    methods, prompts = wins.shape
    theta, phi, gamma = np.zeros(methods), 0.0, np.zeros(prompts)
    for _ in range(STEPS):
        at = _State(wins, lengths, there, theta, phi, gamma)
        step = np.linalg.solve(at.curvature, at.slope - at.cross @ (at.slope_gamma / at.depth))
        along = (at.slope_gamma - step @ at.cross) / at.depth
        largest = max(np.abs(step).max(), np.abs(along).max())
        damped = min(1.0, LONGEST_STEP / largest) if largest else 1.0
        theta, phi, gamma = theta + damped * step[:-1], phi + damped * float(step[-1]), gamma + damped * along
        if largest < TOLERANCE:
            break
    else:
        raise ValueError("the length-controlled fit did not converge")
    return _influences(_State(wins, lengths, there, theta, phi, gamma))


def standardised(surplus: Array, there: Any) -> Array:
    """tanh(d / sd) of each method's surplus of characters; 0 where it never varies or is not there."""
    out = np.zeros_like(surplus)
    for row, values, known in zip(out, surplus, there, strict=True):
        spread = values[known].std(ddof=1) if known.sum() > 1 else 0.0
        if spread > 0:
            row[known] = np.tanh(values[known] / spread)
    return out


class _State:
    """Slopes and curvature of the penalised log likelihood in theta and phi, with the gammas eliminated."""

    def __init__(self, wins: Array, lengths: Array, there: Any, theta: Array, phi: float, gamma: Array):
        self.theta, self.phi, self.gamma, self.lengths, self.there = theta, phi, gamma, lengths, there
        chance = sigmoid(theta[:, None] + phi * lengths + gamma)
        self.rest = np.where(there, wins - chance, 0.0)
        weight = np.where(there, chance * (1 - chance), 0.0)
        self.slope = np.append(
            self.rest.sum(axis=1) - PRIOR_THETA * theta, (self.rest * lengths).sum() - PRIOR_PHI * phi
        )
        self.slope_gamma = self.rest.sum(axis=0) - PRIOR_GAMMA * gamma
        self.depth = weight.sum(axis=0) + PRIOR_GAMMA
        self.cross = np.vstack([weight, (weight * lengths).sum(axis=0)])
        full = np.diag(np.append(weight.sum(axis=1) + PRIOR_THETA, (weight * lengths**2).sum() + PRIOR_PHI))
        full[-1, :-1] = full[:-1, -1] = (weight * lengths).sum(axis=1)
        self.curvature = full - (self.cross / self.depth) @ self.cross.T


def _influences(at: _State) -> Fit:
    methods = len(at.theta)
    even = sigmoid(at.theta[:, None] + at.gamma)
    counts = at.there.sum(axis=1)
    rates = np.where(at.there, even, 0.0).sum(axis=1) / counts
    slopes = np.where(at.there, even * (1 - even), 0.0)
    # how a rate moves with theta and phi: directly, and through the gammas that follow them
    moves = -(slopes @ (at.cross / at.depth).T)
    moves[np.arange(methods), np.arange(methods)] += slopes.sum(axis=1)
    # each prompt's own pull on theta and phi; the priors' pull is nobody's, so the pulls are centred
    pulls = np.vstack([at.rest, (at.rest * at.lengths).sum(axis=0)])
    pulls = pulls - pulls.mean(axis=1, keepdims=True)
    through_fit = moves @ np.linalg.solve(at.curvature, pulls)
    pseudo = np.where(at.there, even + through_fit, np.nan)
    pseudo += (rates - np.nanmean(pseudo, axis=1))[:, None]
    return Fit(at.theta, at.phi, at.gamma, rates, pseudo)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    half: Array = 0.5 * (1.0 + np.tanh(0.5 * x))
    return half


def controlled(
    stored: Mapping[str, Mapping[str, Mapping[int, Array]]], base: str | None
) -> dict[str, dict[int, Array]]:
    """What a table averages for METRIC: for each line and seed one pseudo-value a prompt of the block.

    `stored[line][input][seed]` are the inputs as the cells hold them, [prompts of the block]. Lines of one
    seed are fitted together. The line `base` is no method of the fit: against itself it is .5.
    """
    out: dict[str, dict[int, Array]] = {line: {} for line in stored}
    seeds = sorted({seed for inputs in stored.values() for seed in inputs.get(VERDICT, {})})
    for seed in seeds:
        lines = [
            line
            for line, inputs in stored.items()
            if all(seed in inputs.get(name, {}) and _any(inputs[name][seed]) for name in INPUTS)
        ]
        methods = [line for line in lines if line != base]
        if base in lines:
            own = stored[base][VERDICT][seed]
            out[base][seed] = np.where(np.isnan(own), np.nan, 0.5)
        if methods:
            found = fit(*(_stacked(stored, methods, name, seed) for name in INPUTS))
            for line, pseudo in zip(methods, found.pseudo, strict=True):
                out[line][seed] = pseudo
    return out


def _any(values: Array) -> bool:
    return not bool(np.isnan(values).all())


def _stacked(
    stored: Mapping[str, Mapping[str, Mapping[int, Array]]], lines: Sequence[str], name: str, seed: int
) -> Array:
    return np.stack([stored[line][name][seed] for line in lines])
