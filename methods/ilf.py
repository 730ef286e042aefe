"""ILF, imitation learning from language feedback (Scheurer et al. 2023, arXiv 2303.16755), summaries.

A round: the current policy answers, the teacher writes one piece of feedback on each answer, the *base*
refines each answer under its feedback several times, one refinement is selected, and the base is
fine-tuned on prompt -> refinement. Feedback is in no fine-tuning prompt and not available at test time.

Deviations: the base itself refines (the paper's refiner is an instruction-tuned sibling); later rounds
retrain the base on the pool of all rounds; loss on the refinement only, prompt loss weight 0; answers and
refinements at top_p 1 (paper .95); on models that read plain English the default layout shows the refiner
the task and the critique alone, not the answer, which harms a small model, and without feedback the task
alone (`layout=refine_paper` is the paper's, with both); selection by
InstructRM needs a model that can answer yes or no, so other selections are offered, and small models
default to one of them. Text is not post-processed: a refinement is trained on as it was sampled.

Controls with everything else equal, selection included: `feedback=none` refines without words and buys
none; `feedback=shuffled` buys the same words and shows each answer another answer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable, OverBudget
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import RewardModel
from alignment_bench.selection import Candidates, Selection, select


@dataclass(frozen=True)
class ILF:
    """Imitation learning from language feedback: refine under feedback, select, fine-tune the base."""

    wrapper: ClassVar[bool] = False

    feedback: Literal["right", "none", "shuffled"] = "right"
    """show each answer its own feedback, none, or another answer's (the last two are controls)"""
    rounds: int | None = field(default=None, metadata={"min": 1})
    """rounds the budget is spread over; None: by model size"""
    refinements: int = field(default=5, metadata={"min": 1})
    """distinct refinements to select among, per answer"""
    selection: Selection | None = None
    """instruct_rm, reward_model, likelihood (the base's own) or random pick; None: by model size"""
    reward_share: float = field(default=0.34, metadata={"min": 0.0, "max": 0.9})
    """share of the budget that buys comparisons where selection=reward_model"""
    layout: str = "refine"
    """layout put to the refiner, as refine or refine_paper; feedback=none uses improve in refine's place"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0})
    """peak learning rate; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1})
    """passes over the refinements; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1})
    """refinements per optimiser step; None: by model size"""

    @property
    def wants(self) -> tuple[Channel, ...]:
        """Critiques, unless it does without; comparisons where a reward model selects."""
        critiques: tuple[Channel, ...] = () if self.feedback == "none" else ("critique",)
        return (*critiques, "prefer") if self.selection == "reward_model" else critiques

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The base fine-tuned on the selected refinements of all rounds."""
        selection: Selection = self.selection or lab.tier.selection  # type: ignore[assignment]
        reward = (
            lab.reward_model(policy, prompts, kind="likelihood_ratio", share=self.reward_share)
            if selection == "reward_model"
            else None
        )
        settings = lab.settings(
            learning_rate=self.learning_rate, epochs=self.epochs, batch_size=self.batch_size
        )
        current, pool = policy, list[tuple[Prompt, Completion]]()
        for number, batch in enumerate(self.batches(prompts, lab)):
            pool += self.round(number, current, policy, batch, selection, reward, lab)
            current = lab.finetune(policy, pool, settings)
        return current

    def batches(self, prompts: Sequence[Prompt], lab: Lab) -> list[list[Prompt]]:
        """The prompts of each round: as many as the budget pays critiques for, split evenly."""
        paid = lab.feedback.affordable("critique")
        affordable = min(paid, len(prompts))
        if affordable < paid:
            lab.note(f"{affordable} of {paid} affordable critiques: one a training prompt")
        rounds = min(self.rounds or lab.tier.ilf_rounds, affordable)
        if rounds < 1:
            raise OverBudget("the budget does not pay for a single critique: raise budget=")
        order = [prompts[int(i)] for i in lab.random("prompts").permutation(len(prompts))]
        size = affordable // rounds
        return [order[k * size : (k + 1) * size] for k in range(rounds)]

    def round(
        self,
        number: int,
        current: LogitPolicy,
        base: LogitPolicy,
        prompts: Sequence[Prompt],
        selection: Selection,
        reward: RewardModel | None,
        lab: Lab,
    ) -> list[tuple[Prompt, Completion]]:
        """One round's rows to train on: answers, feedback, refinements, selection."""
        answers = [row[0] for row in lab.sample(current, prompts, stream=f"ilf round {number}")]
        asked, critiques, answers = self.critiqued(number, prompts, answers, lab)
        shown = [self.shown(p, a, c) for p, a, c in zip(asked, answers, critiques, strict=True)]
        refined = self.distinct_refinements(number, base, shown, lab)
        candidates = [
            Candidates(prompt, ask, answer.text, critique, options)
            for prompt, ask, answer, critique, options in zip(
                asked, shown, answers, critiques, refined, strict=True
            )
        ]
        chosen = select(selection, base, candidates, reward, lab, f"ilf select {number}")
        return list(zip(asked, chosen, strict=True))

    def critiqued(
        self, number: int, prompts: Sequence[Prompt], answers: Sequence[Completion], lab: Lab
    ) -> tuple[list[Prompt], list[str], list[Completion]]:
        """Prompts, feedback texts ("" for feedback=none) and answers, where usable words came."""
        if self.feedback == "none":
            return list(prompts), ["" for _ in prompts], list(answers)
        records = lab.feedback.critique(prompts, answers)
        usable = [
            (p, r.text, a) for p, r, a in zip(prompts, records, answers, strict=True) if r.ok and r.text
        ]
        if len(usable) < len(records):
            lab.note(f"{len(records) - len(usable)} of {len(records)} critiques were unusable")
        if not usable:
            raise NotApplicable("the teacher wrote no usable critique")
        texts = [text for _, text, _ in usable]
        if self.feedback == "shuffled":
            if len(texts) < 2:
                raise NotApplicable(
                    "a round of one critique cannot be shuffled: fewer rounds, or a larger budget"
                )
            texts = shuffled(texts, lab.random("ilf shuffle", number).permutation(len(texts)).tolist())
        return [p for p, _, _ in usable], texts, [a for _, _, a in usable]

    def shown(self, prompt: Prompt, answer: Completion, critique: str) -> Prompt:
        """What the refiner is shown."""
        if self.feedback == "none":
            return prompt.using("improve" + self.layout.removeprefix("refine"), completion=answer.text)
        return prompt.using(self.layout, completion=answer.text, critique=critique)

    def distinct_refinements(
        self, number: int, refiner: LogitPolicy, shown: Sequence[Prompt], lab: Lab
    ) -> list[list[Completion]]:
        """Up to `refinements` distinct refinements each, resampled once where the draw repeats itself."""
        drawn = lab.sample(refiner, shown, n=self.refinements, stream=f"ilf refine {number}")
        short = [i for i, row in enumerate(drawn) if len({c.text for c in row}) < self.refinements]
        if short:
            asked = [shown[i] for i in short]
            more = lab.sample(refiner, asked, n=self.refinements, stream=f"ilf refine again {number}")
            drawn = list(drawn)
            for i, row in zip(short, more, strict=True):
                drawn[i] = drawn[i] + row
        return [distinct(row)[: self.refinements] for row in drawn]


def distinct(row: Sequence[Completion]) -> list[Completion]:
    """The first completion of each text, in the order in which the texts were first drawn."""
    first: dict[str, Completion] = {}
    for completion in row:
        first.setdefault(completion.text, completion)
    return list(first.values())


def shuffled(texts: Sequence[str], order: Sequence[int]) -> list[str]:
    """Each place gets the next one's text along a random cycle: nobody keeps their own, if there are two."""
    moved = list(texts)
    for here, there in zip(order, [*order[1:], order[0]], strict=True):
        moved[here] = texts[there]
    return moved


PLUGIN = ILF
