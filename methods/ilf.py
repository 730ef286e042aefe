"""ILF, imitation learning from language feedback (Scheurer et al. 2023, arXiv 2303.16755), summaries.

A round: the current policy answers, the teacher writes one piece of feedback on each answer, the *base*
refines each answer under its feedback several times, one refinement is selected, and the model is
fine-tuned on prompt -> refinement. Feedback is in no fine-tuning prompt and not available at test time.
After every round the base is trained anew on the rows of all rounds (`retrain=base`, the paper's), or the
policy of the round before on the new rows alone (`continue`). The paper's own comparison of the two says
55.6 +- 1.9 against 50.9 +- 1.9 % wins after a second round, and no difference after the first.

Deviations: the base itself refines (the paper's refiner is an instruction-tuned sibling); loss on the
refinement only, prompt loss weight 0; answers and refinements at top_p 1 (paper .95); on models that read
plain English the default layout shows the refiner the task and the critique alone, not the answer, which
harms a small model, and without feedback the task alone (`layout=refine_paper` is the paper's, with
both); selection by InstructRM needs a model that can answer yes or no, so other selections are offered,
and small models default to one of them. Refinements are trained on as they were sampled, not
post-processed (`tidy=true` does as the paper). Duplicates are drawn again as in the paper; refinements
that are empty, unfinished or an echo of the feedback are dropped, with `drop_copies=true` also copies of
the answer, where the paper drops forbidden texts and fills up with duplicates.

Controls with everything else equal, selection included: `feedback=none` refines without words and buys
none; `shuffled` buys the same words and shows each answer another answer's; `hidden` buys the same words
and shows them to the selection, not to the refiner, which is the control where the selection reads
feedback; `own` has the base criticise the answers itself, and buys none. Each takes as many prompts as
`right` could pay critiques for.

Ablation `targets=feedback_and_refinement`: the model learns to write, after prompt and first answer, the
feedback and then the refinement. As in the paper the first answer at test time is the base's, and what
follows the feedback is the answer; the two parts are learnt and asked for one after the other, in the
layouts `critique` and `refine`, which in the built-in world together are the one text of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import BadInput, NotApplicable, OverBudget, Problem
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.lessons import Lesson
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import Kind
from alignment_bench.runtime import Runtime
from alignment_bench.techniques.criticising import CriticiseAndRefine
from alignment_bench.techniques.refinements import Drawing, shuffled
from alignment_bench.techniques.selection import (
    READS_FEEDBACK,
    Candidates,
    Selection,
    audit,
    check_selection,
    select,
)
from alignment_bench.tiers import Tier

Row = tuple[Prompt, Completion, str]
"""a prompt, the first answer to it, and the feedback on that ("" for none)"""
BOUGHT = ("right", "shuffled", "hidden")
"""values of `feedback` that buy critiques"""
AUDITED = 16
"""answers whose selection is audited by default where InstructRM selects: it may be worse than chance"""


@dataclass(frozen=True)
class ILF:
    """Imitation learning from language feedback: refine under feedback, select, fine-tune the base."""

    wrapper: ClassVar[bool] = False

    feedback: Literal["right", "none", "shuffled", "own", "hidden"] = "right"
    """what the refiner is shown: an answer's own feedback, none, another answer's, the base's own critique,
    or none although it is bought (hidden: for the selection alone); all but the first are controls"""
    rounds: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (1, 2, 3, 5))})
    """rounds the budget is spread over; None: by model size"""
    retrain: Literal["base", "continue"] = field(
        default="base", metadata={"tune": ("choice", ("base", "continue"))}
    )
    """after a round train the base on the rows of all rounds, or the current policy on the round's alone"""
    refinements: int = field(default=5, metadata={"min": 1, "tune": ("choice", (3, 5, 10))})
    """distinct refinements to select among, per answer"""
    tries: int | None = field(default=None, metadata={"min": 2})
    """refinements drawn at most per answer, where the first `refinements` repeat themselves or are unfit;
    None: twice as many"""
    selection: Selection | None = field(
        default=None, metadata={"tune": ("choice", ("likelihood", "longest", "random"))}
    )
    """instruct_rm (yes/no questions to the base), embedding or overlap (nearness to the feedback),
    reward_model, likelihood (the base's own), longest or random; None: by model size"""
    audit: int | None = field(default=None, metadata={"min": 0})
    """answers on which selection is compared with a random pick by bought scores, within a tenth of the
    budget; None: 16 with instruct_rm, else 0"""
    reward_share: float = field(default=0.34, metadata={"min": 0.0, "max": 0.9})
    """share of the budget that buys comparisons where selection=reward_model"""
    reward_kind: Kind = "likelihood_ratio"
    """form of the reward model that selects"""
    layout: Literal["refine", "refine_paper"] = "refine"
    """layout put to the refiner; feedback=none and hidden use improve in refine's place"""
    targets: Literal["refinement", "feedback_and_refinement"] = "refinement"
    """what is learnt: the refinement, or (ablation) to criticise the base's answer and refine it"""
    drop_copies: bool = False
    """leave out refinements that repeat the first answer; the control without feedback then learns from
    changes alone, which is knowledge that nobody wrote down for it"""
    tidy: bool = False
    """post-process refinements of prose as the paper does (one line, whole sentences) and encode them anew"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 3e-4, 3e-3)})
    """peak learning rate; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (2, 3, 5, 8))})
    """passes over the refinements; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1})
    """refinements per optimiser step; None: by model size"""

    def __post_init__(self) -> None:
        """Raises BadInput where fields contradict each other."""
        problems = []
        if self.feedback == "none" and self.selection in READS_FEEDBACK:
            what = f"{self.selection} compares refinements with the feedback, and feedback=none has none"
            problems.append(Problem("selection", what, "choose another, or the control feedback=hidden"))
        if self.feedback == "none" and self.targets == "feedback_and_refinement":
            problems.append(Problem("targets", "there is no feedback to learn", "leave feedback=none out"))
        if self.tries is not None and self.tries <= self.refinements:
            what = f"{self.tries} tries leave none to draw again"
            problems.append(Problem("tries", what, f"give more than the {self.refinements} refinements"))
        if problems:
            raise BadInput(problems)

    @property
    def wants(self) -> tuple[Channel, ...]:
        """What it buys at any model size."""
        return self._wanted(self.selection)

    def wants_at(self, tier: Tier) -> tuple[Channel, ...]:
        """What it buys with a model of this size: `selection` left at None may need comparisons."""
        return self._wanted(self._selection(tier))

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy fine-tuned on the selected refinements of all rounds."""
        selection = self._selection(lab.tier)
        self._check(selection, policy)
        reward = (
            lab.reward_model(policy, prompts, kind=self.reward_kind, share=self.reward_share)
            if selection == "reward_model"
            else None
        )
        settings = lab.settings(
            learning_rate=self.learning_rate, epochs=self.epochs, batch_size=self.batch_size
        )
        audits = self._audits(selection, lab)
        current: Policy = policy
        trained, pool = policy, list[Lesson]()
        drawing = Drawing(self.refinements, self.tries or 2 * self.refinements, self.tidy, self.drop_copies)
        for number, batch in enumerate(self.batches(prompts, lab, audits)):
            candidates = self.candidates(number, current, policy, batch, drawing, lab)
            chosen = select(selection, policy, candidates, reward, lab, f"ilf select {number}")
            if audits and number == 0:
                audit(selection, candidates, chosen, audits, lab)
            rows = [
                row for pair in zip(candidates, chosen, strict=True) for row in self.taught(policy, *pair)
            ]
            pool += rows
            if rows:
                again = self.retrain == "base"
                trained = lab.finetune(policy if again else trained, pool if again else rows, settings)
                current = self.answering(policy, trained, lab)
        drawing.report(lab)
        return current

    def batches(self, prompts: Sequence[Prompt], lab: Lab, audits: int = 0) -> list[list[Prompt]]:
        """The prompts of each round: as many as the budget pays critiques for, split evenly."""
        paid = lab.feedback.affordable("critique")
        if audits:
            # as many critiques fewer as two scores an audited answer cost, whatever the prices
            paid -= math.ceil(2 * audits * (paid + 1) / lab.feedback.affordable("score"))
        affordable = min(paid, len(prompts))
        if affordable < paid:
            lab.note(f"{affordable} of {paid} affordable critiques: one a training prompt")
        rounds = min(self.rounds or lab.tier.ilf_rounds, affordable)
        if rounds < 1:
            raise OverBudget("the budget does not pay for a single critique: raise budget=")
        order = [prompts[int(i)] for i in lab.random("prompts").permutation(len(prompts))]
        size = affordable // rounds
        return [order[k * size : (k + 1) * size] for k in range(rounds)]

    def candidates(
        self,
        number: int,
        current: Policy,
        base: LogitPolicy,
        prompts: Sequence[Prompt],
        drawing: Drawing,
        lab: Lab,
    ) -> list[Candidates]:
        """One round's answers with feedback and refinements, where any refinement is usable."""
        answers = [row[0] for row in lab.sample(current, prompts, stream=f"ilf round {number}")]
        rows = self.critiqued(number, base, prompts, answers, lab)
        shown = [self.shown(*row) for row in rows]
        unseen = self.feedback == "hidden"
        first, seen = [a.text for _, a, _ in rows], ["" if unseen else critique for _, _, critique in rows]
        options = drawing.draw(base, shown, first, seen, f"ilf refine {number}", lab)
        return [
            Candidates(prompt, asked, answer.text, critique, own)
            for (prompt, answer, critique), asked, own in zip(rows, shown, options, strict=True)
            if own
        ]

    def critiqued(
        self,
        number: int,
        base: LogitPolicy,
        prompts: Sequence[Prompt],
        answers: Sequence[Completion],
        lab: Lab,
    ) -> list[Row]:
        """Prompt, answer and feedback ("" for feedback=none) where usable words came."""
        if self.feedback == "none":
            return [(prompt, answer, "") for prompt, answer in zip(prompts, answers, strict=True)]
        if self.feedback == "own":
            asked = [p.using("critique", completion=a.text) for p, a in zip(prompts, answers, strict=True)]
            texts = [row[0].text for row in lab.sample(base, asked, stream=f"ilf own critique {number}")]
        else:
            records = lab.feedback.critique(prompts, answers)
            texts = [(r.text or "") if r.ok else "" for r in records]
        rows = [(p, a, t) for p, a, t in zip(prompts, answers, texts, strict=True) if t.strip()]
        if len(rows) < len(texts):
            lab.note(f"{len(texts) - len(rows)} of {len(texts)} critiques were unusable")
        if not rows:
            raise NotApplicable("there was no usable critique")
        if self.feedback != "shuffled":
            return rows
        if len(rows) < 2:
            raise NotApplicable(
                "a round of one critique cannot be shuffled: fewer rounds, or a larger budget"
            )
        order = lab.random("ilf shuffle", number).permutation(len(rows)).tolist()
        moved = shuffled([critique for _, _, critique in rows], order)
        return [(p, a, critique) for (p, a, _), critique in zip(rows, moved, strict=True)]

    def shown(self, prompt: Prompt, answer: Completion, critique: str) -> Prompt:
        """What the refiner is shown."""
        if self.feedback in ("none", "hidden"):
            return prompt.using("improve" + self.layout.removeprefix("refine"), completion=answer.text)
        return prompt.using(self.layout, completion=answer.text, critique=critique)

    def taught(self, base: LogitPolicy, row: Candidates, chosen: Completion) -> list[Lesson]:
        """What a selected refinement is learnt as: after the plain prompt, or as `targets` has it."""
        if self.targets == "refinement":
            return [Lesson(row.prompt, chosen)]
        criticise = row.prompt.using("critique", completion=row.answer)
        refine = row.prompt.using(self.layout, completion=row.answer, critique=row.critique)
        return [Lesson(criticise, base.encode(row.critique, "critique")), Lesson(refine, chosen)]

    def answering(self, base: LogitPolicy, trained: LogitPolicy, lab: Lab) -> Policy:
        """What answers prompts: the trained policy, or base and trained policy together."""
        if self.targets == "refinement":
            return trained
        return lab.wrap("ilf", {"layout": self.layout}, {"answerer": base, "refiner": trained})

    @staticmethod
    def restore(folder: Path, runtime: Runtime) -> CriticiseAndRefine:
        """The policy of `targets=feedback_and_refinement` stored in `folder`."""
        return CriticiseAndRefine(folder, runtime)

    def _selection(self, tier: Tier) -> Selection:
        return self.selection or tier.selection  # type: ignore[return-value]

    def _wanted(self, selection: Selection | None) -> tuple[Channel, ...]:
        wanted: list[Channel] = ["critique"] if self.feedback in BOUGHT else []
        if selection == "reward_model":
            wanted.append("prefer")
        if self.audit:
            wanted.append("score")
        return tuple(wanted)

    def _check(self, selection: Selection, policy: LogitPolicy) -> None:
        """Raises NotApplicable, before anything is bought, where the policy or its format cannot do it."""
        check_selection(selection, policy)
        unseen = self.feedback in ("none", "hidden")
        needed = {"improve" + self.layout.removeprefix("refine") if unseen else self.layout}
        if self.targets == "feedback_and_refinement":
            needed |= {"critique", self.layout}
        if self.feedback == "own":
            needed.add("critique")
        if missing := sorted(needed - set(policy.formatter.layouts)):
            raise NotApplicable(f"this task and model have no layout {', '.join(missing)}")

    def _audits(self, selection: Selection, lab: Lab) -> int:
        """Answers whose selection is audited: what was asked for, as far as a tenth of the budget pays."""
        wanted = self.audit if self.audit is not None else AUDITED if selection == "instruct_rm" else 0
        if not wanted:
            return 0
        if "score" not in lab.feedback.channels:
            lab.note(f"the lift of selection by {selection} was not audited: the teacher gives no scores")
            return 0
        audits = min(wanted, lab.feedback.affordable("score") // 20)
        if not audits:
            lab.note(f"the lift of selection by {selection} was not audited: the budget is too small")
        return audits


PLUGIN = ILF
