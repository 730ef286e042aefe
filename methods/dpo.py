"""DPO, direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290), through trl's trainer.

Comparisons of the policy's own samples are bought (the same ones that a reward model of this seed would be
trained on); the policy is trained on them with a loss on beta times its log-ratio to the policy that it
starts from. Ties are paid and dropped.

Deviations: the reference is whatever it starts from, the unaligned base unless init= says otherwise (an SFT
model in the paper); AdamW with a linearly falling learning rate instead of RMSprop at a constant one; beta
.1 (the paper: .5 for summaries, .1 elsewhere); completions end where they were sampled to end: no
end-of-sequence id is added to those that reached the token limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques.preferences import collect_pairs
from alignment_bench.training.trl_settings import DPOLoss, DPOSettings


@dataclass(frozen=True)
class DPO:
    """Direct preference optimisation on comparisons of the policy's own samples."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("prefer",)
    wants: ClassVar[tuple[Channel, ...]] = ("prefer",)

    beta: float = field(default=0.1, metadata={"min": 1e-6, "tune": ("log", 0.03, 1.0)})
    """scale of the implicit reward: the larger, the nearer to the start it stays"""
    loss: DPOLoss = field(default="sigmoid", metadata={"tune": ("choice", ("sigmoid", "ipo", "hinge"))})
    """loss on the margin between the two completions, by trl's names"""
    label_smoothing: float = field(default=0.0, metadata={"min": 0.0, "max": 0.5})
    """share of labels taken to be wrong; robust and exo_pair need one above 0"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 3e-4, 3e-3)})
    """peak learning rate; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (1, 2, 3, 5))})
    """passes over the comparisons; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1})
    """comparisons per optimiser step; None: by model size"""

    def __post_init__(self) -> None:
        if self.loss in ("robust", "exo_pair") and self.label_smoothing <= 0:
            fix = "set label_smoothing=0.1, or another loss"
            raise BadInput([Problem("label_smoothing", f"loss={self.loss} needs one above 0", fix)])

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy trained on the comparisons that the budget pays for."""
        pairs, ties = collect_pairs(policy, prompts, lab)
        if ties:
            lab.note(f"{len(pairs)} comparisons trained on, {ties} ties dropped")
        settings = lab.settings(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
            purpose="reward",
        )
        return lab.dpo(policy, pairs, DPOSettings(settings, self.beta, self.loss, self.label_smoothing))


PLUGIN = DPO
