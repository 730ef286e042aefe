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
    """A row of a base's diagnostics (`world.diagnostics`), measured on the world drawn, less `above`."""

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

COH_CHOSEN, CSFT = "coh:form=sft", "coh:form=csft"
PARTS = ("no_score", "no_suggestion", "no_weakness", "no_feedback", "refinement_only")
AGAINST_BASE = (
    "dpo",
    "online_dpo",
    "kto",
    "grpo",
    "rloo",
    "expert_iteration",
    "critique_fine_tuning",
    "self_rewarding:seed_share=0",
    "ppo",
    "quark",
    "coh",
)
FREE_PPO = "ppo:kl_coefficient=0:learning_rate=0.001:iterations=24:epochs=4"
FREE_GRPO = "grpo:beta=0:learning_rate=0.002:iterations=4"
"""without a penalty, and pushed: where over-optimisation should show"""
DOUBLING = Contrast(
    (("best_of_n:n=2", -0.3), ("best_of_n:n=4", -0.1), ("best_of_n:n=8", 0.1), ("best_of_n:n=16", 0.3)), T1
)
WINS = Contrast((("best_of_n:n=8", 1.0),), "win_best_of_8", above=8 / 9)

EXPECTED = (
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
    Mechanism("best-of-n-over-base", "best-of-N beats the base", over("best_of_n:n=8", "base")),
    Mechanism("best-of-n-over-base-t1", "best-of-N beats the base, T=1", over("best_of_n:n=8", "base", T1)),
    Mechanism("srt-stages", "SRT's second stage beats its first", over("srt", "srt:stage=1")),
    Mechanism("alt-levels", "ALT's quality rises with the level asked for, T=1", slope(LEVELS)),
    Mechanism("alt-over-base", "ALT at its best level beats the base, T=1", over("alt", "base", T1)),
    Mechanism("alt-top-bottom", "ALT's best level beats its worst, T=1", over(LEVELS[-1], LEVELS[0], T1)),
    Mechanism("coh-markers", "CoH's good marker beats its bad one, T=1", over("coh", "coh:marker=bad", T1)),
    Mechanism(
        "csft-markers",
        "conditional SFT's good marker beats its bad one, T=1",
        over(CSFT, f"{CSFT}:marker=bad", T1),
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
    Mechanism(
        "ppo-kl",
        "PPO moves more than half a nat away from the base",
        Contrast((("ppo", 1.0),), "kl_to_base", above=0.5),
    ),
)
"""found in every trial on development worlds, and given a verdict"""


def shown(name: str, claim: str, evidence: Evidence) -> Mechanism:
    """A comparison that is reported and not bet on."""
    return Mechanism(name, claim, evidence, asserted=False)


REPORTED = (
    shown(
        "ilf-rounds",
        "ILF in 3 rounds of 100 against 1 of 300",
        over("ilf:rounds=3:retrain=base", "ilf:rounds=1:retrain=base"),
    ),
    shown("ilf-right-shuffled", "ILF against shuffled feedback", over("ilf", "ilf:feedback=shuffled")),
    shown("ilf-right-shuffled-t1", "the same, T=1", over("ilf", "ilf:feedback=shuffled", T1)),
    shown("ilf-best-of-n", "ILF + best-of-N against ILF", over("ilf+best_of_n", "ilf")),
    shown("best-of-n-ilf", "ILF + best-of-N against best-of-N", over("ilf+best_of_n", "best_of_n:n=8")),
    shown(
        "alt-consistency",
        "ALT against half its labels exchanged, T=1",
        over("alt", "alt:consistency=0.5", T1),
    ),
    shown("alt-phrase", "ALT against itself without its phrase, T=1", over("alt", "alt:level=none", T1)),
    shown("alt-phrase-t3", "the same, T=.3", over("alt", "alt:level=none")),
    shown("quark-levels", "Quark's quality by the level asked for, T=1", slope(QUARK_LEVELS)),
    shown("coh-chosen", "CoH against SFT on preferred answers", over("coh", COH_CHOSEN)),
    shown("coh-chosen-t1", "the same, T=1", over("coh", COH_CHOSEN, T1)),
    shown("coh-csft", "CoH against conditional SFT", over("coh", CSFT)),
    *(
        shown(
            f"srt-{part.replace('_', '-')}",
            f"SRT against parts={part}, first stage",
            over("srt:stage=1", f"srt:stage=1:parts={part}"),
        )
        for part in PARTS
    ),
    shown(
        "srt-critic",
        "accuracy of SRT's critic after DPO less before",
        Measured("srt", (("critic_accuracy_stage2", 1.0), ("critic_accuracy_stage1", -1.0))),
    ),
    shown("refine-rerank", "SRT refining once against re-ranking 16", over("srt", "srt:decode=rerank")),
    shown("refine-first", "SRT refining once against its first answer", over("srt", "srt:decode=first")),
    shown("self-refine-base", "the base refining itself against the base", over("self_refine", "base")),
    *(
        shown(
            f"{label.partition(':')[0]}-base".replace("_", "-"),
            f"`{label}` against the base",
            over(label, "base"),
        )
        for label in AGAINST_BASE
    ),
    shown("ppo-gold", "PPO without a KL penalty, pushed: gold against PPO", over(FREE_PPO, "ppo")),
    shown(
        "ppo-pushed-proxy",
        "the same run's reward-model score, last less first",
        Measured(FREE_PPO, (("proxy_reward_last", 1.0), ("proxy_reward_first", -1.0))),
    ),
    shown("grpo-gold", "GRPO without a KL penalty, pushed: gold against GRPO", over(FREE_GRPO, "grpo")),
    shown("best-of-n-slope", "best-of-N's quality for each doubling of n, 2 to 16, T=1", DOUBLING),
    shown("best-of-n-wins", "best-of-8's wins over one draw by gold, less 8/9, T=1", WINS),
)
"""comparisons of interest, of either sign"""

MECHANISMS = (*EXPECTED, *REPORTED)
