"""ILF, imitation learning from language feedback: summaries (Scheurer et al. 2023, arXiv 2303.16755) and
programs (Chen et al. 2023, arXiv 2303.16749).

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

ILF for code is `failing=30:refiner=trained:refinements=30:selection=passing:rounds=1` under teacher=tests:
words on programs of tasks that no try solved (the tests', or with `critiques=recorded` people's on the
programs that they saw), a refiner trained on people's refinements of other tasks, one at random of the
refinements that pass all tests, each run bought as a score.

Deviations of that: sampling at temperature 1 (paper .8); only distinct, finished refinements are tested;
recorded first programs are another model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from alignment_bench.completions import Completion
from alignment_bench.errors import BadInput, NotApplicable, Problem
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.lessons import Lesson
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import Kind
from alignment_bench.runtime import Runtime
from alignment_bench.techniques import criticised, first_answers, refiners
from alignment_bench.techniques.criticised import BOUGHT, Row
from alignment_bench.techniques.criticising import CriticiseAndRefine
from alignment_bench.techniques.refinements import Drawing
from alignment_bench.techniques.selection import (
    READS_FEEDBACK,
    Candidates,
    Selection,
    audit,
    audited,
    check_selection,
    passed,
    select,
)
from alignment_bench.tiers import Tier


@dataclass(frozen=True)
class ILF:
    """Imitation learning from language feedback: refine under feedback, select, fine-tune the base."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("critique",)

    feedback: criticised.Feedback = "right"
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
    reward_model, likelihood (the base's own), longest, random, or passing (one at random of those to which
    the teacher gives full marks, if any); None: by model size"""
    critiques: Literal["fresh", "recorded"] | None = None
    """bought on answers of the policy's own, or those that the data brings on the answers that it brings;
    None: fresh, unless the teacher only replays"""
    failing: int = field(default=0, metadata={"min": 0})
    """answers to a prompt, none of which may get the teacher's full marks for one to be criticised (0: any
    first answer is)"""
    refiner: refiners.Kind = "self"
    """who refines: the base (self), the base trained on people's refinements in the data's part `refine`, or
    shown some of them (fewshot); prompts of that part are then not learnt from"""
    shots: int = field(default=2, metadata={"min": 1})
    """refinements shown with refiner=fewshot"""
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
        if self.critiques == "recorded":
            if self.feedback not in BOUGHT:
                what = f"feedback={self.feedback} asks nobody"
                problems.append(Problem("critiques", what, "leave critiques=recorded out"))
            if self.rounds not in (None, 1):
                what = "recorded feedback is on the answers of one round"
                problems.append(Problem("rounds", what, "rounds=1"))
            if self.failing:
                what = "the answers that people criticised are given"
                problems.append(Problem("failing", what, "leave it out, or critiques=recorded"))
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
        refined, replayed = self.refiner != "self", self.replays(lab)
        said = first_answers.said(prompts, refined, replayed, lab) if refined or replayed else []
        refiner = refiners.refiner(self.refiner, policy, said, self.layout, self.shots, settings, lab)
        prompts = first_answers.left_to_learn(prompts, refined, said if replayed else None)
        audits = audited(selection, self.audit, lab)
        current: Policy = policy
        trained, pool = policy, list[Lesson]()
        drawing = Drawing(self.refinements, self.tries or 2 * self.refinements, self.tidy, self.drop_copies)
        rounds = 1 if replayed else self.rounds or lab.tier.ilf_rounds
        tests = self.failing + (self.refinements if selection == "passing" else 0)
        paid = criticised.affordable(lab, not replayed, tests, len(prompts))
        for number, batch in enumerate(criticised.batches(prompts, rounds, paid, audits, lab)):
            if replayed:
                rows = criticised.replayed(self.feedback, policy, batch, said, lab)
            else:
                rows = self.bought(number, policy, current, batch, lab)
            if not rows:
                continue
            candidates = self.candidates(number, refiner, rows, drawing, lab)
            if selection == "passing":
                candidates = passed(candidates, lab)
            chosen = select(selection, policy, candidates, reward, lab, f"ilf select {number}")
            if audits and number == 0:
                audit(selection, candidates, chosen, audits, lab)
            lessons = [
                row for pair in zip(candidates, chosen, strict=True) for row in self.taught(policy, *pair)
            ]
            pool += lessons
            if lessons:
                again = self.retrain == "base"
                trained = lab.finetune(policy if again else trained, pool if again else lessons, settings)
                current = self.answering(policy, trained, lab)
        if not pool and (drawing.kept or not drawing.answers):
            raise NotApplicable("nothing to learn from: no first answer fails, or no refinement passes")
        drawing.report(lab)
        return current

    def replays(self, lab: Lab) -> bool:
        """Whether critiques are those that the data brings."""
        if self.critiques is not None or self.feedback not in BOUGHT:
            return self.critiques == "recorded"
        return "critique" not in lab.feedback.channels

    def bought(
        self, number: int, base: LogitPolicy, current: Policy, prompts: Sequence[Prompt], lab: Lab
    ) -> list[Row]:
        """The policy's answers of this round with the feedback on them."""
        stream = f"ilf round {number}"
        if self.failing:
            prompts, answers = first_answers.failing(current, prompts, self.failing, stream, lab)
        else:
            answers = [row[0] for row in lab.sample(current, prompts, stream=stream)]
        if not answers:
            return []
        return criticised.critiqued(self.feedback, number, base, prompts, answers, lab)

    def candidates(
        self, number: int, refiner: refiners.Refiner, rows: Sequence[Row], drawing: Drawing, lab: Lab
    ) -> list[Candidates]:
        """One round's answers with feedback and refinements, where any refinement is usable."""
        shown = [self.shown(*row) for row in rows]
        unseen = self.feedback == "hidden"
        first, seen = [a.text for _, a, _ in rows], ["" if unseen else critique for _, _, critique in rows]
        asked = [refiner.asked(prompt) for prompt in shown]
        options = drawing.draw(refiner.policy, asked, first, seen, f"ilf refine {number}", lab)
        return [
            Candidates(prompt, put, answer.text, critique, own)
            for (prompt, answer, critique), put, own in zip(rows, shown, options, strict=True)
            if own
        ]

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
        fresh = self.feedback in BOUGHT and self.critiques != "recorded"
        wanted: list[Channel] = ["critique"] if fresh else []
        if selection == "reward_model":
            wanted.append("prefer")
        if self.audit or self.failing or selection == "passing":
            wanted.append("score")
        return tuple(wanted)

    def _check(self, selection: Selection, policy: LogitPolicy) -> None:
        """Raises NotApplicable, before anything is bought, where the policy or its format cannot do it."""
        check_selection(selection, policy)
        refiners.check_refiner(self.refiner, policy)
        unseen = self.feedback in ("none", "hidden")
        needed = {"improve" + self.layout.removeprefix("refine") if unseen else self.layout}
        if self.targets == "feedback_and_refinement":
            needed |= {"critique", self.layout}
        if self.feedback == "own":
            needed.add("critique")
        if missing := sorted(needed - set(policy.formatter.layouts)):
            raise NotApplicable(f"this task and model have no layout {', '.join(missing)}")


PLUGIN = ILF
