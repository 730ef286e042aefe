"""The claims. Changed only together with a fresh world seed and a new run (see the package's docstring).

`asserted` claims were found in every trial on development worlds, and get a verdict; the others are
comparisons of interest that are reported with their interval and not bet on.
"""

from __future__ import annotations

from dataclasses import dataclass

T3, T1 = "quality", "quality_t1"
"""gold quality at temperature .3, which sharpening cannot raise, and at 1, where conditioning shows"""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A weighted sum of labels' scores on one metric, prompt by prompt, less `above`."""

    weights: tuple[tuple[str, float], ...]
    metric: str
    above: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A weighted sum of numbers that one label measured of itself, run by run, less `above`."""

    label: str
    weights: tuple[tuple[str, float], ...]
    above: float = 0.0


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """A row of a base's diagnostics (`alignment_bench.world.diagnostics`) on the world drawn, less `above`."""

    row: str
    above: float = 0.0


Evidence = Contrast | Measured | Diagnosed


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One claim: in words, and as evidence that should be above 0."""

    name: str
    claim: str
    evidence: Evidence
    asserted: bool = True

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that have to be run for it."""
        if isinstance(self.evidence, Diagnosed):
            return ()
        if isinstance(self.evidence, Measured):
            return (self.evidence.label,)
        return tuple(label for label, _ in self.evidence.weights)


def over(better: str, worse: str, metric: str = T3) -> Contrast:
    """`better` less `worse`."""
    return Contrast(((better, 1.0), (worse, -1.0)), metric)


def slope(labels: tuple[str, ...], metric: str = T1) -> Contrast:
    """Least-squares slope of the score over the places of the labels, in order."""
    centre = (len(labels) - 1) / 2
    total = sum((k - centre) ** 2 for k in range(len(labels)))
    return Contrast(tuple((label, (k - centre) / total) for k, label in enumerate(labels)), metric)


LEVELS = tuple(f"alt:level={k}" for k in (1, 2, 3, 4, 5))
"""from the worst level to the best"""
QUARK_LEVELS = tuple(f"quark:level={k}" for k in (1, 2, 3, 4, 5))
NO_FEEDBACK = "ilf:feedback=none"

MECHANISMS = (
    Mechanism("ilf-over-own-samples", "ILF beats fine-tuning on own samples", over("ilf", "sft:source=own")),
    Mechanism("ilf-over-no-feedback", "ILF beats the same without feedback", over("ilf", NO_FEEDBACK)),
    Mechanism(
        "right-over-none-t1",
        "rewrites under right feedback beat those without any, T=1",
        Diagnosed("tldr: right - no, T=1"),
    ),
    Mechanism(
        "none-over-shuffled-t1",
        "rewrites without feedback beat those under shuffled feedback, T=1",
        Diagnosed("tldr: no - shuffled, T=1"),
    ),
    Mechanism(
        "right-over-none",
        "rewrites under right feedback beat those without any, T=.3",
        Diagnosed("tldr: right - no, T=0.3"),
    ),
    Mechanism(
        "none-over-shuffled",
        "rewrites without feedback beat those under shuffled feedback, T=.3",
        Diagnosed("tldr: no - shuffled, T=0.3"),
    ),
    Mechanism("best-of-n-over-base", "best-of-N beats the base", over("best_of_n", "base")),
    Mechanism("best-of-n-over-base-t1", "best-of-N beats the base, T=1", over("best_of_n", "base", T1)),
    Mechanism("srt-stages", "SRT's second stage beats its first", over("srt", "srt:stage=1")),
    Mechanism("alt-levels", "ALT's quality rises with the level asked for, T=1", slope(LEVELS)),
    Mechanism("alt-over-base", "ALT at its best level beats the base, T=1", over("alt", "base", T1)),
    Mechanism("alt-top-bottom", "ALT's best level beats its worst, T=1", over(LEVELS[-1], LEVELS[0], T1)),
    Mechanism("coh-markers", "CoH's good marker beats its bad one, T=1", over("coh", "coh:marker=bad", T1)),
    Mechanism(
        "csft-markers",
        "conditional SFT's good marker beats its bad one, T=1",
        over("coh:form=csft", "coh:form=csft:marker=bad", T1),
    ),
    Mechanism(
        "reward-accuracy",
        "a reward model of 900 comparisons orders more than three of four held-out pairs as gold does",
        Diagnosed("reward: likelihood ratio, 900 comparisons", above=0.75),
    ),
    Mechanism(
        "ppo-proxy",
        "PPO raises the reward model's score",
        Measured("ppo", (("proxy_reward_last", 1.0), ("proxy_reward_first", -1.0))),
    ),
    Mechanism("ppo-kl", "PPO moves away from the base", Contrast((("ppo", 1.0),), "kl_to_base")),
)
"""those expected to hold (the built-in world's list of effects seen in every trial), then those reported"""
