"""Self-rewarding language models (Yuan et al. 2024, arXiv 2401.10020): the policy judges its own answers.

A seed of bought feedback teaches it to answer (demonstrations, IFT) and to judge: to write the teacher's
score after prompt and answer (EFT). Then, again and again: on fresh prompts it draws several answers, judges
each several times, and is trained by DPO on the best against the worst of each prompt; the next iteration
starts from, and refers to, the last one's policy. Prompts whose best and worst score alike are dropped.

`seed_share=0` buys no demonstrations: all of the seed goes into scores, and the policy's own unselected
answers are learned in their place, because who learns to judge alone forgets how to answer.
`iterations=0` is the seed alone: what the judging adds is the difference to it.

Deviations: fresh prompts are training prompts (the paper's are written by the model); the judge writes a
score of 7 points with no reasoning before it (additive 5 points after a chain of thought); the answers scored
in the seed are the policy's own; best and worst are taken over distinct texts; learning rates and beta suit
small models.

`judge_accuracy_0` is how often the seeded policy's scores agree with comparisons bought of others, on
prompts kept out of training, and `judge_accuracy_k` the same after iteration k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable, OverBudget
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.lessons import Lesson
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques import critiques
from alignment_bench.techniques.critiques import Part, to_criticise
from alignment_bench.techniques.decode_time import criticising
from alignment_bench.techniques.self_scores import (
    Pair,
    affordable_audit,
    agreement,
    buy_audit,
    mean_scores,
    readable,
    written,
)
from alignment_bench.training.trl_settings import DPOSettings

FORM: tuple[Part, ...] = ("score",)
"""what its judgments are made of"""
JUDGMENT_TOKENS = 16
"""most tokens of a judgment; "score: four." are four words"""


@dataclass(frozen=True)
class SelfRewarding:
    """Learn to answer and to judge from a seed, then prefer what it judges best, several times over."""

    wrapper: ClassVar[bool] = False

    iterations: int = field(default=2, metadata={"min": 0, "tune": ("choice", (1, 2, 3))})
    """times it judges its own answers and is trained on its judgments; 0: the seed alone (control)"""
    candidates: int = field(default=4, metadata={"min": 2, "tune": ("choice", (4, 8))})
    """answers drawn for each fresh prompt"""
    judgments: int = field(default=3, metadata={"min": 1})
    """judgments averaged for each answer, at temperature 1"""
    seed_share: float = field(default=0.3, metadata={"min": 0.0, "max": 0.9, "tune": ("linear", 0.0, 0.6)})
    """share of the budget that buys demonstrations; scores get the rest"""
    temperature: float = field(default=0.7, metadata={"min": 0.0, "tune": ("choice", (0.7, 1.0))})
    """of the candidates"""
    beta: float = field(default=0.1, metadata={"min": 1e-6, "tune": ("log", 0.03, 1.0)})
    """DPO's beta"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 3e-4, 5e-3)})
    """peak learning rate on the seed; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (3, 5, 8))})
    """passes over the seed; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1})
    """lessons, or pairs, per optimiser step; None: by model size"""
    dpo_learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 1e-4, 2e-3)})
    """peak learning rate of DPO; None: by model size"""
    dpo_epochs: int = field(default=1, metadata={"min": 1})
    """passes over each iteration's pairs"""
    audit: int = field(default=40, metadata={"min": 0})
    """comparisons bought to measure its judgments by, within a tenth of the budget; 0: none"""

    @property
    def wants(self) -> tuple[Channel, ...]:
        """Scores, demonstrations unless it does without, and comparisons for the audit."""
        shown: tuple[Channel, ...] = ("demonstrate",) if self.seed_share else ()
        audited: tuple[Channel, ...] = ("prefer",) if self.audit else ()
        return ("score", *shown, *audited)

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy of the last iteration. Raises NotApplicable where it makes no difference between
        its answers to any prompt."""
        order = [prompts[int(i)] for i in lab.random("prompts").permutation(len(prompts))]
        audits = min(affordable_audit(self.audit, lab), len(order) // 5)
        order, held = order[: len(order) - audits], order[len(order) - audits :]
        audit = buy_audit(policy, held, lab)
        seeds, fresh = order[: len(order) // 2], order[len(order) // 2 :]
        rate = lab.tier.review_learning_rate if self.learning_rate is None else self.learning_rate
        settings = lab.settings(
            learning_rate=rate,
            epochs=self.epochs or lab.tier.review_epochs,
            batch_size=self.batch_size,
        )
        lessons = [*self.shown(policy, seeds, lab), *self.scored(policy, seeds, lab)]
        current = lab.finetune(lab.settle(policy, critiques.WORDS), lessons, settings)
        self.audited(current, audit, 0, lab)
        for number in range(1, self.iterations + 1):
            asked = fresh[number - 1 :: self.iterations]
            current = self.iterated(current, asked, number, lab)
            self.audited(current, audit, number, lab)
        return current

    def shown(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> list[Lesson]:
        """IFT: the plain prompt and a bought answer, for `seed_share` of the budget."""
        chosen = prompts[: int(lab.feedback.affordable("demonstrate") * self.seed_share)]
        records = lab.feedback.demonstrate(chosen) if chosen else []
        return [
            Lesson(prompt, policy.encode(record.text))
            for prompt, record in zip(chosen, records, strict=True)
            if record.ok and record.text
        ]

    def scored(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> list[Lesson]:
        """EFT: the teacher's score of the policy's own answers, for what the budget still pays.

        Without demonstrations the answers are lessons too.
        """
        paid = lab.feedback.affordable("score")
        if not paid:
            raise OverBudget("the budget does not pay for a single score: raise budget=")
        each = -(-paid // len(prompts))
        drawn = lab.sample(policy, prompts[:paid], n=each, stream="self_rewarding seed")
        flat = [(p, row[k]) for k in range(each) for p, row in zip(prompts, drawn, strict=False)][:paid]
        records = lab.feedback.score([p for p, _ in flat], [c for _, c in flat])
        found = []
        for (prompt, answer), record in zip(flat, records, strict=True):
            text = critiques.write(critiques.of_remark("", record.value), FORM)
            if record.ok and text:
                found.append(Lesson(to_criticise(prompt, answer), policy.encode(text, "critique")))
                if not self.seed_share:
                    found.append(Lesson(prompt, answer))
        usable = sum(one.prompt.layout == "critique" for one in found)
        lab.note(f"judging learned from {usable} of {len(records)} bought scores")
        if not found:
            raise NotApplicable("the teacher gave no usable score from 1 to 7")
        return found

    def judged(
        self,
        policy: LogitPolicy,
        prompts: Sequence[Prompt],
        answers: Sequence[Completion],
        name: str,
        lab: Lab,
    ) -> list[float | None]:
        """The mean of the readable judgments of each answer; the share of readable ones is measured."""
        own = criticising(lab.decoding, 1.0, JUDGMENT_TOKENS)
        texts = written(policy, prompts, answers, lab, own, f"self_rewarding {name}", self.judgments)
        lab.measure(f"parse_rate_{name}", readable(texts, FORM))
        return mean_scores(texts, FORM)

    def iterated(self, policy: LogitPolicy, prompts: Sequence[Prompt], number: int, lab: Lab) -> LogitPolicy:
        """The policy after DPO on the best against the worst of its answers, by its own judgment."""
        decoding = replace(lab.decoding, temperature=self.temperature)
        stream = f"self_rewarding answers {number}"
        rows = lab.sample(policy, prompts, n=self.candidates, decoding=decoding, stream=stream)
        distinct = [list({c.text: c for c in row}.values()) for row in rows]
        flat = [(p, c) for p, row in zip(prompts, distinct, strict=True) for c in row]
        values = iter(self.judged(policy, [p for p, _ in flat], [c for _, c in flat], f"round{number}", lab))
        pairs = []
        for prompt, row in zip(prompts, distinct, strict=True):
            own = [(value, c) for c, value in [(c, next(values)) for c in row] if value is not None]
            if len(own) > 1:
                best, worst = max(own, key=lambda one: one[0]), min(own, key=lambda one: one[0])
                if best[0] > worst[0]:
                    pairs.append((prompt, best[1], worst[1]))
        lab.measure(f"pairs_round{number}", len(pairs))
        lab.note(f"iteration {number}: {len(pairs)} pairs from {len(prompts)} fresh prompts")
        if not pairs:
            raise NotApplicable(
                f"iteration {number}: the policy judges its answers to each of {len(prompts)} prompts alike, "
                "or writes no readable score: fewer iterations=, or a larger budget"
            )
        settings = lab.settings(
            learning_rate=self.dpo_learning_rate,
            epochs=self.dpo_epochs,
            batch_size=self.batch_size,
            purpose="reward",
        )
        return lab.dpo(policy, pairs, DPOSettings(settings, self.beta))

    def audited(self, policy: LogitPolicy, pairs: Sequence[Pair], number: int, lab: Lab) -> None:
        """Measures the policy as a judge, after iteration `number`."""
        found = agreement(pairs, lambda p, c: self.judged(policy, p, c, f"audit{number}", lab))
        if found is None:
            lab.note("its judgments were not audited: no bought comparisons")
            return
        lab.measure(f"judge_accuracy_{number}", found)
        lab.note(f"iteration {number}: its judgments agree with {found:.2f} of {len(pairs)} comparisons")


PLUGIN = SelfRewarding
