"""ALT, alignment with textual feedback (Abadal Lloret et al. 2024, arXiv 2407.16970).

In each iteration the policy answers, the answers get feedback in words, and the policy learns each answer
with its feedback before it, good and bad alike; it is then asked for the best. The first iteration samples
without a condition from the policy that alignment starts from, later ones under the exemplar, the condition
that is also used at test time. Loss on the answer's tokens only: negative log-likelihood + kl_coefficient *
KL to the start - entropy_coefficient * entropy. The optimiser starts anew in each iteration, the policy
goes on.

Variants: `rm` turns a reward model's quantiles into five phrases; `lmc` names one of four categories; `lmu`
is a critic's own sentence, balanced over four scores; `steer` writes the level as an attribute, as SteerLM
does (arXiv 2310.05344). With labels=machine the budget trains the reward model (`rm`, comparisons) or a
critic model (the others), which then labels every sample; with labels=hand each sample's label is bought.
No-KL is kl_coefficient=0. The defaults are the paper's setting for summaries; the one for toxicity is
quantiles=global pool=grow keep=0 with many prompts and one sample each.

Deviations: starts from the base unless init= says otherwise; conditions are noun phrases in the task's layout
`describe` (the paper's: layout=describe_paper:phrases=[Horrible.,Bad.,Mediocre.,Good.,Excellent.], on tasks
for models that read plain English); fewer prompts and samples, at temperature 1 and top_p 1 (paper .9 and
.9); all weights or LoRA (paper: upper 30 % of the blocks); AdamW with its usual betas, 10 % warm-up, linear
decay; models of ordinary size make one pass over what is kept (paper 2). The critic is the policy fine-tuned
on bought feedback (paper: a large model prompted); its categories and scores are bins of the annotators'
numbers, which the first numbers bought fill evenly. What a level lacks is made up in balance and counted
(authors' code: from the first unused answers). The reference reads the prompt without the condition (the
authors' code for summaries leaves it in: reference=conditioned). Words that a shipped model never trained on
start from embeddings drawn like those of its descriptive words.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from alignment_bench.errors import BadInput, NotApplicable, OverBudget, Problem
from alignment_bench.feedback import Channel
from alignment_bench.lab import Lab
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques import levels as words
from alignment_bench.techniques import pools
from alignment_bench.techniques.critics import (
    ByHand,
    Critic,
    Labeller,
    Labels,
    Scored,
    Style,
    bought_reviews,
    channels_of,
    score_phrases,
    scored_by_hand,
)
from alignment_bench.techniques.pools import Sample
from alignment_bench.training.settings import Objective


@dataclass(frozen=True)
class ALT:
    """Learn every answer after feedback on it in words, then ask for the best."""

    wrapper: ClassVar[bool] = False
    from_record: ClassVar[tuple[Channel, ...]] = ("prefer",)

    variant: Literal["rm", "lmc", "lmu", "steer"] = "rm"
    """feedback: a reward model's quantile as a phrase, a category, a critic's sentence, or an attribute"""
    labels: Literal["machine", "hand"] = "machine"
    """who labels samples: a model trained on what the budget buys, or annotators, each label bought"""
    level: int | Literal["best", "none"] = field(default="best", metadata={"min": 1})
    """what it is asked for at test time: the exemplar, a level (1 is the worst), or nothing (no phrase)"""
    levels: int | None = field(default=None, metadata={"min": 2, "max": words.MOST})
    """levels of quality; None: 5 for rm, 4 for the others"""
    phrases: tuple[str, ...] = ()
    """the levels in words, the worst first; empty: built in"""
    exemplar: str = ""
    """condition for sampling and testing; empty: the best level's phrase, or for lmu its best critique"""
    layout: str = "describe"
    """layout with a slot `condition` in which conditioned prompts are put"""
    quantiles: pools.Scope = "prompt"
    """rm: quantiles of each prompt's samples or of the whole pool"""
    pool: Literal["flush", "grow"] = "flush"
    """learn from the iteration's samples, or from all so far"""
    iterations: int | None = field(default=None, metadata={"min": 1})
    """rounds of sampling and training; None: by model size"""
    prompts: int | None = field(default=None, metadata={"min": 1})
    """prompts answered in each iteration; None: by model size"""
    samples: int | None = field(default=None, metadata={"min": 1})
    """answers to each of them; None: by model size, with labels=hand one a level"""
    keep: int = field(default=2, metadata={"min": 0, "tune": ("choice", (1, 2, 4))})
    """answers of each level that are learnt, for every prompt; 0: all"""
    kl_coefficient: float = field(default=0.05, metadata={"min": 0.0, "tune": ("choice", (0.0, 0.05, 0.2))})
    """weight of the KL penalty against the start; 0: none"""
    kl_direction: Literal["forward", "backward"] = "forward"
    """forward: KL(start || policy), as in ALT's code; backward: KL(policy || start), as in Quark's"""
    entropy_coefficient: float = field(
        default=0.06, metadata={"min": 0.0, "tune": ("choice", (0.0, 0.02, 0.06))}
    )
    """weight of the entropy bonus"""
    reference: Literal["plain", "conditioned"] = "plain"
    """what the start reads for the KL penalty: the plain prompt, or the condition as well"""
    consistency: float = field(default=1.0, metadata={"min": 0.0, "max": 1.0})
    """share of labels that stay where they belong; the others are exchanged among themselves (a control)"""
    reward_kind: Literal["likelihood_ratio", "scalar"] = "likelihood_ratio"
    """rm: form of the reward model"""
    learning_rate: float | None = field(default=None, metadata={"min": 0.0, "tune": ("log", 3e-4, 3e-3)})
    """peak learning rate of each iteration; None: by model size"""
    epochs: int | None = field(default=None, metadata={"min": 1, "tune": ("choice", (1, 2, 3))})
    """passes over what is learnt in each iteration; None: by model size"""
    batch_size: int | None = field(default=None, metadata={"min": 1})
    """answers per optimiser step; None: by model size"""

    def __post_init__(self) -> None:
        problems = []
        if self.phrases and self.levels not in (None, len(self.phrases)):
            what = f"{len(self.phrases)} for {self.levels} levels"
            problems.append(Problem("phrases", what, "one phrase a level, or leave levels out"))
        if self.phrases and (len(set(self.phrases)) < len(self.phrases) or len(self.phrases) < 2):
            problems.append(Problem("phrases", "levels need two or more different phrases", "change them"))
        if self.phrases and self.variant == "lmu":
            problems.append(Problem("phrases", "lmu's conditions are critiques", "leave phrases out"))
        if self.level not in ("best", "none") and int(self.level) > self.count:
            problems.append(Problem("level", f"there are {self.count} levels", f"1 to {self.count}"))
        if problems:
            raise BadInput(problems)

    @property
    def count(self) -> int:
        """How many levels there are."""
        return len(self.phrases) or self.levels or (5 if self.variant == "rm" else 4)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The levels in words, the worst first; for lmu what its critic says of the score."""
        if self.phrases:
            return self.phrases
        if self.variant == "steer":
            return words.attributes(self.count)
        return score_phrases(self.count) if self.variant == "lmu" else words.ladder(self.count)

    @property
    def style(self) -> Style:
        """How a critic labels."""
        return "sentence" if self.variant == "lmu" else "category"

    @property
    def wants(self) -> tuple[Channel, ...]:
        """Comparisons for a reward model, or numbers, with words for lmu."""
        by_reward_model = self.variant == "rm" and self.labels == "machine"
        return ("prefer",) if by_reward_model else channels_of(self.style)

    def align(self, policy: LogitPolicy, prompts: Sequence[Prompt], lab: Lab) -> Policy:
        """The policy behind the condition asked for; what it was trained on does not depend on `level`."""
        layout = policy.formatter.layout(self.layout)
        if "{condition}" not in layout.user + layout.opening:
            raise NotApplicable(f"layout {self.layout!r} shows no condition: use describe")
        settings = lab.settings(
            learning_rate=self.learning_rate,
            epochs=self.epochs or lab.tier.alt_epochs,
            batch_size=self.batch_size,
        )
        objective = Objective(
            kl_coefficient=self.kl_coefficient,
            kl_direction=self.kl_direction,
            entropy_coefficient=self.entropy_coefficient,
        )
        start = lab.settle(policy, [*self.conditions, self.exemplar])
        reference = policy if self.reference == "plain" else start
        labeller = self.labeller(policy, start, prompts, lab)
        order = lab.random("prompts").permutation(len(prompts)).tolist()
        current, pool, best = start, list[Sample](), ""
        for number in range(self.iterations or lab.tier.alt_iterations):
            batch, samples = self.batch(number, prompts, order, lab)
            sampler = lab.condition(current, self.layout, condition=best) if number else policy
            drawn = lab.sample(sampler, batch, n=samples, stream=f"alt {number}")
            flat = [(prompt, c) for prompt, row in zip(batch, drawn, strict=True) for c in row]
            fresh = labeller.samples([p for p, _ in flat], [c for _, c in flat], number, lab)
            pool = fresh if self.pool == "flush" else pool + fresh
            best = self.exemplar or labeller.exemplars[-1]
            taught = pools.lessons(self.learnt(pool, number, policy, lab), self.layout, self.reference)
            current = lab.finetune(
                current, taught, settings, objective, reference if self.kl_coefficient else None
            )
        if self.level == "none":
            return current
        condition = best if self.level == "best" else labeller.exemplars[int(self.level) - 1]
        if not condition:
            raise NotApplicable(f"no critique was given at level {self.level}: choose another")
        if self.variant == "lmu":
            lab.note(f"asked for: {condition}")
        return lab.condition(current, self.layout, condition=condition)

    def labeller(
        self, policy: LogitPolicy, start: LogitPolicy, prompts: Sequence[Prompt], lab: Lab
    ) -> Labeller:
        """Who labels samples; with labels=machine, the model is bought and trained here, once."""
        if self.variant == "rm" and self.labels == "hand":
            return Scored(self.conditions, lambda p, c: scored_by_hand(p, c, lab))
        if self.variant == "rm":
            model = lab.reward_model(policy, prompts, kind=self.reward_kind)
            return Scored(self.conditions, lambda p, c: lab.rewards(model, p, c))
        if self.labels == "hand":
            return ByHand(self.style, self.conditions)
        reviews = bought_reviews(policy, prompts, self.style, lab)
        labels = Labels.of(reviews, self.style, self.conditions)
        return Critic.trained(start, reviews, labels, lab.settings(), lab)

    def batch(
        self, number: int, prompts: Sequence[Prompt], order: Sequence[int], lab: Lab
    ) -> tuple[list[Prompt], int]:
        """The prompts of an iteration, and how many answers each gets: by hand, what the budget pays for."""
        samples = self.samples or (self.count if self.labels == "hand" else lab.tier.alt_samples)
        size = self.prompts or lab.tier.alt_prompts
        if self.labels == "hand":
            left = (self.iterations or lab.tier.alt_iterations) - number
            affordable = lab.feedback.affordable_reviews(self.wants) // (left * samples)
            if affordable < 1:
                raise OverBudget(f"the budget does not pay for {samples} labels in each of {left} iterations")
            size = min(size, affordable) if self.prompts else affordable
        return pools.turns(prompts, order, number, size), samples

    def learnt(self, pool: Sequence[Sample], number: int, policy: LogitPolicy, lab: Lab) -> list[Sample]:
        """What of the pool is learnt in this iteration, levels assigned; footnotes say what it was."""
        scores = [one.score for one in pool if one.round == number]
        if self.variant == "rm":
            judged = len(pool)
            pool = pools.ranked(pool, self.conditions, self.quantiles)
            if len(pool) < judged:
                lab.note(f"{judged - len(pool)} answers left out: fewer than {self.count} of their prompt")
        chosen, lacking = pools.kept(pool, self.count, self.keep)
        shares = pools.shares(pool, self.count)
        told = f"iteration {number + 1}: {len(chosen)} of {len(pool)} labelled answers learnt, levels "
        told += " ".join(f"{share:.2f}" for share in shares)
        if lacking:
            told += f", {lacking} lacking at their level and made up from others"
        if self.variant == "rm":
            told += f"; mean reward {statistics.fmean(scores):+.2f}"
            lab.measure("proxy_reward", statistics.fmean(scores))
        lab.note(told)
        lab.measure("kept", len(chosen))
        for level, share in enumerate(shares, start=1):
            lab.measure(f"level_{level}_share", share)
        if self.consistency < 1:
            chosen = pools.mislabelled(chosen, 1 - self.consistency, lab.random("mislabelled", number))
        limit, eos = lab.decoding.max_tokens, policy.encode("").tokens[-1]
        return [replace(one, completion=pools.ended(one.completion, eos, limit)) for one in chosen]


PLUGIN = ALT
