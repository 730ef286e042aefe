"""CFT, critique fine-tuning (Wang et al. 2025, arXiv 2501.17703): learn to criticise, then just answer.

The policy's own answers are criticised by the teacher, and the policy learns to write the critique after
prompt and answer, and nothing else. At test time it answers the plain prompt; whether judging answers has
taught it to write better ones is the question.

Where the teacher only replays, the recorded critiques of the recorded answers are learned instead, as in the
paper; `answers` then changes nothing.

Deviations: the noisy answers are the policy's own (the paper: answers collected on the web, or a larger
model's), their critiques a sentence or two of bought feedback (the paper: a page of a large model's
reasoning with a verdict), learned as the teacher wrote them; answers are not trained on at all; no validation
set picks the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable, OverBudget
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques.critiques import to_criticise


@dataclass(frozen=True)
class CritiqueFineTuning:
    """Critique fine-tuning: learn to write the teacher's critiques of answers, then answer plainly."""

    wrapper: ClassVar[bool] = False
    wants: ClassVar[tuple[Channel, ...]] = ("critique",)
    from_record: ClassVar[tuple[Channel, ...]] = ("critique",)

    answers: Literal["own", "greedy"] = "own"
    """whose critiques are bought: the policy's samples at temperature 1, or its greedy answers"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 1e-4, 3e-3)})
    """peak learning rate; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (1, 2, 3, 5))})
    """passes over the critiques; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (8, 16, 32))})
    """critiques per optimiser step; None: by model size"""

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy fine-tuned on as many critiques as the budget pays for."""
        policy.formatter.layout("critique")
        replayed = "critique" not in lab.feedback.channels
        rows = self.recorded(policy, prompts, lab) if replayed else self.bought(policy, prompts, lab)
        settings = lab.settings(
            learning_rate=self.learning_rate, epochs=self.epochs, batch_size=self.batch_size
        )
        return lab.finetune(policy, rows, settings)

    def recorded(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab
    ) -> list[tuple[Prompt, Completion]]:
        """Prompt with recorded answer, and the recorded critique of it, as far as the budget reaches."""
        asked = {prompt.id: prompt for prompt in prompts}
        records = lab.feedback.recorded("critique")
        if not records:
            raise OverBudget("the budget does not pay for a single critique: raise budget=")
        lab.note(f"{len(records)} recorded critiques of recorded answers")
        return [
            (
                asked[r.prompt_id].using("critique", completion=r.completions[0]),
                policy.encode(r.text, "critique"),
            )
            for r in records
            if r.text
        ]

    def bought(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab
    ) -> list[tuple[Prompt, Completion]]:
        """Prompt with an answer of the policy's own, and the critique bought of it."""
        order = [prompts[int(i)] for i in lab.random("prompts").permutation(len(prompts))]
        paid = lab.feedback.affordable("critique")
        chosen = order[:paid]
        if not chosen:
            raise OverBudget("the budget does not pay for a single critique: raise budget=")
        if len(chosen) < paid:
            lab.note(f"{len(chosen)} of {paid} affordable critiques: one a training prompt")
        decoding = lab.decoding
        if self.answers == "greedy":
            decoding = replace(decoding, temperature=0.0)
        answers = [row[0] for row in lab.sample(policy, chosen, decoding=decoding)]
        records = lab.feedback.critique(chosen, answers)
        rows = [
            (to_criticise(prompt, answer), policy.encode(record.text, "critique"))
            for prompt, answer, record in zip(chosen, answers, records, strict=True)
            if record.ok and record.text
        ]
        if len(rows) < len(records):
            lab.note(f"{len(records) - len(rows)} of {len(records)} critiques were unusable")
        if not rows:
            raise NotApplicable("the teacher wrote no usable critique")
        return rows


PLUGIN = CritiqueFineTuning
