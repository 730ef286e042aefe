"""Chain of Hindsight (Liu, Sferrazza and Abbeel 2024, arXiv 2302.02676, ICLR 2024).

Comparisons become sequences in which a phrase before each answer says whether it was preferred: one answer
(p, n), or both in either order about a prompt that is given once (pn, np). The model learns the answers, the
good ones and the bad ones, each under its own phrase; loss on answer tokens alone. A share of past tokens is
hidden at random against copying (forgetful causal mask), and a little language modelling goes on beside it.
At test time it is asked for a good answer.

`form` sets the sequences: `mixed` is the paper's, `csft` its baseline C-SFT (a phrase, one answer), `sft_u`
its baseline SFT-U (preferred answers learned, the others made unlikely), `sft` plain training on preferred
answers. Everything else is equal between forms, comparisons and passes included; a form with fewer sequences
thus takes fewer steps. `marker` is what the trained model is asked for; `bad` and `none` are controls, and
share every training job with `good`.

Deviations: pairs are the policy's own samples, as for every method of preferences here, and those of a
recorded data set (the paper's) where the teacher is `recorded`; ties are dropped; a chain is learned as two
lessons with the same log-probability as the one long sequence, and a first answer that several sequences
share is read once with their number as its weight; no packing across examples; the loss is a mean over the
answer tokens of a batch, not a mean of means over packed rows; inside a chain the first answer is followed by
the end of sequence only where the task's layout has it; plain text is of the kind the base was pretrained on
where that is known, else training prompts (paper: C4), one beside every fourth answer, at the code's weight
.01; phrases are in our own words, the same for every task, and "bad" stands for the paper's "unhelpful"; the
paper's learning rate is unpublished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.lessons import Lesson
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques.hindsight import (
    MARKERS,
    Marker,
    Markers,
    chosen_lessons,
    hindsight_lessons,
    phrases,
    unlikelihood_lessons,
)
from alignment_bench.techniques.preferences import collect_pairs
from alignment_bench.training.settings import Objective

Form = Literal["mixed", "p", "n", "pn", "np", "csft", "sft_u", "sft"]
SEQUENCES: Mapping[str, tuple[str, ...]] = {
    "mixed": ("p", "n", "pn", "np"),
    "p": ("p",),
    "n": ("n",),
    "pn": ("pn",),
    "np": ("np",),
    "csft": ("p", "n"),
}
"""the sequences of each form with markers; the other forms have none"""
LESSONS_PER_TEXT = 4
"""plain texts take as long to read as answers: one beside every fourth answer leaves most of the time"""


@dataclass(frozen=True)
class ChainOfHindsight:
    """Chain of Hindsight: learn good and bad answers under phrases that say so, ask for a good one."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("prefer",)
    wants: ClassVar[tuple[Channel, ...]] = ("prefer",)

    form: Form = "mixed"
    """sequences made of a comparison: p, n, pn, np, all four (mixed), p and n (csft); or no phrases:
    preferred answers (sft), preferred up and others down (sft_u)"""
    marker: Literal["good", "bad", "none"] = "good"
    """what the trained model is asked for: a good answer, a bad one (control), an answer (control)"""
    markers: Markers = "simple"
    """phrases to train under: one pair, or several, every pair for every comparison"""
    hidden_share: float = field(
        default=0.05, metadata={"min": 0.0, "below": 1.0, "tune": ("choice", (0.0, 0.05, 0.15))}
    )
    """most that is hidden of the past of an answer: its share is drawn from U(0, hidden_share) a row"""
    plain_weight: float = field(default=0.01, metadata={"min": 0.0, "tune": ("log", 1e-3, 0.3)})
    """factor on the language-model loss on plain text; 0: none"""
    unlikelihood_weight: float = field(default=0.1, metadata={"min": 0.0})
    """factor on the unlikelihood of answers not preferred, for form=sft_u"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 2e-4, 5e-3)})
    """peak learning rate; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (1, 2, 3, 5))})
    """passes over the sequences; None: by model size, divided by the pairs of phrases, at least one"""
    batch_size: int = field(default=8, metadata={"min": 1, "tune": ("choice", (4, 8, 16))})
    """answers per optimiser step"""

    def __post_init__(self) -> None:
        if self.form not in SEQUENCES and self.marker == "bad":
            message = f"form={self.form} trains without phrases: it cannot be asked for a bad answer"
            raise BadInput([Problem("marker", message, "leave it out, or choose a form with phrases")])

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy trained in hindsight, behind the phrase it is asked with."""
        pairs, ties = collect_pairs(policy, prompts, lab)
        if ties:
            lab.note(f"{ties} comparisons were ties and not trained on")
        lab.measure("comparisons_trained_on", len(pairs))
        if self.form not in SEQUENCES:
            return self.train(policy, self.plain_lessons(pairs), 1, lab)
        markers = MARKERS[self.markers]
        ready = lab.settle(policy, phrases(markers))
        lessons = hindsight_lessons(pairs, SEQUENCES[self.form], markers)
        return self.asked(self.train(ready, lessons, len(markers), lab), markers[0], lab)

    def plain_lessons(self, pairs: Sequence[tuple[Prompt, Completion, Completion]]) -> list[Lesson]:
        """The lessons of the forms without markers."""
        if self.form == "sft":
            return chosen_lessons(pairs)
        return unlikelihood_lessons(pairs, self.unlikelihood_weight)

    def train(self, policy: LogitPolicy, lessons: Sequence[Lesson], repeats: int, lab: Lab) -> LogitPolicy:
        """The policy after the lessons, in which every comparison occurs under `repeats` pairs of phrases."""
        tier = lab.tier
        epochs = max(1, tier.hindsight_epochs // repeats) if self.epochs is None else self.epochs
        rate = tier.hindsight_learning_rate if self.learning_rate is None else self.learning_rate
        settings = lab.settings(learning_rate=rate, epochs=epochs, batch_size=self.batch_size)
        objective = Objective(hidden_share=self.hidden_share, plain_weight=self.plain_weight)
        texts = lab.unlabelled(-(-len(lessons) // LESSONS_PER_TEXT)) if self.plain_weight else ()
        return lab.finetune(policy, lessons, settings, objective, plain_texts=texts)

    def asked(self, trained: LogitPolicy, marker: Marker, lab: Lab) -> LogitPolicy:
        """The trained policy behind the phrase that `marker=` names, if any."""
        if self.marker == "none":
            return trained
        return lab.condition(trained, "describe", condition=marker.of("p" if self.marker == "good" else "n"))


PLUGIN = ChainOfHindsight
