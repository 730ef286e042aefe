"""SRT, self-refinement tuning (Hu et al. 2024, arXiv 2406.07168).

Stage 1: the model answers; the teacher criticises the answer (weakness, suggestion, score) and rewrites it in
one act; kept is what (1) has all elements and (2) is no worse rewritten than before, by scores asked for
independently of the review. The model learns answer, critique and refinement: all but the prompt is a target,
the mediocre first answer as well. Stage 2: on fresh prompts it answers, criticises, scores and refines by
itself; pairs whose refinement it scores higher than the answer train it by DPO (chosen the refinement,
rejected the answer, both after the plain prompt), starting from stage 1, which is the reference.
At test time it answers, criticises and refines once, and *the refinement is what is scored*.

`parts` takes elements out of all of training and testing. Of the two last, `no_feedback` learns answer and
refinement with no word between, `refinement_only` the refinement alone and answers directly; the paper has
both at stage 1. Without a score of its own stage 2 keeps every pair that differs. The budget stays the same:
what is not bought, a critique or the review's own score, pays for more reviews (in the paper: the same ones).
`decode=first` gives the same model's first answers, `rerank` the one of `n` that it scores highest.

Deviations: the answers reviewed are the model's own (the paper: a 7B model's for every size); scores have 7
points in words (10 in digits); a remark of one sentence is kept without a suggestion; the refinement has no
score in its text; the sequence is learned as three lessons in the task's layouts, in the built-in world with
the same log-probability as the one long sequence (where a task's `refine` or `improve` leaves the answer
out, as for summaries in plain English, it is `refine_shown` or `improve_shown`); learning rates, epochs and
DPO's beta suit small models (paper: 1e-5, 5 epochs; 5e-7, 1 epoch, beta .01); the built-in annotators answer
the same question alike, so to them a second score of the first answer is the first one again, paid all the
same. Stage 2 scores answer and refinement by greedy critiques.

`critic_accuracy_stage1` and `_stage2` are how often its own scores (where it writes none, its likelihoods)
agree with comparisons bought of others, on prompts kept out of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from alignment_bench.completions import Completion, Decoding
from alignment_bench.errors import BadInput, NotApplicable, OverBudget, Problem
from alignment_bench.feedback import Channel, FeedbackRecord
from alignment_bench.lab import Lab
from alignment_bench.lessons import Lesson
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques import critiques
from alignment_bench.techniques.critiques import EVERY_PART, Part, rewriting, to_criticise, to_refine
from alignment_bench.techniques.decode_time import criticising
from alignment_bench.techniques.self_scores import (
    Pair,
    affordable_audit,
    agreement,
    buy_audit,
    likelihoods,
    mean_scores,
    readable,
    written,
)
from alignment_bench.training.trl_settings import DPOSettings

Parts = Literal["all", "no_score", "no_suggestion", "no_weakness", "no_feedback", "refinement_only"]
Review = tuple[Prompt, Completion, dict[Channel, FeedbackRecord]]
"""a prompt, the policy's answer, and what the teacher says of it"""
Kept = tuple[Prompt, Completion, str | None, str]
"""a prompt, the policy's answer, its critique (None: no feedback) and its refinement"""
PARTS: Mapping[Parts, tuple[Part, ...]] = {
    "all": EVERY_PART,
    "no_score": ("weakness", "suggestion"),
    "no_suggestion": ("weakness", "score"),
    "no_weakness": ("suggestion", "score"),
    "no_feedback": (),
    "refinement_only": (),
}
"""what critiques are made of"""


@dataclass(frozen=True)
class SRT:
    """Self-refinement tuning: learn to criticise and refine one's answers, then prefer the refined ones."""

    wrapper: ClassVar[bool] = False

    stage: Literal[1, 2] | None = None
    """1: learn from the teacher's reviews; 2: and then by DPO from its own; None: 2, but 1 for
    parts=refinement_only"""
    parts: Parts = "all"
    """what critiques are made of; no_feedback: refine without words; refinement_only: learn nothing else"""
    decode: Literal["refine", "first", "rerank"] | None = None
    """what is given as the answer: the refined one, the first, or the best-scored of n first ones; None:
    refine, but first for parts=refinement_only"""
    n: int = field(default=16, metadata={"min": 1})
    """first answers to choose among, for decode=rerank"""
    rescore: bool = True
    """buy scores of answer and refinement apart from the review, and drop what the refinement made worse"""
    temperature: float = field(default=0.7, metadata={"min": 0.0, "tune": ("choice", (0.3, 0.7, 1.0))})
    """of the answers reviewed, and of answers and refinements in stage 2"""
    critique_temperature: float = field(default=0.0, metadata={"min": 0.0})
    """of its own critiques; 0 is greedy"""
    critique_tokens: int = field(default=64, metadata={"min": 1})
    """most tokens of its own critiques"""
    fresh: int | None = field(default=None, metadata={"min": 1})
    """prompts in stage 2; None: all that no review was bought for"""
    beta: float = field(default=0.1, metadata={"min": 1e-6, "tune": ("log", 0.03, 1.0)})
    """DPO's beta in stage 2"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 3e-4, 5e-3)})
    """peak learning rate of stage 1; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (2, 3, 5, 8))})
    """passes of stage 1 over the reviews; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1})
    """lessons, or pairs in stage 2, per optimiser step; None: by model size"""
    dpo_learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 1e-4, 2e-3)})
    """peak learning rate of stage 2; None: by model size"""
    dpo_epochs: int = field(default=1, metadata={"min": 1})
    """passes of stage 2 over the pairs"""
    audit: int = field(default=40, metadata={"min": 0})
    """comparisons bought to measure its own scores by, within a tenth of the budget; 0: none"""

    def __post_init__(self) -> None:
        """Raises BadInput where fields contradict each other."""
        problems = []
        if self.parts == "refinement_only" and self.stage == 2:
            what = "parts=refinement_only has no pairs of answer and refinement to prefer from"
            problems.append(Problem("stage", what, "leave stage out, or choose parts=no_feedback"))
        if self.parts == "refinement_only" and self.decode == "refine":
            problems.append(Problem("decode", "parts=refinement_only never refines", "leave decode out"))
        if self.decode == "rerank" and not self.scores:
            what = f"parts={self.parts} learns no scores to choose by"
            problems.append(Problem("decode", what, "leave decode out, or add +self_rerank:by=likelihood"))
        if problems:
            raise BadInput(problems)

    @property
    def used(self) -> tuple[Part, ...]:
        """What its critiques are made of."""
        return PARTS[self.parts]

    @property
    def scores(self) -> bool:
        """Whether it learns to score."""
        return "score" in self.used

    @property
    def wants(self) -> tuple[Channel, ...]:
        """The reviews' channels, scores to filter by, and comparisons for the audit."""
        scored: tuple[Channel, ...] = ("score",) if self.rescore and not self.scores else ()
        audited: tuple[Channel, ...] = ("prefer",) if self.audit else ()
        return (*self.reviewed_on, *scored, *audited)

    @property
    def reviewed_on(self) -> tuple[Channel, ...]:
        """What a review fills."""
        words: tuple[Channel, ...] = ("critique",) if self.used else ()
        scored: tuple[Channel, ...] = ("score",) if self.scores else ()
        return (*words, *scored, "refine")

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The trained policy, wrapped so that it refines its answers."""
        order = [prompts[int(i)] for i in lab.random("prompts").permutation(len(prompts))]
        audits = min(affordable_audit(self.audit, lab), len(order) // 5)
        order, held = order[: len(order) - audits], order[len(order) - audits :]
        pairs = buy_audit(policy, held, lab)
        count = min(self.affordable(lab), len(order))
        if count < 1:
            raise OverBudget("the budget does not pay for a single review with its scores: raise budget=")
        kept = self.filtered(self.reviews(policy, order[:count], lab), lab)
        rate = lab.tier.review_learning_rate if self.learning_rate is None else self.learning_rate
        settings = lab.settings(
            learning_rate=rate,
            epochs=self.epochs or lab.tier.review_epochs,
            batch_size=self.batch_size,
        )
        start = lab.settle(policy, critiques.WORDS) if self.used else policy
        trained = lab.finetune(start, self.lessons(policy, kept), settings)
        self.audited(trained, pairs, "stage1", lab)
        if (self.stage or (1 if self.parts == "refinement_only" else 2)) == 2:
            trained = self.preferring(trained, order[count:][: self.fresh], lab)
            self.audited(trained, pairs, "stage2", lab)
        return self.decoded(trained, lab)

    def affordable(self, lab: Lab) -> int:
        """Reviews that the budget pays for, each with the two scores that filter it."""
        if not self.rescore:
            return lab.feedback.affordable_reviews(self.reviewed_on)
        together = lab.feedback.affordable_reviews((*self.reviewed_on, "score", "score"))
        # People are paid for each of the three acts; to a machine these are three calls of one price.
        return min(together, lab.feedback.affordable("score") // 3)

    def reviews(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> list[Review]:
        """The policy's own answers, each with what the teacher says of it."""
        decoding = replace(lab.decoding, temperature=self.temperature)
        answers = [row[0] for row in lab.sample(policy, prompts, decoding=decoding, stream="srt answers")]
        records = lab.feedback.review(prompts, answers, self.reviewed_on)
        return list(zip(prompts, answers, records, strict=True))

    def filtered(self, reviews: Sequence[Review], lab: Lab) -> list[Kept]:
        """The reviews that pass both filters."""
        whole = []
        for prompt, answer, said in reviews:
            critique, refined = self.worded(said), said["refine"]
            if (critique is not None or not self.used) and refined.ok and refined.text:
                whole.append((prompt, answer, critique, refined.text))
        lab.note(f"{len(whole)} of {len(reviews)} reviews have all elements")
        kept = whole
        if self.rescore and whole:
            asked, shown = [p for p, _, _, _ in whole], [a for _, a, _, _ in whole]
            texts = [Completion(text, (), "eos") for _, _, _, text in whole]
            records = lab.feedback.score([*asked, *asked], [*shown, *texts])
            before, after = records[: len(whole)], records[len(whole) :]
            kept = [
                one
                for one, a, b in zip(whole, before, after, strict=True)
                if a.value is not None and b.value is not None and b.value >= a.value
            ]
            lab.note(f"{len(kept)} of {len(whole)} refinements score no less than the answer, asked apart")
        lab.measure("keep_rate", len(kept) / len(reviews))
        if not kept:
            raise NotApplicable(f"none of {len(reviews)} reviews passed the filters")
        return kept

    def worded(self, said: Mapping[Channel, FeedbackRecord]) -> str | None:
        """The critique as it is learned; None where an element is missing or it could not be read back."""
        remark = (said["critique"].text or "") if self.used and said["critique"].ok else ""
        if not remark.strip():
            return None
        value = said["score"].value if self.scores else None
        text = critiques.write(critiques.of_remark(remark, value), self.used)
        return text if critiques.read(text, self.used) is not None else None

    def lessons(self, policy: LogitPolicy, kept: Sequence[Kept]) -> list[Lesson]:
        """All but the prompt is a target: the first answer, its critique, its refinement."""
        if self.parts == "refinement_only":
            return [Lesson(prompt, policy.encode(refinement)) for prompt, _, _, refinement in kept]
        layout = rewriting(policy.formatter, feedback=bool(self.used))
        found = []
        for prompt, answer, critique, refinement in kept:
            found.append(Lesson(prompt, answer))
            if critique is not None:
                found.append(Lesson(to_criticise(prompt, answer), policy.encode(critique, "critique")))
            asked = to_refine(prompt, answer, critique, layout)
            found.append(Lesson(asked, policy.encode(refinement, layout)))
        return found

    def criticised(self, lab: Lab) -> Decoding:
        """How its own critiques are drawn."""
        return criticising(lab.decoding, self.critique_temperature, self.critique_tokens)

    def preferring(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> LogitPolicy:
        """Stage 2. Raises NotApplicable where nothing is left to prefer."""
        pairs = self.own_pairs(policy, prompts, lab) if prompts else []
        lab.measure("stage2_pairs", len(pairs))
        lab.measure("stage2_keep_rate", len(pairs) / len(prompts) if prompts else 0.0)
        lab.note(f"stage 2: {len(pairs)} pairs from {len(prompts)} fresh prompts")
        if not pairs:
            raise NotApplicable(
                f"stage 2: on none of {len(prompts)} fresh prompts does the policy score its refinement "
                "higher than its answer: use stage=1, or leave prompts over with a smaller budget"
            )
        settings = lab.settings(
            learning_rate=self.dpo_learning_rate,
            epochs=self.dpo_epochs,
            batch_size=self.batch_size,
            purpose="reward",
        )
        return lab.dpo(policy, pairs, DPOSettings(settings, self.beta))

    def own_pairs(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> list[Pair]:
        """(prompt, refinement, answer) where the policy scores the refinement higher, or cannot score."""
        decoding = replace(lab.decoding, temperature=self.temperature)
        own = self.criticised(lab)
        answers = [row[0] for row in lab.sample(policy, prompts, decoding=decoding, stream="srt own answers")]
        said: list[str | None] = [None] * len(prompts)
        if self.used:
            rows = written(policy, prompts, answers, lab, own, "srt own critiques")
            said = [row[0] for row in rows]
        layout = rewriting(policy.formatter, feedback=bool(self.used))
        asked = [to_refine(p, a, c, layout) for p, a, c in zip(prompts, answers, said, strict=True)]
        drawn = lab.sample(policy, asked, decoding=decoding, stream="srt own refinements")
        refined = [row[0] for row in drawn]
        trios = list(zip(prompts, refined, answers, strict=True))
        if not self.scores:
            return [(p, r, a) for p, r, a in trios if r.text != a.text]
        before = mean_scores([[c or ""] for c in said], self.used)
        after = mean_scores(written(policy, prompts, refined, lab, own, "srt own scores"), self.used)
        if unread := sum(a is None or b is None for a, b in zip(before, after, strict=True)):
            lab.note(f"stage 2: {unread} of {len(trios)} answers or refinements got no readable score")
        return [
            trio
            for trio, a, b in zip(trios, before, after, strict=True)
            if a is not None and b is not None and b > a
        ]

    def audited(self, policy: LogitPolicy, pairs: Sequence[Pair], stage: str, lab: Lab) -> None:
        """Measures the policy as a critic, before or after stage 2."""
        if not pairs:
            lab.note("its own scores were not audited: no bought comparisons")
            return

        def judge(prompts: Sequence[Prompt], answers: Sequence[Completion]) -> Sequence[float | None]:
            if not self.scores:
                return likelihoods(policy, prompts, answers, lab)
            own = self.criticised(lab)
            texts = written(policy, prompts, answers, lab, own, f"srt audit {stage}")
            lab.measure(f"parse_rate_{stage}", readable(texts, self.used))
            return mean_scores(texts, self.used)

        accuracy = agreement(pairs, judge)
        assert accuracy is not None
        lab.measure(f"critic_accuracy_{stage}", accuracy)
        how = "scores" if self.scores else "likelihoods"
        lab.note(f"{stage}: its own {how} agree with {accuracy:.2f} of {len(pairs)} bought comparisons")

    def decoded(self, policy: LogitPolicy, lab: Lab) -> Policy:
        """The policy as it answers at test time."""
        own = {"critique_temperature": self.critique_temperature, "critique_tokens": self.critique_tokens}
        if self.decode == "rerank":
            settings = {"n": self.n, "by": "score", "parts": list(self.used), **own}
            return lab.wrap("self_rerank", settings, {"inner": policy})
        if self.decode == "first" or self.parts == "refinement_only":
            return policy
        layout = rewriting(policy.formatter, feedback=bool(self.used))
        settings = {"rounds": 1, "feedback": bool(self.used), "layout": layout, **own}
        return lab.wrap("self_refine", settings, {"inner": policy})


PLUGIN = SRT
