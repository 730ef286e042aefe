"""Supervised fine-tuning on answers from one of three sources, the plainest baseline.

`reference` buys written answers (the `demonstrate` channel) for as many prompts as the budget pays;
`teacher` samples one answer a prompt and buys the teacher's refinement of it (`refine`); `own` trains on
the policy's own samples, unselected, for as many prompts as `reference` would buy: the control that shows
what fine-tuning on one's own text does without any feedback. Where the teacher only replays, `reference` and
`teacher` train on recorded answers and refinements in the data's order, several a prompt where there are.

Deviation from the papers that use it as a baseline (for instance ILF, arXiv 2303.16755): loss on the
completion only, prompt loss weight 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import OverBudget
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt


@dataclass(frozen=True)
class SFT:
    """Supervised fine-tuning on references, own samples or the teacher's refinements."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("demonstrate", "refine")

    source: Literal["reference", "own", "teacher"] = "reference"
    """whose answers it trains on"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 2e-4, 5e-3)})
    """peak learning rate; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (1, 2, 3, 5, 8))})
    """passes over the answers; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1})
    """answers per optimiser step; None: by model size"""

    @property
    def wants(self) -> tuple[Channel, ...]:
        """The channel that its source is bought on."""
        bought: dict[str, tuple[Channel, ...]] = {"reference": ("demonstrate",), "teacher": ("refine",)}
        return bought.get(self.source, ())

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy after fine-tuning on the source's answers."""
        settings = lab.settings(
            learning_rate=self.learning_rate, epochs=self.epochs, batch_size=self.batch_size
        )
        if self.source != "own" and not set(self.wants) <= set(lab.feedback.channels):
            return lab.finetune(policy, self.recorded(policy, prompts, lab), settings)
        order = [prompts[int(i)] for i in lab.random("prompts").permutation(len(prompts))]
        channel: Channel = "refine" if self.source == "teacher" else "demonstrate"
        paid = lab.feedback.affordable(channel)
        chosen = order[:paid]
        if len(chosen) < paid:
            lab.note(f"{len(chosen)} of {paid} affordable answers: one a training prompt")
        if not chosen:
            raise OverBudget(f"the budget does not pay for a single {channel} act: raise budget=")
        return lab.finetune(policy, self.answers(policy, chosen, lab), settings)

    def recorded(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab
    ) -> list[tuple[Prompt, Completion]]:
        """Rows to train on of what was written before."""
        (channel,) = self.wants
        asked = {prompt.id: prompt for prompt in prompts}
        records = lab.feedback.recorded(channel)
        if not records:
            raise OverBudget(f"the budget does not pay for a single {channel} act: raise budget=")
        lab.note(f"{len(records)} recorded answers trained on")
        return [(asked[r.prompt_id], policy.encode(r.text)) for r in records if r.text]

    def answers(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab
    ) -> list[tuple[Prompt, Completion]]:
        """Rows to train on; acts without a usable answer are dropped and footnoted."""
        if self.source == "own":
            return [(p, row[0]) for p, row in zip(prompts, lab.sample(policy, prompts), strict=True)]
        if self.source == "reference":
            records = lab.feedback.demonstrate(prompts)
        else:
            first = [row[0] for row in lab.sample(policy, prompts)]
            records = lab.feedback.refine(prompts, first)
        kept = [(p, policy.encode(r.text)) for p, r in zip(prompts, records, strict=True) if r.ok and r.text]
        if len(kept) < len(records):
            lab.note(f"{len(records) - len(kept)} of {len(records)} bought answers were unusable")
        return kept


PLUGIN = SFT
